package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// words says a change as an officer would: "Police gain the shared summary of
// mental health involvement for …, clause 4.5 of isa-family-safeguarding."
func (c Change) words(before, after *Version, kind string) string {
	var b strings.Builder
	b.WriteString(upperFirst(c.receiver(before, after, kind)))
	switch {
	case c.Terms:
		b.WriteString(" see as before, under another clause, ")
	case c.Gain:
		b.WriteString(" gain ")
	default:
		b.WriteString(" lose ")
	}
	what, from := c.After, c.Before
	if !c.Gain {
		what, from = c.Before, c.After
	}
	section := sectionName(before, after, c.Section)
	switch {
	case c.Terms:
		fmt.Fprintf(&b, "%s of %s", levelWords(what), section)
	case len(c.Fields) > 0:
		fmt.Fprintf(&b, "the %s %s of %s", plural("field", len(c.Fields)), strings.Join(fieldLabels(before, after, c.Section, c.Fields), ", "), section)
	case what == from:
		fmt.Fprintf(&b, "other terms for %s", section)
	default:
		fmt.Fprintf(&b, "%s of %s", levelWords(what), section)
		if from != Hidden.String() {
			if c.Gain {
				fmt.Fprintf(&b, " (before: %s)", levelWords(from))
			} else {
				fmt.Fprintf(&b, " (now: %s)", levelWords(from))
			}
		}
	}
	fmt.Fprintf(&b, " for %s", joined(purposeNames(before, after, c.Purposes)))
	if len(c.Owners) > 0 {
		fmt.Fprintf(&b, ", contributed by %s", joined(c.Owners))
	}
	if len(c.About) == 1 {
		fmt.Fprintf(&b, ", about %s", map[string]string{spaceChild: "a child", spaceAdult: "an adult"}[c.About[0]])
	}
	if len(c.Variants) > 0 {
		fmt.Fprintf(&b, ", where %s", variantWords(c.Variants))
	}
	if len(c.Except) > 0 {
		fmt.Fprintf(&b, ", unless %s", variantWords(c.Except))
	}
	if len(c.Situations) > 0 {
		var words []string
		for _, s := range c.Situations {
			words = append(words, situationWords(s))
		}
		fmt.Fprintf(&b, ", only %s", strings.Join(words, "; "))
	}
	if len(c.Dates) > 0 {
		fmt.Fprintf(&b, ", from %s", c.Dates[0])
	}
	for _, clause := range c.Clauses {
		if agreement, no, ok := strings.Cut(clause, " cl. "); ok {
			fmt.Fprintf(&b, ", clause %s of %s", no, agreement)
		} else {
			fmt.Fprintf(&b, ", %s", clause)
		}
	}
	return b.String() + "."
}

func (c Change) receiver(before, after *Version, kind string) string {
	if c.To != kind {
		return joined(c.Agencies)
	}
	for _, v := range []*Version{after, before} {
		if k, ok := v.Kind(kind); ok && k.Name != "" {
			return k.Name
		}
	}
	return kind
}

func sectionName(before, after *Version, code string) string {
	for _, v := range []*Version{after, before} {
		if s, ok := v.Section(code); ok {
			return lowerFirst(s.Name)
		}
	}
	return code
}

func purposeNames(before, after *Version, codes []string) []string {
	var names []string
	for _, code := range codes {
		name := code
		for _, v := range []*Version{after, before} {
			if p, ok := v.Purpose(code); ok {
				name = fmt.Sprintf("%s (%s)", p.Name, code)
				break
			}
		}
		names = append(names, name)
	}
	return names
}

func fieldLabels(before, after *Version, section string, fields []string) []string {
	out := slices.Clone(fields)
	for _, v := range []*Version{before, after} {
		s, _ := v.Section(section)
		for i, name := range fields {
			for _, f := range s.Fields {
				if f.Name == name && f.Label != "" {
					out[i] = lowerFirst(f.Label)
				}
			}
		}
	}
	return out
}

func levelWords(level string) string {
	switch level {
	case "full":
		return "the whole"
	case "summary":
		return "the shared summary"
	case "existence":
		return "the existence"
	}
	return "nothing"
}

// variantWords says which conditions hold for an entry.
func variantWords(variants []string) string {
	var out []string
	for _, v := range variants {
		var meanings []string
		for _, code := range strings.Split(v, "+") {
			meanings = append(meanings, meaning(code))
		}
		out = append(out, strings.Join(meanings, ", and "))
	}
	return strings.Join(out, "; or where ")
}

// meaning says a condition in words.
func meaning(code string) string {
	if c, ok := find(Conditions(), func(c Condition) bool { return c.Code == code }); ok {
		return c.Meaning
	}
	return code
}

func situationWords(s string) string {
	if words := meaning(s); words != s {
		return "where " + words
	}
	switch s {
	case "named grant":
		return "by a named grant"
	case "works with the alleged abuser alone":
		return "where the reader works with the alleged abuser alone"
	}
	return "with: " + s
}

func joined(words []string) string {
	switch len(words) {
	case 0:
		return "nobody"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func plural(word string, n int) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// lowerFirst leaves abbreviations alone: "MH involvement" stays.
func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[n:]); unicode.IsUpper(second) {
		return s
	}
	return string(unicode.ToLower(r)) + s[n:]
}
