package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// decisions measures the decision alone, inside the process and at an OPA
// server with the same modules, data and inputs.
func (b *bench) decisions(ctx context.Context, w *benchWorld) error {
	var inputs []policy.Input
	tuples := 0
	for i := 0; i < len(w.readings); i += max(len(w.readings)/100, 1) {
		in, err := w.recorded(ctx, w.readings[i])
		if err != nil {
			return err
		}
		inputs = append(inputs, in)
		tuples += len(in.Tuples)
	}
	v, err := w.version(ctx)
	if err != nil {
		return err
	}
	var cold measure
	for _, keep := range []int{0, keptDecisions} {
		active, err := policy.Compile(v, nil, policy.Options{Keep: keep, Deadline: benchDeadline})
		if err != nil {
			return err
		}
		what := map[bool]string{true: "decision, anew", false: "decision, kept"}[keep == 0]
		for _, in := range inputs { // kept decisions are met once before
			if d, err := active.Decide(ctx, in); err != nil || !d.Allow {
				return fmt.Errorf("decide: %s: %w", d.Refusal, err)
			}
		}
		m, err := processes{}.run(ctx, what, 1, b.long, func(ctx context.Context, _, i int) error {
			_, err := active.Decide(ctx, inputs[i%len(inputs)])
			return err
		})
		if err != nil {
			return err
		}
		b.add(w, m)
		if keep == 0 {
			cold = m
		} else {
			defer b.compare(w, &cold, m, inputs, tuples)
		}
	}
	binary, err := findOutside(b.opa)
	if errors.Is(err, errNoServer) {
		b.note("No comparison with an OPA server: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "opa-"+strconv.Itoa(w.families))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("directory of the OPA server: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	server, err := startOutside(ctx, binary, dir, v)
	if err != nil {
		return err
	}
	defer server.stop()
	questions := make([][]byte, len(inputs))
	for i, in := range inputs {
		if questions[i], err = server.question(in); err != nil {
			return err
		}
	}
	kept := lines{address: server.address}
	defer func() { _ = kept.close() }()
	m, err := processes{other: server.pid}.run(ctx, "decision, OPA server", 1, b.long, func(ctx context.Context, caller, i int) error {
		i %= len(inputs)
		status, body, err := kept.ask(ctx, caller, questions[i])
		if err != nil {
			return err
		}
		return answered(status, body, len(inputs[i].Tuples))
	})
	if err != nil {
		return err
	}
	b.add(w, m)
	return nil
}

// compare notes the ratio of decisions, against the server's CPU alone: what
// its caller spends on the question and the answer is not counted.
func (b *bench) compare(w *benchWorld, cold *measure, kept measure, inputs []policy.Input, tuples int) {
	server := b.lines[len(b.lines)-1]
	if server.other <= 0 {
		return
	}
	ratio := func(m measure) float64 { return float64(m.cpu()) / float64(server.other) }
	b.note("%d families: a decision over %d tuples (on average) costs %.2f of the OPA server's CPU anew, %.2f kept.",
		w.families, tuples/len(inputs), ratio(*cold), ratio(kept))
}

// searches measures the search for people by exact names and birth day, by a
// misspelt name, and for somebody whom nobody holds.
func (b *bench) searches(ctx context.Context, w *benchWorld) error {
	a, err := account("mash-officer")
	if err != nil {
		return err
	}
	caller, err := w.signIn(ctx, a)
	if err != nil {
		return err
	}
	known, err := w.people(ctx, 200)
	if err != nil {
		return err
	}
	variants := []struct {
		what  string
		terms func(i int) family.SearchTerms
	}{
		{"search, name and birth day", func(i int) family.SearchTerms { return known[i%len(known)] }},
		{"search, misspelt name", func(i int) family.SearchTerms {
			t := known[i%len(known)]
			t.FamilyName = misspelt(t.FamilyName)
			return t
		}},
		{"search, nobody", func(int) family.SearchTerms {
			return family.SearchTerms{GivenName: "Xanthippe", FamilyName: "Quenneville", DateOfBirth: "1961-02-03"}
		}},
	}
	for _, v := range variants {
		m, err := w.processes().run(ctx, v.what, 1, b.long, func(ctx context.Context, _, i int) error {
			_, err := w.kept.Search(ctx, caller, disclosure.SearchRequest{Terms: v.terms(i), Purpose: "FD", Reason: "measuring", RequestID: uuid.NewString()})
			var refused *disclosure.Refusal
			if errors.As(err, &refused) {
				return fmt.Errorf("refused: %s", refused.Code)
			}
			return err
		})
		if err != nil {
			return err
		}
		b.add(w, m)
	}
	return nil
}

// people takes names and birth days of the borough at random.
func (w *benchWorld) people(ctx context.Context, n int) ([]family.SearchTerms, error) {
	rows, err := w.floor.pool.Query(ctx, `
SELECT c.body->>'given_name', c.body->>'family_name', c.body->>'date_of_birth'
  FROM kith.entry_version v JOIN kith.content c ON c.part = v.full_part
 WHERE v.section = 'identity' AND v.latest AND c.body ?& ARRAY['given_name', 'family_name', 'date_of_birth'] LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("names to search for: %w", postgres.Redact(err))
	}
	defer rows.Close()
	var all []family.SearchTerms
	for rows.Next() {
		var t family.SearchTerms
		if err := rows.Scan(&t.GivenName, &t.FamilyName, &t.DateOfBirth); err != nil {
			return nil, fmt.Errorf("names to search for: %w", postgres.Redact(err))
		}
		all = append(all, t)
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		return nil, fmt.Errorf("names to search for: %d found: %w", len(all), postgres.Redact(err))
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// misspelt swaps two letters in the middle of a name.
func misspelt(name string) string {
	r := []rune(name)
	if at := len(r) / 2; len(r) > 3 {
		r[at-1], r[at] = r[at], r[at-1]
	}
	return string(r)
}

// bulk sends a native file of children, their work and their entries, as a case
// system does at night.
func (b *bench) bulk(ctx context.Context, w *benchWorld) error {
	a, err := account("system-csc")
	if err != nil {
		return err
	}
	if _, err := w.signIn(ctx, a); err != nil {
		return err
	}
	const children = 500
	file, records := nightlyFile(uuid.NewString()[:8], children)
	kept := lines{address: w.address}
	defer func() { _ = kept.close() }()
	began, used := time.Now(), w.processes().spent()
	status, body, err := kept.ask(ctx, 0, request(http.MethodPost, "/v1/submissions", w.address, w.tokens[a.Sign],
		map[string]string{"Content-Type": "application/x-ndjson", "Idempotency-Key": uuid.NewString()}, file))
	if err != nil {
		return fmt.Errorf("bulk load: %w", err)
	}
	last := bytes.TrimSpace(body)
	last = last[bytes.LastIndexByte(last, '\n')+1:]
	if status != http.StatusOK || !strings.HasPrefix(string(last), fmt.Sprintf("taken %d ", records)) {
		return fmt.Errorf("bulk load of %d records: status %d, %.300s", records, status, last)
	}
	lasted, now := time.Since(began), w.processes().spent()
	n := time.Duration(records)
	b.note("%d families: bulk load takes %.0f records a second (%d records in %s; CPU a record %s ms here, %s ms PostgreSQL).", w.families,
		float64(records)/lasted.Seconds(), records, lasted.Round(time.Millisecond), millis((now.own-used.own)/n), millis((now.database-used.database)/n))
	return nil
}

// nightlyFile makes native records: for each child a person, an episode, an
// involvement and three entries.
func nightlyFile(mark string, children int) (file []byte, records int) {
	var out bytes.Buffer
	for i := range children {
		id := mark + "-" + strconv.Itoa(i)
		fmt.Fprintf(&out, `{"person": {"local_id": "%[1]s", "about": "child", "born": "2016-03-04", "member": {"family": "%[1]s", "role": "child", "from": "2026-01-15"}}}
{"episode": {"local_id": "E-%[1]s", "person": "%[1]s", "kind": "child-in-need", "from": "2026-01-15"}}
{"involvement": {"local_id": "A-%[1]s", "person": "%[1]s", "team": "Locality", "role": "allocated", "from": "2026-01-15"}}
{"entry": {"local_id": "I-%[1]s", "section": "identity", "source": "fact", "about": ["%[1]s"], "contains": [], "content": {"given_name": "Ama", "family_name": "Bench %[2]d", "date_of_birth": "2016-03-04", "language": "English"}}}
{"entry": {"local_id": "C-%[1]s", "section": "care-status", "source": "fact", "about": ["%[1]s"], "event": "2026-01-15", "contains": [], "content": {"status": "child in need", "start": "2026-01-15", "team": "Locality"}}}
{"entry": {"local_id": "S-%[1]s", "section": "childs-story", "source": "self-report", "about": ["%[1]s"], "event": "2026-09", "recorded": "2026-10-06", "contains": [], "content": {"text": "Ama says that bedtime is quiet now. She would like her own lamp.", "in_own_words": true}}}
`, id, i)
		records += 6
	}
	return out.Bytes(), records
}
