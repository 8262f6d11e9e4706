package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/api"
)

// Everything in this file is changed at one hub and read at the other in the
// very next request.

func TestAllocateCoverEnd(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	child := x.member("closed", "child")
	worker := x.people["social-worker"].Worker

	there.read("social-worker", "closed", "FS").want(http.StatusNotFound)
	allocate := map[string]any{"source": "allocation", "person": child, "worker": worker, "reason": "new allocation"}
	for as, why := range map[string]string{"social-worker": "allocates themselves", "mh-practitioner": "no manager", "system-csc": "a system", "privacy-officer-csc": "no manager"} {
		if got := here.do(call{as: as, path: "/v1/involvements", body: allocate}); got.status != http.StatusForbidden {
			t.Errorf("%s (%s): %d %s", as, why, got.status, got.raw)
		}
	}
	made := here.do(call{as: "team-manager", path: "/v1/involvements", body: allocate, key: "k1"}).want(http.StatusCreated)
	there.read("social-worker", "closed", "FS").want(http.StatusOK)
	if again := there.do(call{as: "team-manager", path: "/v1/involvements", body: allocate, key: "k1"}).want(http.StatusOK); again.text("id") != made.text("id") {
		t.Error("the same key made another involvement, at the other hub")
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'involvement' AND outcome = 'done' AND subjects @> ARRAY[$1::uuid]`, child); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'forbidden'`); n != 4 {
		t.Errorf("%d of 4 attempts are in the log", n)
	}
	end := "/v1/involvements/" + made.text("id") + "/end"
	there.do(call{as: "detective", path: end, body: map[string]any{"reason": "not mine"}}).want(http.StatusNotFound)
	there.do(call{as: "team-manager", path: end, body: map[string]any{"reason": "moved on"}}).want(http.StatusOK)
	here.read("social-worker", "closed", "FS").want(http.StatusNotFound)
	here.do(call{as: "team-manager", path: end, body: map[string]any{"reason": "again"}}).want(http.StatusConflict)

	// A colleague is away until tomorrow.
	tomorrow := time.Now().Add(20 * time.Hour).UTC().Format(time.RFC3339)
	cover := map[string]any{"source": "cover", "covers": x.people["Amara Nwosu"].Worker, "worker": worker, "until": tomorrow, "reason": "ill"}
	here.do(call{as: "team-manager", path: "/v1/involvements", body: map[string]any{"source": "cover", "covers": cover["covers"], "worker": worker, "reason": "ill"}}).want(http.StatusBadRequest)
	here.do(call{as: "team-manager", path: "/v1/involvements", body: cover}).want(http.StatusCreated)
	there.read("social-worker", "closed", "FS").want(http.StatusOK)
	list := there.do(call{as: "social-worker", path: "/v1/involvements?person=" + child}).want(http.StatusOK)
	if !strings.Contains(string(list.raw), `"cover"`) {
		t.Errorf("own work: %s", list.raw)
	}
	there.do(call{as: "social-worker", path: "/v1/involvements?worker=" + x.people["team-manager"].Worker.String()}).want(http.StatusForbidden)

	for name, body := range map[string]map[string]any{
		"unknown source":       {"source": "luck", "person": child, "worker": worker, "reason": "r"},
		"no reason":            {"source": "allocation", "person": child, "worker": worker},
		"nobody":               {"source": "allocation", "person": child, "reason": "r"},
		"another's worker":     {"source": "allocation", "person": child, "worker": x.people["detective"].Worker, "reason": "r"},
		"yesterday":            {"source": "allocation", "person": child, "worker": worker, "reason": "r", "from": "2020-01-01T00:00:00Z"},
		"a cover without end":  {"source": "cover", "person": child, "worker": worker, "reason": "r"},
		"a cover for a season": {"source": "cover", "person": child, "worker": worker, "reason": "r", "until": time.Now().AddDate(0, 6, 0).UTC().Format(time.RFC3339)},
	} {
		if got := here.do(call{as: "team-manager", path: "/v1/involvements", body: body}); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	stranger := map[string]any{"source": "allocation", "person": uuid.NewString(), "worker": worker, "reason": "r"}
	here.do(call{as: "team-manager", path: "/v1/involvements", body: stranger}).want(http.StatusNotFound)
}

func TestDeclareForADay(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	child := x.member("closed", "child")
	declare := func(as string, changes map[string]any) answer {
		body := map[string]any{"source": "declared", "person": child, "reason": "strategy discussion tonight"}
		for k, v := range changes {
			body[k] = v
		}
		return here.do(call{as: as, path: "/v1/involvements", body: body})
	}
	there.read("detective", "closed", "CP").want(http.StatusNotFound)
	for _, as := range []string{"mh-practitioner", "social-worker", "housing-officer", "idva"} {
		declare(as, nil).want(http.StatusForbidden)
	}
	declare("detective", map[string]any{"until": time.Now().Add(25 * time.Hour).UTC().Format(time.RFC3339)}).want(http.StatusBadRequest)
	declare("detective", map[string]any{"reason": " "}).want(http.StatusBadRequest)
	declare("detective", map[string]any{"person": uuid.NewString()}).want(http.StatusNotFound)
	made := declare("detective", nil).want(http.StatusCreated)
	until, err := time.Parse(time.RFC3339, made.text("until"))
	if err != nil || time.Until(until) > 24*time.Hour || time.Until(until) < 23*time.Hour {
		t.Errorf("it ends at %s", made.text("until"))
	}
	there.read("detective", "closed", "CP").want(http.StatusOK)
	if n := x.count(`SELECT count(*) FROM kith.alert WHERE kind = 'declared-involvement' AND event IS NOT NULL`); n != 1 {
		t.Errorf("%d alerts for review", n)
	}
	there.do(call{as: "detective", path: "/v1/involvements/" + made.text("id") + "/end", body: map[string]any{"reason": "done"}}).want(http.StatusOK)
	here.read("detective", "closed", "CP").want(http.StatusNotFound)
}

func TestGrants(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	person := x.one(`SELECT p.person::text FROM kith.protection p JOIN kith.membership m ON m.person = p.person WHERE m.family = $1 AND m.role = 'parent'`, x.family("fleeing"))
	body := func(changes map[string]any) map[string]any {
		b := map[string]any{
			"person": person, "agency": "HV", "worker": x.people["health-visitor"].Worker, "section": "protected-address", "level": "full",
			"until": time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339), "reason": "home visit",
		}
		for k, v := range changes {
			b[k] = v
		}
		return b
	}
	shows := func(h *replica) bool {
		return strings.Contains(string(h.read("health-visitor", "fleeing", "FS").want(http.StatusOK).raw), `"section":"protected-address"`)
	}
	if shows(there) {
		t.Fatal("the address shows without a grant")
	}
	for name, c := range map[string]struct {
		as      string
		changes map[string]any
		status  int
	}{
		"no manager":             {as: "social-worker", status: 403},
		"another kind's section": {as: "team-manager", changes: map[string]any{"section": "mh-clinical"}, status: 403},
		"restricted by law":      {as: "team-manager", changes: map[string]any{"section": "court-papers"}, status: 403},
		"for nobody":             {as: "ig-approver-csc", changes: map[string]any{"section": "earlier-identity"}, status: 400},
		"to oneself":             {as: "team-manager", changes: map[string]any{"worker": x.people["team-manager"].Worker, "agency": "CSC"}, status: 403},
		"unknown section":        {as: "team-manager", changes: map[string]any{"section": "horoscope"}, status: 400},
		"unknown level":          {as: "team-manager", changes: map[string]any{"level": "all"}, status: 400},
		"for ever":               {as: "team-manager", changes: map[string]any{"until": "2099-01-01T00:00:00Z"}, status: 400},
		"without an end":         {as: "team-manager", changes: map[string]any{"until": ""}, status: 400},
		"not that agency's":      {as: "team-manager", changes: map[string]any{"agency": "POL"}, status: 400},
		"a stranger":             {as: "team-manager", changes: map[string]any{"person": uuid.NewString()}, status: 404},
	} {
		if got := here.do(call{as: c.as, path: "/v1/grants", body: body(c.changes)}); got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", name, got.status, c.status, got.raw)
		}
	}
	// The entry is about the mother and both boys, and opens only when it may open for each of them.
	var id string
	for i := range x.count(`SELECT count(*) FROM kith.protection p JOIN kith.membership m ON m.person = p.person WHERE m.family = $1`, x.family("fleeing")) {
		if shows(there) {
			t.Errorf("shown after %d grants", i)
		}
		whom := x.one(`SELECT p.person::text FROM kith.protection p JOIN kith.membership m ON m.person = p.person WHERE m.family = $1 ORDER BY 1 OFFSET $2 LIMIT 1`, x.family("fleeing"), i)
		id = here.do(call{as: "team-manager", path: "/v1/grants", body: body(map[string]any{"person": whom})}).want(http.StatusCreated).text("id")
	}
	if !shows(there) {
		t.Error("granted, and not shown")
	}
	// Nobody opens what another agency contributed, but the host where no kind owns that section.
	given := x.count(`SELECT count(*) FROM kith.access_grant WHERE giver = 'CSC' AND agency = 'HV'`)
	for _, giver := range []struct {
		agency string
		opens  bool
	}{{"MH", false}, {"HOU", false}, {x.one(`SELECT v.owner FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id
		WHERE v.section = 'protected-address' AND s.person = $1 AND v.latest LIMIT 1`, person), true}, {"CSC", true}} {
		x.exec(`UPDATE kith.access_grant SET giver = $1 WHERE agency = 'HV' AND section = 'protected-address'`, giver.agency)
		if shows(here) != giver.opens {
			t.Errorf("%d grants by %s: shown %t, want %t", given, giver.agency, !giver.opens, giver.opens)
		}
	}
	if list := there.do(call{as: "health-visitor", path: "/v1/grants"}).want(http.StatusOK); !strings.Contains(string(list.raw), id) {
		t.Errorf("the holder's grants: %s", list.raw)
	}
	there.do(call{as: "privacy-officer-mh", path: "/v1/grants/" + id + "/end", body: map[string]any{"reason": "r"}}).want(http.StatusNotFound)
	there.do(call{as: "team-manager", path: "/v1/grants/" + id + "/end", body: map[string]any{"reason": "visit done"}}).want(http.StatusOK)
	if shows(here) {
		t.Error("revoked, and still shown")
	}
}

