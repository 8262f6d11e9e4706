package family

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestFactsOfASmallFamily(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam := h.family()
	kim, mum, dad := h.member(fam, "child"), h.member(fam, "parent"), h.member(fam, "parent")
	unconfirmed := h.person()
	h.membership(fam, unconfirmed, "household", false)
	h.relationship(dad, kim, "parent")
	me, other := h.worker("MH"), h.worker("MH")
	h.run(`INSERT INTO alleged_harm (id, by_person, to_person, source) VALUES ($1, $2, $3, 'POL')`, uuid.New(), dad, mum)
	h.run(`INSERT INTO episode (id, person, kind, valid_from, source) VALUES ($1, $2, 'child-in-need', '2026-01-01', 'CSC')`, uuid.New(), kim)
	h.run(`INSERT INTO episode (id, person, kind, valid_from, valid_until, source) VALUES ($1, $2, 'section-47', '2026-01-01', '2026-11-19', 'CSC')`, uuid.New(), kim)
	h.run(`INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'feed', '2026-01-01')`, uuid.New(), mum, me)
	h.run(`INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'feed', '2026-01-01')`, uuid.New(), dad, other)
	h.run(`INSERT INTO involvement (id, person, agency, team, source, valid_from) VALUES ($1, $2, 'POL', 'PPU', 'feed', '2026-01-01')`, uuid.New(), dad)
	h.run(`INSERT INTO told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', 'CSC', 'agreed', 'told', '2026-01-01')`, uuid.New(), mum)
	h.run(`INSERT INTO told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', 'CSC', 'withdrawn', 'told', '2026-02-01')`, uuid.New(), mum)
	h.run(`INSERT INTO protection (id, person, since, set_by) VALUES ($1, $2, '2026-03-01', 'CSC')`, uuid.New(), mum)
	grant := uuid.New()
	h.run(`INSERT INTO access_grant (id, person, agency, worker, section, level, reason, giver, valid_from, valid_until)
	       VALUES ($1, $2, 'MH', $3, 'protected-address', 'full', 'court', 'CSC', '2026-01-01', '2027-01-01')`, grant, mum, me)
	h.run(`INSERT INTO agreement (id, partnership, starts_on, review_on, ends_on) VALUES ('isa', 'northby', '2026-01-01', '2027-01-01', '2028-01-01')`)
	h.run(`INSERT INTO agreement_party (agreement, agency, state) VALUES ('isa', 'MH', 'signed'), ('isa', 'CSC', 'suspended')`)
	entry, version, part := h.item("POL", "police-events", mum)
	h.item("MH", "mh-risk", unconfirmed) // about nobody who belongs here
	h.run(`INSERT INTO entry_subject (version, person, relation) VALUES ($1, $2, 'mentions')`, version, dad)

	got := h.load(fam, Caller{Worker: me, Agency: "MH"})

	if !got.Found || got.Stamp < 2 || got.AgreementStamp < 2 || got.Ref == "" || got.Partnership != "northby" || !got.Worker.Active || got.Worker.Stamp == 0 {
		t.Errorf("head: %+v", got)
	}
	wantNear := []NearFacts{{Child: kim, Other: dad, Kind: "parent"}, {Child: kim, Other: mum, Kind: "parent"}}
	check(t, "near", wantNear, got.Near)
	check(t, "harm", []HarmFacts{{By: dad, To: mum}}, got.Harm)
	check(t, "episodes", []EpisodeFacts{{Person: kim, Kind: "child-in-need"}}, got.Episodes)
	if len(got.People) != 3 || len(got.Involvements) != 2 {
		t.Errorf("people %v, involvements %v", got.People, got.Involvements)
	}
	for _, i := range got.Involvements {
		if want := i.Person == mum; i.Mine != want || i.ByName != want {
			t.Errorf("involvement with %v: mine %v, by name %v", i.Person, i.Mine, i.ByName)
		}
	}
	check(t, "told", []ToldFacts{{Person: mum, Agency: "CSC", Agreed: "withdrawn", Told: "told", At: date("2026-02-01")}}, got.Told)
	check(t, "protected", []ProtectionFacts{{Person: mum, Since: *date("2026-03-01")}}, got.Protected)
	check(t, "grants", []GrantFacts{{ID: grant, Person: mum, Section: "protected-address", Level: "full", Giver: "CSC", GiverKind: "CSC"}}, got.Grants)
	check(t, "agreements", []AgreementFacts{{ID: "isa", From: *date("2026-01-01"), Review: *date("2027-01-01"), End: *date("2028-01-01"),
		Parties: map[string]string{"MH": "signed", "CSC": "suspended"}}}, got.Agreements)
	check(t, "entries", []EntryFacts{{Entry: entry, Version: 1, VersionID: version, Section: "police-events", Schema: "police-events/1", Owner: "POL", SuppliedBy: "POL",
		SourceKind: "fact", Sensitivity: 2, RecordedOn: *date("2026-06-01"), Tagged: true, Contains: []string{}, Flags: []string{}, Language: "en", Held: "held",
		Fields: []string{}, FullPart: part, About: []uuid.UUID{mum}, Mentions: []uuid.UUID{dad}}}, got.Entries)
	check(t, "kinds", map[string]string{"POL": "POL"}, got.Kinds)
	if got.Named || got.FamilyTeam || got.Marac || got.Lead || got.Restricted != nil {
		t.Errorf("named %v, team %v, marac %v, lead %v, restricted %v", got.Named, got.FamilyTeam, got.Marac, got.Lead, got.Restricted)
	}
}

