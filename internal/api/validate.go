package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
)

// validate holds the request against the spec: path, query and headers. Bodies
// are checked where they are read, record by record.
func (s *Server) validate(r *http.Request) error {
	route := chi.RouteContext(r.Context())
	item := s.doc.Paths.Find(route.RoutePattern())
	if item == nil {
		return errors.New("route " + route.RoutePattern() + " is not in openapi.yaml")
	}
	op := item.GetOperation(r.Method)
	if op == nil {
		return errors.New("method is not in openapi.yaml")
	}
	params := map[string]string{}
	for i, name := range route.URLParams.Keys {
		if name != "*" {
			params[name] = route.URLParams.Values[i]
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badField("query", "must be well-formed")
	}
	known := []string{}
	for _, p := range op.Parameters {
		switch p.Value.In {
		case openapi3.ParameterInQuery:
			known = append(known, p.Value.Name)
			if len(query[p.Value.Name]) > 1 {
				return badField(p.Value.Name, "may be given once")
			}
		case openapi3.ParameterInHeader:
			if len(r.Header.Values(p.Value.Name)) > 1 {
				return badField(p.Value.Name, "may be given once")
			}
		}
	}
	for name := range query {
		if !slices.Contains(known, name) {
			rule := "takes no parameters here"
			if len(known) > 0 {
				rule = "knows " + strings.Join(known, ", ")
			}
			return badField("query", rule)
		}
	}
	in := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, QueryParams: query,
		Route:   &routers.Route{Spec: plainSchemas(s.doc), Path: route.RoutePattern(), PathItem: item, Method: r.Method, Operation: op},
		Options: &openapi3filter.Options{ExcludeRequestBody: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}
	err = openapi3filter.ValidateRequest(r.Context(), in)
	if err == nil {
		return nil
	}
	var bad *openapi3filter.RequestError
	if errors.As(err, &bad) && bad.Parameter != nil {
		return badField(bad.Parameter.Name, ruleOf(bad.Parameter))
	}
	return badField("request", "must be as /openapi.yaml describes")
}

// plainSchemas has parameters checked as OpenAPI 3.0 would. What a parameter's
// schema says (type, enum, pattern, bounds, format) reads the same in both, and
// for 3.1 the library compiles a JSON Schema anew for each parameter of each
// request, which costs as much as the decision does. A test holds that both
// say the same of every parameter.
func plainSchemas(doc *openapi3.T) *openapi3.T {
	plain := *doc
	plain.OpenAPI = "3.0.3"
	return &plain
}

// ruleOf says in words what a parameter must be, from its schema, so that the
// rejected value need not be repeated.
func ruleOf(p *openapi3.Parameter) string {
	if p.Schema == nil || p.Schema.Value == nil {
		return "must be as /openapi.yaml describes"
	}
	v := p.Schema.Value
	var rules []string
	switch {
	case strings.HasSuffix(p.Schema.Ref, "/ID"):
		rules = append(rules, "must be a lower-case UUID")
	case len(v.Enum) > 0:
		var words []string
		for _, e := range v.Enum {
			if word, ok := e.(string); ok {
				words = append(words, word)
			}
		}
		rules = append(rules, "must be one of "+strings.Join(words, ", "))
	case v.Format == "date-time":
		rules = append(rules, "must be a time such as 2026-11-02T09:30:00Z")
	case v.Type != nil && v.Type.Is("integer"):
		rules = append(rules, "must be a whole number in the range that /openapi.yaml gives")
	case v.Type != nil && v.Type.Is("boolean"):
		rules = append(rules, "must be true or false")
	case v.Pattern != "":
		rules = append(rules, "must match "+v.Pattern)
	}
	if p.Required {
		rules = append(rules, "is required")
	}
	if len(rules) == 0 {
		return "must be as /openapi.yaml describes"
	}
	return strings.Join(rules, "; ")
}

// maxReason is the longest reason, in characters (design.md §6).
const maxReason = 2000

// reasonOf reads Kith-Reason: UTF-8, percent-encoded where not ASCII.
func reasonOf(r *http.Request) (string, error) {
	raw := r.Header.Get("Kith-Reason")
	text := raw
	if strings.Contains(raw, "%") {
		decoded, err := url.PathUnescape(raw)
		if err == nil {
			text = decoded
		} else if !isASCII(raw) {
			return "", badField("Kith-Reason", "must be percent-encoded UTF-8 where it is not ASCII")
		}
	}
	if !utf8.ValidString(text) {
		return "", badField("Kith-Reason", "must be UTF-8")
	}
	if utf8.RuneCountInString(text) > maxReason {
		return "", badField("Kith-Reason", "has at most 2 000 characters")
	}
	for _, c := range text {
		if unicode.IsControl(c) && c != '\n' && c != '\t' || isBidi(c) {
			return "", badField("Kith-Reason", "has no control or direction characters")
		}
	}
	return strings.TrimSpace(text), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// isBidi finds marks that turn the direction of text: they can make a log line
// read as something else.
func isBidi(c rune) bool {
	return c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069 || c == 0x200E || c == 0x200F || c == 0x061C
}

// childrenOf reads Kith-Children: ids separated by commas.
func childrenOf(r *http.Request) ([]uuid.UUID, error) {
	raw := strings.TrimSpace(r.Header.Get("Kith-Children"))
	if raw == "" {
		if len(r.Header.Values("Kith-Children")) > 0 {
			return nil, badField("Kith-Children", "must be ids separated by commas; leave the header out for the children with whom you work")
		}
		return nil, nil
	}
	var ids []uuid.UUID
	for _, part := range strings.Split(raw, ",") {
		id, err := parseID(strings.TrimSpace(part))
		if err != nil {
			return nil, badField("Kith-Children", "must be lower-case UUIDs separated by commas")
		}
		if slices.Contains(ids, id) {
			return nil, badField("Kith-Children", "names each child once")
		}
		ids = append(ids, id)
	}
	if len(ids) > 30 {
		return nil, badField("Kith-Children", "names at most 30 children")
	}
	return ids, nil
}

// parseID takes the one spelling that ids have: lower-case, with hyphens.
func parseID(s string) (uuid.UUID, error) {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s {
		return uuid.Nil, errors.New("not an id")
	}
	return id, nil
}
