package audit

import "slices"

// About is what the event released about one person, who stands by a
// reference: whom else it was about is not in their account, and a clause may
// name what the law hides.
func (r *Record) About(reference string) []Released {
	var list []Released
	for _, x := range r.Released {
		if !slices.Contains(x.Subjects, reference) {
			continue
		}
		x.Subjects = nil
		if x.Section == LegallyRestricted {
			x.Clauses = nil
		}
		list = append(list, x)
	}
	return list
}
