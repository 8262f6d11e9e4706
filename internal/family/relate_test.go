package family

import (
	"testing"

	"github.com/google/uuid"
)

func TestNear(t *testing.T) {
	t.Parallel()
	var kim, lee, mum, dad, gran, lodger uuid.UUID
	for i, p := range []*uuid.UUID{&kim, &lee, &mum, &dad, &gran, &lodger} {
		p[15] = byte(i + 1)
	}
	m := func(p uuid.UUID, role string) member { return member{person: p, role: role} }
	for _, c := range []struct {
		what    string
		members []member
		ties    []tie
		want    []NearFacts
	}{
		{
			"roles alone", []member{m(kim, "child"), m(mum, "parent"), m(gran, "carer"), m(lodger, "household")}, nil,
			[]NearFacts{{Child: kim, Other: mum, Kind: "parent"}, {Child: kim, Other: gran, Kind: "carer"}, {Child: kim, Other: lodger, Kind: "household"}},
		},
		{
			// A section 47 enquiry about one child opens nothing of a half-sibling's other parent.
			"half-siblings", []member{m(kim, "child"), m(lee, "child"), m(mum, "parent"), m(dad, "parent")},
			[]tie{{from: mum, to: kim, kind: "parent"}, {from: mum, to: lee, kind: "parent"}, {from: dad, to: lee, kind: "parent"}, {from: kim, to: lee, kind: "half-sibling"}},
			[]NearFacts{{Child: kim, Other: mum, Kind: "parent"}, {Child: lee, Other: mum, Kind: "parent"}, {Child: lee, Other: dad, Kind: "parent"}},
		},
		{
			"children in one household", []member{m(kim, "child"), m(lee, "child")}, []tie{{from: kim, to: lee, kind: "household", since: date("2026-01-01")}},
			[]NearFacts{{Child: kim, Other: lee, Kind: "household", From: date("2026-01-01")}, {Child: lee, Other: kim, Kind: "household", From: date("2026-01-01")}},
		},
		{"children who are only listed together", []member{m(kim, "child"), m(lee, "child")}, nil, nil},
		{
			"a relationship says more than a role", []member{m(kim, "child"), m(gran, "household")}, []tie{{from: gran, to: kim, kind: "grandparent"}},
			[]NearFacts{{Child: kim, Other: gran, Kind: "contact"}},
		},
		{
			"a step-parent is a carer for a time", []member{m(kim, "child"), m(dad, "household")}, []tie{{from: dad, to: kim, kind: "step-parent", until: date("2026-02-01")}},
			[]NearFacts{{Child: kim, Other: dad, Kind: "carer", Until: date("2026-02-01")}},
		},
		{
			"a child who left is nobody's purpose", []member{{person: kim, role: "child", until: date("2026-11-19")}, m(mum, "parent")},
			[]tie{{from: mum, to: kim, kind: "parent"}}, nil,
		},
	} {
		_, near := relate(c.members, c.ties, day(clock()))
		check(t, c.what, c.want, near)
	}
}
