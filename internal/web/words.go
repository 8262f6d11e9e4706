package web

import (
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// English words stand in one folder, whole sentences by key, so that Welsh can
// be put beside them: en.yaml, and en-<area>.yaml for one area's pages.
//
//go:embed words/*.yaml
var wordFiles embed.FS

type words map[string]string

func readWords() (words, error) {
	files, err := fs.Glob(wordFiles, "words/en*.yaml")
	if err != nil {
		return nil, fmt.Errorf("words: %w", err)
	}
	all := words{}
	for _, file := range files {
		raw, err := wordFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("words: %w", err)
		}
		var w words
		if err := yaml.Unmarshal(raw, &w); err != nil {
			return nil, fmt.Errorf("words: %s: %w", file, err)
		}
		for key, text := range w {
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("words: %s: %q stands twice", file, key)
			}
			all[key] = text
		}
	}
	return all, nil
}

// say gives the words of a key with its slots ({0}, {1}) filled. A key without
// words shows itself: a test finds it before a person does.
func (w words) say(key string, slots ...any) string {
	text, ok := w[key]
	if !ok {
		return key
	}
	for i, v := range slots {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i), fmt.Sprint(v))
	}
	return text
}

// count chooses between key.one and key.many.
func (w words) count(key string, n int, slots ...any) string {
	form := ".many"
	if n == 1 {
		form = ".one"
	}
	return w.say(key+form, append([]any{n}, slots...)...)
}

// known gives the words of a key, or what is said instead.
func (w words) known(key, otherwise string) string {
	if text, ok := w[key]; ok {
		return text
	}
	return otherwise
}

// role names what somebody is: the professional role, else the functional one.
func (w words) role(roles []string) string {
	for _, general := range []bool{false, true} {
		for _, r := range roles {
			if (r == "practitioner" || r == "manager") == general {
				return w.known("role."+r, r)
			}
		}
	}
	return ""
}

// london is where the pages' clock hangs; a hub elsewhere is not in the UK.
func london() *time.Location {
	if l, err := time.LoadLocation("Europe/London"); err == nil {
		return l
	}
	return time.UTC
}

func longDate(t time.Time) string { return t.In(london()).Format("2 January 2006") }

// clockTime is a time as prose says it: 1.56pm.
func clockTime(t time.Time) string { return t.In(london()).Format("3.04pm") }

// longDay writes YYYY-MM-DD as 12 November 2026; what is not a day stays as it is.
func longDay(d string) string {
	t, err := time.Parse(time.DateOnly, d)
	if err != nil {
		return d
	}
	return t.Format("2 January 2006")
}

// shortDay writes a day of this year as 12 Nov, another with its year.
func shortDay(d string, now time.Time) string {
	t, err := time.Parse(time.DateOnly, d)
	if err != nil {
		return d
	}
	if t.Year() == now.Year() {
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

// tel makes a telephone link of digits alone.
func tel(number string) template.URL {
	var b strings.Builder
	for _, r := range number {
		if r >= '0' && r <= '9' || r == '+' {
			b.WriteRune(r)
		}
	}
	return template.URL("tel:" + b.String()) // nothing but digits and a plus is in it
}

// bit is a piece of text that may be a telephone number.
type bit struct {
	Text  string
	Phone bool
}

// phonesIn finds UK telephone numbers in a contact line.
func phonesIn(s string) []bit {
	var out []bit
	start := 0
	for i := 0; i < len(s); {
		n := phoneAt(s, i)
		if n == 0 {
			i++
			continue
		}
		if i > start {
			out = append(out, bit{Text: s[start:i]})
		}
		out = append(out, bit{Text: s[i : i+n], Phone: true})
		i += n
		start = i
	}
	if start < len(s) {
		out = append(out, bit{Text: s[start:]})
	}
	return out
}

// phoneAt gives the length of a number that starts at i: a zero, then ten or so
// digits with single spaces.
func phoneAt(s string, i int) int {
	if s[i] != '0' || i > 0 && s[i-1] >= '0' && s[i-1] <= '9' {
		return 0
	}
	digits, end := 0, i
	for j := i; j < len(s); j++ {
		switch c := s[j]; {
		case c >= '0' && c <= '9':
			digits, end = digits+1, j+1
		case c == ' ' && j == end:
		default:
			j = len(s)
		}
	}
	if digits < 10 || digits > 11 {
		return 0
	}
	return end - i
}

// joinWords joins with commas and "and".
func joinWords(s []string) string {
	switch len(s) {
	case 0:
		return ""
	case 1:
		return s[0]
	}
	return strings.Join(s[:len(s)-1], ", ") + " and " + s[len(s)-1]
}

// ageOn says an age in words: years, and months below two years. "" where the
// date of birth was not released.
func (w words) ageOn(born string, now time.Time) string {
	b, err := time.Parse(time.DateOnly, born)
	if err != nil {
		return ""
	}
	months := (now.Year()-b.Year())*12 + int(now.Month()-b.Month())
	if now.Day() < b.Day() {
		months--
	}
	switch {
	case months < 0:
		return ""
	case months < 24:
		return w.count("age.months", months)
	}
	return w.count("age.years", months/12)
}

// familyName names a family by its children's surnames, or by its reference.
func (w words) familyName(children []string, ref string) string {
	var names []string
	for _, c := range children {
		if at := strings.LastIndexByte(c, ' '); at >= 0 && !slices.Contains(names, c[at+1:]) {
			names = append(names, c[at+1:])
		}
	}
	if len(names) == 0 {
		return w.say("family.by-reference", ref)
	}
	slices.Sort(names)
	return w.say("family.by-name", joinWords(names))
}
