package identity_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/identity"
)

// change runs one change of the directory.
func (w *world) change(t *testing.T, fn func(tx pgx.Tx) error) {
	t.Helper()
	if err := w.directory.Change(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func TestWorkerEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.signIn(t, w.csc, "social-worker")
	before, err := w.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	sam := before.Worker
	w.change(t, func(tx pgx.Tx) error { return w.directory.EndWorker(t.Context(), tx, sam, w.clock.now()) })
	_, err = w.verifier.Verify(t.Context(), token)
	var refused *identity.WorkerRefused
	if !errors.As(err, &refused) || refused.Worker != sam || refused.Agency != "CSC" {
		t.Errorf("the log could not name who was refused: %v", err)
	}
	// Access began today, so that no earlier last day is possible.
	if !errors.Is(err, identity.ErrSuspended) {
		t.Errorf("got %v", err)
	}
	wk, err := w.directory.Worker(t.Context(), sam)
	if err != nil || wk.Stamp <= before.WorkerStamp {
		t.Errorf("%v; the stamp went from %d to %d", err, before.WorkerStamp, wk.Stamp)
	}
}

func TestWorkerStates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.signIn(t, w.csc, "social-worker")
	sam := identity.WorkerID(tests, "sam")
	cases := []struct {
		name  string
		apply func(*identity.Worker)
		want  *identity.Refusal
	}{
		{"as it is", func(*identity.Worker) {}, nil},
		{"last day yesterday", func(k *identity.Worker) { k.ActiveFrom, k.ActiveUntil = *w.clock.day(-9), w.clock.day(-1) }, identity.ErrEnded},
		{"last day today", func(k *identity.Worker) { k.ActiveUntil = w.clock.day(0) }, nil},
		{"suspended", func(k *identity.Worker) { k.Suspended = true }, identity.ErrSuspended},
		{"starts tomorrow", func(k *identity.Worker) { k.ActiveFrom = *w.clock.day(1) }, identity.ErrNotStarted},
		{"training until today", func(k *identity.Worker) { k.TrainingUntil = w.clock.day(0) }, nil},
		{"training lapsed", func(k *identity.Worker) { k.TrainingUntil = w.clock.day(-1) }, identity.ErrTraining},
		{"vetting lapsed", func(k *identity.Worker) { k.VettingUntil = w.clock.day(-1) }, identity.ErrVetting},
		{"no roles", func(k *identity.Worker) { k.Roles = nil }, identity.ErrNoRole},
		{"another sign-in", func(k *identity.Worker) { k.Subject = "s-77" }, identity.ErrUnknownWorker},
		{"moved to an agency that the token does not claim", func(k *identity.Worker) { k.Agency = "MH" }, identity.ErrNotAccepted},
	}
	for _, c := range cases { // one after the other: they change one row
		base, err := w.directory.Worker(t.Context(), sam)
		if err != nil {
			t.Fatal(err)
		}
		changed := base
		c.apply(&changed)
		w.update(t, changed)
		_, err = w.verifier.Verify(t.Context(), token)
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if r := (*identity.Refusal)(nil); errors.As(err, &r) && r.Shown == "" {
			t.Errorf("%s: nothing to show", c.name)
		}
		now, err := w.directory.Worker(t.Context(), sam)
		if err != nil {
			t.Fatal(err)
		}
		base.Stamp = now.Stamp
		w.update(t, base)
	}
}

func (w *world) update(t *testing.T, k identity.Worker) {
	t.Helper()
	w.change(t, func(tx pgx.Tx) error {
		ok, err := w.directory.UpdateWorker(t.Context(), tx, k)
		if err == nil && !ok {
			return errors.New("the worker was changed meanwhile")
		}
		return err
	})
}

func TestUpdateOfAChangedWorkerIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := identity.WorkerID(tests, "sam")
	stale, err := w.directory.Worker(t.Context(), sam)
	if err != nil {
		t.Fatal(err)
	}
	w.change(t, func(tx pgx.Tx) error { return w.directory.SuspendWorker(t.Context(), tx, sam, true) })
	w.change(t, func(tx pgx.Tx) error {
		ok, err := w.directory.UpdateWorker(t.Context(), tx, stale)
		if ok {
			t.Error("a stale update undid the suspension")
		}
		return err
	})
}

func TestDormantWorkerIsWoken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := identity.WorkerID(tests, "sam")
	w.clock.forward(61 * 24 * time.Hour)
	wantRefused(t, w, w.mint(t, nil), identity.ErrDormant)
	w.change(t, func(tx pgx.Tx) error { return w.directory.WakeWorker(t.Context(), tx, sam, w.clock.now()) })
	if _, err := w.verifier.Verify(t.Context(), w.mint(t, nil)); err != nil {
		t.Error(err)
	}
}

func TestAcceptanceByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.signIn(t, w.csc, "guest") // signed in by the council, claims MH
	gus := identity.WorkerID(tests, "gus")
	wantRefused(t, w, token, identity.ErrNotAccepted)

	accept := func(agency string, roles []string, from int, until *time.Time) {
		w.change(t, func(tx pgx.Tx) error {
			return w.directory.AcceptWorker(t.Context(), tx, identity.Acceptance{
				ID: uuid.New(), Worker: gus, Agency: agency, Roles: roles, From: *w.clock.day(from), Until: until, Reason: "co-located",
			})
		})
	}
	accept("CSC", []string{"practitioner"}, -5, nil) // another agency's
	accept("MH", []string{"practitioner", "mh-practitioner"}, -5, w.clock.day(-1))
	accept("MH", []string{"practitioner", "mh-practitioner"}, 1, nil)
	wantRefused(t, w, token, identity.ErrNotAccepted)

	accept("MH", []string{"mh-practitioner", "auditor"}, 0, w.clock.day(0))
	p, err := w.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	// The acceptance's roles hold, not those of the employment; and the issuer may assert no auditor.
	p.WorkerStamp = 0
	diff(t, identity.Principal{
		Partnership: tests, Issuer: w.csc.URL(), Subject: "s-2", Worker: gus, WorkerName: "Gus Guest", Employer: "NHS Trust",
		Agency: "MH", Kind: "MH", HomeAgency: "CSC", ActingFor: "MH",
		Roles: []string{"mh-practitioner"}, Teams: []string{"perinatal"}, Client: "hub", ACR: "urn:kith:demo",
	}, p)

	w.change(t, func(tx pgx.Tx) error {
		n, err := w.directory.WithdrawAcceptance(t.Context(), tx, gus, "MH")
		if n != 3 {
			t.Errorf("%d withdrawn", n)
		}
		return err
	})
	wantRefused(t, w, token, identity.ErrNotAccepted)
	accept("MH", nil, 0, nil)
	wantRefused(t, w, token, identity.ErrNoRole)
}

// The directory may list a worker under an agency; where the issuer may speak
// for that agency by acceptance only, that is not enough.
func TestListingIsNoAcceptance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gus, err := w.directory.Worker(t.Context(), identity.WorkerID(tests, "gus"))
	if err != nil {
		t.Fatal(err)
	}
	gus.Agency = "MH"
	w.update(t, gus)
	wantRefused(t, w, w.signIn(t, w.csc, "guest"), identity.ErrNotAccepted)
}

func TestAgencyEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.signIn(t, w.mh, "mh-practitioner")
	f := w.file()
	f.Agencies[1].ActiveUntil = w.clock.day(0)
	w.load(t, f)
	if _, err := w.verifier.Verify(t.Context(), token); err != nil {
		t.Errorf("on its last day: %v", err)
	}
	w.clock.forward(24 * time.Hour)
	fresh, err := w.mh.Mint(map[string]any{"sub": "m-1", "client_id": "hub"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, fresh, identity.ErrAgencyEnded)
}

