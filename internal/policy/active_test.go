package policy

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/policies"
)

func TestZeroDecisionShowsNothing(t *testing.T) {
	t.Parallel()
	var d Decision
	if d.Allow || len(d.Entries) > 0 || (Entry{}).Level != Hidden || (Entry{}).Holder {
		t.Errorf("the zero decision shows something: %+v", d)
	}
	if Level(77).String() != "hidden" {
		t.Error("what is no level must read as hidden")
	}
}

// A malformed input is refused before any rule reads it.
func TestMalformedInputDenies(t *testing.T) {
	t.Parallel()
	a := compileDefault(t)
	for name, breakIt := range map[string]func(*Input){
		"no version":     func(in *Input) { in.V = 0 },
		"no date":        func(in *Input) { in.Date = "" },
		"date in words":  func(in *Input) { in.Date = "tomorrow" },
		"entry's day":    func(in *Input) { in.Tuples[0].From = "2026-13-01" },
		"entry's end":    func(in *Input) { in.Tuples[0].Until = "9" },
		"protected":      func(in *Input) { in.People["mum"] = Person{Protected: "since May"} },
		"near":           func(in *Input) { in.People["kim"].Near["mum"][0].From = "2026/01/01" },
		"agreement":      func(in *Input) { in.Agreements["isa-mash"] = Agreement{End: "zzzz"} },
		"nothing at all": func(in *Input) { *in = Input{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := typicalInput(a.Version())
			breakIt(&in)
			d, err := a.Decide(context.Background(), in)
			if err == nil || d.Allow || d.Refusal != RefusalError || d.Entries != nil {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
}

// The engine's value and the recorded JSON form are one input: a replay reads
// what was decided.
func TestInputValueIsTheRecordedForm(t *testing.T) {
	t.Parallel()
	a := compileDefault(t)
	in := typicalInput(a.Version())
	in.Grants = []Grant{{ID: "g1", Person: "mum", BreakGlass: true, Approved: true}, {ID: "g2", Section: "marac", Person: "mum", Level: "full"}}
	in.Request.Children = []string{"kim"}
	in.Tuples[0] = Tuple{
		Section: "police-events", Owner: "POL", Sensitivity: 2, Source: "fact", Handling: "C", Existence: true,
		About: []string{"mum"}, Mentions: []string{"dad"}, Narrative: true, Tagged: true, Contains: []string{"housing"},
		Flags: []string{"onward"}, From: "2026-01-01", Until: "2026-01-02", Full: true, Summary: true, Schema: "x/1", Fields: []string{"f"},
	}
	mum := in.People["mum"]
	mum.Protected, mum.Agreed, mum.Rating, mum.Told = "2026-01-01", "agreed", "red", true
	in.People["mum"] = mum
	if err := sameAsJSON(a.names.input(in), in); err != nil {
		t.Error(err)
	}
}

// Kept decisions are kept by the whole input and the digest: whatever changes
// in the input, the answer is the one of a hub that keeps nothing.
func TestKeptDecisionsAreKeyedByEverything(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	keeping, err := Compile(version, nil, Options{Keep: 64, Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	forgetting := compileDefault(t)
	base := typicalInput(version)
	changes := map[string]func(*Input){
		"nothing":   func(*Input) {},
		"date":      func(in *Input) { in.Date = "2031-01-01" },
		"role":      func(in *Input) { in.Caller.Roles = nil },
		"named":     func(in *Input) { in.Caller.Named = true },
		"purpose":   func(in *Input) { in.Request.Purpose = "CP" },
		"children":  func(in *Input) { in.Request.Children = []string{"nobody"} },
		"agreement": func(in *Input) { delete(in.Agreements, "isa-family-safeguarding") },
		"party":     func(in *Input) { in.Parties["SM"] = Party{} },
		"person":    func(in *Input) { in.People["dad"] = Person{Restricted: true} },
		"grant":     func(in *Input) { in.Grants = []Grant{{ID: "g", Section: "third-party", Person: "kim", Level: "full"}} },
		"giver": func(in *Input) {
			in.Grants = []Grant{{ID: "g", Section: "third-party", Person: "kim", Level: "full", Giver: "MH", GiverKind: "MH"}}
		},
		"giver's kind": func(in *Input) {
			in.Grants = []Grant{{ID: "g", Section: "third-party", Person: "kim", Level: "full", Giver: "MH", GiverKind: "SM"}}
		},
		"tuple": func(in *Input) { in.Tuples[1].Sensitivity = 4 },
		"order": func(in *Input) { in.Tuples[0], in.Tuples[5] = in.Tuples[5], in.Tuples[0] },
	}
	keys := map[string]string{}
	for round := range 2 { // the second round is answered from what was kept
		for name, change := range changes {
			in := typicalInput(version)
			change(&in)
			got := mustDecide(t, keeping, in)
			if want := mustDecide(t, forgetting, in); !cmp.Equal(got, want) {
				t.Errorf("round %d, changed %s: %s", round, name, cmp.Diff(want, got))
			}
			key, err := keeping.key(in)
			if err != nil {
				t.Fatal(err)
			}
			keys[string(key[:])] = name
		}
	}
	if len(keys) != len(changes) {
		t.Errorf("%d keys for %d inputs", len(keys), len(changes))
	}
	if n := keeping.kept.Len(); n != len(changes) {
		t.Errorf("%d decisions kept, want %d", n, len(changes))
	}

	first := mustDecide(t, keeping, base)
	for i := range first.Entries {
		first.Entries[i] = Entry{Level: Full, Part: "full"}
	}
	if second := mustDecide(t, keeping, base); cmp.Equal(first, second) {
		t.Error("a caller can change a kept decision")
	}
	other := *keeping.version
	other.Digest[0] ^= 1
	moved := &Active{version: &other}
	a, _ := keeping.key(base)
	if b, _ := moved.key(base); a == b {
		t.Error("the key does not hold the digest")
	}
}

func TestBundleRoundTrip(t *testing.T) {
	t.Parallel()
	packed, err := Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := packed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := LoadBundle(encoded)
	if err != nil {
		t.Fatal(err)
	}
	again, err := loaded.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(encoded) != string(again) || packed.Digest() != loaded.Digest() {
		t.Error("a loaded bundle is another one")
	}
	active, err := Activate(loaded, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	if active.Digest() != packed.Digest() || active.Version().Digest != packed.Digest() {
		t.Error("an activated version has another digest than its bundle")
	}
	in := typicalInput(active.Version())
	if diff := cmp.Diff(mustDecide(t, compileDefault(t), in), mustDecide(t, active, in)); diff != "" {
		t.Error("a stored version decides otherwise:", diff)
	}
}

// Every byte of a version is under its digest.
func TestDigestCoversEverything(t *testing.T) {
	t.Parallel()
	seen := map[Digest]string{}
	for name, change := range map[string]func(*Bundle){
		"nothing":       func(*Bundle) {},
		"matrix":        func(b *Bundle) { b.Files["matrix/marac.yaml"] = append(b.Files["matrix/marac.yaml"], '\n') },
		"story":         func(b *Bundle) { b.Files["stories/new.yaml"] = []byte("title: x\n") },
		"kernel":        func(b *Bundle) { b.Files["kernel/wall.rego"] = append(b.Files["kernel/wall.rego"], '\n') },
		"kernel's file": func(b *Bundle) { delete(b.Files, "kernel/wall.rego") },
		"engine":        func(b *Bundle) { b.Engine = "opa 0" },
		"moved bytes": func(b *Bundle) {
			b.Files["note"], b.Files["version.yaml"] = b.Files["version.yaml"], []byte{}
		},
	} {
		b, err := Pack(policies.Default())
		if err != nil {
			t.Fatal(err)
		}
		change(&b)
		if before, ok := seen[b.Digest()]; ok {
			t.Errorf("%s has the digest of %s", name, before)
		}
		seen[b.Digest()] = name
	}
}

func TestBadBundles(t *testing.T) {
	t.Parallel()
	for name, encoded := range map[string]string{
		"no JSON":       `PK`,
		"other format":  `{"format":"x","engine":"","files":{}}`,
		"unknown field": `{"format":"kith-policy/1","engine":"","files":{},"more":1}`,
		"path outside":  `{"format":"kith-policy/1","engine":"","files":{"../x":""}}`,
		"absolute path": `{"format":"kith-policy/1","engine":"","files":{"/etc/x":""}}`,
	} {
		if _, err := LoadBundle([]byte(encoded)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Activate(Bundle{Format: bundleFormat, Files: map[string][]byte{}}, Options{}); err == nil {
		t.Error("a version without files was activated")
	}
}

// A stored version decides with the kernel that was approved with it; without
// one it cannot be activated.
func TestActivateNeedsTheStoredKernel(t *testing.T) {
	t.Parallel()
	b, err := Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	for name := range b.Files {
		if strings.HasPrefix(name, kernelFolder) {
			delete(b.Files, name)
		}
	}
	if _, err := Activate(b, Options{}); err == nil {
		t.Error("activated without a kernel")
	}
}

// One Active answers many requests at once; run with -race.
func TestDecideConcurrently(t *testing.T) {
	t.Parallel()
	a := compileDefault(t)
	in := typicalInput(a.Version())
	want := mustDecide(t, a, in)
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for range 20 {
				if diff := cmp.Diff(want, mustDecide(t, a, in)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}
