package audit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// record appends an event that releases, as the door would.
func (h *hub) record(t *testing.T, e audit.Event) uuid.UUID {
	t.Helper()
	row, err := h.recorder.Seal(e)
	if err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	g := h.guard()
	g.Families = nil
	queued := row.Queue(b, g)
	audit.QueueReset(b)
	results := h.app.SendBatch(t.Context(), b)
	if _, err := queued.Result(results); err != nil {
		t.Fatal(err)
	}
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}
	return row.ID()
}

func released(section, owner string, level proof.Level, sensitivity int, people ...uuid.UUID) audit.Release {
	r := audit.Release{
		Entry: proof.EntryRef{Entry: uuid.New(), Version: 2}, Subjects: people,
		Terms: proof.Terms{Section: section, Owner: owner, Level: level, Part: "full", Sensitivity: sensitivity, Clauses: []string{"isa 4.2"}, Masked: []string{"upn"}},
	}
	return r
}

func TestScopes(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	child, mother := uuid.New(), uuid.New()
	e := h.read()
	e.Agency, e.Children = "POL", []uuid.UUID{child}
	e.Causes = []string{"cause"}
	e.Search = map[string]string{"family_name": "Secret"}
	e.Released = []audit.Release{
		released("identity", "CSC", proof.Summary, 1, child, mother),
		released("mh-risk", "NHFT", proof.Full, 2, mother),
		released("court-papers", "CSC", proof.Full, 4, child),
	}
	id := h.record(t, e)
	refs := []string{log.Reference(child), log.Reference(mother)}
	slices.Sort(refs)

	get := func(s audit.Scope) audit.Record {
		t.Helper()
		r, err := log.Get(t.Context(), s, id)
		if err != nil {
			t.Fatal(err)
		}
		if r.Damaged || r.Erased || r.Receipt == "" {
			t.Errorf("record %+v", struct{ d, e bool }{r.Damaged, r.Erased})
		}
		if s != audit.OwnScope(h.worker) {
			for _, text := range append(append(slices.Clone(r.Children), r.Subjects...), r.Released[0].Subjects...) {
				if strings.Contains(text, child.String()) || strings.Contains(text, mother.String()) {
					t.Errorf("a person stands there by id: %s", text)
				}
			}
		}
		return r
	}
	sections := func(r audit.Record) (list []string) {
		for _, x := range r.Released {
			list = append(list, x.Section+" "+x.Owner+" "+x.Level.String())
		}
		slices.Sort(list)
		return list
	}

	own := get(audit.OwnScope(h.worker))
	if diff := cmp.Diff([]string{"court-papers CSC full", "identity CSC summary", "mh-risk NHFT full"}, sections(own)); diff != "" {
		t.Errorf("own: %s", diff)
	}
	if own.Reason != "plan review" || own.Search["family_name"] != "Secret" || own.Causes != nil || own.Subjects != nil || !slices.Equal(own.Children, []string{child.String()}) || own.Count != 3 || own.Level != proof.Full {
		t.Error("own scope shows too little or too much")
	}

	all := get(audit.AuditorScope())
	if diff := cmp.Diff([]string{"identity CSC summary", audit.LegallyRestricted + " CSC full", "mh-risk NHFT full"}, sections(all)); diff != "" {
		t.Errorf("auditor: %s", diff)
	}
	for _, x := range all.Released {
		if x.Section == audit.LegallyRestricted && (x.Masked != nil || x.Entries != nil) {
			t.Error("the restricted line tells more than that it is one")
		}
	}
	if all.Reason != "plan review" || all.Search != nil || !slices.Equal(all.SearchedBy, []string{"family_name"}) || !slices.Equal(all.Causes, []string{"cause"}) || all.Name != "Ada" {
		t.Error("auditor scope shows too little or too much")
	}
	if diff := cmp.Diff(refs, all.Subjects); diff != "" {
		t.Errorf("auditor's subjects: %s", diff)
	}

	owner := get(audit.AgencyScope("NHFT")) // its data, another agency's reader
	if diff := cmp.Diff([]string{"mh-risk NHFT full"}, sections(owner)); diff != "" {
		t.Errorf("owner: %s", diff)
	}
	if owner.Reason != "" || owner.Search != nil || owner.SearchedBy != nil || owner.Children != nil || owner.Causes != nil || owner.Count != 1 || !slices.Equal(owner.Subjects, []string{log.Reference(mother)}) {
		t.Error("owner scope shows too little or too much")
	}

	theirs := get(audit.AgencyScope("POL")) // its own person
	if diff := cmp.Diff([]string{"identity CSC summary", audit.LegallyRestricted + " CSC full", "mh-risk NHFT full"}, sections(theirs)); diff != "" {
		t.Errorf("own people: %s", diff)
	}
	if theirs.Reason != "" || theirs.Causes != nil || theirs.Name != "Ada" {
		t.Error("own people scope shows too little or too much")
	}

	for name, s := range map[string]audit.Scope{
		"zero": {}, "nobody": audit.OwnScope(uuid.Nil), "another worker": audit.OwnScope(uuid.New()), "another agency": audit.AgencyScope("HV"), "no agency": audit.AgencyScope(""),
	} {
		if _, err := log.Get(t.Context(), s, id); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("%s gets it: %v", name, err)
		}
		if list, next, err := log.List(t.Context(), s, audit.Filter{}, audit.Page{}); err != nil || len(list) != 0 || next != "" {
			t.Errorf("%s lists %d (%v)", name, len(list), err)
		}
	}
	// A filter must not tell an owner about what others own.
	for name, f := range map[string]audit.Filter{"subject": {Subject: child}, "level": {Level: proof.Full}} {
		list, _, err := log.List(t.Context(), audit.AgencyScope("CSC"), f, audit.Page{})
		if err != nil || len(list) != 1 {
			t.Errorf("%s: the owner misses its own line: %d, %v", name, len(list), err)
		}
	}
	// Nor may it tell a reader whom an entry was also about, or an owner who else's data went along.
	for name, x := range map[string]struct {
		s audit.Scope
		f audit.Filter
	}{"own, by subject": {audit.OwnScope(h.worker), audit.Filter{Subject: mother}}, "owner, by another": {audit.AgencyScope("NHFT"), audit.Filter{Owner: "CSC"}}} {
		if list, _, err := log.List(t.Context(), x.s, x.f, audit.Page{}); err != nil || len(list) != 0 {
			t.Errorf("%s: %d events, %v", name, len(list), err)
		}
	}
	if list, _, err := log.List(t.Context(), audit.AgencyScope("NHFT"), audit.Filter{Owner: "NHFT"}, audit.Page{}); err != nil || len(list) != 1 {
		t.Errorf("an owner misses its own by itself: %d, %v", len(list), err)
	}
	list, _, err := log.List(t.Context(), audit.AgencyScope("NHFT"), audit.Filter{Subject: child}, audit.Page{})
	if err != nil || len(list) != 0 {
		t.Errorf("a filter by a person found another owner's line: %d, %v", len(list), err)
	}
}