func TestRestrictions(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	child := x.member("no-summary", "child")
	path := "/v1/people/" + child + "/restrictions"
	soon := time.Now().AddDate(0, 0, 60).Format(time.DateOnly)
	set := func(as string, body map[string]any) answer { return here.do(call{as: as, path: path, body: body}) }
	keep := map[string]any{"kind": "restriction", "workers": []any{x.people["social-worker"].Worker}, "reason": "a colleague's family", "review_on": soon}

	set("social-worker", keep).want(http.StatusForbidden)
	set("privacy-officer-mh", keep).want(http.StatusForbidden)
	for name, changes := range map[string]map[string]any{
		"review in a year":  {"kind": "restriction", "reason": "r", "review_on": time.Now().AddDate(1, 0, 0).Format(time.DateOnly)},
		"no review":         {"kind": "restriction", "reason": "r"},
		"no reason":         {"kind": "restriction", "review_on": soon},
		"unknown kind":      {"kind": "curse", "reason": "r", "review_on": soon},
		"excludes nobody":   {"kind": "exclusion", "reason": "r", "review_on": soon},
		"an unknown worker": {"kind": "exclusion", "reason": "r", "review_on": soon, "workers": []string{uuid.NewString()}},
	} {
		if got := set("team-manager", changes); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.raw)
		}
	}
	there.read("mh-practitioner", "no-summary", "FS").want(http.StatusOK)
	id := set("team-manager", keep).want(http.StatusOK).text("id")
	there.read("mh-practitioner", "no-summary", "FS").want(http.StatusNotFound)
	there.read("social-worker", "no-summary", "FS").want(http.StatusOK)
	if list := there.do(call{as: "privacy-officer-csc", path: path}).want(http.StatusOK); !strings.Contains(string(list.raw), id) {
		t.Errorf("restrictions: %s", list.raw)
	}
	kept := there.do(call{as: "team-manager", path: "/v1/restrictions/" + id + "/end", body: map[string]any{"reason": "let me in"}}).want(http.StatusForbidden)
	if !strings.Contains(kept.text("type"), "kept-out") {
		t.Errorf("refused as %s", kept.text("type"))
	}
	there.do(call{as: "team-manager", path: "/v1/restrictions/" + id + "/review", body: map[string]any{"reason": "still so", "review_on": soon}}).want(http.StatusOK)
	there.do(call{as: "privacy-officer-csc", path: "/v1/restrictions/" + id + "/end", body: map[string]any{"reason": "colleague left"}}).want(http.StatusOK)
	here.read("mh-practitioner", "no-summary", "FS").want(http.StatusOK)

	set("team-manager", map[string]any{"kind": "exclusion", "agencies": []string{"MH"}, "reason": "conflict", "review_on": soon}).want(http.StatusOK)
	there.read("mh-practitioner", "no-summary", "FS").want(http.StatusNotFound)
	there.read("sm-practitioner", "no-summary", "FS").want(http.StatusOK)
}