func check[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	less := cmp.Transformer("sort", func(n []NearFacts) map[string]NearFacts {
		m := map[string]NearFacts{}
		for _, x := range n {
			m[fmt.Sprint(x.Child, x.Other, x.Kind)] = x
		}
		return m
	})
	if d := cmp.Diff(want, got, less); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// An unknown family gives the caller's own standing and nothing else.
func TestFactsOfAnUnknownFamily(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	me := h.worker("MH")
	got := h.load(uuid.New(), Caller{Worker: me, Agency: "MH"})
	if got.Found || got.Stamp != 0 || got.AgreementStamp == 0 || !got.Worker.Active || len(got.Entries)+len(got.People) > 0 {
		t.Errorf("facts of nothing: %+v", got)
	}
	if got := h.load(uuid.New(), Caller{Worker: me, Agency: "NOBODY"}); got.Found || got.Worker.Active {
		t.Errorf("facts for an unknown agency: %+v", got)
	}
}

func TestTheCallersStanding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam := h.family()
	kim, mum := h.member(fam, "child"), h.member(fam, "parent")
	me := h.worker("MH")
	caller := Caller{Worker: me, Agency: "MH"}
	restricted := func() bool { return len(h.load(fam, caller).Restricted) > 0 }

	steps := []struct {
		what string
		do   func()
		want func(Facts) bool
	}{
		{"a restriction that lists nobody closes for everybody", func() {
			h.run(`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', 'high profile', '2026-01-01', '2026-12-01')`, uuid.New(), mum)
		}, func(f Facts) bool { return cmp.Equal(f.Restricted, []uuid.UUID{mum}) }},
		{"an ended restriction opens again", func() {
			h.run(`UPDATE restriction SET valid_until = '2026-11-20 09:59:00+00', ended_why = 'over'`)
		}, func(f Facts) bool { return f.Restricted == nil }},
		{"a restriction that lists the caller leaves her in", func() {
			h.run(`INSERT INTO restriction (id, person, kind, workers, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', ARRAY[$3::uuid], 'staff', '2026-01-01', '2026-12-01')`, uuid.New(), mum, me)
		}, func(f Facts) bool { return f.Restricted == nil }},
		{"an exclusion of another agency leaves her in", func() {
			h.run(`INSERT INTO restriction (id, person, kind, agencies, reason, valid_from, review_on) VALUES ($1, $2, 'exclusion', '{POL}', 'asked', '2026-01-01', '2026-12-01')`, uuid.New(), kim)
		}, func(f Facts) bool { return f.Restricted == nil }},
		{"an exclusion of her agency shuts her out", func() {
			h.run(`INSERT INTO restriction (id, person, kind, agencies, reason, valid_from, review_on) VALUES ($1, $2, 'exclusion', '{MH}', 'asked', '2026-01-01', '2026-12-01')`, uuid.New(), kim)
		}, func(f Facts) bool { return cmp.Equal(f.Restricted, []uuid.UUID{kim}) }},
		{"a team of the same name elsewhere is not the family's team", func() {
			h.run(`INSERT INTO involvement (id, person, agency, team, source, valid_from) VALUES ($1, $2, 'CSC', 'North', 'allocation', '2026-01-01')`, uuid.New(), kim)
			h.exec(`INSERT INTO worker_team (id, worker, agency, team, valid_from) VALUES ($1, $2, 'MH', 'North', '2026-01-01')`, uuid.New(), me)
		}, func(f Facts) bool { return !f.FamilyTeam }},
		{"a place in the family's team is", func() {
			h.exec(`INSERT INTO worker_team (id, worker, agency, team, valid_from) VALUES ($1, $2, 'CSC', 'North', '2026-01-01')`, uuid.New(), me)
		}, func(f Facts) bool { return f.FamilyTeam }},
		{"an involvement of her team is hers, not by name", func() {
			h.run(`INSERT INTO involvement (id, person, agency, team, source, valid_from) VALUES ($1, $2, 'MH', 'North', 'feed', '2026-01-01')`, uuid.New(), mum)
		}, func(f Facts) bool {
			return cmp.Equal(f.Involvements, []InvolvementFacts{{Person: mum, Mine: true, Source: "feed"}})
		}},
		{"cover that has ended is over", func() {
			h.exec(`UPDATE worker_team SET valid_until = '2026-11-20 10:00:00+00' WHERE agency = 'MH'`)
		}, func(f Facts) bool { return !f.Involvements[0].Mine }},
		{"a MARAC without members has no members", func() {
			h.run(`INSERT INTO episode (id, person, kind, valid_from, source) VALUES ($1, $2, 'marac', '2026-01-01', 'POL')`, uuid.New(), mum)
		}, func(f Facts) bool { return !f.Marac }},
		{"a MARAC member", func() {
			h.run(`INSERT INTO episode_member (id, episode, agency, worker) SELECT $1, id, 'MH', $2 FROM episode WHERE kind = 'marac'`, uuid.New(), me)
		}, func(f Facts) bool { return f.Marac }},
		{"the lead of an event is a worker by name, not an agency", func() {
			h.run(`INSERT INTO episode (id, person, kind, valid_from, source) VALUES ($1, $2, 'encompass', '2026-11-01', 'POL')`, uuid.New(), kim)
			h.run(`INSERT INTO episode_member (id, episode, agency) SELECT $1, id, 'MH' FROM episode WHERE kind = 'encompass'`, uuid.New())
		}, func(f Facts) bool { return !f.Lead }},
		{"the named lead", func() {
			h.run(`INSERT INTO episode_member (id, episode, agency, worker) SELECT $1, id, 'MH', $2 FROM episode WHERE kind = 'encompass'`, uuid.New(), me)
		}, func(f Facts) bool { return f.Lead }},
		{"a conflict that is over", func() {
			h.exec(`INSERT INTO staff_conflict (id, worker, person, kind, declared_at, valid_until) VALUES ($1, $2, $3, 'neighbour', now(), '2026-11-19')`, uuid.New(), me, kim)
		}, func(f Facts) bool { return !f.Named }},
		{"a conflict with a member", func() {
			h.exec(`INSERT INTO staff_conflict (id, worker, person, kind, declared_at) VALUES ($1, $2, $3, 'neighbour', now())`, uuid.New(), me, kim)
		}, func(f Facts) bool { return f.Named }},
		{"a suspended worker is not active", func() { h.exec(`UPDATE worker SET suspended = true WHERE id = $1`, me) }, func(f Facts) bool { return !f.Worker.Active }},
	}
	if restricted() {
		t.Fatal("restricted before anything was said")
	}
	for _, s := range steps {
		s.do()
		if f := h.load(fam, caller); !s.want(f) {
			t.Errorf("%s: %+v", s.what, f)
		}
	}
}

