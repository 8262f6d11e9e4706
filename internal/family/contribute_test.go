package family

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

func (h *house) sender(agency string) Sender {
	return Sender{Partnership: "northby", Agency: agency, Kind: strings.TrimRight(agency, "2"), Principal: "system", Now: clock()}
}

// give contributes a group as an agency's system.
func (h *house) give(agency string, records ...Record) ([]Result, error) {
	h.t.Helper()
	var results []Result
	err := postgres.InTx(context.Background(), h.app, func(tx pgx.Tx) (err error) {
		results, err = ContributeAll(context.Background(), tx, h.sender(agency), records, shippedCatalogue(h.t))
		return err
	})
	return results, err
}

func (h *house) mustGive(agency string, records ...Record) []Result {
	h.t.Helper()
	results, err := h.give(agency, records...)
	if err != nil {
		h.t.Fatalf("%s: %v", agency, err)
	}
	return results
}

func child(id string) Record {
	return Record{Person: &PersonRecord{LocalID: id, About: "child", Born: "2018-01-01"}}
}

func grownUp(id, family string) Record {
	return Record{Person: &PersonRecord{LocalID: id, About: "adult", Member: &PersonMembership{Family: family, Role: "parent"}}}
}

func openWork(id string) Record {
	return Record{Episode: &EpisodeRecord{LocalID: "E-" + id, Person: id, Kind: "child-in-need", From: "2026-01-01"}}
}

// risk is a structured entry of the trust's.
func risk(id string, about ...string) *EntryRecord {
	return &EntryRecord{LocalID: id, Section: "mh-risk", Source: "opinion", About: about, Contains: []string{},
		Content: map[string]any{"risk_level": "medium", "risk_to_self": "only in full", "parenting": "tired in the mornings"}}
}

// story is a narrative one.
func story(id string, about ...string) *EntryRecord {
	return &EntryRecord{LocalID: id, Section: "childs-story", Source: "self-report", About: about, Contains: []string{}, Event: "summer 2026",
		Content: map[string]any{"text": "the whole of it"}, Summary: &SharedSummary{Text: "the gist", By: "R. Obi", On: "2026-09-01", Review: "2027-03-01"}}
}

// refuses expects a refusal by field, and that nothing was kept.
func (h *house) refuses(agency, field string, records ...Record) {
	h.t.Helper()
	before := h.stock()
	_, err := h.give(agency, records...)
	var refused *FieldError
	if !errors.As(err, &refused) || refused.Field != field {
		h.t.Errorf("%s: got %v", field, err)
	}
	if d := cmp.Diff(before, h.stock()); d != "" {
		h.t.Errorf("%s: something was kept (-before +after):\n%s", field, d)
	}
}

func TestAChildAloneHasAFamilyOfOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", child("K"))
	if n := h.count(`SELECT count(*) FROM membership WHERE role = 'child' AND confirmed_by = 'CSC'`); n != 1 {
		t.Fatalf("%d confirmed memberships", n)
	}
	h.mustGive("SCH", child("K"))
	if n := h.count(`SELECT count(*) FROM membership WHERE confirmed_by IS NULL AND supplied_by = 'SCH'`); n != 1 {
		t.Errorf("%d memberships of the school's wait to be confirmed", n)
	}
	if n := h.count(`SELECT count(DISTINCT person) FROM person_link`); n != 2 {
		t.Errorf("two agencies' children of the same id became %d people", n)
	}

	// The family of one gets the name that the agency gives it; a second child joins.
	h.mustGive("CSC", Record{Membership: &MembershipRecord{Family: "F", Person: "K", Role: "child"}})
	h.mustGive("CSC", child("L"))
	h.mustGive("CSC", Record{Membership: &MembershipRecord{Family: "F", Person: "L", Role: "child"}})
	if n := h.count(`SELECT count(DISTINCT family) FROM membership WHERE supplied_by = 'CSC' AND valid_until IS NULL`); n != 1 {
		t.Errorf("the children live in %d families", n)
	}
	if got := h.mustGive("CSC", Record{Membership: &MembershipRecord{Family: "F", Person: "L", Role: "child"}}); got[0].Outcome != Unchanged {
		t.Errorf("the same membership again is %s", got[0].Outcome)
	}
}

