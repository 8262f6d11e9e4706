package family

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// group is an element that holds elements, read field by field. Every method
// marks what it looked for as known; rest warns about what is left. A group of
// an absent element reads as empty.
type group struct {
	of   *childReader
	at   *element
	path string
}

// warn notes something about a field of this group; field "" is the group.
func (g group) warn(field, text string) { g.of.warn(g.place(field), text) }

// place says where a field stands: "CINdetails[2]/CINreferralDate".
func (g group) place(field string) string {
	switch {
	case g.path == "":
		return field
	case field == "":
		return g.path
	}
	return g.path + "/" + field
}

// groups gives the child elements of that name that hold elements themselves.
func (g group) groups(name string) []group {
	all := g.at.all(name)
	groups := make([]group, 0, len(all))
	for i, e := range all {
		step := name
		if len(all) > 1 {
			step = fmt.Sprintf("%s[%d]", name, i+1)
		}
		groups = append(groups, group{of: g.of, at: e, path: g.place(step)})
	}
	return groups
}

// single gives the one group of that name.
func (g group) single(name string) group {
	all := g.groups(name)
	if len(all) == 0 {
		return group{of: g.of, at: &element{name: name}, path: g.place(name)}
	}
	if len(all) > 1 {
		g.warn(name, "stands more than once; the first is taken")
		all[0].path = g.place(name)
	}
	return all[0]
}

// leaves gives the values of that name.
func (g group) leaves(name string) []*element {
	var values []*element
	for _, e := range g.at.all(name) {
		if len(e.kids) > 0 {
			g.warn(name, "holds elements where a value belongs; passed over")
			continue
		}
		if e.long {
			g.warn(name, "is longer than 1 000 characters; left out")
			continue
		}
		if e.text != "" {
			values = append(values, e)
		}
	}
	return values
}

// leaf gives the one value of that name, nil where there is none.
func (g group) leaf(name string) *element {
	values := g.leaves(name)
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		g.warn(name, "stands more than once; the first is taken")
	}
	return values[0]
}

func (g group) text(name string) string { return g.leaf(name).value() }

// value is the text of a leaf; that of an absent one is empty.
func (e *element) value() string {
	if e == nil {
		return ""
	}
	return e.text
}

// date reads a date that may be absent. One that is none refuses the child.
func (g group) date(name string) time.Time { return g.dateOf(name, g.leaf(name)) }

func (g group) dateOf(name string, e *element) time.Time {
	t, err := censusDate(e.value())
	if err != nil {
		g.of.refuse(g.place(name), err.Error())
		return time.Time{}
	}
	if !g.of.reference.IsZero() && t.After(g.of.reference) && name != "ExpectedPersonBirthDate" && name != "InitialCPCtarget" {
		g.warn(name, afterReference)
	}
	return t
}

// begin reads the date on which something began; it must be there.
func (g group) begin(name string) time.Time {
	e := g.leaf(name)
	if e == nil {
		g.of.refuse(g.place(name), "is missing")
		return time.Time{}
	}
	t := g.dateOf(name, e)
	if !g.of.died.IsZero() && t.After(g.of.died) {
		g.warn(name, afterDeath)
	}
	return t
}

// end reads a date that should not be before the one that began it.
func (g group) end(name string, began time.Time, beganName string) time.Time {
	t := g.date(name)
	g.ordered(name, t, began, beganName)
	return t
}

func (g group) ordered(name string, t, began time.Time, beganName string) {
	if !t.IsZero() && !began.IsZero() && t.Before(began) {
		g.warn(name, "is before "+beganName)
	}
}

// Warnings about dates, as the report says them.
const (
	afterReference = "is after the reference date"
	afterDeath     = "is after the death"
)

var (
	errNotDate = errors.New("is not a date (YYYY-MM-DD)")
	// xs:date allows a zone; some systems add an empty time.
	datePattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T00:00:00(?:\.0+)?)?(?:Z|\+00:00)?$`)
)

// censusDate reads a date; an absent one is the zero time.
func censusDate(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	m := datePattern.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, errNotDate
	}
	t, err := time.Parse(time.DateOnly, m[1])
	if err != nil || t.Year() < 1900 || t.Year() > 2199 {
		return time.Time{}, errNotDate
	}
	return t, nil
}

var codePattern = regexp.MustCompile(`^[A-Za-z0-9]{1,8}$`)

// code reads a code of a known list and gives it with its words.
func (g group) code(name string, words func(string) string) string {
	return g.coded(name, g.leaf(name), words)
}

// coded gives "N1 abuse or neglect". A code that the list does not have is
// kept alone, since lists grow every year; what is no code at all is left out,
// since free text may name somebody.
func (g group) coded(name string, e *element, words func(string) string) string {
	code := strings.ToUpper(e.value())
	switch {
	case code == "":
		return ""
	case !codePattern.MatchString(code):
		g.warn(name, "is not a code; left out")
		return ""
	}
	if w := words(code); w != "" {
		return code + " " + w
	}
	g.warn(name, "is a code that is not in the list; kept without words")
	return code
}

// word gives the words of a code alone, for a field that people fill in by hand elsewhere.
func (g group) word(name string, words func(string) string) string {
	code := g.code(name, words)
	if _, w, ok := strings.Cut(code, " "); ok {
		return w
	}
	return code
}

// flag reads a yes or no; known is false where there is none or neither.
func (g group) flag(name string) (yes, known bool) {
	switch strings.ToLower(g.text(name)) {
	case "true", "1", "y", "yes":
		return true, true
	case "false", "0", "n", "no":
		return false, true
	case "":
		return false, false
	}
	g.warn(name, "is neither true nor false; left out")
	return false, false
}

var upnPattern = regexp.MustCompile(`^[A-Z][0-9]{11}[0-9A-Z]$`)

// upn reads a pupil number. One of another shape would only match the wrong pupil.
func (g group) upn(name string) string {
	text := strings.ToUpper(g.text(name))
	if text != "" && !upnPattern.MatchString(text) {
		g.warn(name, "is not a unique pupil number; left out")
		return ""
	}
	return text
}

// rest warns about stray text and about elements that nobody asked for.
func (g group) rest() {
	if g.at.stray {
		g.warn("", "stray text: passed over")
	}
	for _, k := range g.at.kids {
		if !k.used {
			g.of.unknown(g.place(k.name))
			k.used = true // said once
		}
	}
}

func (b *childReader) unknown(path string) {
	if len(b.warnings) < maxWarnings {
		b.warnings = append(b.warnings, passedOver(path))
	}
}