func TestMemberships(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	lines := `{"person":{"local_id":"HV-BABY","about":"child","born":"2026-01-04"}}` + "\n"
	here.do(call{as: "system-mh", path: "/v1/submissions", body: lines, header: map[string]string{"Content-Type": "application/x-ndjson"}}).want(http.StatusOK)
	waiting := x.one(`SELECT m.id::text FROM kith.membership m JOIN kith.person_link l ON l.person = m.person JOIN kith.source_record r ON r.id = l.record WHERE r.local_id = 'HV-BABY'`)
	family := x.one(`SELECT family::text FROM kith.membership WHERE id = $1`, waiting)
	list := here.do(call{as: "team-manager", path: "/v1/memberships"}).want(http.StatusOK)
	if !strings.Contains(string(list.raw), waiting) || strings.Contains(string(list.raw), `"MH"`) {
		t.Errorf("waiting: %s", list.raw)
	}
	here.do(call{as: "privacy-officer-mh", path: "/v1/memberships"}).want(http.StatusForbidden)
	path := "/v1/memberships/" + waiting + "/confirmation"
	stamp := x.one(`SELECT stamp::text FROM kith.family WHERE id = $1`, family)
	here.do(call{as: "social-worker", path: path, body: map[string]any{"confirmed": true}}).want(http.StatusForbidden)
	here.do(call{as: "team-manager", path: path, body: map[string]any{}}).want(http.StatusBadRequest)
	here.do(call{as: "team-manager", path: path, body: map[string]any{"confirmed": false}}).want(http.StatusBadRequest)
	there.do(call{as: "team-manager", path: path, body: map[string]any{"confirmed": true}}).want(http.StatusOK)
	if x.one(`SELECT stamp::text FROM kith.family WHERE id = $1`, family) == stamp {
		t.Error("the family's stamp was not raised: other hubs would go on as before")
	}
	if x.one(`SELECT confirmed_by FROM kith.membership WHERE id = $1`, waiting) != "CSC" {
		t.Error("not confirmed")
	}
	here.do(call{as: "team-manager", path: path, body: map[string]any{"confirmed": false, "reason": "no"}}).want(http.StatusConflict)
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'membership' AND family = $1`, family); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestWorkers(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	here, there := x.main, x.hub(api.Limits{})
	worker := x.people["social-worker"].Worker
	change := func(as, action string, more map[string]any) answer {
		body := map[string]any{"worker": worker, "action": action, "reason": "a test"}
		for k, v := range more {
			body[k] = v
		}
		return here.do(call{as: as, path: "/v1/workers", body: body})
	}
	there.read("social-worker", "trio", "FS").want(http.StatusOK)
	change("social-worker", "resume", nil).want(http.StatusForbidden)
	change("privacy-officer-mh", "suspend", nil).want(http.StatusNotFound)
	change("team-manager", "suspend", map[string]any{"reason": ""}).want(http.StatusBadRequest)
	if got := change("team-manager", "promote", nil).want(http.StatusBadRequest); !slices.Contains(got.list("known"), "suspend") {
		t.Errorf("known actions: %v", got.list("known"))
	}
	change("team-manager", "suspend", map[string]any{"worker": x.people["team-manager"].Worker}).want(http.StatusForbidden)

	change("team-manager", "suspend", nil).want(http.StatusCreated)
	if got := there.read("social-worker", "trio", "FS").want(http.StatusForbidden); !strings.Contains(strings.ToLower(string(got.raw)), "suspend") {
		t.Errorf("the message is not clear: %s", got.raw)
	}
	change("team-manager", "resume", nil).want(http.StatusCreated)
	there.read("social-worker", "trio", "FS").want(http.StatusOK)

	// Accepted by name by another agency: only its privacy officer may, and only for roles that work with families.
	accept := map[string]any{"roles": []string{"mh-practitioner"}, "until": time.Now().AddDate(0, 1, 0).Format(time.DateOnly)}
	change("privacy-officer-csc", "accept", accept).want(http.StatusBadRequest) // its own worker
	change("ig-approver-mh", "accept", accept).want(http.StatusForbidden)
	for _, roles := range [][]string{{"social-worker"}, {"manager"}, {"ig-approver"}, {}} {
		change("privacy-officer-mh", "accept", map[string]any{"roles": roles}).want(http.StatusBadRequest)
	}
	change("privacy-officer-mh", "accept", accept).want(http.StatusCreated)
	if n := x.count(`SELECT count(*) FROM kith.worker_acceptance WHERE worker = $1 AND agency = 'MH' AND NOT withdrawn`, worker); n != 1 {
		t.Errorf("%d acceptances", n)
	}
	change("privacy-officer-mh", "withdraw", nil).want(http.StatusCreated)
	change("privacy-officer-mh", "withdraw", nil).want(http.StatusNotFound)

	list := here.do(call{as: "team-manager", path: "/v1/workers"}).want(http.StatusOK)
	if !strings.Contains(string(list.raw), worker.String()) || strings.Contains(string(list.raw), x.people["detective"].Name) {
		t.Error("the list is not the agency's own")
	}
	here.do(call{as: "social-worker", path: "/v1/workers"}).want(http.StatusForbidden)

	change("team-manager", "end", nil).want(http.StatusCreated)
	there.read("social-worker", "trio", "FS").want(http.StatusForbidden)
	there.do(call{as: "social-worker", path: "/v1/entries", body: x.observation("trio", nil), purpose: "FS"}).want(http.StatusForbidden)
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'worker' AND outcome = 'done'`); n != 6 {
		t.Errorf("%d events of workers", n)
	}

	// Dormant, lapsed training, lapsed vetting: refused with a message that says which.
	for column, word := range map[string]string{"training_until": "training", "vetting_until": "vetting"} {
		x.exec(`UPDATE kith.worker SET `+column+` = current_date - 1 WHERE id = $1`, x.people["idva"].Worker)
		if got := there.read("idva", "trio", "FS").want(http.StatusForbidden); !strings.Contains(strings.ToLower(string(got.raw)), word) {
			t.Errorf("lapsed %s: %s", word, got.raw)
		}
		x.exec(`UPDATE kith.worker SET `+column+` = NULL WHERE id = $1`, x.people["idva"].Worker)
	}
}
