package policy

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asPolice asks of the typical family as a detective who works with its child.
func asPolice(v *Version) Input {
	in := typicalInput(v)
	in.Caller = Caller{Agency: "POL", Kind: "POL", Roles: []string{"detective"}, Active: true}
	kim := in.People["kim"]
	kim.Mine, kim.Ours = true, true
	in.People["kim"] = kim
	return in
}

func encoded(t testing.TB, in any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func play(t testing.TB, before, after Bundle) *Player {
	t.Helper()
	p, err := (Sandbox{Command: []string{os.Args[0], SandboxCommand}}).Play(t.Context(), before, after)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// What the child says is what both versions decide, entry by entry.
func TestReplayTellsWhatEachVersionDecides(t *testing.T) {
	t.Parallel()
	old, fresh := edited(t, nil), edited(t, map[string]func(string) string{
		"matrix/mh-involvement.yaml": withRow(policeSummary),
		"matrix/education.yaml":      without("  - {to: POL, purposes: [CN, CP], level: summary, clause: isa-family-safeguarding 4.13}"),
	})
	before, err := Activate(old, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	after, err := Activate(fresh, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	police, nurse, stranger := asPolice(before.Version()), typicalInput(before.Version()), typicalInput(before.Version())
	stranger.Caller.Agency, stranger.Caller.Kind = "HOU2", "HOU"
	there, back := play(t, old, fresh), play(t, fresh, old)
	inputs := []json.RawMessage{encoded(t, police), encoded(t, nurse), encoded(t, stranger), json.RawMessage(`{"v":7}`)}
	got, err := there.Ask(inputs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Ask(inputs)
	if err != nil {
		t.Fatal(err)
	}
	if len(got[0].Flips) == 0 || len(got[1].Flips)+len(got[2].Flips) > 0 || !got[3].Bad || got[0].Late {
		t.Errorf("police %+v, a nurse %+v, a stranger %+v, no input %+v", got[0], got[1], got[2], got[3])
	}
	was, is := mustDecide(t, before, police), mustDecide(t, after, police)
	said := map[int]Flip{}
	for _, f := range got[0].Flips {
		for _, i := range f.Tuples {
			if police.Tuples[i].Section != f.Section || police.Tuples[i].Owner != f.Owner {
				t.Errorf("entry %d is of %s: %+v", i, police.Tuples[i].Section, f)
			}
			said[i] = f
		}
	}
	for i := range police.Tuples {
		f, ok := said[i]
		switch {
		case was.Entries[i].Level != is.Entries[i].Level:
			if !ok || f.Before != was.Entries[i].Level.String() || f.After != is.Entries[i].Level.String() || f.Gain != (is.Entries[i].Level > was.Entries[i].Level) {
				t.Errorf("entry %d: %s then, %s now, and the replay says %+v", i, was.Entries[i].Level, is.Entries[i].Level, f)
			}
		case ok && !differs(was.Entries[i], is.Entries[i]):
			t.Errorf("entry %d does not differ, and the replay says %+v", i, f)
		}
	}
	// The other way round gives back what was taken.
	var turned []Flip
	for _, f := range again[0].Flips {
		turned = append(turned, Flip{Section: f.Section, Owner: f.Owner, Gain: !f.Gain, Before: f.After, After: f.Before, Tuples: f.Tuples})
	}
	slices.SortFunc(turned, func(a, b Flip) int { return slices.Compare(a.Tuples, b.Tuples) })
	forth := slices.Clone(got[0].Flips)
	slices.SortFunc(forth, func(a, b Flip) int { return slices.Compare(a.Tuples, b.Tuples) })
	if diff := cmp.Diff(forth, turned); diff != "" {
		t.Errorf("there and back differ:\n%s", diff)
	}
}

// A version that refuses what the other answers flips the request as a whole.
func TestReplayTellsOfRefusals(t *testing.T) {
	t.Parallel()
	v := shippedVersion(t)
	in := asPolice(v)
	before, after := Decision{Allow: true, Entries: make([]Entry, len(in.Tuples))}, Decision{Refusal: RefusalRole}
	before.Entries[3] = Entry{Level: Summary, Part: "summary"}
	got := flipsBetween(in, before, after)
	want := []Flip{{Before: "answered", After: "refused"}, {Section: in.Tuples[3].Section, Owner: in.Tuples[3].Owner, Before: "summary", After: "hidden", Tuples: []int{3}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A draft that needs for ever is late, which denies, and does not hold up the
// next question for ever either.
func TestReplayOfADraftThatIsLate(t *testing.T) {
	t.Parallel()
	endless := func(string) string {
		return `# METADATA
# title: it looks at everything again and again
package local.endless

lower contains {"entry": i, "level": "hidden"} if {
	some i, a in input.tuples
	some b in input.tuples
	some c in input.tuples
	some d in input.tuples
	some e in input.tuples
	some f in input.tuples
	count([a, b, c, d, e, f]) == 7
}
`
	}
	old := edited(t, nil)
	p := play(t, old, edited(t, map[string]func(string) string{"local/endless.rego": endless}))
	got, err := p.Ask([]json.RawMessage{encoded(t, asPolice(shippedVersion(t)))})
	if err != nil {
		t.Fatal(err)
	}
	if !got[0].Late || len(got[0].Flips) == 0 || got[0].Flips[0].After != "refused" {
		t.Errorf("got %+v", got)
	}
}

func TestAPlayerThatTakesTooMuchIsStopped(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"memory", "sleep", "output", "environment"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := Sandbox{Command: []string{os.Args[0], misbehave, how}, Wall: 20 * time.Second}
			if how == "sleep" {
				s.Wall = time.Second
			}
			if _, err := s.Play(t.Context(), edited(t, nil), edited(t, nil)); !errors.Is(err, ErrSandboxLimit) {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := (Sandbox{}).Play(t.Context(), edited(t, nil), edited(t, nil)); !errors.Is(err, ErrNoSandbox) {
		t.Errorf("got %v", err)
	}
}

func TestCountsBelowFiveAreNotTold(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 1: "fewer than 5", 4: "fewer than 5", 5: "5", 812: "812"} {
		c := CountOf(n)
		if c.String() != want || n > 0 && n < 5 && c.N != 4 {
			t.Errorf("%d is told as %s, %+v", n, c, c)
		}
	}
}

// A version that was starved for a moment takes nothing from anybody; one that
// is always late does, and is not waited for without end.
func TestAStarvedMomentIsNoLoss(t *testing.T) {
	t.Parallel()
	compiled := func(b Bundle, deadline time.Duration) *Active {
		t.Helper()
		a, err := Activate(b, Options{Deadline: deadline})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	old, fresh := edited(t, nil), edited(t, map[string]func(string) string{"matrix/mh-involvement.yaml": withRow(policeSummary)})
	question := []json.RawMessage{encoded(t, asPolice(shippedVersion(t)))}
	want, err := newReplayer(compiled(old, testDeadline), compiled(fresh, testDeadline)).replay(t.Context(), question)
	if err != nil || len(want[0].Flips) == 0 || want[0].Late {
		t.Fatalf("%+v, %v", want, err)
	}
	starved := newReplayer(compiled(old, time.Nanosecond), compiled(fresh, time.Nanosecond))
	got, err := starved.replay(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("starved for a moment it says otherwise:\n%s", diff)
	}
	starved.asked.Store(patientTimes)
	if got, err = starved.replay(t.Context(), question); err != nil || !got[0].Bad || len(got[0].Flips) > 0 {
		t.Errorf("out of patience with both: %+v, %v", got, err)
	}
	late := newReplayer(compiled(old, testDeadline), compiled(fresh, time.Nanosecond))
	late.asked.Store(patientTimes)
	if got, err = late.replay(t.Context(), question); err != nil || !got[0].Late || got[0].Bad {
		t.Errorf("out of patience with the draft: %+v, %v", got, err)
	}
}
