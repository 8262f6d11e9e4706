package policy

import (
	"testing"

	"kith/policies"
)

const testDay = "2026-11-20"

// shippedVersion loads the version that Kith ships.
func shippedVersion(t testing.TB) *Version {
	t.Helper()
	version, err := Load(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func compileDefault(t testing.TB) *Active {
	t.Helper()
	active, err := Compile(shippedVersion(t), nil, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	return active
}

// signedByAll is the live state of a version whose parties all signed.
func signedByAll(v *Version) map[string]Agreement {
	live := map[string]Agreement{}
	for _, a := range v.Agreements {
		parties := map[string]string{}
		for _, p := range a.Parties {
			parties[p.Agency] = "signed"
		}
		live[a.ID] = Agreement{From: a.From, Review: a.Review, End: a.End, Parties: parties}
	}
	return live
}

// typicalInput is a family with a child, both parents and a grandmother, with
// 40 entries of every section, as a psychiatric nurse of the mother asks.
func typicalInput(v *Version) Input {
	in := Input{
		V: 1, Date: testDay,
		Caller:     Caller{Agency: "MH", Kind: "MH", Roles: []string{"mh-practitioner"}, Active: true},
		Request:    Request{Purpose: "FS", Reason: true},
		Agreements: signedByAll(v),
		Parties:    map[string]Party{},
		People: map[string]Person{
			"kim":  {Child: true, Open: []string{"child-in-need"}, HarmedBy: []string{"dad"}, Near: map[string][]Span{"mum": {{Kind: "parent"}}, "dad": {{Kind: "parent"}}, "gran": {{Kind: "household", From: "2025-01-01"}}}, Parents: []string{"mum", "dad"}},
			"mum":  {Mine: true, Ours: true, HarmedBy: []string{"dad"}},
			"dad":  {},
			"gran": {},
		},
	}
	for _, k := range v.Kinds {
		in.Parties[k.Code] = Party{Kind: k.Code}
	}
	people := []string{"kim", "mum", "dad", "gran"}
	for i := range 40 {
		s := v.Sections[i%len(v.Sections)]
		owner := "CSC"
		if len(s.Owners) > 0 {
			owner = s.Owners[0]
		}
		t := Tuple{
			Section: s.Code, Owner: owner, Sensitivity: s.Sensitivity, Source: "fact",
			About: []string{people[i%len(people)]}, From: "2026-03-01",
			Narrative: s.Narrative, Tagged: s.Narrative, Full: true, Summary: true, Schema: s.Schema,
		}
		if s.Narrative && i%2 == 0 {
			t.Contains = []string{"mh-risk"}
		}
		in.Tuples = append(in.Tuples, t)
	}
	return in
}
