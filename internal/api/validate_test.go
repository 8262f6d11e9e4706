package api

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// The cheap reading of a parameter's schema says the same as the exact one, for
// every parameter of every route.
func TestParametersAreReadAlikeEitherWay(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3000)
	values := []string{"", " ", "x", "FS", "CP", "true", "false", "yes", "0", "1", "-1", "1.5", "1e3", "500", "501", "9223372036854775808", "null", "[]", "{}", "a,b", "é", "%41", "a b",
		"4efd348b-8cf2-4391-90b3-246ecc8d6997", "4EFD348B-8CF2-4391-90B3-246ECC8D6997", "2026-11-02", "2026-11-02T09:30:00Z", "2026-11-02T09:30:00+01:00", "2026-13-02T09:30:00Z", "2026-02-30",
		"ndjson", "csv", "fhir", "readers", "open", "text", long, strings.Repeat("1", 64), strings.Repeat("ab", 32), "MH", "mh", "released", "read"}
	tried, refused := 0, 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			for _, p := range op.Parameters {
				values = append(values, enumOf(p.Value)...)
				for _, v := range append(values, "\x00missing") {
					says := func(d *openapi3.T) error {
						r := httptest.NewRequest(method, "/", nil)
						in := &openapi3filter.RequestValidationInput{Request: r, PathParams: map[string]string{}, QueryParams: url.Values{},
							Route: &routers.Route{Spec: d, Path: path, PathItem: item, Method: method, Operation: op}}
						if v != "\x00missing" {
							switch p.Value.In {
							case openapi3.ParameterInPath:
								in.PathParams[p.Value.Name] = v
							case openapi3.ParameterInQuery:
								in.QueryParams.Set(p.Value.Name, v)
								r.URL.RawQuery = in.QueryParams.Encode()
							case openapi3.ParameterInHeader:
								r.Header[http.CanonicalHeaderKey(p.Value.Name)] = []string{v}
							}
						}
						return openapi3filter.ValidateParameter(r.Context(), in, p.Value)
					}
					exact, cheap := says(doc), says(plainSchemas(doc))
					if (exact == nil) != (cheap == nil) {
						t.Errorf("%s %s, %s = %.40q: exact %v, cheap %v", method, path, p.Value.Name, v, exact, cheap)
					}
					var bad *openapi3filter.RequestError
					if cheap != nil && (!errors.As(cheap, &bad) || bad.Parameter != p.Value) {
						t.Errorf("%s %s, %s: the error names no parameter: %v", method, path, p.Value.Name, cheap)
					}
					tried++
					if cheap != nil {
						refused++
					}
				}
			}
		}
	}
	if refused < 100 || tried-refused < 100 {
		t.Errorf("%d tried, %d refused: the test looks at too little", tried, refused)
	}
}

func enumOf(p *openapi3.Parameter) []string {
	var words []string
	if p.Schema != nil && p.Schema.Value != nil {
		for _, e := range p.Schema.Value.Enum {
			if w, ok := e.(string); ok {
				words = append(words, w)
			}
		}
	}
	return words
}
