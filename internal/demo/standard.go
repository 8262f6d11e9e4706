package demo

// set says which services work with whom in a family.
type set struct {
	kind     string // of the open work: child-protection-plan, child-in-need, section-47, care, early-help
	days     int    // since when
	home     []*person
	mh, sm   *person
	by, to   *person // alleged harm
	noDP     bool    // the alleged abuser is on no programme
	noPolice bool
	prb      *person
	tenant   *person
	kids     []*person
	lead     *person // with whom the plan is worked
}

// standard tells an ordinary family with all its services. A story adds what is
// special about it.
func (f *fam) standard(s set) {
	f.core(s.home...)
	if s.kind != "early-help" {
		f.allocated(s.days, s.kids...)
	} else {
		f.involve("CSC", "social-worker", s.days, s.kids...)
		f.involve("CSC", "family-support-worker", s.days, s.kids...)
		f.team("CSC", earlyHelpTeam, s.days, s.kids...)
	}
	f.open(s.kind, s.days, s.kids...)
	f.status(s.kind, s.days, s.kids...)
	f.plan(min(s.days, 100), s.lead, s.kids...)
	if f.n%3 != 1 {
		f.referrer(s.days+41, s.kids...)
	}
	if s.mh != nil {
		f.mentalHealth(s.mh, s.kids...)
	}
	if s.sm != nil {
		f.substance(s.sm, s.kids...)
	}
	if s.by != nil && s.to != nil {
		f.abuse(s.by, s.to, s.kids...)
		if !s.noDP {
			f.programme(s.by)
		}
		if !s.noPolice {
			f.policing(s.by, s.to, s.kids...)
		}
	}
	for _, k := range s.kids {
		switch age := k.age(); {
		case age < 4:
			f.childHealth(k, 26)
		case age < 11:
			f.school(k, "SCH")
		default:
			f.school(k, "SCH2")
		}
	}
	if s.kids[0].age() >= 4 {
		f.childHealth(s.kids[0], 48)
	}
	if s.prb != nil {
		f.probation(s.prb)
	}
	if s.tenant != nil {
		f.housing(s.tenant)
	}
	purpose, agreed := purposeOf(s.kind)
	for _, p := range f.order {
		if !p.child && p.died.IsZero() {
			f.toldAll(purpose, agreed, s.days, p)
		}
	}
	if purpose == "FS" {
		for _, p := range f.order {
			if !p.child && p.died.IsZero() {
				f.toldAll("CN", agreed, s.days, p)
			}
		}
	}
}

// purposeOf names the purpose that open work serves, and how agreement stands
// with it: only family help rests on it.
func purposeOf(kind string) (purpose, agreed string) {
	switch kind {
	case "early-help":
		return "EH", "agreed"
	case "section-47":
		return "CP", "not-asked"
	case "care":
		return "LC", "not-asked"
	case "child-in-need":
		return "FS", "agreed"
	}
	return "FS", "not-asked"
}
