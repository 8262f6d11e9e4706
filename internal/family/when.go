package family

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// When is the time of an event as somebody knew it: days as far as they can be
// told, and the words. The zero value is "not known".
type When struct {
	From, Until *time.Time // first and last day
	Words       string     // as said, where it was no plain day: "summer 2024", "about 8.40pm"
}

var (
	leadingDay  = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[T ,]+(.+))?$`)
	plainMonth  = regexp.MustCompile(`^(\d{4})-(\d{2})$`)
	plainYear   = regexp.MustCompile(`^(\d{4})$`)
	namedPartOf = regexp.MustCompile(`^(?i)([a-z]+),? (\d{4})$`)
)

// ParseWhen reads a day ("2024-06-03", with words or a time of day behind it),
// a month ("2024-06", "June 2024"), a season ("summer 2024"; winter begins in
// December of the year named), a year, or words that give no day. rule says
// what is wrong; it is empty where nothing is.
func ParseWhen(s string) (w When, rule string) {
	s = strings.TrimSpace(s)
	if s == "" {
		return When{}, ""
	}
	if len(s) > maximalWords {
		return When{}, "is longer than 100 characters"
	}
	if rule := singleLine(s); rule != "" {
		return When{}, rule
	}
	if m := leadingDay.FindStringSubmatch(s); m != nil {
		d, rule := parseDay(m[1])
		if rule != "" {
			return When{}, rule
		}
		w := When{From: &d, Until: &d}
		if m[2] != "" {
			w.Words = s
		}
		return w, ""
	}
	if m := plainMonth.FindStringSubmatch(s); m != nil {
		month, _ := strconv.Atoi(m[2])
		if month < 1 || month > 12 {
			return When{}, "names a month that does not exist"
		}
		return months(m[1], time.Month(month), 1, s)
	}
	if m := plainYear.FindStringSubmatch(s); m != nil {
		return months(m[1], time.January, 12, s)
	}
	if m := namedPartOf.FindStringSubmatch(s); m != nil {
		if first, count := partOfYear(m[1]); count > 0 {
			return months(m[2], first, count, s)
		}
	}
	return When{Words: s}, ""
}

// partOfYear gives the first month and the number of months of a season or a
// month's name; 0 months for any other word.
func partOfYear(word string) (time.Month, int) {
	word = strings.ToLower(word)
	switch word {
	case "spring":
		return time.March, 3
	case "summer":
		return time.June, 3
	case "autumn":
		return time.September, 3
	case "winter":
		return time.December, 3
	}
	for m := time.January; m <= time.December; m++ {
		name := strings.ToLower(m.String())
		if word == name || len(word) == 3 && strings.HasPrefix(name, word) {
			return m, 1
		}
	}
	return 0, 0
}

func months(year string, first time.Month, count int, words string) (When, string) {
	y, _ := strconv.Atoi(year)
	if y < 1900 || y > 2200 {
		return When{}, "names a year outside 1900 to 2200"
	}
	from := time.Date(y, first, 1, 0, 0, 0, 0, time.UTC)
	until := from.AddDate(0, count, -1)
	return When{From: &from, Until: &until, Words: words}, ""
}

// parseDay reads a day.
func parseDay(s string) (time.Time, string) {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, "is not a day (YYYY-MM-DD)"
	}
	if d.Year() < 1900 || d.Year() > 2200 {
		return time.Time{}, "names a year outside 1900 to 2200"
	}
	return d, ""
}

// parseInstant reads a time with its zone, or a day, which begins at midnight
// or, where end is asked for, holds until the next one.
func parseInstant(s string, end bool) (time.Time, string) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), ""
	}
	d, rule := parseDay(s)
	if rule != "" {
		return time.Time{}, "is neither a day (YYYY-MM-DD) nor a time with its zone (RFC 3339)"
	}
	if end {
		d = d.AddDate(0, 0, 1)
	}
	return d, ""
}
