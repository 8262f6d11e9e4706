package api_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/api"
	"kith/internal/disclosure"
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

	h = x.hub(api.Limits{}, disclosure.LookLimits{FamiliesPerHour: 2, SlowDown: 400 * time.Millisecond})
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

// An answer that is larger than allowed is not given, and the access stands in
// the log all the same.
func TestAnAnswerIsBounded(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.hub(api.Limits{AnswerBytes: 3000})
	got := h.read("social-worker", "trio", "FS").want(http.StatusRequestEntityTooLarge)
	if got.head.Get("Content-Type") != "application/problem+json" || got.text("type") != "urn:kith:problem:answer-too-large" || got.head.Get("Kith-Receipt") == "" {
		t.Errorf("%v %s", got.head, got.raw)
	}
	if len(got.raw) > 3000 || strings.Contains(string(got.raw), "Doyle") {
		t.Errorf("something was given: %s", got.raw)
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'read' AND outcome IN ('released', 'partly')`); n != 1 {
		t.Errorf("%d events", n)
	}
	h.do(call{as: "social-worker", path: "/v1/grants"}).want(http.StatusOK)
}

// A client who sends its body slower than the route allows, or never, holds
// nothing for ever; with or without a token.
func TestASlowClientIsLetGo(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.hub(api.Limits{ReadTimeout: time.Second})
	server := httptest.NewServer(h.http)
	t.Cleanup(server.Close)
	for name, headers := range map[string]string{
		"a write":         "Authorization: Bearer " + x.token("health-visitor") + "\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n",
		"without a token": "Content-Type: application/json\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := fmt.Fprintf(conn, "POST /v1/entries HTTP/1.1\r\nHost: hub\r\n%sContent-Length: 4000\r\n\r\n{", headers); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			answer, err := io.ReadAll(conn) // ends when the hub closes the connection
			if err != nil {
				t.Fatalf("still waiting: %v", err)
			}
			if !strings.HasPrefix(string(answer), "HTTP/1.1 4") {
				t.Errorf("answered %q", answer)
			}
		})
	}
}

// Who enumerates by search is slowed down and alarmed: by how many searches,
// hits or none, and by how many families the answers name.
func TestSearchesInBulkAreSlowedDown(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	const slow = 400 * time.Millisecond
	alarms := func() int {
		return x.count(`SELECT count(*) FROM kith.alert a JOIN kith.access_event e ON e.id = a.event WHERE a.kind = 'bulk-look-up'`)
	}
	searched := func(h *replica, name string) (took time.Duration, families []string) {
		began := time.Now()
		got := h.search("social-worker", "FS", terms{"family_name": name}).want(http.StatusOK)
		people, _ := got.json["people"].([]any)
		for _, p := range people {
			in, _ := p.(map[string]any)["families"].([]any)
			for _, f := range in {
				families = append(families, f.(map[string]any)["id"].(string))
			}
		}
		return time.Since(began), families
	}
	h := x.hub(api.Limits{}, disclosure.LookLimits{SearchesPerHour: 2, SlowDown: slow})
	searched(h, "Qwertz")
	searched(h, "Qwertz") // the same again is one
	searched(h, "Yxcvb")
	if n := alarms(); n != 0 {
		t.Errorf("%d alarms within the limit", n)
	}
	if took, _ := searched(h, "Asdfg"); took < slow {
		t.Errorf("the third search took %s", took)
	}
	searched(h, "Hjklo")
	if n := alarms(); n != 1 {
		t.Errorf("%d alarms, want one an hour", n)
	}

	h = x.hub(api.Limits{}, disclosure.LookLimits{FoundPerHour: 1, SlowDown: slow})
	seen := map[string]bool{}
	for _, name := range []string{"Doyle", "Hobbs", "Rahman"} {
		took, families := searched(h, name)
		fresh := false
		for _, f := range families {
			fresh, seen[f] = fresh || !seen[f], true
		}
		if fresh && len(seen) > 1 && took < slow {
			t.Errorf("an answer past the limit took %s", took)
		}
	}
	if len(seen) < 3 {
		t.Fatalf("only %d families were found: nothing was tried", len(seen))
	}
	if n := alarms(); n != 2 {
		t.Errorf("%d alarms, want one more", n)
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