func TestAnAdultComesThroughAChildWithOpenWork(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	adultAlone := Record{Person: &PersonRecord{LocalID: "M", About: "adult"}}
	h.refuses("CSC", "person.about", adultAlone)
	h.refuses("CSC", "person.member.person", grownUp("M", "F"))
	h.mustGive("CSC", Record{Person: &PersonRecord{LocalID: "K", About: "child", Member: &PersonMembership{Family: "F", Role: "child"}}})
	h.refuses("CSC", "person.member.person", grownUp("M", "F")) // no open work yet
	h.mustGive("CSC", openWork("K"))
	h.mustGive("CSC", grownUp("M", "F"))
	h.mustGive("CSC", Record{Entry: &EntryRecord{LocalID: "1", Section: "identity", Source: "fact", About: []string{"M"}, Contains: []string{}, Content: map[string]any{"given_name": "Ann"}}})

	// A group may bring the adult and the tie apart.
	h.mustGive("CSC", Record{Person: &PersonRecord{LocalID: "D", About: "adult"}}, Record{Relationship: &RelationshipRecord{From: "D", To: "K", Kind: "parent"}})

	// Another agency's patient is no business of the hub's.
	h.refuses("MH", "person.about", Record{Person: &PersonRecord{LocalID: "P", About: "adult"}}, Record{Entry: risk("1", "P")})

	// Once the work is closed, nothing more comes in about the adult.
	h.mustGive("CSC", Record{Episode: &EpisodeRecord{LocalID: "E-K", Person: "K", Kind: "child-in-need", From: "2026-01-01", Until: "2026-11-01"}})
	h.refuses("CSC", "entry.about[0]", Record{Entry: &EntryRecord{LocalID: "2", Section: "identity", Source: "fact", About: []string{"M"}, Contains: []string{}, Content: map[string]any{"given_name": "Ann"}}})
}

func TestEntryVersions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", child("K"))
	first := h.mustGive("CSC", Record{Entry: story("S", "K")})[0]
	if first.Outcome != New {
		t.Errorf("first: %s", first.Outcome)
	}
	if again := h.mustGive("CSC", Record{Entry: story("S", "K")})[0]; again != (Result{Unchanged, first.ID}) {
		t.Errorf("again: %+v", again)
	}
	corrected := story("S", "K")
	corrected.Content["text"] = "the whole of it, put right"
	if got := h.mustGive("CSC", Record{Entry: corrected})[0]; got != (Result{Changed, first.ID}) {
		t.Errorf("corrected: %+v", got)
	}
	if n := h.count(`SELECT count(*) FROM content WHERE body->>'text' = 'the whole of it'`); n != 1 {
		t.Error("the first version did not stay as it was")
	}
	fam, csc := h.familyOf("K"), Caller{Worker: h.worker("CSC"), Agency: "CSC"}
	entries := h.load(fam, csc).Entries
	if len(entries) != 1 || entries[0].Version != 2 || entries[0].Owner != "CSC" || !entries[0].Narrative || !entries[0].Tagged || entries[0].EventWords != "summer 2026" ||
		entries[0].SummaryBy != "R. Obi" || !sameDay(entries[0].SummaryReview, date("2027-03-01")) {
		t.Errorf("facts: %+v", entries)
	}
	if n := h.count(`SELECT count(*) FROM content WHERE body = '{"shared_summary": "the gist", "summary_by": "R. Obi", "summary_review": "2027-03-01"}'`); n != 2 {
		t.Errorf("%d shared summaries", n)
	}

	if got := h.mustGive("CSC", Record{Entry: &EntryRecord{LocalID: "S", Section: "childs-story", Purge: true}})[0]; got != (Result{Changed, first.ID}) {
		t.Errorf("purged: %+v", got)
	}
	if left := h.load(fam, csc).Entries; left != nil {
		t.Errorf("a purged entry is still there: %+v", left)
	}
	if got := h.mustGive("CSC", Record{Entry: &EntryRecord{LocalID: "S", Section: "childs-story", Purge: true}})[0]; got.Outcome != Unchanged {
		t.Errorf("purged again: %+v", got)
	}
	if got := h.mustGive("CSC", Record{Entry: story("S", "K")})[0]; got != (Result{Changed, first.ID}) {
		t.Errorf("sent after the purge: %+v", got)
	}
}

