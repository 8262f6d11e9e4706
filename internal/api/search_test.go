package api_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (h *replica) search(as, purpose string, body any) answer {
	return h.do(call{as: as, path: "/v1/searches", body: body, key: "-", purpose: purpose})
}

// people lists whom a search found, by name.
func (a answer) people() []string {
	found := []string{}
	people, _ := a.json["people"].([]any)
	for _, p := range people {
		name, _ := p.(map[string]any)["name"].(string)
		found = append(found, name)
	}
	return found
}

type terms map[string]any

func TestSearchRoute(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	got := h.search("mash-officer", "FD", terms{"given_name": "Hugh", "family_name": "Draycot"}).want(http.StatusOK)
	if diff := cmp.Diff([]string{"Hugo Draycott"}, got.people()); diff != "" {
		t.Errorf("people (-want +got):\n%s", diff)
	}
	if got.head.Get("Kith-Receipt") == "" || got.head.Get("Kith-Receipt") != got.text("receipt") || got.head.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", got.head)
	}
	person := got.json["people"].([]any)[0].(map[string]any)
	family := person["families"].([]any)[0].(map[string]any)["id"].(string)
	h.do(call{as: "mash-officer", path: "/v1/families/" + family, purpose: "FD"}).want(http.StatusOK)

	hidden := h.search("social-worker", "FS", terms{"nhs_number": "9997979850"}).want(http.StatusOK)
	absent := h.search("social-worker", "FS", terms{"family_name": "Zzyzx"}).want(http.StatusOK)
	if cut := func(a answer) string { return strings.Replace(string(a.raw), a.text("receipt"), "", 1) }; cut(hidden) != cut(absent) {
		t.Errorf("nobody allowed and nobody there differ:\n%s\n%s", hidden.raw, absent.raw)
	}
	if len(hidden.head) != len(absent.head) {
		t.Errorf("headers differ: %v, %v", hidden.head, absent.head)
	}

	for _, c := range []struct {
		name, as, purpose string
		body              any
		header            map[string]string
		status            int
		field             string
	}{
		{name: "no purpose", as: "mash-officer", body: terms{"family_name": "Hobbs"}, status: 400, field: "Kith-Purpose"},
		{name: "no reason", as: "mash-officer", purpose: "FD", body: terms{"family_name": "Hobbs"}, header: map[string]string{"Kith-Reason": " "}, status: 400, field: "Kith-Reason"},
		{name: "nothing to look for", as: "social-worker", purpose: "FS", body: terms{}, status: 400, field: "search"},
		{name: "bad check digit", as: "social-worker", purpose: "FS", body: terms{"nhs_number": "9995067677"}, status: 400, field: "nhs_number"},
		{name: "unknown scheme", as: "social-worker", purpose: "FS", body: terms{"identifier": terms{"scheme": "liquid", "value": "7"}}, status: 400, field: "identifier.scheme"},
		{name: "unknown field", as: "social-worker", purpose: "FS", body: terms{"name": "Hobbs"}, status: 400, field: "body"},
		{name: "number for text", as: "social-worker", purpose: "FS", body: terms{"nhs_number": 9995067676}, status: 400, field: "body"},
		{name: "two objects", as: "social-worker", purpose: "FS", body: `{"upn": ""} {"family_name": "Hobbs"}`, status: 400, field: "body"},
		{name: "too large", as: "social-worker", purpose: "FS", body: terms{"family_name": strings.Repeat("a", 20<<10)}, status: 400, field: "body"},
		{name: "a wildcard", as: "social-worker", purpose: "FS", body: terms{"family_name": "%"}, status: 400, field: "family_name"},
		{name: "another media type", as: "social-worker", purpose: "FS", body: "family_name=Hobbs", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, status: 415, field: "Content-Type"},
		{name: "a case system", as: "system-csc", purpose: "FS", body: terms{"family_name": "Hobbs"}, status: 403},
		{name: "no agreement", as: "outsider", purpose: "FS", body: terms{"family_name": "Hobbs"}, status: 403},
		{name: "not MASH", as: "social-worker", purpose: "FD", body: terms{"family_name": "Hobbs"}, status: 403},
	} {
		a := h.do(call{as: c.as, path: "/v1/searches", body: c.body, key: "-", purpose: c.purpose, header: c.header})
		if a.status != c.status || a.text("field") != c.field {
			t.Errorf("%s: %d, field %q: %s", c.name, a.status, a.text("field"), a.raw)
		}
		if strings.Contains(string(a.raw), "9995067677") || strings.Contains(string(a.raw), "liquid") {
			t.Errorf("%s: repeats what was typed: %s", c.name, a.raw)
		}
	}
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/searches", strings.NewReader(`{"family_name": "Hobbs"}`)))
	if w.Code != http.StatusUnauthorized {
		t.Errorf("without a token: %d", w.Code)
	}
}

// Every stored text carries a token of its own; a search gives none out that no
// read of a family gives the same caller for the same purpose.
func TestSearchCanary(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	x.exec(`UPDATE kith.content c SET body = (SELECT jsonb_object_agg(f.key, CASE WHEN jsonb_typeof(f.value) = 'string'
		THEN to_jsonb((f.value #>> '{}') || ' zq' || c.part || 'f' || replace(f.key, '_', '') || 'q') ELSE f.value END) FROM jsonb_each(c.body) f)`)
	token := regexp.MustCompile(`zq[0-9]+f[a-z0-9]+q`)
	looked := []terms{
		{"family_name": "Hobs"}, {"family_name": "Sale"}, {"given_name": "Robert"}, {"given_name": "Kelly"}, {"family_name": "Hartnel"}, {"given_name": "Kaylee"},
		{"family_name": "Burnet"}, {"postcode": "SM1 4OF"}, {"postcode": "DA2 7SC"}, {"family_name": "Stanhope"}, {"family_name": "Fairly"}, {"given_name": "Mohamed"},
		{"nhs_number": "9997979850"}, {"nhs_number": "9995067676"}, {"date_of_birth": "2021-03-15"}, {"given_name": "Noah"}, {"family_name": "Reid"}, {"family_name": "Hale"},
	}
	found := 0
	for _, who := range [][2]string{{"mash-officer", "FD"}, {"social-worker", "FS"}, {"perpetrator-practitioner", "FS"}, {"housing-officer", "CN"}, {"detective", "CP"}, {"idva", "FS"}} {
		allowed := map[string]bool{}
		for story := range x.stories {
			for _, tok := range token.FindAllString(string(h.read(who[0], story, who[1]).raw), -1) {
				allowed[tok] = true
			}
		}
		for _, q := range looked {
			a := h.search(who[0], who[1], q).want(http.StatusOK)
			found += len(a.people())
			text := string(a.raw)
			for name, values := range a.head {
				text += name + strings.Join(values, " ")
			}
			for _, tok := range token.FindAllString(text, -1) {
				if !allowed[tok] {
					t.Errorf("%s for %s asks for %v and is given %s", who[0], who[1], q, tok)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d people in all: that proves little", found)
	}
}
