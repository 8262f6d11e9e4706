package policy

import "time"

// Condition is one entry of the closed list that a matrix row may name.
type Condition struct {
	Code    string
	Meaning string
	// OnEntry: it is decided for each entry; otherwise once for the caller.
	OnEntry bool
}

// Conditions is the closed list of conditions of matrix rows. The kernel's
// conditions.rego decides each; a code that is not there never holds, and what
// is not known of somebody does not either. A condition on people must hold for
// everyone whom the entry is about.
func Conditions() []Condition {
	return []Condition{
		{Code: "family-team", Meaning: "the reader works in the team that holds this family's plan"},
		{Code: "marac-member", Meaning: "the reader is on the member list of a live MARAC case of this family"},
		{Code: "named-lead", Meaning: "the reader is the named lead of an open Operation Encompass event"},
		{Code: "own-client", OnEntry: true,
			Meaning: "the reader's own agency works with everyone whom the entry is about (a school: its own pupils)"},
		{Code: "encompass-event", OnEntry: true, Meaning: "the entry is the Operation Encompass event"},
		{Code: "handling-p", OnEntry: true, Meaning: "police graded the entry with handling code P"},
		{Code: "about-child", OnEntry: true, Meaning: "everyone whom the entry is about is a child of the family"},
		{Code: "consent", OnEntry: true,
			Meaning: "everyone whom the entry is about agreed to sharing for this purpose (for a child: the child, a parent or a carer, and none of them declined or withdrew)"},
		{Code: "not-asked-with-reason", OnEntry: true,
			Meaning: "nobody whom the entry is about was asked to agree to sharing for this purpose, and the reason is on record"},
		{Code: "told", OnEntry: true,
			Meaning: "everyone whom the entry is about was told of sharing for this purpose (for a child: the child, a parent or a carer, and none of them was left untold)"},
		{Code: "not-told-with-reason", OnEntry: true,
			Meaning: "nobody told those whom the entry is about of sharing for this purpose, and the reason is on record (for a child: the child, a parent or a carer)"},
		{Code: "under-13", OnEntry: true, Meaning: "everyone whom the entry is about is under 13 today"},
		{Code: "under-16", OnEntry: true, Meaning: "everyone whom the entry is about is under 16 today"},
		{Code: "under-18", OnEntry: true, Meaning: "everyone whom the entry is about is under 18 today"},
		{Code: "under-25", OnEntry: true, Meaning: "everyone whom the entry is about is under 25 today"},
		{Code: "from-16", OnEntry: true, Meaning: "everyone whom the entry is about is 16 or over today"},
		{Code: "from-18", OnEntry: true, Meaning: "everyone whom the entry is about is 18 or over today"},
	}
}

// unmetReason is the reason code of an entry that a row in force would open if
// this condition held.
func unmetReason(condition string) string { return "unmet-" + condition }

// ageBands are the bands of age that conditions can tell apart, each with the
// age at which it ends: an input says no more of a date of birth.
func ageBands() []ageBand {
	return []ageBand{{"under-13", 13}, {"13-15", 16}, {"16-17", 18}, {"18-24", 25}, {"25-over", 0}}
}

type ageBand struct {
	name string
	ends int // 0: never
}

// AgeBand is the band of age of somebody on a day, "" where the date of birth is
// not known or lies ahead. Who died stays as old as they were. Whoever was born
// on 29 February has their birthday on 1 March in other years.
func AgeBand(born, died *time.Time, on time.Time) string {
	if died != nil && died.Before(on) {
		on = *died
	}
	if born == nil || born.After(on) {
		return ""
	}
	for _, b := range ageBands() {
		if b.ends == 0 || on.Before(born.AddDate(b.ends, 0, 0)) {
			return b.name
		}
	}
	return ""
}
