package family

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestNameWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want []string
	}{
		{"Siân", []string{"sian"}},
		{"Wiśniewski", []string{"wisniewski"}},
		{"Łukasz", []string{"lukasz"}},
		{"O'Brien", []string{"obrien"}},
		{"O’Brien", []string{"obrien"}},
		{"Smith-Jones", []string{"smith", "jones", "smithjones"}},
		{"de Souza", []string{"souza", "desouza"}},
		{"St. Clair", []string{"clair", "stclair"}},
		{"  Mary   Jane ", []string{"mary", "jane", "maryjane"}},
		{"Groß", []string{"gross"}},
		{"محمد", []string{"محمد"}},
		{"De", []string{"de"}},
		{"-'. ", nil},
		{strings.Repeat("a b c d e f g h ", 50), []string{"a", "b", "c", "e", "f", "abcdef"}},
	} {
		if diff := cmp.Diff(c.want, nameWords(c.name)); diff != "" {
			t.Errorf("%.30q (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestNicknamesGoBothWaysAndStayApart(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(nicknames) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		group := strings.Fields(line)
		for _, name := range group {
			if plain(name) != name {
				t.Errorf("%q is not written as it is compared", name)
			}
			if !slices.Contains(alsoCalled(name), group[0]) && name != group[0] {
				t.Errorf("%q does not lead to %q", name, group[0])
			}
		}
	}
	if slices.Contains(alsoCalled("will"), "harry") || len(alsoCalled("zz")) != 0 || len(alsoCalled("ann e")) != 0 {
		t.Error("a name stands for a stranger's")
	}
}

func TestSearchKeys(t *testing.T) {
	t.Parallel()
	content := map[string]any{
		"given_name": "Anna", "family_name": "O'Neill", "known_as": "Annie", "date_of_birth": "2015-03-02", "nhs_number": "999 506 7676", "upn": "k801687058522",
		"name": "Kayleigh Ann Burnett", "postcode": "nb4 1aa", "address": "1 High Street",
	}
	for _, c := range []struct {
		section string
		names   []string
		codes   []CodeKey
	}{
		{"identity", []string{"anna/oneill [given_name family_name]", "annie/oneill [known_as family_name]"},
			[]CodeKey{{"date_of_birth", "2015-03-02"}, {"nhs_number", "9995067676"}, {"upn", "K801687058522"}}},
		{"former-names", []string{"kayleigh/burnett [name]", "ann/burnett [name]", "kayleighann/burnett [name]"}, nil},
		{"usual-address", nil, []CodeKey{{"postcode", "NB41AA"}}},
		{"earlier-identity", nil, nil},
		{"protected-address", nil, nil},
		{"third-party", nil, nil},
	} {
		names, codes := SearchKeys(c.section, content)
		var got []string
		for _, k := range names {
			got = append(got, fmt.Sprintf("%s/%s %v", k.Given, k.Family, k.Fields))
		}
		if diff := cmp.Diff(c.names, got); diff != "" {
			t.Errorf("%s, names (-want +got):\n%s", c.section, diff)
		}
		if diff := cmp.Diff(c.codes, codes); diff != "" {
			t.Errorf("%s, codes (-want +got):\n%s", c.section, diff)
		}
	}
	if names, codes := SearchKeys("identity", map[string]any{"given_name": 7, "nhs_number": []any{"x"}, "date_of_birth": "soon"}); len(names)+len(codes) != 0 {
		t.Errorf("made keys of what is no text: %v %v", names, codes)
	}
}

func TestQueryChecksItsTerms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		terms SearchTerms
		field string // that is refused; "" none
	}{
		{"nothing", SearchTerms{}, "search"},
		{"blanks", SearchTerms{GivenName: "  "}, "search"},
		{"a name", SearchTerms{FamilyName: "Smith"}, ""},
		{"no letter", SearchTerms{FamilyName: "%_*"}, "family_name"},
		{"too long", SearchTerms{GivenName: strings.Repeat("a", 101)}, "given_name"},
		{"a direction mark", SearchTerms{GivenName: "a\u202eb"}, "given_name"},
		{"a line break", SearchTerms{FamilyName: "a\nb"}, "family_name"},
		{"good check digit", SearchTerms{NHSNumber: "999-506-7676"}, ""},
		{"bad check digit", SearchTerms{NHSNumber: "9995067677"}, "nhs_number"},
		{"check digit that is never issued", SearchTerms{NHSNumber: "9990000000"}, "nhs_number"},
		{"nine digits", SearchTerms{NHSNumber: "999506767"}, "nhs_number"},
		{"digits of another script", SearchTerms{NHSNumber: "٩٩٩٥٠٦٧٦٧٦"}, "nhs_number"},
		{"pupil number", SearchTerms{UPN: "A123456789012"}, ""},
		{"short pupil number", SearchTerms{UPN: "A12345678901"}, "upn"},
		{"postcode", SearchTerms{Postcode: "nb4 1aa"}, ""},
		{"half a postcode", SearchTerms{Postcode: "NB4"}, "postcode"},
		{"a day", SearchTerms{DateOfBirth: "2015-03-02"}, ""},
		{"no day", SearchTerms{DateOfBirth: "02/03/2015"}, "date_of_birth"},
		{"a day to come", SearchTerms{DateOfBirth: "2027-01-01"}, "date_of_birth"},
		{"number of a case system", SearchTerms{Identifier: &Identifier{Scheme: "CSC", Value: "77"}}, ""},
		{"without its value", SearchTerms{Identifier: &Identifier{Scheme: "CSC"}}, "identifier.value"},
	} {
		_, err := c.terms.Query(clock())
		var field *FieldError
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.field != "" && (!errors.As(err, &field) || field.Field != c.field):
			t.Errorf("%s: got %v, want %s", c.name, err, c.field)
		}
	}
}

