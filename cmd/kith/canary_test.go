package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/policy"
)

// A canary is a token that stands in one field of one part of the content, and
// nowhere else: canary-PART-FIELD. Wherever it turns up, that field came from
// there. Part 0 marks words that stand beside the content (why somebody is
// restricted, what a family said) and belong in no answer about a family.
type canary struct {
	part  int64
	field string
}

// canariesIn finds them. A pattern would take most of the test's time.
func canariesIn(text []byte) []canary {
	var out []canary
	mark := []byte("canary-")
	for {
		i := bytes.Index(text, mark)
		if i < 0 {
			return out
		}
		text = text[i+len(mark):]
		digits := 0
		for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
			digits++
		}
		part, err := strconv.ParseInt(string(text[:digits]), 10, 64)
		if err != nil || digits == len(text) || text[digits] != '-' {
			part = -1 // mangled: of no part, so allowed nowhere
		}
		field := text[min(digits+1, len(text)):]
		end := bytes.IndexFunc(field, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') })
		if end < 0 {
			end = len(field)
		}
		out = append(out, canary{part, string(field[:end])})
	}
}

// entryPart is what the database says of one part of the content.
type entryPart struct {
	entry          string
	version        int
	owner, section string
	full           bool
}

// plant puts a canary into every text of the content, and into the words of the
// facts, and says which part belongs to what.
func (b *borough) plant(t *testing.T) map[int64]entryPart {
	t.Helper()
	ctx := context.Background()
	type row struct {
		Part int64
		Body json.RawMessage
	}
	rows, _ := b.admin.Query(ctx, `SELECT part, body FROM kith.content`)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		t.Fatal(err)
	}
	batch := &pgx.Batch{}
	for _, r := range all {
		var body map[string]any
		if err := json.Unmarshal(r.Body, &body); err != nil {
			t.Fatal(err)
		}
		for field, v := range body {
			body[field] = marked(v, fmt.Sprintf(" canary-%d-%s", r.Part, field))
		}
		batch.Queue(`UPDATE kith.content SET body = $2 WHERE part = $1`, r.Part, body)
	}
	if err := b.admin.SendBatch(ctx, batch).Close(); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`UPDATE kith.restriction SET reason = reason || ' canary-0-restriction'`,
		`UPDATE kith.protection SET reason = reason || ' canary-0-protection'`,
		`UPDATE kith.told_and_agreed SET why = why || ' canary-0-told', by_words = by_words || ' canary-0-words'`,
		`UPDATE kith.involvement SET reason = reason || ' canary-0-involvement'`,
		`UPDATE kith.access_grant SET reason = reason || ' canary-0-grant'`,
		`UPDATE kith.person_link SET reason = reason || ' canary-0-link'`,
		`UPDATE kith.entry_version SET author_words = author_words || ' canary-0-author'`,
	} {
		b.exec(t, sql)
	}
	parts := b.parts(t)
	if len(parts) < 200 || len(parts) < len(all) {
		t.Fatalf("%d parts of %d have an entry", len(parts), len(all))
	}
	return parts
}

