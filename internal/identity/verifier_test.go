package identity_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/identity/issuer"
)

func TestPersonSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.verifier.Verify(t.Context(), w.signIn(t, w.csc, "social-worker"))
	if err != nil {
		t.Fatal(err)
	}
	if got.WorkerStamp < 1 {
		t.Error("no stamp")
	}
	got.WorkerStamp = 0
	want := identity.Principal{
		Partnership: tests, Issuer: w.csc.URL(), Subject: "s-1",
		Worker: identity.WorkerID(tests, "sam"), WorkerName: "Sam Social", Employer: "Borough Council",
		Agency: "CSC", Kind: "CSC", HomeAgency: "CSC",
		// The directory gives manager too, and the token asserts auditor: both must hold.
		Roles: []string{"practitioner"}, Teams: []string{"FS1", "FS2"}, Client: "hub", ACR: "urn:kith:demo",
	}
	diff(t, want, got)
}

func TestDirectoryRolesWhereTheIssuerAssertsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got, err := w.verifier.Verify(t.Context(), w.signIn(t, w.mh, "mh-practitioner"))
	if err != nil {
		t.Fatal(err)
	}
	// The directory also says auditor, which this issuer may not assert.
	if d := cmp.Diff([]string{"mh-practitioner", "practitioner"}, got.Roles); d != "" || got.Agency != "MH" || got.ActingFor != "" {
		t.Errorf("agency %s acting for %q, roles (-want +got):\n%s", got.Agency, got.ActingFor, d)
	}
}

func TestSystemSignsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, err := issuer.SignInSystem(t.Context(), w.csc.URL(), "system-csc", "shh")
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.verifier.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, identity.Principal{
		Partnership: tests, Issuer: w.csc.URL(), Subject: "system-csc", Agency: "CSC", Kind: "CSC", HomeAgency: "CSC",
		Roles: []string{identity.RoleSystem}, Client: "system-csc", System: true,
	}, got)
	// A system can't become a person of the directory by naming one, nor another agency's.
	for _, claims := range []map[string]any{
		{"sub": "s-1", "client_id": "system-csc", "groups": []string{"SW", "manager"}},
		{"sub": "s-1", "client_id": "system-csc", "org": "council"},
	} {
		token, err := w.csc.Mint(claims)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.verifier.Verify(t.Context(), token)
		if err != nil || !p.System || p.Worker != uuid.Nil || !cmp.Equal(p.Roles, []string{"system"}) {
			t.Errorf("claims %v: %v, system %v, roles %v", claims, err, p.System, p.Roles)
		}
	}
	token, err = w.csc.Mint(map[string]any{"sub": "system-csc", "client_id": "system-csc", "org": "MH"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, token, identity.ErrSystemAgency)
}

func TestClaimsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := []struct {
		name    string
		changed map[string]any
		want    *identity.Refusal
	}{
		{"issuer with a slash", map[string]any{"iss": w.csc.URL() + "/"}, identity.ErrIssuer},
		{"issuer in capitals", map[string]any{"iss": strings.ToUpper(w.csc.URL())}, identity.ErrIssuer},
		{"no issuer", map[string]any{"iss": nil}, identity.ErrIssuer},
		{"issuer as a list", map[string]any{"iss": []string{w.csc.URL()}}, identity.ErrIssuer},
		{"another trusted issuer's name", map[string]any{"iss": w.mh.URL()}, identity.ErrAlgorithm},
		{"another audience", map[string]any{"aud": "https://elsewhere.example"}, identity.ErrAudience},
		{"audience of ours and another", map[string]any{"aud": []string{audience, "https://elsewhere.example"}}, identity.ErrAudience},
		{"audience that contains ours", map[string]any{"aud": audience + "/v2"}, identity.ErrAudience},
		{"no audience", map[string]any{"aud": nil}, identity.ErrAudience},
		{"empty audiences", map[string]any{"aud": []string{}}, identity.ErrAudience},
		{"unknown client", map[string]any{"client_id": "elsewhere"}, identity.ErrClient},
		{"no client", map[string]any{"client_id": nil}, identity.ErrClient},
		{"client and party differ", map[string]any{"azp": "elsewhere"}, identity.ErrClient},
		{"client in capitals", map[string]any{"client_id": "HUB"}, identity.ErrClient},
		{"run out", map[string]any{"iat": w.clock.in(-20 * time.Minute), "exp": w.clock.in(-10 * time.Minute)}, identity.ErrExpired},
		{"no end", map[string]any{"exp": nil}, identity.ErrClaims},
		{"no start", map[string]any{"iat": nil}, identity.ErrClaims},
		{"end as text", map[string]any{"exp": "2099-01-01"}, identity.ErrClaims},
		{"end beyond all time", map[string]any{"exp": 1e300}, identity.ErrClaims},
		{"negative start", map[string]any{"iat": -1}, identity.ErrClaims},
		{"issued in 10 minutes", map[string]any{"iat": w.clock.in(10 * time.Minute), "exp": w.clock.in(20 * time.Minute)}, identity.ErrIssuedInFuture},
		{"valid in 10 minutes", map[string]any{"nbf": w.clock.in(10 * time.Minute)}, identity.ErrNotYetValid},
		{"lives two hours", map[string]any{"exp": w.clock.in(2 * time.Hour)}, identity.ErrLifetime},
		{"no subject", map[string]any{"sub": nil}, identity.ErrSubject},
		{"subject as a number", map[string]any{"sub": 1}, identity.ErrSubject},
		{"subject with a line break", map[string]any{"sub": "s-1\n"}, identity.ErrSubject},
		{"subject with a right-to-left mark", map[string]any{"sub": "s-1\u202e"}, identity.ErrSubject},
		{"no agency", map[string]any{"org": nil}, identity.ErrAgencyClaim},
		{"agencies", map[string]any{"org": []string{"council", "MH"}}, identity.ErrAgencyClaim},
		{"agency that the issuer may not speak for", map[string]any{"org": "POL"}, identity.ErrAgencyNotBound},
		{"agency by its code where a value is configured", map[string]any{"org": "CSC"}, identity.ErrAgencyNotBound},
		{"agency by acceptance without one", map[string]any{"org": "MH"}, identity.ErrNotAccepted},
		{"unknown worker", map[string]any{"sub": "s-99"}, identity.ErrUnknownWorker},
		{"other realm's subject", map[string]any{"sub": "m-1"}, identity.ErrUnknownWorker},
		{"subject in capitals", map[string]any{"sub": "S-1"}, identity.ErrUnknownWorker},
		{"no roles", map[string]any{"groups": nil}, identity.ErrNoRole},
		{"roles of others", map[string]any{"groups": []string{"auditor", "admin", "system", "privacy-officer"}}, identity.ErrNoRole},
		{"roles as an object", map[string]any{"groups": map[string]any{"SW": true}}, identity.ErrClaims},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, w, w.mint(t, c.changed), c.want)
		})
	}
}

func TestClaimsThatPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cases := map[string]map[string]any{
		"as it is":               {},
		"clock 20 s behind":      {"iat": w.clock.in(20 * time.Second), "exp": w.clock.in(10 * time.Minute)},
		"clock 20 s ahead":       {"iat": w.clock.in(-5 * time.Minute), "exp": w.clock.in(-20 * time.Second)},
		"valid in 20 s":          {"nbf": w.clock.in(20 * time.Second)},
		"audience as a list":     {"aud": []string{audience}},
		"client as party":        {"client_id": nil, "azp": "hub"},
		"client and party agree": {"azp": "hub"},
		"role as a text":         {"groups": "SW"},
		"a fraction of a second": {"exp": float64(w.clock.in(time.Minute)) + 0.5},
	}
	for name, changed := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p, err := w.verifier.Verify(t.Context(), w.mint(t, changed)); err != nil || p.Agency != "CSC" {
				t.Errorf("%v, agency %q", err, p.Agency)
			}
		})
	}
}

// A token speaks of its own time: the same one is good, then bad.
func TestClockMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.mint(t, map[string]any{"exp": w.clock.in(5 * time.Minute)})
	for _, step := range []struct {
		forward time.Duration
		want    *identity.Refusal
	}{{0, nil}, {5*time.Minute + 20*time.Second, nil}, {15 * time.Second, identity.ErrExpired}, {-20 * time.Minute, identity.ErrIssuedInFuture}} {
		w.clock.forward(step.forward)
		_, err := w.verifier.Verify(t.Context(), token)
		if step.want == nil && err != nil || step.want != nil && !errors.Is(err, step.want) {
			t.Errorf("after %s: %v, want %v", step.forward, err, step.want)
		}
	}
}

func TestNothingPersonalIsPrinted(t *testing.T) {
	t.Parallel()
	p := identity.Principal{WorkerName: "Sam Social", Subject: "s-1", Agency: "CSC", Employer: "Borough Council", Teams: []string{"FS1"}}
	wk := identity.Worker{Name: "Sam Social", Subject: "s-1"}
	rec := identity.WorkerRecord{Name: "Sam Social", Subject: "s-1"}
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("x", "principal", p, "worker", wk, "record", rec, "pointer", &p)
	for _, v := range []any{p, &p, wk, &wk, rec, &rec, []identity.Principal{p}} {
		fmt.Fprintf(&b, "%v %+v %#v %s\n", v, v, v, v)
	}
	if names(b.String(), "Sam", "Social", "s-1", "FS1") {
		t.Errorf("printed: %s", b.String())
	}
}

func wantRefused(t *testing.T, w *world, token string, want *identity.Refusal) {
	t.Helper()
	p, err := w.verifier.Verify(t.Context(), token)
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if err != nil && names(err.Error(), "Sam", "s-1", "m-1") {
		t.Errorf("the error names somebody: %v", err)
	}
	diff(t, identity.Principal{}, p)
}

// diff compares principals field by field: they print as nothing.
func diff(t *testing.T, want, got identity.Principal) {
	t.Helper()
	type open identity.Principal // without its String
	if d := cmp.Diff(open(want), open(got)); d != "" {
		t.Errorf("principal (-want +got):\n%s", d)
	}
}