func TestTermsPrintAsNothing(t *testing.T) {
	t.Parallel()
	terms := SearchTerms{FamilyName: "Canary"}
	q, err := terms.Query(clock())
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "terms", terms, "query", q)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", terms, terms, terms, terms), fmt.Sprintf("%v %+v %#v", q, q, q), log.String()} {
		if strings.Contains(strings.ToLower(s), "canary") {
			t.Errorf("printed %s", s)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add("Siân", "O'Brien-Smith", "9995067676", "NB4 1AA")
	f.Fuzz(func(t *testing.T, given, last, nhs, postcode string) {
		q, err := SearchTerms{GivenName: given, FamilyName: last, NHSNumber: nhs, Postcode: postcode}.Query(clock())
		if err == nil && len(q.weights) == 0 {
			t.Error("a query of nothing")
		}
		names, _ := SearchKeys("identity", map[string]any{"given_name": given, "family_name": last})
		if len(names) > 49 {
			t.Errorf("%d keys of one name", len(names))
		}
	})
}

// Keys are content: the app's role adds them, and neither reads, changes nor
// deletes one; without a committed search nothing answers.
func TestKeysAreSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := context.Background()
	fam := h.family()
	kid := h.member(fam, "child")
	_, _, part := h.item("CSC", "identity", kid)
	h.run(`INSERT INTO search_name (part, fields, given, family) VALUES ($1, '{given_name,family_name}', 'anna', 'canary')`, part)
	h.run(`INSERT INTO search_code (part, field, value) VALUES ($1, 'date_of_birth', '2015-01-01')`, part)
	for _, sql := range []string{
		`SELECT * FROM search_name`, `SELECT * FROM search_code`, `SELECT * FROM search_word`, `DELETE FROM search_name`, `UPDATE search_code SET value = ''`,
		`INSERT INTO search_word (word) VALUES ('x')`, `INSERT INTO search_name (part, fields, given, family) VALUES (1, '{}', 'a', 'b') RETURNING given`,
		`SELECT * FROM near_words('[]')`, `SELECT search_opened()`,
	} {
		var pg *pgconn.PgError
		if _, err := h.app.Exec(ctx, sql); !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	var n int
	err := h.app.QueryRow(ctx, `SELECT count(*) FROM search_candidates('northby', $1, 'CSC', now(), 'everybody', '{}', '{identity}',
		'{"weights": {"name": 3}, "family": [{"word": "canary", "score": 100, "near": true}]}', 10)`, uuid.New()).Scan(&n)
	if err != nil || n != 0 {
		t.Errorf("%d candidates without an event, %v", n, err)
	}
	if _, err := h.admin.Exec(ctx, `DELETE FROM content WHERE part = $1`, part); err != nil {
		t.Fatal(err)
	}
	if left := h.count(`SELECT (SELECT count(*) FROM search_name) + (SELECT count(*) FROM search_code)`); left != 0 {
		t.Errorf("%d keys outlive their content", left)
	}
}

// A contribution keeps keys; a correction is found by its own and no more by
// those of the version before; what has none leaves none.
func TestContributionKeepsKeys(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	names := func() []string {
		rows, _ := h.admin.Query(context.Background(), `SELECT n.given || ' ' || n.family FROM search_name n JOIN entry_version v ON v.full_part = n.part AND v.latest ORDER BY 1`)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	entry := func(section, local string, content map[string]any) Record {
		return Record{Entry: &EntryRecord{LocalID: local, Section: section, Source: "fact", About: []string{"k1"}, Content: content}}
	}
	h.mustGive("CSC", Record{Person: &PersonRecord{LocalID: "k1", About: "child", Born: "2015-01-01"}},
		entry("identity", "e1", map[string]any{"given_name": "Anna", "family_name": "Kerr"}),
		entry("earlier-identity", "e2", map[string]any{"name": "Zoe Before"}))
	if diff := cmp.Diff([]string{"anna kerr"}, names()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	h.mustGive("CSC", entry("identity", "e1", map[string]any{"given_name": "Anya", "family_name": "Kerr"}))
	if diff := cmp.Diff([]string{"anya kerr"}, names()); diff != "" {
		t.Errorf("keys after a correction (-want +got):\n%s", diff)
	}
	h.mustGive("CSC", Record{Entry: &EntryRecord{LocalID: "e1", Purge: true}})
	if got := names(); len(got) != 0 {
		t.Errorf("keys after a purge: %v", got)
	}
	if n := h.count(`SELECT count(*) FROM search_word WHERE word IN ('zoe', 'before')`); n != 0 {
		t.Error("an earlier name is among the words")
	}
}
