package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kith/internal/family"
	"kith/internal/policy"
)

// A row that asks for consent, for telling and for an age opens when all are on
// record and closes at once when one is taken back, with facts and decisions kept
// in memory; and the log says why in plain words.
func TestARowThatAsksForConsent(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	story := x.aboutMentalHealth(t)

	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "Police see mental health involvement where the patient agreed"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	row := map[string]any{"to": "POL", "purposes": []string{"CN"}, "level": "summary", "clause": "isa-family-safeguarding 4.5"}
	edit := func(revision int, conditions ...string) answer {
		row["conditions"] = conditions
		return h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": revision, "section": "mh-involvement", "row": row}})
	}
	for _, wrong := range []string{"goodwill", "not-told-with-reason"} { // unknown; never beside told
		if refused := edit(draft.number("revision"), "consent", "told", wrong); refused.status != http.StatusUnprocessableEntity || !strings.Contains(string(refused.raw), wrong) {
			t.Errorf("%s is taken as a condition: %d %.500s", wrong, refused.status, refused.raw)
		}
	}
	saved := edit(draft.number("revision"), "consent", "told", "from-18").want(200)
	sub := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": saved.number("revision"), "why": "the patient shall have the say"}}).want(201)
	if words := "gain the shared summary of mental health involvement"; !strings.Contains(string(sub.raw), words) || !strings.Contains(string(sub.raw), "where everyone whom the entry is about agreed to sharing for this purpose") {
		t.Errorf("the report does not say on what conditions police gain: %.3000s", sub.raw)
	}
	h.do(call{as: "ig-author-csc", path: h.approved(t, sub) + "/activation", method: http.MethodPost}).want(200)

	kept, err := family.NewKept(1000)
	if err != nil {
		t.Fatal(err)
	}
	h.door.Kept = kept
	h.door.Policy = policy.NewVersions(x.db.Pool(t, "app"), policy.Options{Deadline: 5 * time.Second, Keep: 1000}, 3).At
	var last answer
	shown := func(when string, want bool) {
		t.Helper()
		for range 2 { // the second from memory
			last = h.read("detective", story, "FS").want(200)
			levels := last.shows("mh-involvement")
			if want != (len(levels) > 0) || slices.Contains(levels, "full") {
				t.Fatalf("%s the detective is shown %v", when, levels)
			}
		}
		detective := x.people["detective"]
		if _, ok := kept.Get(x.stories[story].ID, family.Caller{Worker: detective.Worker, Agency: detective.Agency, Purpose: "FS", Now: time.Now()}); !ok {
			t.Errorf("%s nothing is kept: the test tests too little", when)
		}
	}
	says := func(when string, conditions ...string) {
		t.Helper()
		said := strings.Join(h.explain("auditor", last.event()).explained().Sentences, "\n") + string(h.explain("auditor", last.event()).raw)
		if !strings.Contains(said, `"result":"same"`) {
			t.Errorf("%s, decided again, it is not the same: %s", when, said)
		}
		sentences := policy.Reasons()
		for _, code := range []string{"consent", "told", "from-18"} {
			if strings.Contains(said, sentences["unmet-"+code]) != slices.Contains(conditions, code) {
				t.Errorf("%s the log says of %s (want it named: %t):\n%s", when, code, slices.Contains(conditions, code), said)
			}
		}
	}

	rows, err := x.admin.Query(t.Context(), `SELECT DISTINCT s.person::text FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id AND s.relation = 'about'
		JOIN kith.membership m ON m.person = s.person AND m.confirmed_by IS NOT NULL
		WHERE m.family = $1 AND v.latest AND v.section = 'mh-involvement'`, x.family(story))
	if err != nil {
		t.Fatal(err)
	}
	var patients []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		patients = append(patients, id)
	}
	if err := rows.Err(); err != nil || len(patients) == 0 {
		t.Fatalf("patients %v: %v", patients, err)
	}
	x.exec(`DELETE FROM kith.told_and_agreed WHERE purpose = 'FS' AND person = ANY ($1)`, patients)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	born := func(day any) { x.exec(`UPDATE kith.person SET born = $2 WHERE id = ANY ($1)`, patients, day) }
	tell := func(purpose, agreed, told string) {
		t.Helper()
		for _, id := range patients {
			h.do(call{as: "social-worker", path: "/v1/people/" + id + "/told-and-agreed", purpose: "FS", body: map[string]any{"family": x.family(story), "told_and_agreed": map[string]any{
				"purpose": purpose, "agreed": agreed, "told": told, "why": "as the team decided", "at": today.Format(time.DateOnly)}}}).want(http.StatusCreated)
		}
	}

	born(today.AddDate(-30, 0, 0))
	shown("before anybody was asked", false)
	says("before anybody was asked", "consent", "told")
	tell("EH", "agreed", "told")
	shown("with consent for another purpose", false)
	tell("FS", "agreed", "not-told")
	shown("with consent of somebody who was not told", false)
	says("with consent of somebody who was not told", "told")
	tell("FS", "agreed", "told")
	shown("with consent", true)
	says("with consent")
	tell("FS", "withdrawn", "told")
	shown("after it was withdrawn", false)
	says("after it was withdrawn", "consent")
	tell("FS", "agreed", "told")
	shown("with consent again", true)

	eighteen := today.AddDate(-18, 0, 0)
	for eighteen.AddDate(18, 0, 0).After(today) { // on a 29 February
		eighteen = eighteen.AddDate(0, 0, -1)
	}
	born(eighteen.AddDate(0, 0, 3))
	shown("before the birthday", false)
	says("before the birthday", "from-18")
	born(eighteen)
	shown("from the birthday", true)
	born(nil)
	shown("with no date of birth", false)
	says("with no date of birth", "from-18")
}
