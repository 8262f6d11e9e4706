package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/api"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	x := newTown(t)

	h := x.hub(api.Limits{RequestsPerMinute: 5, WriteBytes: 2000})
	for range 5 {
		h.do(call{as: "social-worker", path: "/v1/involvements"}).want(http.StatusOK)
	}
	over := h.do(call{as: "social-worker", path: "/v1/involvements"}).want(http.StatusTooManyRequests)
	if over.head.Get("Retry-After") == "" || over.head.Get("Content-Type") != "application/problem+json" {
		t.Errorf("429 without its headers: %v", over.head)
	}
	h.do(call{as: "social-worker", path: "/v1/involvements"}).want(http.StatusTooManyRequests)
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'forbidden'`); n != 1 {
		t.Errorf("%d events of too many requests", n)
	}
	h.do(call{as: "idva", path: "/v1/involvements"}).want(http.StatusOK)
	x.main.do(call{as: "social-worker", path: "/v1/involvements"}).want(http.StatusOK)

	long := x.observation("trio", map[string]any{"content": map[string]any{"concerns": strings.Repeat("a", 3000)}})
	h.do(call{as: "health-visitor", path: "/v1/entries", body: long, purpose: "FS"}).want(http.StatusRequestEntityTooLarge)

	h = x.hub(api.Limits{FamiliesPerHour: 2, SlowDown: 400 * time.Millisecond})
	look := func() time.Duration {
		began := time.Now()
		h.do(call{as: "mh-practitioner", path: "/v1/families/" + uuid.NewString(), purpose: "FS"}).want(http.StatusNotFound)
		return time.Since(began)
	}
	look()
	look()
	if n := x.count(`SELECT count(*) FROM kith.alert WHERE kind = 'bulk-look-up'`); n != 0 {
		t.Errorf("%d alarms within the limit", n)
	}
	if took := look(); took < 400*time.Millisecond {
		t.Errorf("the third family took %s", took)
	}
	look()
	if n := x.count(`SELECT count(*) FROM kith.alert WHERE kind = 'bulk-look-up' AND event IS NOT NULL`); n != 1 {
		t.Errorf("%d alarms, want one an hour", n)
	}
}

// What a privacy officer sees of the log: accesses to the agency's own data,
// with the part about its own entries alone; and those by its own people.
func TestPrivacyOfficersScope(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	h.read("social-worker", "trio", "FS").want(http.StatusOK)
	h.read("mh-practitioner", "trio", "FS").want(http.StatusOK)
	h.do(call{as: "team-manager", path: "/v1/involvements", body: map[string]any{"source": "allocation", "person": x.member("closed", "child"),
		"worker": x.people["social-worker"].Worker, "reason": "kept for the auditor"}}).want(http.StatusCreated)

	list := func(as string) []map[string]any {
		a := h.do(call{as: as, path: "/v1/access-events?limit=200"}).want(http.StatusOK)
		var out []map[string]any
		events, _ := a.json["events"].([]any)
		for _, e := range events {
			out = append(out, e.(map[string]any))
		}
		return out
	}
	owners := func(e map[string]any) map[string]bool {
		out := map[string]bool{}
		released, _ := e["released"].([]any)
		for _, r := range released {
			out[r.(map[string]any)["owner"].(string)] = true
		}
		return out
	}
	agency := func(e map[string]any) string { return e["principal"].(map[string]any)["agency"].(string) }

	var foreign, own int
	for _, e := range list("privacy-officer-mh") {
		switch {
		case agency(e) == "MH" && e["kind"] == "read":
			own++
			if !owners(e)["CSC"] {
				t.Error("what the agency's own people were shown is cut")
			}
		case agency(e) != "MH":
			foreign++
			for owner := range owners(e) {
				if owner != "MH" {
					t.Errorf("the part about %s's entries is shown to MH's privacy officer", owner)
				}
			}
			if e["reason"] != nil || e["causes"] != nil || e["details"] != nil {
				t.Errorf("reason, causes or details of another agency's access are shown: %v", e)
			}
		}
	}
	if foreign == 0 || own == 0 {
		t.Errorf("%d accesses to the agency's data, %d by its people", foreign, own)
	}
	for _, e := range list("privacy-officer-hou") {
		if agency(e) != "HOU" && !owners(e)["HOU"] {
			t.Errorf("housing's privacy officer sees what is not housing's: %v", e["kind"])
		}
	}
	for _, e := range list("social-worker") {
		if e["principal"].(map[string]any)["worker"] != x.people["social-worker"].Worker.String() {
			t.Error("somebody else's access among the own")
		}
	}
	all := list("auditor")
	seen := map[string]bool{}
	for _, e := range all {
		seen[e["kind"].(string)] = true
	}
	if !seen["read"] || !seen["involvement"] || !seen["log-view"] {
		t.Errorf("the auditor sees %v", seen)
	}
	// One event, by its id: within the scope, or the same answer as an unknown one.
	for _, e := range all {
		if e["kind"] != "involvement" {
			continue
		}
		path := "/v1/access-events/" + e["id"].(string)
		h.do(call{as: "privacy-officer-csc", path: path}).want(http.StatusOK)
		hidden := h.do(call{as: "privacy-officer-mh", path: path}).want(http.StatusNotFound)
		unknown := h.do(call{as: "privacy-officer-mh", path: "/v1/access-events/" + uuid.NewString()}).want(http.StatusNotFound)
		if withoutRequest(hidden) != withoutRequest(unknown) {
			t.Error("an event out of scope differs from an unknown one")
		}
	}
	h.do(call{as: "system-mh", path: "/v1/access-events"}).want(http.StatusForbidden)

	// Keyset paging gives everything once.
	var paged []string
	path := "/v1/access-events?limit=2"
	for range 50 {
		a := h.do(call{as: "privacy-officer-mh", path: path + "&agency=MH&kind=read"}).want(http.StatusOK)
		events, _ := a.json["events"].([]any)
		for _, e := range events {
			paged = append(paged, e.(map[string]any)["id"].(string))
		}
		if a.text("next") == "" {
			break
		}
		path = "/v1/access-events?limit=2&cursor=" + a.text("next")
	}
	if len(paged) != own {
		t.Errorf("%d events on pages of two, %d on one", len(paged), own)
	}
}