func TestRecordOfTheDamagedAndErased(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	e := h.read()
	other := uuid.New()
	e.Released = append(e.Released, released("identity", "CSC", proof.Full, 1, other))
	id := h.record(t, e)
	get := func() audit.Record {
		r, err := log.Get(t.Context(), audit.AuditorScope(), id)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole := get()
	h.exec(t, `UPDATE access_event SET subject_parts[array_position(subjects, $1)] = NULL, subject_salts[array_position(subjects, $1)] = NULL`, other)
	r := get()
	if r.Damaged || !r.Erased || len(r.Released) != 1 || r.Receipt != whole.Receipt {
		t.Errorf("one person erased: damaged %t, erased %t, %d lines", r.Damaged, r.Erased, len(r.Released))
	}
	h.exec(t, `UPDATE access_event SET common = overlay(common placing '\x58'::bytea from 20 for 1)`)
	if r := get(); !r.Damaged || r.Released != nil || r.Reason != "" {
		t.Error("a changed payload is shown as if it stood")
	}
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	full := h.read()
	full.Emergency, full.Declared, full.Purpose = true, true, "VI"
	low := h.read()
	low.Released = []audit.Release{released("identity", "CSC", proof.Summary, 1, uuid.New())}
	low.Agency, low.Family = "CSC", h.other
	fullID, lowID := h.record(t, full), h.record(t, low)
	deniedEvent := denied()
	receipt, err := h.recorder.Append(t.Context(), deniedEvent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.recorder.Append(t.Context(), audit.Event{Kind: audit.KindSignIn, Outcome: audit.OutcomeDone, Agency: "POL"}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		f    audit.Filter
		want []uuid.UUID
	}{
		"agency":       {audit.Filter{Agency: "CSC"}, []uuid.UUID{lowID}},
		"worker":       {audit.Filter{Worker: h.worker}, []uuid.UUID{lowID, fullID}},
		"family":       {audit.Filter{Family: h.family}, []uuid.UUID{fullID}},
		"absent":       {audit.Filter{Family: deniedEvent.Family}, []uuid.UUID{receipt.Event()}},
		"subject":      {audit.Filter{Subject: low.Released[0].Subjects[0]}, []uuid.UUID{lowID}},
		"purpose":      {audit.Filter{Purpose: "VI"}, []uuid.UUID{fullID}},
		"outcome":      {audit.Filter{Outcome: audit.OutcomeNotFound}, []uuid.UUID{receipt.Event()}},
		"kind":         {audit.Filter{Kind: audit.KindRead}, []uuid.UUID{receipt.Event(), lowID, fullID}},
		"unknown kind": {audit.Filter{Kind: "look"}, nil},
		"level":        {audit.Filter{Level: proof.Full}, []uuid.UUID{fullID}},
		"emergency":    {audit.Filter{Emergency: true}, []uuid.UUID{fullID}},
		"declared":     {audit.Filter{Declared: true}, []uuid.UUID{fullID}},
		"owner":        {audit.Filter{Owner: "CSC"}, []uuid.UUID{lowID}},
		"no level":     {audit.Filter{Level: proof.Summary, Outcome: audit.OutcomeNotFound}, nil},
		"until":        {audit.Filter{Until: time.Now().Add(-time.Minute)}, nil},
		"from, kind":   {audit.Filter{From: time.Now().Add(-time.Minute), Kind: audit.KindRead, Worker: h.worker}, []uuid.UUID{lowID, fullID}},
		"from":         {audit.Filter{From: time.Now().Add(time.Minute)}, nil},
	} {
		list, _, err := log.List(t.Context(), audit.AuditorScope(), tc.f, audit.Page{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []uuid.UUID
		for _, r := range list {
			got = append(got, r.ID)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got): %s", name, diff)
		}
	}
}

func TestListPaging(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	fixed := time.Now()
	h.signer.Now = func() time.Time { return fixed } // equal times: the id decides
	want := map[uuid.UUID]bool{}
	add := func(n int) {
		for range n {
			r, err := h.recorder.Append(t.Context(), audit.Event{Kind: audit.KindSignIn, Outcome: audit.OutcomeDone, Principal: proof.Principal{Worker: h.worker}})
			if err != nil {
				t.Fatal(err)
			}
			want[r.Event()] = true
		}
	}
	add(12)
	fixed = fixed.Add(time.Millisecond)
	add(11)
	walk := func(ctx context.Context, s audit.Scope, limit int) (got map[uuid.UUID]bool, pages int) {
		got = map[uuid.UUID]bool{}
		var after string
		var last time.Time
		for {
			list, next, err := log.List(ctx, s, audit.Filter{}, audit.Page{Limit: limit, After: after})
			if err != nil {
				t.Fatal(err)
			}
			pages++
			if len(list) == 0 || len(list) > limit {
				t.Errorf("page of %d", len(list))
			}
			for _, r := range list {
				if got[r.ID] {
					t.Errorf("%s twice", r.ID)
				}
				if !last.IsZero() && r.Occurred.After(last) {
					t.Error("newest is not first")
				}
				got[r.ID], last = true, r.Occurred
			}
			if pages == 2 && limit == 5 {
				// What arrives while somebody pages is newer and does not move the rest.
				fixed = fixed.Add(time.Millisecond)
				if _, err := h.recorder.Append(ctx, audit.Event{Kind: audit.KindSignIn, Outcome: audit.OutcomeDone}); err != nil {
					t.Fatal(err)
				}
			}
			if next == "" {
				return got, pages
			}
			after = next
		}
	}
	for _, limit := range []int{5, 23, 24, 500} {
		got, pages := walk(t.Context(), audit.OwnScope(h.worker), limit)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
		if full := (len(want) + limit - 1) / limit; pages != full {
			t.Errorf("limit %d: %d pages, want %d", limit, pages, full)
		}
	}
	for _, p := range []audit.Page{{Limit: -1}, {Limit: 501}, {After: "x"}, {After: "AAAA"}} {
		if _, _, err := log.List(t.Context(), audit.AuditorScope(), audit.Filter{}, p); !errors.Is(err, audit.ErrPage) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// Another partnership's events in the same database are nobody's here.
func TestPartnership(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	other := *h.signer
	other.Partnership = "elsewhere"
	recorder, err := audit.NewRecorder(h.app, &other)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recorder.Append(t.Context(), denied())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.log(t).Get(t.Context(), audit.AuditorScope(), r.Event()); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := audit.NewLog(h.app, "borough", make([]byte, 31)); err == nil {
		t.Error("a short reference key was taken")
	}
}