func (h *house) familyOf(local string) uuid.UUID {
	h.t.Helper()
	var id uuid.UUID
	err := h.admin.QueryRow(context.Background(), `SELECT m.family FROM membership m JOIN person_link l ON l.person = m.person JOIN source_record r ON r.id = l.record WHERE r.local_id = $1 LIMIT 1`, local).Scan(&id)
	if err != nil {
		h.t.Fatal(err)
	}
	return id
}

// A structured section's summary is made of its summary fields and no other.
func TestStructuredSummaryIsItsFields(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("MH", child("K"))
	e := risk("R", "K")
	e.Content["unheard_of"] = "x"
	h.mustGive("MH", Record{Entry: e})
	var summary string
	var fields []string
	err := h.admin.QueryRow(t.Context(), `SELECT c.body::text, v.fields FROM entry_version v JOIN content c ON c.part = v.summary_part`).Scan(&summary, &fields)
	if err != nil || summary != `{"parenting": "tired in the mornings", "risk_level": "medium"}` || !cmp.Equal(fields, []string{"unheard_of"}) {
		t.Errorf("summary %s, unknown fields %v (%v)", summary, fields, err)
	}

	// Narrative without an authored summary has none, however short.
	s := story("S", "K")
	s.Summary, s.Contains = nil, nil
	h.mustGive("MH", Record{Entry: s})
	if n := h.count(`SELECT count(*) FROM entry_version WHERE narrative AND summary_part IS NULL AND NOT tagged`); n != 1 {
		t.Error("an untagged narrative entry without a shared summary got one")
	}
}

