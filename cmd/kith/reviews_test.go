package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/disclosure"
)

type shownReview struct {
	ID         string   `json:"id"`
	Reference  string   `json:"reference"`
	Kind       string   `json:"kind"`
	State      string   `json:"state"`
	Urgency    int      `json:"urgency"`
	Why        string   `json:"why"`
	Innocence  []string `json:"innocence"`
	Outcome    string   `json:"outcome"`
	Note       string   `json:"note"`
	References []string `json:"references"`
	Opened     *struct {
		Name   string   `json:"name"`
		Worker string   `json:"worker"`
		People []string `json:"people"`
		Events []struct {
			Reason string   `json:"reason"`
			People []string `json:"people"`
		} `json:"events"`
	} `json:"opened"`
}

// desk is a reviewer's place at one hub.
type desk struct {
	*replica
	t *testing.T
}

func (d desk) get(as, path string, want int, into any) []byte {
	d.t.Helper()
	r := d.send(d.t, call{method: http.MethodGet, path: path, bearer: d.b.token(d.t, as)})
	if r.status != want {
		d.t.Fatalf("%s: GET %s answers %d, want %d: %s", as, path, r.status, want, r.body)
	}
	if into != nil {
		if err := json.Unmarshal(r.body, into); err != nil {
			d.t.Fatal(err)
		}
	}
	return r.body
}

func (d desk) post(as, path, key, body string, want int) reply {
	d.t.Helper()
	c := call{method: http.MethodPost, path: path, bearer: d.b.token(d.t, as), body: body, header: map[string]string{"Content-Type": "application/json"}}
	if key != "" {
		c.header["Idempotency-Key"] = key
	}
	r := d.send(d.t, c)
	if r.status != want {
		d.t.Fatalf("%s: POST %s answers %d, want %d: %s", as, path, r.status, want, r.body)
	}
	return r
}

func (d desk) queue(as, query string) (list []shownReview, raw []byte) {
	d.t.Helper()
	var page struct {
		Reviews []shownReview `json:"reviews"`
	}
	raw = d.get(as, "/v1/reviews"+query, http.StatusOK, &page)
	return page.Reviews, raw
}

func kindsOf(list []shownReview) []string {
	kinds := []string{}
	for _, r := range list {
		kinds = append(kinds, r.Kind)
	}
	slices.Sort(kinds)
	return kinds
}

