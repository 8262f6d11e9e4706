package api_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
)

type shownAlert struct {
	ID, Reference, Kind, State, Outcome string
}

func (h *replica) alerts(as, query string) []shownAlert {
	h.town.t.Helper()
	var page struct{ Alerts []shownAlert }
	got := h.do(call{as: as, path: "/v1/alerts" + query}).want(http.StatusOK)
	if err := json.Unmarshal(got.raw, &page); err != nil {
		h.town.t.Fatal(err)
	}
	return page.Alerts
}

// Whoever may see an alert takes it up and settles it, with a note that stands
// in the log alone.
func TestAnAlertIsTakenUpAndSettled(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	raise := func(kind string) string {
		t.Helper()
		id := uuid.NewString()
		x.exec(`INSERT INTO kith.alert (id, partnership, kind) SELECT $1, code, $2 FROM kith.partnership`, id, kind)
		return id
	}
	const why = "Rang the operator of the witness: a test of theirs."
	take := func(as, id string, status int) answer {
		t.Helper()
		return h.do(call{as: as, path: "/v1/alerts/" + id + "/acknowledge", body: map[string]any{"note": why}}).want(status)
	}
	settle := func(as, id, outcome string, status int) answer {
		t.Helper()
		return h.do(call{as: as, path: "/v1/alerts/" + id + "/close", body: map[string]any{"outcome": outcome, "note": why}}).want(status)
	}

	// The log's own: the auditor's and the administrator's.
	witness, late := raise("witness-disagrees"), raise("log-late")
	for _, as := range []string{"social-worker", "outsider", "system-csc"} {
		take(as, witness, http.StatusForbidden)
		settle(as, witness, "nothing-wrong", http.StatusForbidden)
	}
	hidden := settle("privacy-officer-mh", witness, "nothing-wrong", http.StatusNotFound)
	unknown := settle("privacy-officer-mh", uuid.NewString(), "nothing-wrong", http.StatusNotFound)
	if withoutRequest(hidden) != withoutRequest(unknown) {
		t.Errorf("out of scope and unknown differ:\n%s\n%s", hidden.raw, unknown.raw)
	}
	settle("auditor", witness, "fine", http.StatusBadRequest)
	h.do(call{as: "auditor", path: "/v1/alerts/" + witness + "/close", body: map[string]any{"outcome": "put-right", "note": "ok"}}).want(http.StatusBadRequest)
	take("admin", witness, http.StatusOK)
	take("auditor", witness, http.StatusConflict)
	for _, a := range h.alerts("auditor", "?state=standing") {
		if a.ID == witness && a.State != "acknowledged" {
			t.Errorf("taken up: %+v", a)
		}
	}
	done := settle("auditor", witness, "nothing-wrong", http.StatusOK)
	settle("auditor", witness, "put-right", http.StatusConflict)
	if done.text("receipt") == "" {
		t.Error("no receipt")
	}
	// One that lasts is over with its cause.
	settle("admin", late, "put-right", http.StatusConflict)
	take("admin", late, http.StatusOK)

	// About an access: for the officers of those whom it concerns, save the worker.
	child := x.member("trio", "child")
	h.do(call{as: "emergency-duty", path: "/v1/involvements", body: map[string]any{"source": "declared", "person": child, "worker": x.people["emergency-duty"].Worker.String(),
		"reason": "called out tonight"}}).want(http.StatusCreated)
	declared := h.alerts("privacy-officer-csc", "?kind=declared-involvement")
	if len(declared) != 1 {
		t.Fatalf("the officer finds %+v", declared)
	}
	settle("privacy-officer-mh", declared[0].ID, "nothing-wrong", http.StatusNotFound)
	settle("admin", declared[0].ID, "nothing-wrong", http.StatusNotFound)
	settle("privacy-officer-csc", declared[0].ID, "nothing-wrong", http.StatusOK)

	// In a review it is settled with the review.
	x.exec(`WITH e AS (SELECT id, worker, agency FROM kith.access_event WHERE kind = 'involvement' LIMIT 1),
		a AS (INSERT INTO kith.alert (id, partnership, kind, event) SELECT $1, p.code, 'bulk-look-up', e.id FROM kith.partnership p, e)
		INSERT INTO kith.finding (id, partnership, reference, kind, urgency, about, events, count, first_at, last_at, worker, agency, raised_at, due_at)
		SELECT gen_random_uuid(), p.code, 'V-TESTTEST', 'volume', 2, 'test', ARRAY[e.id], 1, now(), now(), e.worker, e.agency, now(), now() FROM kith.partnership p, e`, uuid.NewString())
	looks := h.alerts("auditor", "?kind=bulk-look-up")
	if len(looks) != 1 {
		t.Fatalf("alerts %+v", looks)
	}
	if got := settle("auditor", looks[0].ID, "nothing-wrong", http.StatusConflict); !strings.Contains(got.text("type"), "in-review") {
		t.Errorf("in a review: %s", got.raw)
	}

	states := map[string]string{}
	for _, a := range h.alerts("auditor", "") {
		states[a.Kind] = a.State + " " + a.Outcome
	}
	for kind, want := range map[string]string{"witness-disagrees": "closed nothing-wrong", "log-late": "acknowledged ", "declared-involvement": "closed nothing-wrong", "bulk-look-up": "standing "} {
		if states[kind] != want {
			t.Errorf("%s is %q, want %q", kind, states[kind], want)
		}
	}
	// Who, what and why is an event; the alert refers to it and holds no word.
	for column, want := range map[string]string{"acknowledged_event": "alert-taken-up", "closed_event": "alert-nothing-wrong"} {
		event := x.one(`SELECT `+column+`::text FROM kith.alert WHERE id = $1`, witness)
		var e struct {
			Kind, Reason string
			Details      map[string]string
		}
		if got := h.do(call{as: "auditor", path: "/v1/access-events/" + event}).want(http.StatusOK); json.Unmarshal(got.raw, &e) != nil || e.Kind != "review" || e.Details["action"] != want || e.Details["kind"] != "witness-disagrees" {
			t.Errorf("the event of %s: %s", column, got.raw)
		}
		if got := h.do(call{as: "auditor", path: "/v1/access-events/" + event + "/explanation"}).want(http.StatusOK); !strings.Contains(string(got.raw), why) {
			t.Errorf("the note of %s: %s", column, got.raw)
		}
	}
}
