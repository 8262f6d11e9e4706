package family

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// SearchTerms is what a caller knows of the person looked for; any one field is
// enough, and whoever is found fits all that were given. It holds personal
// data and prints as nothing.
type SearchTerms struct {
	GivenName   string      `json:"given_name"`
	FamilyName  string      `json:"family_name"`
	DateOfBirth string      `json:"date_of_birth"`
	NHSNumber   string      `json:"nhs_number"`
	UPN         string      `json:"upn"`
	Postcode    string      `json:"postcode"`
	Identifier  *Identifier `json:"identifier"`
}

// Identifier is the number of a person or a family in an agency's case system.
// Scheme is the agency's code.
type Identifier struct {
	Scheme string `json:"scheme"`
	Value  string `json:"value"`
}

// Format prints nothing, whatever the verb.
func (SearchTerms) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "family.SearchTerms") }

// LogValue keeps the terms out of log lines.
func (SearchTerms) LogValue() slog.Value { return slog.StringValue("family.SearchTerms") }

// Given lists the terms by field, for the log of accesses.
func (t SearchTerms) Given() map[string]string {
	out := map[string]string{}
	for field, v := range map[string]string{
		"given_name": t.GivenName, "family_name": t.FamilyName, "date_of_birth": t.DateOfBirth, "nhs_number": t.NHSNumber, "upn": t.UPN, "postcode": t.Postcode,
	} {
		if v = strings.TrimSpace(v); v != "" {
			out[field] = v
		}
	}
	if t.Identifier != nil {
		out["identifier"] = t.Identifier.Scheme + " " + t.Identifier.Value
	}
	return out
}

// Terms of a query, as matches name them.
const (
	termName       = "name"
	termBorn       = "date_of_birth"
	termNHS        = "nhs_number"
	termUPN        = "upn"
	termPostcode   = "postcode"
	TermIdentifier = "identifier"
)

// SearchQuery is terms in the form in which they are compared. It prints as
// nothing. The zero value finds nobody.
type SearchQuery struct {
	asked   map[string]any            // as search_candidates takes it
	codes   map[string]map[string]int // score by value, by field
	weights map[string]int
}

// Format prints nothing, whatever the verb.
func (SearchQuery) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "family.SearchQuery") }

// LogValue keeps the query out of log lines.
func (SearchQuery) LogValue() slog.Value { return slog.StringValue("family.SearchQuery") }

// Score is that of somebody whose released fields match the terms so well, of
// 100; 0 where a term is not matched at all.
func (q SearchQuery) Score(byTerm map[string]int) int {
	sum, of := 0, 0
	for term, weight := range q.weights {
		score, ok := byTerm[term]
		if !ok {
			return 0
		}
		sum, of = sum+weight*score, of+weight
	}
	if of == 0 {
		return 0
	}
	return sum / of
}

var (
	upnForm      = regexp.MustCompile(`^[A-Z][0-9]{11}[0-9A-Z]$`)
	postcodeForm = regexp.MustCompile(`^[A-Z]{1,2}[0-9][0-9A-Z]?[0-9][A-Z]{2}$`)
)

// Query checks the terms and brings them into the form of the keys. Errors:
// *FieldError, which never repeats what was typed.
func (t SearchTerms) Query(today time.Time) (SearchQuery, error) {
	q := SearchQuery{asked: map[string]any{}, codes: map[string]map[string]int{}, weights: map[string]int{}}
	if err := q.names(t); err != nil {
		return SearchQuery{}, err
	}
	if err := q.born(strings.TrimSpace(t.DateOfBirth), today); err != nil {
		return SearchQuery{}, err
	}
	if err := q.numbers(t); err != nil {
		return SearchQuery{}, err
	}
	if t.Identifier != nil {
		for _, f := range [][2]string{{"identifier.scheme", t.Identifier.Scheme}, {"identifier.value", t.Identifier.Value}} {
			if err := label(f[0], f[1], true); err != nil {
				return SearchQuery{}, err
			}
		}
		q.asked["agency"], q.asked["local_id"] = t.Identifier.Scheme, strings.TrimSpace(t.Identifier.Value)
		q.weights[TermIdentifier] = 5
	}
	if len(q.weights) == 0 {
		return SearchQuery{}, &FieldError{"search", "needs at least one of given_name, family_name, date_of_birth, nhs_number, upn, postcode, identifier"}
	}
	// A date that is off by a little helps to find somebody whom something
	// else says too; alone it would list strangers.
	if len(q.weights) == 1 && q.weights[termBorn] > 0 {
		maps.DeleteFunc(q.codes[termBorn], func(_ string, score int) bool { return score < 100 })
	}
	q.asked["codes"], q.asked["weights"] = q.codes, q.weights
	return q, nil
}