// parts reads which part of the content belongs to what.
func (b *borough) parts(t *testing.T) map[int64]entryPart {
	t.Helper()
	parts := map[int64]entryPart{}
	found, _ := b.admin.Query(context.Background(), `SELECT v.entry::text, v.version, e.owner, v.section, v.full_part, v.summary_part FROM kith.entry_version v JOIN kith.entry e ON e.id = v.entry`)
	var p entryPart
	var full, summary *int64
	if _, err := pgx.ForEachRow(found, []any{&p.entry, &p.version, &p.owner, &p.section, &full, &summary}, func() error {
		if full != nil {
			x := p
			x.full = true
			parts[*full] = x
		}
		if summary != nil {
			parts[*summary] = p
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return parts
}

// marked adds a mark to every text within v.
func marked(v any, mark string) any {
	switch x := v.(type) {
	case string:
		return x + mark
	case []any:
		for i := range x {
			x[i] = marked(x[i], mark)
		}
	case map[string]any:
		for k := range x {
			x[k] = marked(x[k], mark)
		}
	}
	return v
}

// shownEntry is an entry as the JSON face shows it.
type shownEntry struct {
	ID      string          `json:"id"`
	Version int             `json:"version"`
	Owner   string          `json:"owner"`
	Level   string          `json:"level"`
	Content json.RawMessage `json:"content"`
	Masked  []string        `json:"masked"`
	Clauses []string        `json:"clauses"`
	Grant   string          `json:"grant"`
	Section string          `json:"section"` // in a search alone
}

// leakTest is the canaries' oracle. What an answer shows must be in the part
// that its entry names and not in a masked field; within the bound that
// domain.md's table sets, read from a copy of that table and not from the
// policy; and in what the log says was released under this request.
type leakTest struct {
	t      *testing.T
	b      *borough
	hub    *replica
	parts  map[int64]entryPart
	byKey  map[string]int64 // partKey to part
	matrix map[string]map[string]string

	mu       sync.Mutex
	seen     map[string]map[int64]bool // by request
	answers  int
	hits     int // people found by searches
	canaries int
	released map[string]bool // sections of which something was shown
}

// family checks an answer of the family route.
func (l *leakTest) family(as, purpose string, r reply) {
	var view struct {
		Sections []struct {
			Section string       `json:"section"`
			Entries []shownEntry `json:"entries"`
		} `json:"sections"`
	}
	if r.status == http.StatusOK {
		if err := json.Unmarshal(r.body, &view); err != nil {
			l.t.Errorf("%s %s: %v", as, purpose, err)
			return
		}
	}
	var entries []shownEntry
	for _, s := range view.Sections {
		for _, e := range s.Entries {
			e.Section = s.Section
			entries = append(entries, e)
		}
	}
	l.check(as, purpose, r, entries)
}

func (l *leakTest) check(as, purpose string, r reply, entries []shownEntry) {
	where := fmt.Sprintf("%s under %q, request %s", as, purpose, r.request())
	if r.request() == "" {
		l.t.Errorf("%s: no request id", where)
	}
	allowed := map[canary]bool{}
	for _, e := range entries {
		part, ok := l.byKey[partKey(e.ID, e.Version, e.Level == "full")]
		if !ok { // a structured section's summary is some fields of the full part
			part, ok = l.byKey[partKey(e.ID, e.Version, true)]
		}
		if !ok || l.parts[part].section != e.Section || l.parts[part].owner != e.Owner {
			l.t.Errorf("%s: entry %s/%d of %s in %s is not what the database holds", where, e.ID, e.Version, e.Owner, e.Section)
			continue
		}
		if why := l.beyond(as, purpose, e); why != "" {
			l.t.Errorf("%s: %s of %s at %s: %s", where, e.Section, e.Owner, e.Level, why)
		}
		for _, c := range canariesIn(e.Content) {
			if c.part != part {
				l.t.Errorf("%s: the content of part %d stands in entry %s", where, c.part, e.ID)
			}
			if slices.Contains(e.Masked, c.field) {
				l.t.Errorf("%s: %s of %s is said to be masked, and is there", where, c.field, e.Section)
			}
			allowed[canary{part, c.field}] = true
		}
	}
	var head strings.Builder
	if err := r.header.Write(&head); err != nil {
		l.t.Error(err)
	}
	if strings.Contains(head.String(), "canary") {
		l.t.Errorf("%s: content stands in the headers", where)
	}
	found := canariesIn(r.body)
	for _, c := range found {
		if !allowed[c] {
			l.t.Errorf("%s, status %d: %s of %+v is in the answer, and no entry that shows it", where, r.status, c.field, l.parts[c.part])
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	l.canaries += len(found)
	for c := range allowed {
		if l.seen[r.request()] == nil {
			l.seen[r.request()] = map[int64]bool{}
		}
		l.seen[r.request()][c.part] = true
	}
	for _, e := range entries {
		l.released[e.Section] = true
	}
}

func partKey(entry string, version int, full bool) string {
	return fmt.Sprintf("%s/%d/%v", entry, version, full)
}

// beyond says why an entry is more than the table allows; "" is within it.
func (l *leakTest) beyond(as, purpose string, e shownEntry) string {
	a := l.b.accounts[as]
	if e.Owner == a.Agency {
		return ""
	}
	cell := l.matrix[e.Section][a.Kind]
	switch {
	case cell == "X":
		return "never, whatever was granted"
	case e.Grant != "":
		return ""
	case cell == "":
		return "no such cell"
	}
	if len(e.Clauses) == 0 {
		return "no clause allows it"
	}
	bound := byte('-')
	letter := func(column int) byte {
		switch {
		case cell == "O":
			return 'F' // of another agency of the column's kind, or supplied to it
		case len(cell) == 3:
			return cell[column]
		}
		return '-'
	}
	switch purpose {
	case "EH":
		bound = letter(0)
	case "FD": // amber and red contacts have the CN letter inside the MASH
		bound = max(rank(letter(0)), rank(letter(1)))
		bound = "-ESF"[bound]
	case "CN", "FS", "LC":
		bound = letter(1)
	case "CP":
		bound = letter(2)
	case "MR":
		switch e.Section {
		case "marac", "da-risk":
			bound = 'F'
		case "da-victim-safety":
			bound = 'S'
		case "identity", "family-links":
			bound = letter(1)
		}
		if a.Kind == "DP" {
			bound = '-'
		}
	case "OE":
		if a.Kind == "SCH" {
			bound = map[string]byte{"police-events": 'S', "identity": 'F'}[e.Section]
		}
	}
	if need := map[string]byte{"summary": 2, "full": 3}[e.Level]; need == 0 || rank(bound) < need {
		return fmt.Sprintf("the table says %c", max(bound, '-'))
	}
	return ""
}

func rank(letter byte) byte {
	return map[byte]byte{'E': 1, 'S': 2, 'F': 3}[letter]
}

// domainMatrix reads domain.md's table: by section, then by kind.
func domainMatrix(t *testing.T) map[string]map[string]string {
	t.Helper()
	raw, err := os.ReadFile("../../internal/policy/testdata/domain-matrix.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]string{}
	var kinds []string
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) < 13 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "Code" {
			kinds = cells
			continue
		}
		section := strings.Trim(cells[0], "`")
		out[section] = map[string]string{}
		for i := 3; i < len(cells) && i < len(kinds); i++ {
			out[section][kinds[i]] = cells[i]
		}
	}
	if len(out) < 35 || out["mh-risk"]["POL"] != "--S" {
		t.Fatalf("the table has %d sections", len(out))
	}
	return out
}

// purposeCodes are the shipped policy's purposes, and one that is none.
func purposeCodes() []string {
	return []string{"EH", "FD", "CN", "FS", "CP", "LC", "MR", "OE", "VI", "AU", "SR", "ZZ"}
}

// faults.md §4. Every principal, purpose, family and route: no answer, header,
// log line or metric holds content that the decision did not release.
func TestCanaries(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	l := &leakTest{t: t, b: b, parts: b.plant(t), matrix: domainMatrix(t), byKey: map[string]int64{}, seen: map[string]map[int64]bool{},
		released: map[string]bool{}}
	for part, p := range l.parts {
		l.byKey[partKey(p.entry, p.version, p.full)] = part
	}
	l.hub = b.open(t, "hub-1", func(c *hubConfig) { c.Policy = policy.Options{Keep: 20_000, Deadline: c.Policy.Deadline} })
	operations := l.hub.operations(t)

	var work []func()
	for _, as := range b.names() {
		work = append(work, func() { l.everyFamily(as) }, func() { l.everySearch(as) }, func() { l.everyOther(as, operations) })
	}
	jobs := make(chan func())
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	for _, job := range work {
		jobs <- job
	}
	close(jobs)
	done.Wait()
	l.explanations()
	l.againstTheLog()

	metrics, err := http.Get(l.hub.private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	var text strings.Builder
	if err := metrics.Write(&text); err != nil {
		t.Fatal(err)
	}
	l.hub.stop()
	for name, text := range map[string]string{"log": l.hub.log.String(), "metrics": text.String()} {
		if len(text) < 1000 || strings.Contains(text, "canary") {
			t.Errorf("the hub's %s (%d bytes) hold content", name, len(text))
		}
		for _, id := range b.stories {
			if strings.Contains(text, id.String()) {
				t.Errorf("the hub's %s name a family", name)
				break
			}
		}
	}
	t.Logf("%d answers, %d people found, %d canaries in %d sections", l.answers, l.hits, l.canaries, len(l.released))
	if l.canaries < 10_000 || len(l.released) < 25 || l.hits < 100 {
		t.Errorf("%d canaries in %d sections, %d people found: the test looks at too little", l.canaries, len(l.released), l.hits)
	}
}

func (l *leakTest) everyFamily(as string) {
	for _, purpose := range purposeCodes() {
		for _, id := range l.b.stories {
			r := l.hub.send(l.t, l.b.reading(l.t, as, id, purpose))
			l.family(as, purpose, r)
			if r.status == http.StatusForbidden || r.status == http.StatusBadRequest {
				break // depends on the caller alone: the same for every family
			}
		}
	}
}

// everySearch looks for people by what the borough holds of them, and by what
// is nearly that.
func (l *leakTest) everySearch(as string) {
	type person struct{ Given, Family, Born, NHS string }
	rows, _ := l.b.admin.Query(context.Background(), `
SELECT DISTINCT split_part(c.body->>'given_name', ' canary', 1), split_part(c.body->>'family_name', ' canary', 1),
       split_part(coalesce(c.body->>'date_of_birth', ''), ' canary', 1), split_part(coalesce(c.body->>'nhs_number', ''), ' canary', 1)
  FROM kith.content c JOIN kith.entry_version v ON v.full_part = c.part
 WHERE v.section IN ('identity', 'former-names', 'earlier-identity') AND c.body->>'given_name' IS NOT NULL AND c.body->>'family_name' IS NOT NULL
 ORDER BY 1, 2 LIMIT 60`)
	people, err := pgx.CollectRows(rows, pgx.RowToStructByPos[person])
	if err != nil || len(people) < 10 {
		l.t.Errorf("%d people to look for: %v", len(people), err)
		return
	}
	purposes := []string{"FS", "FD", "CP", "CN"}
	for i, p := range people {
		if len(purposes) == 0 {
			return
		}
		terms := map[string]string{"given_name": p.Given, "family_name": p.Family}
		switch i % 5 {
		case 1: // half remembered
			terms["given_name"] = p.Given[:1+len(p.Given)/2]
		case 2: // letters changed over
			if f := []byte(p.Family); len(f) > 3 {
				f[1], f[2] = f[2], f[1]
				terms["family_name"] = string(f)
			}
		case 3:
			if p.Born != "" {
				terms = map[string]string{"family_name": p.Family, "date_of_birth": p.Born}
			}
		case 4:
			if p.NHS != "" {
				terms = map[string]string{"nhs_number": p.NHS}
			}
		}
		body, err := json.Marshal(terms)
		if err != nil {
			l.t.Error(err)
			return
		}
		purpose := purposes[i%len(purposes)]
		r := l.hub.send(l.t, call{method: http.MethodPost, path: "/v1/searches", bearer: l.b.token(l.t, as), body: string(body),
			header: map[string]string{"Kith-Purpose": purpose, "Kith-Reason": "a test of canaries", "Content-Type": "application/json"}})
		var view struct {
			People []struct {
				Entries []shownEntry `json:"entries"`
			} `json:"people"`
		}
		if r.status == http.StatusOK {
			if err := json.Unmarshal(r.body, &view); err != nil {
				l.t.Errorf("search: %v", err)
			}
		}
		var entries []shownEntry
		for _, p := range view.People {
			entries = append(entries, p.Entries...)
		}
		l.mu.Lock()
		l.hits += len(view.People)
		l.mu.Unlock()
		l.check(as, purpose, r, entries)
		if r.status == http.StatusForbidden || r.status == http.StatusBadRequest { // the purpose is not this caller's
			purposes = slices.DeleteFunc(purposes, func(x string) bool { return x == purpose })
		}
	}
}

var parameter = regexp.MustCompile(`\{[a-z_]+\}`)

// everyOther asks the routes that show no record: whatever they answer, there
// is no content in it. Ids are those of things that exist.
func (l *leakTest) everyOther(as string, operations []operation) {
	ctx := context.Background()
	var ids []string
	for _, sql := range []string{
		`SELECT id::text FROM kith.entry ORDER BY id LIMIT 2`, `SELECT id::text FROM kith.family ORDER BY id LIMIT 2`, `SELECT id::text FROM kith.person ORDER BY id LIMIT 2`,
		`SELECT id::text FROM kith.worker ORDER BY id LIMIT 1`, `SELECT id::text FROM kith.access_event ORDER BY id LIMIT 1`, `SELECT person::text FROM kith.restriction ORDER BY 1 LIMIT 1`,
	} {
		rows, _ := l.b.admin.Query(ctx, sql)
		some, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			l.t.Error(err)
			return
		}
		ids = append(ids, some...)
	}
	names := l.b.names()
	family := l.b.stories[slices.Sorted(maps.Keys(l.b.stories))[0]].String()
	for _, op := range operations {
		if op.id == "readFamily" || op.open {
			continue
		}
		// Three of the ids for each caller, so that callers together have all.
		first := slices.Index(names, as)
		tries := []string{ids[first%len(ids)], ids[(first+3)%len(ids)], ids[(first+6)%len(ids)]}
		if !parameter.MatchString(op.path) {
			tries = tries[:1]
		}
		for _, id := range tries {
			c := call{method: op.method, path: parameter.ReplaceAllString(op.path, id), bearer: l.b.token(l.t, as), header: map[string]string{
				"Kith-Purpose": "FS", "Kith-Reason": "a test of canaries", "Idempotency-Key": uuid.NewString()}}
			if op.method == http.MethodGet && strings.HasPrefix(op.path, "/v1/access-events") && !parameter.MatchString(op.path) {
				c.path += "?limit=100"
			}
			if op.method != http.MethodGet {
				c.header["Content-Type"] = "application/json"
				c.body = fmt.Sprintf(`{"family":%q,"person":%q,"given_name":"A"}`, family, id)
			}
			r := l.hub.send(l.t, c)
			if found := canariesIn(r.body); slices.ContainsFunc(found, func(c canary) bool { return c.part != 0 }) {
				l.t.Errorf("%s: %s %s answers %d with content: %v", as, op.method, op.path, r.status, found)
			}
			if r.status == http.StatusInternalServerError {
				l.t.Errorf("%s: %s %s fails: %s", as, op.method, op.path, r.body)
			}
		}
	}
}

// againstTheLog holds what was shown against what the log says was released.
func (l *leakTest) againstTheLog() {
	rows, err := l.b.admin.Query(context.Background(), `SELECT request_id, coalesce(released, '{}'), outcome FROM kith.access_event WHERE request_id <> ''`)
	if err != nil {
		l.t.Fatal(err)
	}
	logged := map[string]map[int64]bool{}
	var request, outcome string
	var released []int64
	if _, err := pgx.ForEachRow(rows, []any{&request, &released, &outcome}, func() error {
		if logged[request] == nil {
			logged[request] = map[int64]bool{}
		}
		for _, p := range released {
			logged[request][p] = true
		}
		if len(released) > 0 && outcome != string(audit.OutcomeReleased) {
			l.t.Errorf("request %s released %d parts and says %s", request, len(released), outcome)
		}
		return nil
	}); err != nil {
		l.t.Fatal(err)
	}
	for request, parts := range l.seen {
		for part := range parts {
			if !logged[request][part] {
				l.t.Errorf("request %s shows part %d (%+v) and the log does not say that it was released", request, part, l.parts[part])
			}
		}
	}
}
