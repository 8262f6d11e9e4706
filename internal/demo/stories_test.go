package demo

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres/pgtest"
	"kith/policies"
)

// town is a filled borough with a door, for asking as the demo's people.
type town struct {
	door    *disclosure.Door
	stories map[string]Story
	people  map[string]Account
}

func newTown(t *testing.T) town {
	t.Helper()
	ctx := t.Context()
	db := pgtest.New(t)
	conn := connect(t, db)
	now := time.Now()
	if _, err := Fill(ctx, conn, Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	bundle, err := policy.Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := policy.Publish(ctx, tx, Partnership, bundle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	app := db.Pool(t, "app")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(app, &audit.Signer{Partnership: Partnership, Replica: "test", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	versions := policy.NewVersions(app, policy.Options{Deadline: 2 * time.Second}, 1)
	town := town{stories: map[string]Story{}, people: map[string]Account{}, door: &disclosure.Door{Pool: app, Recorder: recorder, Policy: versions.At, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Desk: func(context.Context) (disclosure.Desk, error) { return disclosure.Desk{}, nil }}}
	for _, s := range Stories(DefaultSeed) {
		town.stories[s.Key] = s
	}
	for _, a := range Accounts(DefaultSeed) {
		if a.Sign != "" {
			town.people[a.Sign] = a
		}
	}
	return town
}

// ask reads a story's family as somebody; children are keys of the story's people.
func (w town) ask(t *testing.T, who, story, purpose string, children ...string) (disclosure.View, string) {
	t.Helper()
	a, s := w.people[who], w.stories[story]
	if a.Sign == "" || s.Key == "" {
		t.Fatalf("no %s or no %s", who, story)
	}
	p := identity.Principal{Partnership: Partnership, Subject: a.Subject, Worker: a.Worker, WorkerName: a.Name, Agency: a.Agency, HomeAgency: a.Agency, Kind: a.Kind,
		Roles: slices.Sorted(slices.Values(a.Roles)), Client: CommandClient}
	for _, seat := range a.teams {
		if seat.agency == a.Agency {
			p.Teams = append(p.Teams, seat.team)
		}
	}
	// The directory's stamp: teams and register entries raise it as they are written.
	if err := w.door.Pool.QueryRow(t.Context(), `SELECT stamp FROM kith.worker WHERE id = $1`, a.Worker).Scan(&p.WorkerStamp); err != nil {
		t.Fatal(err)
	}
	req := disclosure.Request{Family: s.ID, Purpose: purpose, Reason: "a test", RequestID: uuid.NewString()}
	for _, c := range children {
		req.Children = append(req.Children, ids{DefaultSeed}.of("person", story+"/"+c))
	}
	view, err := w.door.Read(t.Context(), p, req)
	var refused *disclosure.Refusal
	if errors.As(err, &refused) {
		return view, refused.Code
	}
	if err != nil {
		t.Fatalf("%s reads %s for %s: %v", who, story, purpose, err)
	}
	return view, ""
}

func shown(t *testing.T, v disclosure.View) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func sections(v disclosure.View) map[string]int {
	out := map[string]int{}
	for _, s := range v.Sections {
		out[s.Section] = len(s.Entries)
	}
	return out
}

// Each story shows what its text says, decided by the shipped policy.
func TestStoriesShowWhatTheySay(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, c := range []struct {
		story, who, purpose string
		children            []string
		refused             string
		has, lacks          []string // sections
		says, silent        []string // texts
	}{
		{story: "trio", who: "mh-practitioner", purpose: "FS", has: []string{"mh-clinical", "therapy-notes", "sm-risk"}, lacks: []string{"police-intelligence-p"}},
		{story: "trio", who: "detective", purpose: "FS", has: []string{"police-events", "da-risk"}, lacks: []string{"mh-clinical", "mh-risk", "sm-clinical", "therapy-notes"}},
		{story: "trio", who: "perpetrator-practitioner", purpose: "FS", has: []string{"da-perpetrator-work"}, lacks: []string{"da-victim-safety", "usual-address", "police-events", "marac", "education", "child-health"}},
		{story: "fleeing", who: "idva", purpose: "FS", has: []string{"protected-address"}, says: []string{"Rowan House"}},
		{story: "fleeing", who: "social-worker", purpose: "FS", lacks: []string{"protected-address"}, silent: []string{"Saltmere", "Rowan House"}},
		{story: "fleeing", who: "mh-practitioner", purpose: "CP", lacks: []string{"protected-address"}, silent: []string{"Saltmere", "Rowan House"}},
		{story: "fleeing", who: "perpetrator-practitioner", purpose: "FS", lacks: []string{"protected-address", "da-victim-safety", "education", "child-health"}, silent: []string{"Saltmere", "castle", "Hartnell"}},
		{story: "fleeing", who: "probation-officer", purpose: "FS", lacks: []string{"protected-address", "da-victim-safety"}, silent: []string{"Saltmere", "Hartnell"}},
		{story: "both-parents", who: "mh-practitioner", purpose: "FS", has: []string{"police-events"}},
		{story: "both-parents", who: "probation-officer", purpose: "FS", lacks: []string{"police-events", "da-victim-safety", "usual-address"}},
		{story: "cross", who: "probation-officer", purpose: "FS", lacks: []string{"da-victim-safety"}},
		{story: "harmed-here", who: "social-worker", purpose: "FS", silent: []string{"Pettit", "Mill Court"}},
		{story: "harmed-here", who: "mh-practitioner", purpose: "FS", has: []string{"police-events"}},
		{story: "abuser-there", who: "mh-practitioner", purpose: "FS", lacks: []string{"police-events", "da-victim-safety", "usual-address"}},
		{story: "abuser-there", who: "perpetrator-practitioner", purpose: "FS", lacks: []string{"police-events", "da-victim-safety", "child-health"}},
		{story: "code-c", who: "social-worker", purpose: "CP", has: []string{"police-intelligence-p"}, lacks: []string{"police-intelligence-c"}, silent: []string{"firearm", "Technical product"}},
		{story: "marac", who: "idva", purpose: "MR", has: []string{"marac"}},
		{story: "marac", who: "social-worker", purpose: "FS", lacks: []string{"marac"}, silent: []string{"before the hearing"}},
		{story: "marac", who: "perpetrator-practitioner", purpose: "MR", refused: "no-agreement"},
		{story: "recognition", who: "social-worker", purpose: "CP", lacks: []string{"earlier-identity", "restricted-health"}, silent: []string{"Robert"}},
		{story: "recognition", who: "detective", purpose: "CP", lacks: []string{"earlier-identity", "restricted-health"}, silent: []string{"Robert"}},
		{story: "adopted", who: "team-manager", purpose: "FS", says: []string{"Fenton"}},
		{story: "adopted", who: "social-worker", purpose: "CP", lacks: []string{"adoption-links"}, silent: []string{"Fenton"}},
		{story: "adopted", who: "mh-practitioner", purpose: "CP", silent: []string{"Fenton", "adoption"}},
		{story: "adoptive", who: "mh-practitioner", purpose: "CP", silent: []string{"Hobbs", "Noah"}},
		{story: "staff-parent", who: "family-support-worker", purpose: "FS", refused: "not-found"},
		{story: "staff-parent", who: "mh-practitioner", purpose: "FS", has: []string{"mh-risk"}},
		{story: "neighbour", who: "health-visitor", purpose: "FS", refused: "not-found"},
		{story: "twins", who: "social-worker", purpose: "FS", says: []string{"Yusuf", "Yunus"}},
		{story: "twins", who: "social-worker", purpose: "CP", lacks: []string{"restricted-health"}},
		{story: "unborn", who: "social-worker", purpose: "FS", says: []string{"pre-birth"}},
		{story: "unborn", who: "housing-officer", purpose: "CP", silent: []string{"pre-birth", "antenatal", "Baby"}},
		{story: "unborn", who: "safeguarding-lead", purpose: "CP", silent: []string{"pre-birth", "antenatal", "Baby"}},
		{story: "unborn", who: "probation-officer", purpose: "CP", silent: []string{"pre-birth", "antenatal", "Baby"}},
		{story: "two-homes-mum", who: "social-worker", purpose: "FS", silent: []string{"Kowalska", "Granary"}},
		{story: "half-siblings", who: "social-worker", purpose: "CP", children: []string{"tyler"}, silent: []string{"Neil"}},
		{story: "young-mother", who: "social-worker", purpose: "LC", children: []string{"chloe"}, silent: []string{"sertraline", "fluoxetine", "olanzapine", "mirtazapine"}},
		{story: "consent", who: "mh-practitioner", purpose: "EH", lacks: []string{"childs-story", "case-summary", "sm-risk"}},
		{story: "consent", who: "mh-practitioner", purpose: "CP", has: []string{"childs-story", "mh-risk"}},
		{story: "repeats", who: "safeguarding-lead", purpose: "FS", silent: []string{"lithium", "Sidings"}},
		{story: "repeats", who: "health-visitor", purpose: "FS", silent: []string{"lithium", "Sidings", "typed from the car"}},
		{story: "cover", who: "emergency-duty", purpose: "FS", has: []string{"childs-story"}},
		{story: "cover", who: "social-worker", purpose: "FS", refused: "not-found"},
		{story: "expiring", who: "housing-officer", purpose: "FS", has: []string{"housing"}},
		{story: "encompass", who: "safeguarding-lead", purpose: "OE", has: []string{"police-events"}, lacks: []string{"mh-risk", "care-status"}, silent: []string{"arrest"}},
		{story: "front-door-red", who: "mash-officer", purpose: "FD", has: []string{"childs-story", "police-events"}},
		{story: "front-door-green", who: "mash-officer", purpose: "FD", has: []string{"identity"}, lacks: []string{"childs-story", "mh-risk"}},
		{story: "family-help", who: "safeguarding-lead", purpose: "EH", has: []string{"identity", "childs-story"}, lacks: []string{"mh-risk", "mh-involvement", "sm-risk"}},
		{story: "care", who: "social-worker", purpose: "LC", says: []string{"psychiatrist"}, lacks: []string{"mh-clinical", "sm-clinical"}},
		{story: "care", who: "emergency-duty", purpose: "LC", silent: []string{"psychiatrist"}},
		{story: "restricted", who: "detective", purpose: "FS", refused: "not-found"},
		{story: "closed", who: "mh-practitioner", purpose: "FS", refused: "not-found"},
		{story: "trio", who: "outsider", purpose: "FS", refused: "no-agreement"},
		{story: "trio", who: "auditor", purpose: "FS", refused: "role"},
		{story: "overdue", who: "emergency-duty", purpose: "VI", refused: "emergency"},
		{story: "linked-wrongly", who: "social-worker", purpose: "CP", says: []string{"hostel"}},
		{story: "linked-wrongly", who: "sm-practitioner", purpose: "CP", says: []string{"hostel"}},
	} {
		t.Run(c.story+"/"+c.who+"/"+c.purpose, func(t *testing.T) {
			t.Parallel()
			view, refused := w.ask(t, c.who, c.story, c.purpose, c.children...)
			if refused != c.refused {
				t.Fatalf("refused %q, want %q", refused, c.refused)
			}
			there, words := sections(view), shown(t, view)
			for _, s := range c.has {
				if there[s] == 0 {
					t.Errorf("%s is not shown; shown: %v", s, there)
				}
			}
			for _, s := range c.lacks {
				if there[s] > 0 {
					t.Errorf("%s is shown", s)
				}
			}
			for _, s := range c.says {
				if !strings.Contains(words, s) {
					t.Errorf("does not say %q", s)
				}
			}
			for _, s := range c.silent {
				if strings.Contains(words, s) {
					t.Errorf("says %q", s)
				}
			}
		})
	}
}

// The accounts of one event stand side by side, each with its owner.
func TestOneEventIsToldThreeWays(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	view, refused := w.ask(t, "idva", "three-ways", "CP")
	if refused != "" {
		t.Fatal(refused)
	}
	owners := map[string]bool{}
	for _, s := range view.Sections {
		for _, e := range s.Entries {
			if e.AccountOf != nil {
				owners[e.Owner] = true
			}
		}
	}
	if !owners["POL"] || !owners["SCH"] || !owners["DV"] {
		t.Errorf("accounts of the event by %v, want POL, SCH and DV", owners)
	}
}

// Every professional demo name can open many story families under FS, and some
// are closed to it.
func TestManyFamiliesForEveryProfession(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	for _, who := range []string{"social-worker", "team-manager", "emergency-duty", "mh-practitioner", "sm-practitioner", "idva", "perpetrator-practitioner", "detective",
		"health-visitor", "safeguarding-lead", "probation-officer", "housing-officer"} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			open, shut := 0, 0
			for key := range w.stories {
				if _, refused := w.ask(t, who, key, "FS"); refused == "" {
					open++
				} else {
					shut++
				}
			}
			if open < 20 || shut < 3 {
				t.Errorf("%d families open and %d closed, want 20 and 3 or more", open, shut)
			}
		})
	}
}
