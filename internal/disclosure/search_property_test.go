package disclosure_test

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/disclosure"
	"kith/internal/family"
)

// chance draws the same for the same seed.
type chance struct {
	*rand.Rand
	source *rand.ChaCha8
}

func newChance(seed byte) chance {
	source := rand.NewChaCha8([32]byte{seed})
	return chance{rand.New(source), source}
}

func (c chance) id() uuid.UUID {
	id, err := uuid.NewRandomFromReader(c.source)
	if err != nil {
		panic(err)
	}
	return id
}

// column reads one column of ids or texts, in an order of its own.
func column[T any](h *hub, sql string, args ...any) []T {
	h.t.Helper()
	rows, _ := h.admin.Query(context.Background(), sql, args...)
	all, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func pick[T any](c chance, of []T) T { return of[c.IntN(len(of))] }

// stir adds restrictions, protected addresses, contacts, involvements and other
// agencies' accounts of names at random, so that much is hidden from many. The
// same chance gives the same in every database.
func (h *hub) stir(c chance) {
	people := column[uuid.UUID](h, `SELECT id FROM kith.person ORDER BY id`)
	children := column[uuid.UUID](h, `SELECT DISTINCT person FROM kith.membership WHERE role = 'child' AND confirmed_by IS NOT NULL ORDER BY person`)
	workers := column[uuid.UUID](h, `SELECT id FROM kith.worker ORDER BY id`)
	agency := func() string { return pick(c, []string{"CSC", "MH", "SM", "DV", "POL", "HV", "DP"}) }
	for range 6 {
		h.exec(`INSERT INTO kith.restriction (id, person, kind, workers, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', $3, 'stirred', '2020-01-01', '2030-01-01')`,
			c.id(), pick(c, people), []uuid.UUID{pick(c, workers)})
		h.exec(`INSERT INTO kith.restriction (id, person, kind, agencies, reason, valid_from, review_on) VALUES ($1, $2, 'exclusion', $3, 'stirred', '2020-01-01', '2030-01-01')`,
			c.id(), pick(c, people), []string{agency()})
		h.exec(`INSERT INTO kith.protection (id, person, since, set_by) VALUES ($1, $2, $3, 'CSC')`, c.id(), pick(c, people), time.Now().AddDate(0, 0, -c.IntN(400)))
		h.exec(`INSERT INTO kith.alleged_harm (id, by_person, to_person, source) SELECT $1, $2, $3, 'POL' WHERE $2::uuid <> $3::uuid`, c.id(), pick(c, people), pick(c, people))
	}
	for range 14 {
		h.exec(`INSERT INTO kith.episode (id, person, kind, rating, valid_from, source) VALUES ($1, $2, 'contact', $3, current_date - 2, 'CSC')`,
			c.id(), pick(c, children), pick(c, []string{"green", "amber", "red"}))
	}
	for _, sign := range []string{"mh-practitioner", "detective", "perpetrator-practitioner", "housing-officer", "safeguarding-lead"} {
		for range 6 {
			p := h.people[sign]
			h.exec(`INSERT INTO kith.involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, $3, $4, 'allocation', '2024-01-01')`, c.id(), pick(c, people), p.Agency, p.Worker)
		}
	}
	bodies := column[json.RawMessage](h, `SELECT body FROM kith.content c JOIN kith.entry_version v ON v.full_part = c.part WHERE v.section = 'identity' ORDER BY c.part`)
	for range 40 {
		var body map[string]any
		if err := json.Unmarshal(pick(c, bodies), &body); err != nil {
			h.t.Fatal(err)
		}
		section, flags := "identity", []string{}
		if c.IntN(2) == 0 {
			section, body = "former-names", map[string]any{"name": body["given_name"].(string) + " " + body["family_name"].(string)}
			if c.IntN(3) == 0 {
				flags = []string{"new-name"}
			}
		}
		h.account(c, agency(), section, flags, body, pick(c, people))
	}
}

// account adds an entry with its keys, as a contribution would.
func (h *hub) account(c chance, owner, section string, flags []string, body map[string]any, about uuid.UUID) {
	entry := c.id()
	var part, version int64
	one := func(to any, sql string, args ...any) {
		if err := h.admin.QueryRow(context.Background(), sql, args...).Scan(to); err != nil {
			h.t.Fatal(err)
		}
	}
	one(&part, `SELECT nextval('kith.part_id')`)
	h.exec(`INSERT INTO kith.content (part, body) VALUES ($1, $2)`, part, body)
	h.exec(`INSERT INTO kith.entry (id, partnership, owner) SELECT $1, partnership, $2 FROM kith.agency LIMIT 1`, entry, owner)
	one(&version, `INSERT INTO kith.entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, flags, full_part)
		VALUES ($1, $2, 1, true, $3, $3 || '/1', $2, 'fact', 2, current_date - 5, false, true, $4, $5) RETURNING id`, entry, owner, section, flags, part)
	h.exec(`INSERT INTO kith.entry_subject (version, person, relation) VALUES ($1, $2, 'about')`, version, about)
	names, codes := family.SearchKeys(section, body)
	for _, k := range names {
		h.exec(`INSERT INTO kith.search_name (part, fields, given, family) VALUES ($1, $2, $3, $4)`, part, k.Fields, k.Given, k.Family)
	}
	for _, k := range codes {
		h.exec(`INSERT INTO kith.search_code (part, field, value) VALUES ($1, $2, $3)`, part, k.Field, k.Value)
	}
}

// shownTo lists every entry that reads of all families release to a caller, and
// of its fields those that were released.
func (h *hub) shownTo(as, purpose string) map[uuid.UUID][]string {
	h.t.Helper()
	shown := map[uuid.UUID][]string{}
	for _, id := range column[uuid.UUID](h, `SELECT id FROM kith.family ORDER BY id`) {
		view, err := h.ask(as, disclosure.Request{Family: id, Purpose: purpose, Reason: "testing", RequestID: uuid.NewString()})
		if err != nil {
			continue // refused
		}
		for _, s := range view.Sections {
			for _, e := range s.Entries {
				var body map[string]any
				if err := json.Unmarshal(e.Content, &body); err != nil {
					h.t.Fatal(err)
				}
				shown[e.ID] = slices.AppendSeq(shown[e.ID], maps.Keys(body))
			}
		}
	}
	return shown
}

// emptied are the tables from which the twin loses what is hidden.
func emptied() []string {
	return []string{"search_name", "search_code", "search_word", "entry_subject", "content", "entry_version", "concern", "entry"}
}

// without removes every entry but these from a database, of these the keys of
// fields that are not shown, and all that was made of them, and gives the way back.
func (h *hub) without(keep map[uuid.UUID][]string) (restore func()) {
	h.t.Helper()
	ctx := context.Background()
	run := func(statements ...string) {
		if err := pgx.BeginFunc(ctx, h.admin, func(tx pgx.Tx) error {
			for _, sql := range append([]string{`SET LOCAL session_replication_role = replica`, `SET LOCAL search_path = kith`}, statements...) {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			h.t.Fatal(err)
		}
	}
	run(`CREATE SCHEMA kept`)
	var back []string
	for _, table := range emptied() {
		run(`CREATE TABLE kept.` + table + ` AS SELECT * FROM ` + table)
		columns := column[string](h, `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = ('kith.' || $1)::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, table)[0]
		back = append(back, `DELETE FROM `+table, `INSERT INTO `+table+` (`+columns+`) OVERRIDING SYSTEM VALUE SELECT `+columns+` FROM kept.`+table)
	}
	back = append(back, `DROP SCHEMA kept CASCADE`)
	h.exec(`CREATE TABLE kept.shown (entry uuid PRIMARY KEY)`)
	h.exec(`INSERT INTO kept.shown SELECT DISTINCT unnest($1::uuid[])`, slices.Collect(maps.Keys(keep)))
	const gone = ` IN (SELECT id FROM entry_version WHERE entry NOT IN (SELECT entry FROM kept.shown))`
	run(`DELETE FROM content WHERE part NOT IN (SELECT p FROM entry_version v, unnest(ARRAY[v.full_part, v.summary_part]) p WHERE p IS NOT NULL AND v.entry IN (SELECT entry FROM kept.shown))`,
		`DELETE FROM search_name WHERE part NOT IN (SELECT part FROM content)`,
		`DELETE FROM search_code WHERE part NOT IN (SELECT part FROM content)`,
		`DELETE FROM search_word WHERE word NOT IN (SELECT given FROM search_name UNION SELECT family FROM search_name)`,
		`DELETE FROM entry_subject WHERE version`+gone, `DELETE FROM concern WHERE entry NOT IN (SELECT entry FROM kept.shown)`,
		`DELETE FROM entry_version WHERE entry NOT IN (SELECT entry FROM kept.shown)`, `DELETE FROM entry WHERE id NOT IN (SELECT entry FROM kept.shown)`)
	for entry, fields := range keep {
		h.exec(`DELETE FROM kith.search_name k USING kith.entry_version v WHERE v.full_part = k.part AND v.entry = $1 AND NOT k.fields <@ $2`, entry, fields)
		h.exec(`DELETE FROM kith.search_code k USING kith.entry_version v WHERE v.full_part = k.part AND v.entry = $1 AND k.field <> ALL ($2)`, entry, fields)
	}
	return func() { run(back...) }
}

// misremembered is a name as somebody half remembers it.
func misremembered(c chance, name string) string {
	r := []rune(name)
	if len(r) < 4 {
		return name
	}
	at := 1 + c.IntN(len(r)-2)
	switch c.IntN(5) {
	case 0:
		return string(slices.Delete(r, at, at+1))
	case 1:
		r[at], r[at-1] = r[at-1], r[at]
		return string(r)
	case 2:
		return string(slices.Insert(r, at, r[at]))
	}
	return name
}

// somebody makes terms out of a random content: of what is shown and of what is
// hidden, an earlier name and a refuge's postcode among them.
func somebody(c chance, bodies []json.RawMessage) family.SearchTerms {
	var x struct {
		Given, Family, Name, NHS, UPN, Postcode, Born string
	}
	var body map[string]any
	if err := json.Unmarshal(pick(c, bodies), &body); err != nil {
		panic(err)
	}
	text := func(field string) string { s, _ := body[field].(string); return s }
	x.Given, x.Family, x.Born = text("given_name"), text("family_name"), text("date_of_birth")
	x.NHS, x.UPN, x.Postcode = text("nhs_number"), text("upn"), text("postcode")
	if name := text("name"); name != "" {
		x.Given, x.Family, _ = strings.Cut(name, " ")
	}
	var t family.SearchTerms
	for t == (family.SearchTerms{}) {
		if c.IntN(2) == 0 {
			t.GivenName = misremembered(c, x.Given)
		}
		if c.IntN(2) == 0 {
			t.FamilyName = misremembered(c, x.Family)
		}
		if c.IntN(4) == 0 {
			t.GivenName, t.FamilyName = t.FamilyName, t.GivenName
		}
		if c.IntN(4) == 0 {
			t.DateOfBirth = x.Born
		}
		if c.IntN(6) == 0 {
			t.NHSNumber = x.NHS
		}
		if c.IntN(8) == 0 {
			t.UPN = x.UPN
		}
		if c.IntN(6) == 0 || x.Postcode != "" {
			t.Postcode = x.Postcode
		}
	}
	return t
}

// For any data and any caller, a search answers as if what the caller may not
// see did not exist: every byte but the receipt is that of a database from which
// it was removed.
func TestSearchAnswersAsIfWhatIsHiddenDidNotExist(t *testing.T) {
	t.Parallel()
	const seed, queries = 11, 16
	h, twin := newHub(t), newHub(t)
	h.stir(newChance(seed))
	twin.stir(newChance(seed))
	bodies := column[json.RawMessage](h, `SELECT c.body FROM kith.content c JOIN kith.entry_version v ON v.full_part = c.part
		WHERE v.section IN ('identity', 'former-names', 'usual-address', 'earlier-identity', 'protected-address') ORDER BY c.part`)
	total, hits := 0, 0
	for i, who := range []struct{ as, purpose string }{
		{"mash-officer", "FD"}, {"social-worker", "FS"}, {"mh-practitioner", "FS"}, {"detective", "CP"},
		{"perpetrator-practitioner", "FS"}, {"housing-officer", "FS"}, {"safeguarding-lead", "CN"},
	} {
		shown := h.shownTo(who.as, who.purpose)
		restore := twin.without(shown)
		c := newChance(byte(100 + i))
		for range queries {
			terms := somebody(c, bodies)
			full, err := h.search(who.as, who.purpose, terms)
			if err != nil {
				t.Fatalf("%s: %v", who.as, err)
			}
			cut, err := twin.search(who.as, who.purpose, terms)
			if err != nil {
				t.Fatalf("%s, with hidden entries removed: %v", who.as, err)
			}
			if diff := cmp.Diff(bare(t, cut), bare(t, full)); diff != "" {
				t.Errorf("%s for %s asks for %v: what is hidden shows (-removed +there):\n%s", who.as, who.purpose, terms.Given(), diff)
			}
			for _, p := range full.People {
				for _, e := range p.Entries {
					if _, ok := shown[e.ID]; !ok {
						t.Errorf("%s for %s was given an entry that no read releases", who.as, who.purpose)
					}
				}
			}
			total++
			hits += min(len(full.People), 1)
		}
		restore()
		t.Logf("%s for %s: %d entries shown", who.as, who.purpose, len(shown))
	}
	t.Logf("%d of %d searches found somebody", hits, total)
	if hits < total/20 || hits == total {
		t.Errorf("%d of %d searches found somebody: that proves little", hits, total)
	}
}
