package family

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// NameKey is a name in the form in which it is compared. It is content.
type NameKey struct {
	Fields        []string // of the entry's content, from which it was made
	Given, Family string
}

// CodeKey is a date, number or postcode in the form in which it is compared.
type CodeKey struct{ Field, Value string }

// SearchKeys makes the keys of an entry's content. Only identity, former names
// and usual address have any: a protected address and an earlier identity are
// found by nobody (Gender Recognition Act 2004 s.22; domain.md, never rules).
func SearchKeys(section string, content map[string]any) ([]NameKey, []CodeKey) {
	text := func(field string) string { s, _ := content[field].(string); return s }
	var names []NameKey
	var codes []CodeKey
	code := func(field, value string) {
		if value != "" {
			codes = append(codes, CodeKey{field, value})
		}
	}
	switch section {
	case "identity":
		last := nameWords(text("family_name"))
		names = pairs(names, nameWords(text("given_name")), last, "given_name", "family_name")
		if text("known_as") != "" {
			known := nameWords(text("known_as"))
			names = pairs(names, known, last, "known_as", "family_name")
		}
		if day, rule := parseDay(text("date_of_birth")); rule == "" && text("date_of_birth") != "" {
			code("date_of_birth", day.Format("2006-01-02"))
		}
		code("nhs_number", numberOf(text("nhs_number")))
		code("upn", numberOf(text("upn")))
	case "former-names":
		words := strings.Fields(text("name"))
		if len(words) == 1 {
			names = pairs(names, nameWords(words[0]), nil, "name")
		} else if n := len(words) - 1; n > 0 {
			names = pairs(names, nameWords(strings.Join(words[:n], " ")), nameWords(words[n]), "name")
		}
	case "usual-address":
		code("postcode", numberOf(text("postcode")))
	}
	return names, codes
}

// pairs makes a key of each given with each family name.
func pairs(keys []NameKey, given, family []string, fields ...string) []NameKey {
	if len(given) == 0 && len(family) == 0 {
		return keys
	}
	if len(given) == 0 {
		given = []string{""}
	}
	if len(family) == 0 {
		family = []string{""}
	}
	for _, g := range given {
		for _, f := range family {
			keys = append(keys, NameKey{Fields: fields, Given: g, Family: f})
		}
	}
	return keys
}

var betweenDigits = regexp.MustCompile(`[\s-]+`)

// numberOf takes the spaces out of a number or postcode.
func numberOf(s string) string { return strings.ToUpper(betweenDigits.ReplaceAllString(s, "")) }

// keepKeys adds the keys of a part of content. They count while it is the full
// part of a latest version, and go with it.
func keepKeys(ctx context.Context, tx pgx.Tx, part int64, section string, content map[string]any) error {
	names, codes := SearchKeys(section, content)
	guarded := GuardedCodes(section, content)
	if len(names)+len(codes)+len(guarded) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	for _, value := range guarded {
		b.Queue(`INSERT INTO guarded_code (part, value) VALUES ($1, $2)`, part, value)
	}
	for _, k := range names {
		b.Queue(`INSERT INTO search_name (part, fields, given, family) VALUES ($1, $2, $3, $4)`, part, k.Fields, k.Given, k.Family)
	}
	for _, k := range codes {
		b.Queue(`INSERT INTO search_code (part, field, value) VALUES ($1, $2, $3)`, part, k.Field, k.Value)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("keep search keys: %w", err)
	}
	return nil
}