func (q *SearchQuery) names(t SearchTerms) error {
	for _, f := range []struct {
		field, key, name string
		given            bool
	}{{"given_name", "given", t.GivenName, true}, {"family_name", "family", t.FamilyName, false}} {
		if strings.TrimSpace(f.name) == "" {
			continue
		}
		if utf8.RuneCountInString(f.name) > 100 {
			return &FieldError{f.field, "is longer than 100 characters"}
		}
		if rule := singleLine(f.name); rule != "" {
			return &FieldError{f.field, rule}
		}
		words := askedWords(f.name, f.given)
		if len(words) == 0 {
			return &FieldError{f.field, "holds no letter"}
		}
		q.asked[f.key] = words
		q.weights[termName] += 3
	}
	return nil
}

// born looks for the day as given and, less sure, with day and month changed
// over or in the year beside it.
func (q *SearchQuery) born(s string, today time.Time) error {
	if s == "" {
		return nil
	}
	d, rule := parseDay(s)
	if rule != "" {
		return &FieldError{"date_of_birth", rule}
	}
	if d.After(today) {
		return &FieldError{"date_of_birth", "lies in the future"}
	}
	dates := map[string]int{d.Format(time.DateOnly): 100}
	add := func(o time.Time, month time.Month, score int) {
		if o.Month() == month && !o.Equal(d) { // there is such a day
			dates[o.Format(time.DateOnly)] = score
		}
	}
	if d.Day() <= 12 {
		month := time.Month(d.Day())
		add(time.Date(d.Year(), month, int(d.Month()), 0, 0, 0, 0, time.UTC), month, 85)
	}
	add(d.AddDate(-1, 0, 0), d.Month(), 75)
	add(d.AddDate(1, 0, 0), d.Month(), 75)
	q.codes[termBorn], q.weights[termBorn] = dates, 4
	return nil
}

func (q *SearchQuery) numbers(t SearchTerms) error {
	if n := numberOf(t.NHSNumber); n != "" {
		if !validNHSNumber(n) {
			return &FieldError{"nhs_number", "is not ten digits with the right check digit"}
		}
		q.codes[termNHS], q.weights[termNHS] = map[string]int{n: 100}, 5
	}
	if n := numberOf(t.UPN); n != "" {
		if !upnForm.MatchString(n) {
			return &FieldError{"upn", "is not a letter and twelve digits (the last may be a letter)"}
		}
		q.codes[termUPN], q.weights[termUPN] = map[string]int{n: 100}, 5
	}
	if n := numberOf(t.Postcode); n != "" {
		if !postcodeForm.MatchString(n) {
			return &FieldError{"postcode", "is not a whole postcode"}
		}
		q.codes[termPostcode], q.weights[termPostcode] = map[string]int{n: 100}, 2
	}
	return nil
}

// validNHSNumber checks form and check digit (modulus 11; ten is never issued).
func validNHSNumber(n string) bool {
	if len(n) != 10 {
		return false
	}
	sum := 0
	for i, c := range []byte(n) {
		if c < '0' || c > '9' {
			return false
		}
		if i < 9 {
			sum += int(c-'0') * (10 - i)
		}
	}
	check := (11 - sum%11) % 11
	return check == int(n[9]-'0')
}