func (w *world) load(t *testing.T, f identity.File) identity.Loaded {
	t.Helper()
	done, err := identity.Load(t.Context(), w.pool, f, w.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestFileIsLoadedIdempotently(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := identity.WorkerID(tests, "sam")
	f := w.file()
	w.load(t, f)
	before, err := w.directory.Worker(t.Context(), sam)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(identity.Loaded{Agencies: 2, Workers: 3, UnchangedWorkers: 3}, w.load(t, f)); d != "" {
		t.Error(d)
	}
	after, err := w.directory.Worker(t.Context(), sam)
	if err != nil || after.Stamp != before.Stamp {
		t.Errorf("%v; the stamp moved from %d to %d", err, before.Stamp, after.Stamp)
	}

	// What the hub was told since stands against a file that says nothing new.
	w.change(t, func(tx pgx.Tx) error { return w.directory.SuspendWorker(t.Context(), tx, sam, true) })
	w.load(t, f)
	wantRefused(t, w, w.mint(t, nil), identity.ErrSuspended)

	w.clock.forward(time.Second)
	// A record that says something new counts, and a team that it no longer names ends.
	f.Workers[0].Teams = f.Workers[0].Teams[1:]
	f.Workers[0].Accepted = []identity.AcceptanceRecord{{Agency: "MH", Roles: []string{"practitioner"}}}
	if d := cmp.Diff(identity.Loaded{Agencies: 2, Workers: 3, Changed: 1, UnchangedWorkers: 2}, w.load(t, f)); d != "" {
		t.Error(d)
	}
	p, err := w.verifier.Verify(t.Context(), w.mint(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"FS2"}, p.Teams); d != "" || p.WorkerStamp <= after.Stamp {
		t.Errorf("stamp %d after %d, teams:\n%s", p.WorkerStamp, after.Stamp, d)
	}
	asMH := w.mint(t, map[string]any{"org": "MH", "groups": []string{"practitioner"}})
	if p, err := w.verifier.Verify(t.Context(), asMH); err != nil || p.ActingFor != "MH" {
		t.Errorf("accepted by the file: %v", err)
	}
	f.Workers[0].Accepted = nil
	w.load(t, f)
	wantRefused(t, w, asMH, identity.ErrNotAccepted)
}

func TestFileAllOrNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, spoil := range map[string]func(*identity.File){
		"an agency changes its kind": func(f *identity.File) { f.Agencies[1].Kind = "POL" },
		"an unknown agency":          func(f *identity.File) { f.Workers[2].Agency = "POL" },
		"another's case id": func(f *identity.File) {
			f.Workers[1].CaseIDs = []identity.CaseIDRecord{{Scheme: "liquid", Value: "77"}}
		},
		"one sign-in for two": func(f *identity.File) { f.Workers[1].Subject = "s-1" },
	} {
		f := w.file()
		f.Workers[0].Name = "Somebody Else"
		spoil(&f)
		_, err := identity.Load(t.Context(), w.pool, f, w.clock.now())
		if err == nil {
			t.Errorf("%s: taken", name)
		} else if names(err.Error(), "Sam", "Somebody", "Gus", "Mo Mental") {
			t.Errorf("%s: the error names somebody: %v", name, err)
		}
		k, err := w.directory.Worker(t.Context(), identity.WorkerID(tests, "sam"))
		if err != nil || k.Name != "Sam Social" {
			t.Errorf("%s: %v, half of it was written", name, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	f, err := identity.ReadFile(strings.NewReader(`
partnership: {code: borough, name: Borough, desk_name: Desk, desk_phone: "1", mash_phone: "2", out_of_hours: "3"}
agencies:
  - {code: CSC, kind: CSC, name: Council, legal_controller: Borough Council, ico: Z1}
workers:
  - key: sam
    agency: CSC
    employer: Borough Council
    issuer: https://id.example
    subject: s-1
    name: Sam
    roles: [practitioner, manager, practitioner]
    active_until: 2030-01-31
    teams: [{team: FS1}, {team: FS2, cover: true, until: 2030-01-02T18:00:00Z}]
    accepted: [{agency: MH, roles: [mh-practitioner], until: 2030-01-31}]
    staff: {surname: Social}
    conflicts: [{family: 7b6cf6a2-5c3f-4f4e-9d4e-3a8f0a7f9b11, kind: neighbour}]
`))
	if err != nil {
		t.Fatal(err)
	}
	k := f.Workers[0]
	if k.ID != identity.WorkerID("borough", "sam") || k.Teams[0].Agency != "CSC" || f.Agencies[0].Feed != "none" ||
		!cmp.Equal(k.Roles, []string{"manager", "practitioner"}) || k.Conflicts[0].Family == uuid.Nil {
		t.Errorf("%#v", struct{ identity.File }{f}.Workers)
	}

	_, err = identity.ReadFile(strings.NewReader(`
partnership: {code: "no code!"}
agencies:
  - {code: csc, kind: CSC, name: Council, legal_controller: Borough Council, ico: Z1}
  - {code: MH, kind: MH, name: Trust, legal_controller: NHS, feed: hourly}
workers:
  - {key: a, agency: CSC, employer: E, name: N, roles: [system], issuer: i}
  - {key: a, agency: CSC, employer: E, name: N, teams: [{team: T, cover: true}], conflicts: [{kind: friend}]}
`))
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"no code!", `"csc"`, "ODS or ICO", "hourly", "system", "issuer and subject", "listed twice", "cover needs an end", "neither a person", "friend"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s in\n%v", want, err)
		}
	}
	if _, err := identity.ReadFile(strings.NewReader("partnership: {code: borough}\nworker: []")); err == nil {
		t.Error("an unknown key was taken")
	}
}

func TestAgenciesAndPartnership(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p, err := w.directory.Partnership(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(identity.Partnership{Code: tests, Name: "Borough", DeskName: "Desk", DeskPhone: "1", MashPhone: "2", OutOfHours: "3"}, p); d != "" {
		t.Error(d)
	}
	as, err := w.directory.Agencies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(as) != 2 || as[0].Code != "CSC" || as[0].ODS != "" || as[1].Feed != "late" || as[1].FeedLast == nil || as[1].ODS != "RXX" {
		t.Errorf("%+v", as)
	}
	if _, err := w.directory.Worker(t.Context(), uuid.New()); !errors.Is(err, identity.ErrNoSuchWorker) {
		t.Error(err)
	}
	ks, err := w.directory.Workers(t.Context(), "CSC")
	if err != nil || len(ks) != 2 || ks[0].Name != "Gus Guest" {
		t.Errorf("%v, %d", err, len(ks))
	}
}

func TestLastSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam := identity.WorkerID(tests, "sam")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { w.directory.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()

	read := func() *time.Time {
		k, err := w.directory.Worker(t.Context(), sam)
		if err != nil {
			t.Fatal(err)
		}
		return k.LastSeen
	}
	verify := func() {
		if _, err := w.verifier.Verify(t.Context(), w.mint(t, nil)); err != nil {
			t.Fatal(err)
		}
	}
	verify()
	deadline := time.Now().Add(10 * time.Second)
	for read() == nil {
		if time.Now().After(deadline) {
			t.Fatal("never written")
		}
		time.Sleep(5 * time.Millisecond)
	}
	first := *read()
	w.clock.forward(4 * time.Minute)
	verify()
	time.Sleep(100 * time.Millisecond)
	if !read().Equal(first) {
		t.Error("written again within 5 minutes")
	}
	w.clock.forward(2 * time.Minute)
	verify()
	for read().Equal(first) {
		if time.Now().After(deadline) {
			t.Fatal("not written after 5 minutes")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Without the directory nobody is let in, and the answer is not "refused".
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.mint(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.verifier.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	p, err := w.verifier.Verify(ctx, token)
	if r := (*identity.Refusal)(nil); err == nil || errors.As(err, &r) {
		t.Errorf("got %v", err)
	}
	diff(t, identity.Principal{}, p)
}
