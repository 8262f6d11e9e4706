package family

import (
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, from, until, words, rule string }{
		{"", "", "", "", ""},
		{"2024-06-03", "2024-06-03", "2024-06-03", "", ""},
		{"2024-06-03 about 8.40pm", "2024-06-03", "2024-06-03", "2024-06-03 about 8.40pm", ""},
		{"2024-02", "2024-02-01", "2024-02-29", "2024-02", ""},
		{"2024", "2024-01-01", "2024-12-31", "2024", ""},
		{"summer 2024", "2024-06-01", "2024-08-31", "summer 2024", ""},
		{"Winter 2024", "2024-12-01", "2025-02-28", "Winter 2024", ""},
		{"June 2024", "2024-06-01", "2024-06-30", "June 2024", ""},
		{"Sep 2024", "2024-09-01", "2024-09-30", "Sep 2024", ""},
		{"about 8.40pm", "", "", "about 8.40pm", ""},
		{"before 2024", "", "", "before 2024", ""},
		{"2024-13", "", "", "", "names a month that does not exist"},
		{"2024-02-30", "", "", "", "is not a day (YYYY-MM-DD)"},
		{"0999", "", "", "", "names a year outside 1900 to 2200"},
		{"a\nb", "", "", "", ruleControl},
	} {
		w, rule := ParseWhen(c.in)
		if rule != c.rule || !sameDay(w.From, date(c.from)) || !sameDay(w.Until, date(c.until)) || w.Words != c.words {
			t.Errorf("%q: %v to %v, %q, %q", c.in, w.From, w.Until, w.Words, rule)
		}
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, s := range []string{"2024-06-03", "2024-06", "summer 2024", "about 8.40pm", "2024-06-03T10:00:00Z", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w, rule := ParseWhen(s)
		if rule != "" && w != (When{}) {
			t.Errorf("%q: refused and taken", s)
		}
		if (w.From == nil) != (w.Until == nil) || w.From != nil && (w.Until.Before(*w.From) || w.From.Location() != time.UTC) {
			t.Errorf("%q: %v to %v", s, w.From, w.Until)
		}
	})
}