// A restriction on somebody who is only mentioned, and belongs to no family
// here, is known as well.
func TestRestrictionOfSomebodyMentioned(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam := h.family()
	kim, stranger := h.member(fam, "child"), h.person()
	_, version, _ := h.item("CSC", "case-summary", kim)
	h.run(`INSERT INTO entry_subject (version, person, relation) VALUES ($1, $2, 'mentions')`, version, stranger)
	h.run(`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', 'adopted', '2026-01-01', '2026-12-01')`, uuid.New(), stranger)
	if got := h.load(fam, Caller{Worker: h.worker("CSC"), Agency: "CSC"}).Restricted; !cmp.Equal(got, []uuid.UUID{stranger}) {
		t.Errorf("restricted: %v", got)
	}
}

// Several agencies may protect one address: it is protected since the earliest
// day, and an entry that names two members stands once with both.
func TestFactsThatComeInSeveralRows(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam := h.family()
	kim, mum := h.member(fam, "child"), h.member(fam, "parent")
	h.membership(fam, mum, "carer", true) // a second membership doubles nothing
	for _, since := range []string{"2026-03-01", "2026-02-01", "2026-04-01"} {
		h.run(`INSERT INTO protection (id, person, since, set_by) VALUES ($1, $2, $3::date, 'CSC')`, uuid.New(), mum, since)
	}
	h.run(`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', 'adopted', '2026-01-01', '2026-12-01')`, uuid.New(), mum)
	h.item("CSC", "case-summary", kim, mum)
	got := h.load(fam, Caller{Worker: h.worker("MH"), Agency: "MH"})
	check(t, "protected", []ProtectionFacts{{Person: mum, Since: *date("2026-02-01")}}, got.Protected)
	check(t, "restricted", []uuid.UUID{mum}, got.Restricted)
	if len(got.Entries) != 1 || len(got.Entries[0].About) != 2 {
		t.Errorf("entries: %+v", got.Entries)
	}
}
