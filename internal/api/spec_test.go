package api

import (
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
)

// bare is a server without anything behind it: enough for what must be
// settled before a handler runs.
func bare(t *testing.T) *Server {
	t.Helper()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRoutesAndSpecAgree(t *testing.T) {
	t.Parallel()
	s := bare(t)
	var routed, described []string
	err := chi.Walk(s.mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routed = append(routed, method+" "+route)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range s.doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	sort.Strings(routed)
	sort.Strings(described)
	if diff := cmp.Diff(described, routed); diff != "" {
		t.Errorf("openapi.yaml (-) and routes (+) differ:\n%s", diff)
	}
}

func TestEveryOperationSaysWhatItAnswers(t *testing.T) {
	t.Parallel()
	for path, item := range bare(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.OperationID == "" || op.Summary == "" {
				t.Errorf("%s %s has no id or summary", method, path)
			}
			if op.Security != nil && len(*op.Security) == 0 {
				continue // open to everybody: only the description itself
			}
			for _, status := range []string{"400", "401", "403", "503"} {
				if op.Responses.Value(status) == nil {
					t.Errorf("%s %s does not say what %s looks like", method, path, status)
				}
			}
		}
	}
}

func TestOnlyTheDescriptionIsOpen(t *testing.T) {
	t.Parallel()
	for path, item := range bare(t).doc.Paths.Map() {
		for method, op := range item.Operations() {
			open := op.Security != nil && len(*op.Security) == 0
			if open != (path == "/openapi.yaml") {
				t.Errorf("%s %s: open to everybody: %v", method, path, open)
			}
		}
	}
}

func TestSpecIsServedWithoutAToken(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	bare(t).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "openapi: 3.1.") {
		t.Errorf("status %d, body begins %.20q", w.Code, w.Body.String())
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/v1/nothing", http.StatusNotFound},
		{http.MethodDelete, "/openapi.yaml", http.StatusMethodNotAllowed},
	} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.want || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %v", c.method, c.path, w.Code, w.Header())
		}
	}
}

func TestReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, want string
		bad                bool
	}{
		{name: "plain", header: "Strategy meeting at 2pm", want: "Strategy meeting at 2pm"},
		{name: "encoded", header: "Zo%C3%AB%20asked", want: "Zoë asked"},
		{name: "a bare per cent sign is text", header: "risk is 50% higher", want: "risk is 50% higher"},
		{name: "raw UTF-8", header: "Zoë asked", want: "Zoë asked"},
		{name: "not UTF-8", header: "%FF%FE", bad: true},
		{name: "2 000 characters", header: strings.Repeat("%C3%AB", 2000), want: strings.Repeat("ë", 2000)},
		{name: "2 001 characters", header: strings.Repeat("a", 2001), bad: true},
		{name: "turns the direction", header: "%E2%80%AEtxt.exe", bad: true},
		{name: "carriage return", header: "a%0D%0ALog: forged", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Kith-Reason", c.header)
			got, err := reasonOf(r)
			if (err != nil) != c.bad || got != c.want {
				t.Errorf("got %.40q, %v", got, err)
			}
		})
	}
}

func TestChildren(t *testing.T) {
	t.Parallel()
	const a, b = "2f1c7a52-8a55-4c0e-9a2f-6f1c3d9b1a01", "7d1c7a52-8a55-4c0e-9a2f-6f1c3d9b1a02"
	for _, c := range []struct {
		name, header string
		want         int
		bad          bool
	}{
		{name: "two", header: a + ", " + b, want: 2},
		{name: "twice the same", header: a + "," + a, bad: true},
		{name: "an empty list is not everybody", header: " ", bad: true},
		{name: "upper case", header: strings.ToUpper(a), bad: true},
		{name: "braces", header: "{" + a + "}", bad: true},
		{name: "trailing comma", header: a + ",", bad: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Kith-Children", c.header)
			got, err := childrenOf(r)
			if (err != nil) != c.bad || len(got) != c.want {
				t.Errorf("got %d ids, %v", len(got), err)
			}
		})
	}
}

func FuzzIDs(f *testing.F) {
	f.Add("2f1c7a52-8a55-4c0e-9a2f-6f1c3d9b1a01")
	f.Add("urn:uuid:2f1c7a52-8a55-4c0e-9a2f-6f1c3d9b1a01")
	f.Add("2F1C7A52-8A55-4C0E-9A2F-6F1C3D9B1A01")
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseID(s)
		if err == nil && id.String() != s {
			t.Errorf("took another spelling of %s", id)
		}
	})
}