// From the access to the outcome, by each reviewer in their own scope; and
// nobody is named before a review is opened.
func TestReviews(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1", func(c *hubConfig) {
		c.Watch = disclosure.WatchRules{SampleRate: -1, Closes: 24 * time.Hour, Denials: 1000, VolumeFloor: 1000}
	})
	d := desk{hub, t}
	for _, x := range []struct{ as, story, purpose string }{
		{"perpetrator-practitioner", "surname", "FS"}, {"family-support-worker", "staff-parent", "FS"}, {"social-worker", "staff-parent", "FS"},
	} {
		hub.send(t, b.reading(t, x.as, b.stories[x.story], x.purpose))
	}
	everything := []string{"colleague", "own-record", "restricted", "restricted", "same-surname"}
	eventually(t, 60*time.Second, "the accesses are looked at", func() bool { list, _ := d.queue("auditor", ""); return len(list) >= len(everything) })

	list, raw := d.queue("auditor", "")
	if diff := cmp.Diff(everything, kindsOf(list)); diff != "" {
		t.Fatalf("the auditor's queue: %s", diff)
	}
	if list[0].Kind != "own-record" || !slices.IsSortedFunc(list, func(a, b shownReview) int { return a.Urgency - b.Urgency }) {
		t.Errorf("the most urgent is not first: %+v", list)
	}
	d.namesNobody("the queue", raw)
	var alerts struct {
		Alerts []struct{ Kind, State string }
	}
	d.namesNobody("the alerts", d.get("auditor", "/v1/alerts", http.StatusOK, &alerts))
	if len(alerts.Alerts) != 1 || alerts.Alerts[0].Kind != "named-worker" || alerts.Alerts[0].State != "standing" {
		t.Errorf("alerts: %+v", alerts)
	}
	for _, as := range []string{"privacy-officer-csc", "admin"} { // that somebody tried is told; of whom the record is, not
		d.get(as, "/v1/alerts", http.StatusOK, &alerts)
		if len(alerts.Alerts) > 0 {
			t.Errorf("%s sees alerts: %+v", as, alerts)
		}
	}
	byKind := func(kind string) shownReview {
		return list[slices.IndexFunc(list, func(r shownReview) bool { return r.Kind == kind })]
	}

	// Pages are the queue.
	var paged []string
	for next := ""; ; {
		var page struct {
			Reviews []shownReview
			Next    string
		}
		d.get("auditor", "/v1/reviews?limit=2"+next, http.StatusOK, &page)
		for _, r := range page.Reviews {
			paged = append(paged, r.ID)
		}
		if page.Next == "" {
			break
		}
		next = "&cursor=" + page.Next
	}
	var whole []string
	for _, r := range list {
		whole = append(whole, r.ID)
	}
	if diff := cmp.Diff(whole, paged); diff != "" {
		t.Errorf("pages: %s", diff)
	}
	if some, _ := d.queue("auditor", "?kind=colleague"); len(some) != 1 {
		t.Errorf("%d of one kind", len(some))
	}
	if some, _ := d.queue("auditor", "?due="+time.Now().Add(72*time.Hour).UTC().Format(time.RFC3339)); len(some) != 1 {
		t.Errorf("%d are due within three days", len(some))
	}
	d.get("auditor", "/v1/reviews?cursor=AAAA", http.StatusBadRequest, nil)

	// Scope.
	for as, want := range map[string][]string{
		"privacy-officer-csc": {"colleague", "restricted", "same-surname"}, "privacy-officer-dp": {"same-surname"}, "privacy-officer-hv": {},
	} {
		mine, raw := d.queue(as, "")
		if diff := cmp.Diff(want, kindsOf(mine)); diff != "" {
			t.Errorf("%s: %s", as, diff)
		}
		d.namesNobody(as, raw)
	}
	own := "/v1/reviews/" + byKind("own-record").ID
	d.get("privacy-officer-csc", own, http.StatusNotFound, nil)
	d.post("privacy-officer-csc", own+"/open", uuid.NewString(), "{}", http.StatusNotFound)
	for _, as := range []string{"social-worker", "team-manager", "admin", "ig-approver-csc", "system-csc", "outsider"} {
		d.get(as, "/v1/reviews", http.StatusForbidden, nil)
		d.get(as, "/v1/reviews/figures", http.StatusForbidden, nil)
		d.get(as, own, http.StatusForbidden, nil)
		d.post(as, own+"/open", uuid.NewString(), "{}", http.StatusForbidden)
	}

	// Opened, by whom it may be.
	surname := "/v1/reviews/" + byKind("same-surname").ID
	var r shownReview
	d.namesNobody("a review that is not opened", d.get("auditor", surname, http.StatusOK, &r))
	if r.Opened != nil || len(r.References) == 0 || !strings.HasPrefix(r.References[0], "r-") {
		t.Errorf("before it is opened: %+v", r)
	}
	settled := `{"outcome": "right", "note": "No relation: asked the team, and the staff register agrees."}`
	d.post("auditor", surname+"/close", uuid.NewString(), settled, http.StatusForbidden) // not opened
	d.post("auditor", surname+"/open", "", "{}", http.StatusBadRequest)
	key := uuid.NewString()
	opened := d.post("auditor", surname+"/open", key, "{}", http.StatusOK)
	again := d.post("auditor", surname+"/open", key, "{}", http.StatusOK)
	for _, x := range []reply{opened, again} {
		if err := json.Unmarshal(x.body, &r); err != nil {
			t.Fatal(err)
		}
		if r.State != "open" || r.Opened == nil || r.Opened.Name != "Owen Tranter" || len(r.Opened.People) == 0 || r.Opened.Events[0].Reason != "a test of faults" {
			t.Errorf("opened: %s", x.body)
		}
	}
	if again.header.Get("Idempotency-Replayed") == "" || again.receipt() != opened.receipt() {
		t.Error("opening again under one key is a second opening")
	}
	people := r.Opened.People
	for as, reason := range map[string]string{"privacy-officer-dp": "a test of faults", "privacy-officer-csc": ""} {
		if raw := d.get(as, surname, http.StatusOK, nil); strings.Contains(string(raw), "Owen") {
			t.Errorf("%s has not opened it: %s", as, raw)
		}
		r = shownReview{}
		if err := json.Unmarshal(d.post(as, surname+"/open", uuid.NewString(), "{}", http.StatusOK).body, &r); err != nil {
			t.Fatal(err)
		}
		if r.Opened.Name != "Owen Tranter" || r.Opened.Events[0].Reason != reason || !slices.ContainsFunc(people, func(p string) bool { return slices.Contains(r.Opened.People, p) }) {
			t.Errorf("%s opened: %+v", as, r.Opened)
		}
	}

	// Closed, with outcome and note.
	for _, body := range []string{`{}`, `{"outcome": "right"}`, `{"note": "No relation, I asked the team."}`, `{"outcome": "fine", "note": "No relation, I asked."}`, `{"outcome": "right", "note": "ok"}`} {
		d.post("auditor", surname+"/close", uuid.NewString(), body, http.StatusBadRequest)
	}
	d.post("auditor", surname+"/close", uuid.NewString(), settled, http.StatusOK)
	d.post("privacy-officer-dp", surname+"/close", uuid.NewString(), settled, http.StatusConflict)
	if list, _ := d.queue("auditor", ""); len(list) != len(everything)-1 {
		t.Errorf("%d wait after one was closed", len(list))
	}
	closed, raw := d.queue("auditor", "?state=closed")
	if len(closed) != 1 || closed[0].Outcome != "right" || closed[0].Note != "" {
		t.Errorf("closed: %s", raw)
	}

	// The alert of what was reviewed goes with it.
	d.post("auditor", own+"/open", uuid.NewString(), "{}", http.StatusOK)
	d.post("auditor", own+"/close", uuid.NewString(), `{"outcome": "wrong", "note": "Tried to see her own family's record; nothing was shown."}`, http.StatusOK)
	d.get("auditor", "/v1/alerts?state=standing", http.StatusOK, &alerts)
	if len(alerts.Alerts) != 0 {
		t.Errorf("alerts that stand: %+v", alerts)
	}
	var figures struct {
		Raised, Closed, Wrong int
		MedianDays            *float64 `json:"median_days"`
		Kinds                 []struct {
			Kind     string
			Innocent *float64 `json:"innocent_share"`
		}
	}
	d.get("auditor", "/v1/reviews/figures", http.StatusOK, &figures)
	shares := map[string]string{}
	for _, k := range figures.Kinds {
		shares[k.Kind] = "none"
		if k.Innocent != nil {
			shares[k.Kind] = fmt.Sprint(*k.Innocent)
		}
	}
	if diff := cmp.Diff(map[string]string{"colleague": "none", "own-record": "0", "restricted": "none", "same-surname": "1"}, shares); diff != "" ||
		figures.Raised != 5 || figures.Closed != 2 || figures.Wrong != 1 || figures.MedianDays == nil || *figures.MedianDays > 1 {
		t.Errorf("figures: %+v %s", figures, diff)
	}

	// Nobody reviews themselves.
	b.exec(t, `UPDATE kith.finding SET worker = $1 WHERE id = $2`, b.accounts["auditor"].Worker, byKind("colleague").ID)
	if list, _ := d.queue("auditor", ""); slices.Contains(kindsOf(list), "colleague") {
		t.Error("the auditor sees that the auditor is looked at")
	}
	for _, x := range []struct{ path, body string }{{"/open", "{}"}, {"/close", settled}} {
		d.post("auditor", "/v1/reviews/"+byKind("colleague").ID+x.path, uuid.NewString(), x.body, http.StatusForbidden)
	}
	if n := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE kind = 'forbidden' AND worker = $1`, b.accounts["auditor"].Worker); n != 3 {
		t.Errorf("%d refusals of the auditor are logged, want 3", n)
	}
	if n := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE kind = 'review' AND outcome = 'done'`); n != 6 {
		t.Errorf("%d openings and closings are logged, want 6", n)
	}
	d.counts(b)
}

