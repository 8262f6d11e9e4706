package policy

import (
	"context"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// withEleventhKind gives the shipped files and a general practice: a kind, a
// role, a section, rows and a party. Nothing of the program knows of it.
func withEleventhKind(t *testing.T) fstest.MapFS {
	t.Helper()
	files := copyDefault(t)
	added := os.DirFS("testdata/eleventh-kind")
	err := fs.WalkDir(added, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(added, name)
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	edit := func(file, old, new string) {
		t.Helper()
		text := string(files[file].Data)
		changed := text + new
		if old != "" {
			changed = strings.ReplaceAll(text, old, new)
		}
		if changed == text {
			t.Fatalf("%s does not hold %q", file, old)
		}
		files[file] = &fstest.MapFile{Data: []byte(changed)}
	}
	edit("kinds.yaml", "", "  - {code: GP, name: general practice, plain: true, wall: by-client, involvement: \"\", records: true, knows_unborn: true}\n")
	edit("roles.yaml", "", "  - {code: general-practitioner, name: general practitioner, kinds: [GP], records: true}\n")
	edit("purposes.yaml", "    letter: CN\n    open_work: [child-in-need, child-protection-plan]\n    clause: isa-family-safeguarding 5.3\n    relationship: involvement\n    reason: unless-allocated\n    roles: [",
		"    letter: CN\n    open_work: [child-in-need, child-protection-plan]\n    clause: isa-family-safeguarding 5.3\n    relationship: involvement\n    reason: unless-allocated\n    roles: [general-practitioner, ")
	edit("agreements/isa-family-safeguarding.yaml", "parties:\n",
		"parties:\n  - {agency: GP, role: controller, dpo: dpo@gp.example, signatory: Caldicott Guardian}\n")
	edit("matrix/identity.yaml", "", "  - {to: GP, purposes: [CN], level: full, clause: isa-family-safeguarding 4.1}\n")
	edit("matrix/usual-address.yaml", "", "  - {to: GP, purposes: [CN], level: full, clause: isa-family-safeguarding 4.1}\n")
	return files
}

// An eleventh kind of agency is added by files alone: it loads, the kernel
// decides for it as for any other, and the others see of it what the rows say.
func TestEleventhKind(t *testing.T) {
	t.Parallel()
	files := withEleventhKind(t)
	v, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	active, err := Compile(v, nil, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	stories, err := loadStories(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, told := files["stories/general-practice.yaml"]; !told || len(stories) < 2 {
		t.Fatal("the new kind's story is missing")
	}
	for _, s := range stories { // the old ones hold as before
		for _, f := range s.play(context.Background(), active) {
			t.Errorf("%s: %s: %s", f.File, f.Name, f.Problem)
		}
	}
	decide := func(agency, role string, change func(*Input)) Decision {
		t.Helper()
		in := Input{
			V: 1, Date: testDay,
			Caller:     Caller{Agency: agency, Kind: agency, Roles: []string{role}, Active: true},
			Request:    Request{Purpose: "FS", Reason: true},
			Agreements: signedByAll(v),
			Parties:    map[string]Party{"CSC": {Kind: "CSC"}, "GP": {Kind: "GP"}},
			People: map[string]Person{
				"kim": {Child: true, Mine: true, Ours: true, Open: []string{"child-in-need"}, Near: map[string][]Span{"mum": {{Kind: "parent"}}}, Parents: []string{"mum"}},
				"mum": {},
			},
			Tuples: []Tuple{
				{Section: "identity", Owner: "CSC", Sensitivity: 1, Source: "fact", About: []string{"mum"}, Tagged: true, Full: true, Summary: true, Schema: "identity/1"},
				{Section: "case-summary", Owner: "CSC", Sensitivity: 2, Source: "fact", About: []string{"kim"}, Tagged: true, Full: true, Summary: true, Schema: "case-summary/1"},
				{Section: "gp-record", Owner: "GP", Sensitivity: 2, Source: "fact", About: []string{"mum"}, Tagged: true, Full: true, Summary: true, Schema: "gp-record/1"},
			},
		}
		if change != nil {
			change(&in)
		}
		d, err := active.Decide(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	levels := func(d Decision) []Level {
		var list []Level
		for _, e := range d.Entries {
			list = append(list, e.Level)
		}
		return list
	}

	for _, test := range []struct {
		agency, role string
		want         []Level
	}{
		{"GP", "general-practitioner", []Level{Full, Hidden, Full}},
		{"CSC", "social-worker", []Level{Full, Full, Full}},
		{"HV", "health-visitor", []Level{Full, Summary, Full}},
		{"MH", "mh-practitioner", []Level{Full, Summary, Hidden}},
		{"SCH", "safeguarding-lead", []Level{Full, Summary, Hidden}},
	} {
		if got := levels(decide(test.agency, test.role, nil)); !slices.Equal(got, test.want) {
			t.Errorf("%s sees %v, want %v", test.agency, got, test.want)
		}
	}

	unsigned := decide("GP", "general-practitioner", func(in *Input) {
		in.Agreements["isa-family-safeguarding"].Parties["GP"] = "unsigned"
	})
	if unsigned.Allow || unsigned.Refusal != RefusalNoAgreement {
		t.Errorf("a practice that has not signed: allow %v, refusal %q", unsigned.Allow, unsigned.Refusal)
	}
	if shipped, err := Load(copyDefault(t)); err != nil {
		t.Fatal(err)
	} else if _, known := shipped.Kind("GP"); known {
		t.Error("the shipped version knows the kind already: this test shows nothing")
	}
}