func TestRefusalsNameFieldAndRule(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", child("K"), openWork("K"))
	h.mustGive("SCH", child("their own"))
	entry := func(change func(*EntryRecord)) Record {
		e := story("X", "K")
		change(e)
		return Record{Entry: e}
	}
	for field, r := range map[string]Record{
		"record":                        {},
		"person.local_id":               {Person: &PersonRecord{About: "child"}},
		"person.about":                  {Person: &PersonRecord{LocalID: "Q", About: "dog"}},
		"person.died":                   {Person: &PersonRecord{LocalID: "Q", About: "child", Born: "2020-01-01", Died: "2019-01-01"}},
		"person.born":                   {Person: &PersonRecord{LocalID: "Q", About: "child", Born: "01/02/2020"}},
		"membership.role":               {Membership: &MembershipRecord{Family: "F", Person: "K", Role: "aunt"}},
		"membership.family":             {Membership: &MembershipRecord{Family: "a\u202eb", Person: "K", Role: "child"}},
		"relationship.to":               {Relationship: &RelationshipRecord{From: "K", To: "K", Kind: "twin"}},
		"alleged_harm.by":               {Harm: &HarmRecord{By: "their own", To: "K"}}, // another agency's id
		"episode.kind":                  {Episode: &EpisodeRecord{LocalID: "E-K", Person: "K", Kind: "care", From: "2026-01-01"}},
		"episode.rating":                {Episode: &EpisodeRecord{LocalID: "E2", Person: "K", Kind: "care", Rating: "red", From: "2026-01-01"}},
		"involvement":                   {Involvement: &InvolvementRecord{LocalID: "I", Person: "K", From: "2026-01-01"}},
		"involvement.worker":            {Involvement: &InvolvementRecord{LocalID: "I", Person: "K", Worker: "sys:nobody", From: "2026-01-01"}},
		"told_and_agreed.purpose":       {Told: &ToldRecord{Person: "K", Purpose: "ZZ", Agreed: "agreed", Told: "told", At: "2026-01-01"}},
		"told_and_agreed.why":           {Told: &ToldRecord{Person: "K", Purpose: "FS", Agreed: "agreed", Told: "not-told", At: "2026-01-01"}},
		"entry.section":                 entry(func(e *EntryRecord) { e.Section = "gossip" }),
		"entry.about":                   entry(func(e *EntryRecord) { e.About = nil }),
		"entry.about[0]":                entry(func(e *EntryRecord) { e.About = []string{"their own"} }),
		"entry.mentions[0]":             entry(func(e *EntryRecord) { e.Mentions = []string{"nobody"} }),
		"entry.source":                  entry(func(e *EntryRecord) { e.Source = "" }),
		"entry.sensitivity":             entry(func(e *EntryRecord) { e.Sensitivity = 1 }),
		"entry.contains":                entry(func(e *EntryRecord) { e.Contains = []string{"gossip"} }),
		"entry.flags":                   entry(func(e *EntryRecord) { e.Flags = []string{"open"} }),
		"entry.existence_may_be_shown":  entry(func(e *EntryRecord) { e.Existence = true }),
		"entry.event":                   entry(func(e *EntryRecord) { e.Event = "2026-02-30" }),
		"entry.event_until":             entry(func(e *EntryRecord) { e.Event, e.EventUntil = "2026-02-03", "2026-02-01" }),
		"entry.recorded":                entry(func(e *EntryRecord) { e.Recorded = "2027-01-01" }),
		"entry.onward_label":            entry(func(e *EntryRecord) { e.Onward = "Top Secret" }),
		"entry.content":                 entry(func(e *EntryRecord) { e.Content = nil }),
		"entry.content.text":            entry(func(e *EntryRecord) { e.Content["text"] = "UK SECRET: not for here" }),
		"entry.content.place":           entry(func(e *EntryRecord) { e.Content["place"] = "a\x00b" }),
		"entry.summary.by":              entry(func(e *EntryRecord) { e.Summary.By = "" }),
		"entry.summary.text":            entry(func(e *EntryRecord) { e.Summary.Text = "TOP SECRET" }),
		"entry.summary.review":          entry(func(e *EntryRecord) { e.Summary.Review = "2020-01-01" }),
		"entry.schema":                  entry(func(e *EntryRecord) { e.Schema = "latest" }),
		"entry.language":                entry(func(e *EntryRecord) { e.Language = "English" }),
		"entry.content.given_name":      {Entry: &EntryRecord{LocalID: "N", Section: "identity", Source: "fact", About: []string{"K"}, Content: map[string]any{"given_name": "Kim\r\nAdmin"}}},
		"entry.content.protect_marking": entry(func(e *EntryRecord) { e.Content["protect_marking"] = "secret" }),
		"entry.local_id":                entry(func(e *EntryRecord) { e.LocalID = "" }),
	} {
		h.refuses("CSC", field, r)
	}
	h.refuses("MH", "episode.kind", child("K"), Record{Episode: &EpisodeRecord{LocalID: "E", Person: "K", Kind: "section-47", From: "2026-01-01"}})

	// Ordinary words pass.
	h.mustGive("CSC", entry(func(e *EntryRecord) {
		e.Content["text"] = "He kept it secret.\nالاسم الأول\nSECRETARY called. Secretive."
	}))
}

// No refusal repeats what was refused.
func TestRefusalsKeepTheValueToThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", child("K"))
	const canary = "canary7261"
	e := story("X", "K")
	e.Content[canary+"-"] = "x"
	for _, r := range []Record{
		{Person: &PersonRecord{LocalID: canary, About: canary}},
		{Membership: &MembershipRecord{Family: canary + "\n", Person: "K", Role: "child"}},
		{Entry: &EntryRecord{LocalID: "1", Section: canary, Source: "fact", About: []string{"K"}}},
		{Entry: &EntryRecord{LocalID: "1", Section: "identity", Source: "fact", About: []string{canary}, Content: map[string]any{"given_name": "x"}}},
		{Entry: e},
		{Told: &ToldRecord{Person: "K", Purpose: canary}},
		{Involvement: &InvolvementRecord{LocalID: "1", Person: "K", Worker: canary, From: canary}},
	} {
		if _, err := h.give("CSC", r); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("refusal: %v", err)
		}
	}
}

func TestAGroupIsTakenWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bad := story("S", "K")
	bad.Section = "gossip"
	h.refuses("CSC", "entry.section", child("K"), openWork("K"), Record{Entry: bad})

	// A refusal leaves the transaction usable for the next record.
	err := postgres.InTx(t.Context(), h.app, func(tx pgx.Tx) error {
		if _, err := Contribute(t.Context(), tx, h.sender("CSC"), Record{Entry: bad}, shippedCatalogue(t)); err == nil {
			t.Error("taken")
		}
		r, err := Contribute(t.Context(), tx, h.sender("CSC"), child("K"), shippedCatalogue(t))
		if r.Outcome != New {
			t.Errorf("after a refusal: %+v", r)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEachKindOfRecordIsIdempotent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.worker("CSC")
	h.exec(`INSERT INTO worker_case_id (worker, agency, scheme, value) VALUES ($1, 'CSC', 'sys', '7')`, w)
	records := []Record{
		{Person: &PersonRecord{LocalID: "K", About: "child", Member: &PersonMembership{Family: "F", Role: "child", From: "2026-01-01"}}},
		openWork("K"), grownUp("M", "F"), grownUp("D", "F"),
		{Relationship: &RelationshipRecord{From: "M", To: "K", Kind: "parent", Responsibility: true}},
		{Relationship: &RelationshipRecord{From: "M", To: "D", Kind: "partner", Status: "separated"}},
		{Harm: &HarmRecord{By: "D", To: "M", Since: "2025-01-01"}},
		{Involvement: &InvolvementRecord{LocalID: "I", Person: "M", Worker: "sys:7", Team: "North", From: "2026-01-01"}},
		{Told: &ToldRecord{Person: "M", Purpose: "FS", Agreed: "agreed", Told: "told", At: "2026-01-01"}},
		{Entry: story("S", "K")},
	}
	outcomes := func() (all []Outcome) {
		for _, r := range h.mustGive("CSC", records...) {
			all = append(all, r.Outcome)
		}
		return all
	}
	for i, o := range outcomes() {
		if o != New {
			t.Errorf("record %d is %s at first", i, o)
		}
	}
	before := h.stock()
	// A mutual relationship is the same from either side.
	records[5].Relationship.From, records[5].Relationship.To = "D", "M"
	for i, o := range outcomes() {
		if o != Unchanged {
			t.Errorf("record %d is %s at second", i, o)
		}
	}
	if d := cmp.Diff(before, h.stock()); d != "" {
		t.Errorf("the second time changed the record:\n%s", d)
	}
	records[0].Person.Member.Until = "2026-10-01"
	records[1].Episode.Until = "2026-12-01"
	records[4].Relationship.Until = "2026-10-01"
	records[6].Harm.Until = "2025-02-01"
	records[7].Involvement.Until = "2026-10-01"
	records[8].Told.Agreed, records[8].Told.At = "withdrawn", "2026-02-01"
	want := []Outcome{Changed, Changed, Unchanged, Unchanged, Changed, Unchanged, Changed, Changed, Changed, Unchanged}
	// The child's membership is over, so the adults hold on by relationship or not at all.
	records[0].Person.Member.Until = "2026-12-01"
	if d := cmp.Diff(want, outcomes()); d != "" {
		t.Errorf("changed (-want +got):\n%s", d)
	}
	if n := h.count(`SELECT count(*) FROM involvement WHERE worker = $1 AND source = 'feed' AND valid_until = '2026-10-02'`, w); n != 1 {
		t.Error("the involvement does not end after its last day")
	}
	records[7].Involvement.Worker = ""
	h.refuses("CSC", "involvement", records[7])
}

// A worker who sends may not allocate themselves.
func TestNobodyAllocatesThemselves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := h.worker("CSC")
	h.exec(`INSERT INTO worker_case_id (worker, agency, scheme, value) VALUES ($1, 'CSC', 'sys', '7')`, w)
	h.mustGive("CSC", child("K"))
	err := postgres.InTx(t.Context(), h.app, func(tx pgx.Tx) error {
		s := h.sender("CSC")
		s.Worker = w
		_, err := Contribute(t.Context(), tx, s, Record{Involvement: &InvolvementRecord{LocalID: "I", Person: "K", Worker: "sys:7", From: "2026-01-01"}}, shippedCatalogue(t))
		return err
	})
	var refused *FieldError
	if !errors.As(err, &refused) || refused.Field != "involvement.worker" {
		t.Errorf("got %v", err)
	}
}