// counts checks what the pictures are drawn from.
func (d desk) counts(b *borough) {
	t := d.t
	b.sequenced(t)
	type count struct {
		Agency, Outcome string
		Count           int
	}
	today := time.Now().UTC()
	period := "?from=" + today.AddDate(0, 0, -2).Format(time.DateOnly) + "&until=" + today.AddDate(0, 0, 1).Format(time.DateOnly)
	total := func(as string) (n int, agencies []string) {
		var answer struct{ Counts []count }
		d.namesNobody("the counts", d.get(as, "/v1/access-events/figures"+period, http.StatusOK, &answer))
		for _, c := range answer.Counts {
			n += c.Count
			if !slices.Contains(agencies, c.Agency) {
				agencies = append(agencies, c.Agency)
			}
		}
		slices.Sort(agencies)
		return n, agencies
	}
	eventually(t, 30*time.Second, "the accesses are counted", func() bool { n, _ := total("auditor"); return n == 3 })
	if _, agencies := total("auditor"); !slices.Equal(agencies, []string{"CSC", "DP"}) {
		t.Errorf("the auditor counts accesses by %v", agencies)
	}
	for _, agency := range []string{"CSC", "DP", "PRB", "SCH"} {
		want := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE retention = 'access' AND (agency = $1 OR owners @> ARRAY[$1])`, agency)
		if n, _ := total("privacy-officer-" + strings.ToLower(agency)); n != want {
			t.Errorf("the privacy officer of %s counts %d, want %d", agency, n, want)
		}
	}
	for _, bad := range []string{"", "?from=2026-01-01", "?from=2026-01-01&until=2026-04-03", "?from=2026-01-02&until=2026-01-01"} {
		d.get("auditor", "/v1/access-events/figures"+bad, http.StatusBadRequest, nil)
	}
	d.get("auditor", "/v1/access-events/figures?from=2026-01-01&until=2026-04-02", http.StatusOK, nil)
	d.get("social-worker", "/v1/access-events/figures"+period, http.StatusForbidden, nil)
}

// namesNobody looks for everybody's name and id, for those of the families and
// for what was typed.
func (d desk) namesNobody(where string, raw []byte) {
	d.t.Helper()
	text := string(raw)
	for _, a := range d.b.accounts {
		if a.Agency != "HUB" && (strings.Contains(text, a.Name) || a.Worker != uuid.Nil && strings.Contains(text, a.Worker.String())) {
			d.t.Errorf("%s names %s", where, a.Sign)
		}
	}
	for _, word := range append([]string{"Tranter", "Fairley", "a test of faults"}, d.b.familyIDs(d.t)...) {
		if strings.Contains(text, word) {
			d.t.Errorf("%s holds %q", where, word)
		}
	}
}

// familyIDs are the ids of families, of their people, and of the accesses.
func (b *borough) familyIDs(t testing.TB) []string {
	t.Helper()
	return one[[]string](t, b, `SELECT array_agg(x) FROM (SELECT id::text AS x FROM kith.family UNION SELECT person::text FROM kith.membership UNION SELECT id::text FROM kith.access_event WHERE retention = 'access') y`)
}
