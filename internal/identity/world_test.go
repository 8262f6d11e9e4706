package identity_test

import (
	"context"
	"crypto/rand"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const (
	audience = "https://kith.example/api"
	tests    = "borough"
)

// clock is a clock that a test can move. One of newClock stands still between
// moves, so that no test depends on how fast the machine is; the zero one runs,
// for tests whose times the database compares with its own.
type clock struct {
	start func() time.Time
	ahead atomic.Int64
}

func newClock() *clock { return &clock{start: sync.OnceValue(time.Now)} }

func (c *clock) now() time.Time {
	start := time.Now
	if c.start != nil {
		start = c.start
	}
	return start().Add(time.Duration(c.ahead.Load()))
}

func (c *clock) forward(d time.Duration)  { c.ahead.Add(int64(d)) }
func (c *clock) day(days int) *time.Time  { t := c.now().AddDate(0, 0, days); return &t }
func (c *clock) in(d time.Duration) int64 { return c.now().Add(d).Unix() }

// world is a hub's identity with two issuers: the council's (csc), which may
// also sign in those whom MH accepted, and the trust's (mh).
type world struct {
	clock     *clock
	provider  *issuer.Provider
	csc, mh   *issuer.RealmState
	pool      *pgxpool.Pool
	directory *identity.Directory
	verifier  *identity.Verifier
	config    identity.Config
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: newClock()}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	people := issuer.Client{ID: "hub", RedirectURIs: []string{issuer.CommandRedirect}}
	w.provider, err = issuer.New(issuer.Config{
		Demo: true, URL: "http://" + ln.Addr().String(), Now: w.clock.now, Random: rand.Reader,
		Realms: []issuer.Realm{
			{
				Name: "csc", Title: "Council", Audiences: []string{audience},
				People: []issuer.Person{
					{Key: "social-worker", Subject: "s-1", Name: "Sam Social", Claims: map[string]any{"org": "council", "groups": []string{"SW", "everyone", "auditor"}}},
					{Key: "guest", Subject: "s-2", Name: "Gus Guest", Claims: map[string]any{"org": "MH", "groups": []string{"mh-practitioner", "practitioner"}}},
				},
				Clients: []issuer.Client{people, {ID: "system-csc", Secret: "shh", System: true}},
			},
			{
				Name: "mh", Title: "Trust", Audiences: []string{audience}, Algorithm: "RS256",
				People:  []issuer.Person{{Key: "mh-practitioner", Subject: "m-1", Name: "Mo Mental"}},
				Clients: []issuer.Client{people},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := w.provider.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-served })
	w.csc, w.mh = w.provider.Realm("csc"), w.provider.Realm("mh")

	w.pool = pgtest.New(t).Pool(t, "app")
	if _, err := identity.Load(t.Context(), w.pool, w.file(), w.clock.now()); err != nil {
		t.Fatal(err)
	}
	w.config = identity.Config{
		Partnership: tests,
		DormantDays: 60,
		Issuers: []identity.IssuerConfig{
			{
				URL: w.csc.URL(), Audiences: []string{audience}, Clients: []string{"hub"},
				Claims: identity.ClaimNames{Agency: "org", Roles: "groups"},
				Roles:  map[string]string{"SW": "practitioner"},
				Agencies: []identity.AgencyBinding{
					{Agency: "CSC", Values: []string{"council"}, Roles: []string{"practitioner", "manager"}},
					{Agency: "MH", AcceptedOnly: true, Roles: []string{"practitioner", "mh-practitioner"}},
				},
				Systems: []identity.SystemClient{{Client: "system-csc", Agency: "CSC"}},
			},
			{
				URL: w.mh.URL(), Audiences: []string{audience}, Clients: []string{"hub"}, Algorithms: []string{"RS256"},
				Agencies: []identity.AgencyBinding{{Agency: "MH", Roles: []string{"practitioner", "mh-practitioner"}}},
			},
		},
	}
	w.directory = identity.NewDirectory(w.pool, tests, w.config.DormantDays, nil)
	w.verifier, err = identity.NewVerifier(w.config, identity.Options{Now: w.clock.now, Directory: w.directory})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) file() identity.File {
	return identity.File{
		Partnership: identity.PartnershipRecord{Code: tests, Name: "Borough", DeskName: "Desk", DeskPhone: "1", MashPhone: "2", OutOfHours: "3"},
		Agencies: []identity.AgencyRecord{
			{Code: "CSC", Kind: "CSC", Name: "Council", LegalController: "Borough Council", ICO: "Z1", Feed: "daily"},
			{Code: "MH", Kind: "MH", Name: "Trust", LegalController: "NHS Trust", ODS: "RXX", Feed: "late", FeedLast: w.clock.day(-2)},
		},
		Workers: []identity.WorkerRecord{
			{
				Key: "sam", Agency: "CSC", Employer: "Borough Council", Issuer: w.csc.URL(), Subject: "s-1", Name: "Sam Social",
				Roles:   []string{"practitioner", "manager"},
				CaseIDs: []identity.CaseIDRecord{{Scheme: "liquid", Value: "77"}},
				Teams: []identity.TeamRecord{
					{Team: "FS1"},
					{Team: "FS2", Cover: true, Until: w.clock.day(1)},
					{Team: "old", From: w.clock.day(-9), Until: w.clock.day(-1)},
				},
				Staff: &identity.StaffRecord{Surname: "Social"},
			},
			{
				Key: "gus", Agency: "CSC", Employer: "NHS Trust", Issuer: w.csc.URL(), Subject: "s-2", Name: "Gus Guest",
				Roles: []string{"practitioner"},
				Teams: []identity.TeamRecord{{Team: "FS1"}, {Agency: "MH", Team: "perinatal"}},
			},
			{
				Key: "mo", Agency: "MH", Employer: "NHS Trust", Issuer: w.mh.URL(), Subject: "m-1", Name: "Mo Mental",
				Roles: []string{"practitioner", "mh-practitioner", "auditor"},
			},
		},
	}
}

// signIn takes a token over HTTP, as a person would.
func (w *world) signIn(t *testing.T, realm *issuer.RealmState, person string) string {
	t.Helper()
	token, err := issuer.SignIn(t.Context(), realm.URL(), "hub", person)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// mint makes a good token of the social worker, with some claims changed.
func (w *world) mint(t *testing.T, changed map[string]any) string {
	t.Helper()
	token, err := w.csc.Mint(with(w.good(), changed))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) good() map[string]any {
	return map[string]any{"sub": "s-1", "client_id": "hub", "org": "council", "groups": []string{"SW"}}
}

func with(claims, changed map[string]any) map[string]any {
	for k, v := range changed {
		claims[k] = v
	}
	return claims
}

// names says whether a text holds one of the names.
func names(in string, all ...string) bool {
	for _, s := range all {
		if strings.Contains(in, s) {
			return true
		}
	}
	return false
}
