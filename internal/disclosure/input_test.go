package disclosure

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// What the policy may know of people, of the same facts on two days: the age is
// that of the day, and of several agencies' answers the one that opens less counts.
func TestPeopleAsThePolicyMayKnowThem(t *testing.T) {
	t.Parallel()
	day := func(text string) *time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return &at
	}
	child, mother, father, unborn := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	facts := family.Facts{
		People: []family.PersonFacts{
			{ID: child, Child: true, Born: day("2010-11-21")},
			{ID: mother, Born: day("1985-06-01")},
			{ID: father}, // nobody recorded when he was born
			{ID: unborn, Child: true, Unborn: true},
		},
		Told: []family.ToldFacts{
			{Person: mother, Agency: "CSC", Agreed: "agreed", Told: "told"},
			{Person: mother, Agency: "MH", Agreed: "agreed", Told: "not-told"},
			{Person: mother, Agency: "HV", Agreed: "declined", Told: "told"},
			{Person: child, Agency: "CSC", Agreed: "agreed", Told: "told"},
			{Person: uuid.New(), Agency: "CSC", Agreed: "agreed", Told: "told"}, // no member
		},
	}
	for date, age := range map[string]string{"2026-11-20": "13-15", "2026-11-21": "16-17"} {
		q, err := ask(identity.Principal{Agency: "CSC", Kind: "CSC"}, Request{Purpose: "FS"}, facts, day(date).Add(23*time.Hour+59*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[uuid.UUID]policy.Person{
			child:  {Agreed: "agreed", Informed: "told", Age: age},
			mother: {Agreed: "declined", Informed: "not-told", Age: "25-over"},
			father: {},
			unborn: {},
		} {
			got := q.input.People[q.local[id]]
			if got.Agreed != want.Agreed || got.Informed != want.Informed || got.Age != want.Age {
				t.Errorf("on %s: %q, %q, %q, want %+v", date, got.Agreed, got.Informed, got.Age, want)
			}
		}
		if len(q.input.People) != len(facts.People) {
			t.Errorf("%d people", len(q.input.People))
		}
	}
}
