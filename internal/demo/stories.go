package demo

import (
	"github.com/google/uuid"
)

// Story is one family of the borough and what it is there to show.
type Story struct {
	ID    uuid.UUID // of the family
	Ref   string    // F-20417
	Key   string    // stays the same for ever
	Title string
	Shows string
	Cases []string // codes of Cases
}

// tale is a story and the function that tells it.
type tale struct {
	key, title, shows string
	cases             []string
	tell              func(b *builder, key string)
}

// Stories lists the forty families. The ids depend on the seed alone.
func Stories(seed uint64) []Story {
	d := ids{seed}
	b := &builder{ids: d, refs: map[string]bool{}}
	var out []Story
	for _, t := range tales() {
		out = append(out, Story{ID: d.of("family", t.key), Ref: b.ref(5, t.key), Key: t.key, Title: t.title, Shows: t.shows, Cases: t.cases})
	}
	return out
}

// Case is one of the special cases that the borough must include (domain.md §4).
type Case struct{ Code, Words string }

// Cases lists them in the order in which the domain names them.
func Cases() []Case {
	return []Case{
		{"protected-address", "a fleeing harmed parent with a protected address"},
		{"shared-surname", "a perpetrator worker who shares the surname"},
		{"both-parents", "one worker for both parents"},
		{"cross-allegations", "cross-allegations"},
		{"harmed-and-abuser", "harmed in one family, alleged abuser in another"},
		{"code-c", "a police code C item"},
		{"gender-recognition", "gender-recognition history"},
		{"adopted-sibling", "an adopted sibling"},
		{"council-staff", "a parent who is council staff"},
		{"neighbour-worker", "a neighbour who is a worker"},
		{"same-named-twins", "two same-named twins at one address"},
		{"unborn", "an unborn child"},
		{"two-homes", "a child in two homes"},
		{"half-siblings", "half-siblings where only one has a section 47"},
		{"young-mother", "a 16-year-old mother herself in care"},
		{"dead-parent", "a dead parent"},
		{"consent-declined", "consent declined at family help, then a section 47"},
		{"marac", "a MARAC case"},
		{"repeated-secret", "an entry whose text repeats another agency's secret"},
		{"linked-wrongly", "a person linked wrongly"},
		{"cover-tonight", "a duty worker covering tonight"},
		{"agreement-expires", "an agreement that expires tomorrow"},
		{"refused-disclosure", "one refused disclosure with its reason"},
		{"overdue-emergency", "one overdue emergency access"},
		{"told-three-ways", "one event told three ways"},
	}
}

func tales() []tale {
	var all []tale
	all = append(all, harmTales()...)
	all = append(all, identityTales()...)
	all = append(all, workTales()...)
	all = append(all, everydayTales()...)
	return all
}

// people of a family that was told before.
func (b *builder) from(family, key string) *person {
	for _, f := range b.families {
		if f.key == family {
			if p, ok := f.people[key]; ok {
				return p
			}
		}
	}
	b.fail("family %s has no %s yet", family, key)
	return &person{b: b, records: map[string]uuid.UUID{}}
}

// couple ties two parents and their children, and says so in the family links.
func (f *fam) couple(mum, dad *person, how string, kids ...*person) {
	f.parents([]*person{mum, dad}, kids...)
	f.tie(mum, "partner", dad, how)
	f.links(mum, "mother", true, true, "", kids...)
	f.links(dad, "father", how == "together" || how == "married", true, "", kids...)
}
