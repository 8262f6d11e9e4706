package disclosure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// liveTally counts what would open and close in the records as they stand.
type liveTally struct {
	lines map[string]*liveLine
	views int
}

type liveLine struct {
	line     policy.EffectLine
	entries  map[uuid.UUID]bool
	families map[uuid.UUID]bool
}

// viewer is somebody who works with a family today, as the directory knows them.
type viewer struct {
	family uuid.UUID
	worker uuid.UUID
	agency string
	kind   string
	roles  []string
}

// view is what a viewer would be shown under one purpose, as a question.
type liveView struct {
	of      viewer
	role    string
	facts   *family.Facts
	tuple   []int
	answers *answerTo
}

// familiesAtOnce is how many families' viewers are looked up at a time.
const familiesAtOnce = 25

// weighLive asks, for everybody who works with a family today, how both versions
// would show it to them for the open work that there is.
func (w *Weigher) weighLive(ctx context.Context, work *policy.Work, asked *asking, before, after *policy.Version) (policy.LiveEffect, error) {
	began := w.Now()
	var out policy.LiveEffect
	if err := w.Pool.QueryRow(ctx, `SELECT count(*) FROM family WHERE partnership = $1`, w.Office.Partnership).Scan(&out.Families); err != nil {
		return out, fmt.Errorf("count families: %w", postgres.Redact(err))
	}
	t := liveTally{lines: map[string]*liveLine{}}
	var last uuid.UUID
	for w.views() > 0 {
		families, viewers, err := w.viewers(ctx, last)
		if err != nil {
			return out, err
		}
		if len(families) == 0 {
			break
		}
		last = families[len(families)-1]
		out.Looked += len(families)
		out.Workers += len(viewers)
		// What nothing can change for is not looked up.
		viewers = slices.DeleteFunc(viewers, func(v viewer) bool { return !asked.player.Concerns(v.agency, v.kind) })
		if err := w.look(ctx, asked, before, viewers, &t); err != nil {
			return out, err
		}
		if err := work.Save(ctx, policy.StageLive, int64(out.Looked), int64(out.Families), nil); err != nil {
			return out, err
		}
		if t.views >= w.views() {
			break // ids are random: these families are as good as any
		}
	}
	out.Lines = t.result(before, after)
	out.Took = w.Now().Sub(began).Round(time.Millisecond).String()
	return out, nil
}

// viewers lists some families behind the last one, and who works with them: by
// name, or through a team.
func (w *Weigher) viewers(ctx context.Context, behind uuid.UUID) ([]uuid.UUID, []viewer, error) {
	rows, _ := w.Pool.Query(ctx, `SELECT id FROM family WHERE partnership = $1 AND id > $2 ORDER BY id LIMIT $3`, w.Office.Partnership, behind, familiesAtOnce)
	families, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(families) == 0 {
		return nil, nil, postgres.Redact(err)
	}
	rows, _ = w.Pool.Query(ctx, `
WITH live AS (
  SELECT DISTINCT m.family, i.agency, i.worker, i.team
    FROM membership m JOIN involvement i ON i.person = m.person
   WHERE m.family = ANY ($1) AND m.confirmed_by IS NOT NULL AND i.valid_from <= $2 AND (i.valid_until IS NULL OR i.valid_until > $2)
), somebody AS (
  SELECT l.family, l.agency, l.worker FROM live l WHERE l.worker IS NOT NULL
   UNION
  SELECT l.family, l.agency, t.worker FROM live l JOIN worker_team t ON t.agency = l.agency AND t.team = l.team
   WHERE l.worker IS NULL AND t.valid_from <= $2 AND (t.valid_until IS NULL OR t.valid_until > $2)
)
SELECT s.family, w.id, s.agency, a.kind,
       CASE WHEN w.agency = s.agency THEN w.roles
            ELSE coalesce((SELECT x.roles FROM worker_acceptance x WHERE x.worker = w.id AND x.agency = s.agency AND NOT x.withdrawn
                              AND x.valid_from <= $3 AND (x.valid_until IS NULL OR x.valid_until >= $3) ORDER BY x.id LIMIT 1), '{}') END
  FROM somebody s JOIN worker w ON w.id = s.worker JOIN agency a ON a.code = s.agency
 WHERE NOT w.suspended AND w.active_from <= $3 AND (w.active_until IS NULL OR w.active_until >= $3)
 ORDER BY s.family, s.agency, w.id`, families, w.Now().UTC(), w.Now().UTC().Truncate(24*time.Hour))
	viewers, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (viewer, error) {
		var v viewer
		return v, row.Scan(&v.family, &v.worker, &v.agency, &v.kind, &v.roles)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("list who works with families: %w", postgres.Redact(err))
	}
	return families, viewers, nil
}

// look loads what each viewer's questions need, two at a time so that the
// requests of people come first, and puts them.
func (w *Weigher) look(ctx context.Context, asked *asking, version *policy.Version, viewers []viewer, t *liveTally) error {
	found := make([][]loaded, len(viewers))
	errs := make([]error, len(viewers))
	next := make(chan int)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for i := range next {
				found[i], errs[i] = w.questions(ctx, version, viewers[i])
			}
		})
	}
	for i := range viewers {
		next <- i
	}
	close(next)
	wait.Wait()
	var views []liveView
	for i := range viewers {
		if errs[i] != nil {
			return errs[i]
		}
		for _, x := range found[i] {
			views = append(views, liveView{of: viewers[i], role: x.role, facts: x.facts, tuple: x.tuple, answers: asked.ask(x.input)})
		}
	}
	if err := asked.put(); err != nil {
		return err
	}
	t.views += len(views)
	for i := range views {
		t.add(&views[i])
	}
	return nil
}

// loaded is one question of a viewer.
type loaded struct {
	role  string
	facts *family.Facts
	tuple []int
	input json.RawMessage
}

// questions are what a viewer can ask of the family today: for each purpose that
// the open work carries, with a reason.
func (w *Weigher) questions(ctx context.Context, version *policy.Version, v viewer) ([]loaded, error) {
	purposes := version.PurposesFor(v.kind, v.roles)
	role := roleOf(version, v.roles)
	if len(purposes) == 0 || role == "" {
		return nil, nil
	}
	now := w.Now()
	caller := family.Caller{Worker: v.worker, Agency: v.agency, Roles: v.roles, Now: now}
	p := identity.Principal{Partnership: w.Office.Partnership, Worker: v.worker, Agency: v.agency, Kind: v.kind, Roles: v.roles}
	facts, err := family.Load(ctx, w.Pool, v.family, caller)
	if err != nil {
		return nil, fmt.Errorf("load facts: %w", err)
	}
	var open []string
	for _, e := range facts.Episodes {
		open = append(open, e.Kind)
	}
	var out []loaded
	for _, purpose := range fitting(purposes, open) {
		f := facts
		if purpose.Consent { // told-and-agreed is of one purpose
			caller.Purpose = purpose.Code
			if f, err = family.Load(ctx, w.Pool, v.family, caller); err != nil {
				return nil, fmt.Errorf("load facts: %w", err)
			}
		}
		q, err := ask(p, Request{Family: v.family, Purpose: purpose.Code, Reason: "own open work"}, f, now)
		if err != nil {
			return nil, err
		}
		input, err := json.Marshal(q.input)
		if err != nil {
			return nil, fmt.Errorf("encode input: %w", err)
		}
		out = append(out, loaded{role: role, facts: &f, tuple: q.tuple, input: input})
	}
	return out, nil
}

// roleOf names the roles of a viewer that open records, the professional ones
// where there are any; "" where none does.
func roleOf(v *policy.Version, roles []string) string {
	var special, general []string
	for _, code := range roles {
		r, ok := v.Role(code)
		switch {
		case !ok || !r.Records:
		case code == "practitioner" || code == "manager":
			general = append(general, code)
		default:
			special = append(special, code)
		}
	}
	if len(special) == 0 {
		special = general
	}
	slices.Sort(special)
	return strings.Join(slices.Compact(special), ", ")
}

// add counts the entries that one view gains and loses.
func (t *liveTally) add(x *liveView) {
	for _, f := range x.answers.Flips {
		if f.Section == "" {
			continue // its entries follow, each by itself
		}
		line := policy.EffectLine{Gain: f.Gain, Agency: x.of.agency, Role: x.role, Section: f.Section, Before: f.Before, After: f.After}
		key := lineKey(line)
		l := t.lines[key]
		if l == nil {
			if len(t.lines) >= mostLines {
				continue
			}
			l = &liveLine{line: line, entries: map[uuid.UUID]bool{}, families: map[uuid.UUID]bool{}}
			t.lines[key] = l
		}
		for i := range x.facts.Entries {
			if slices.Contains(f.Tuples, x.tuple[i]) {
				l.entries[x.facts.Entries[i].Entry] = true
				l.families[x.of.family] = true
			}
		}
	}
}

// result tells the counts as far as they may be told.
func (t *liveTally) result(before, after *policy.Version) []policy.EffectLine {
	lines := []policy.EffectLine{}
	for _, l := range t.lines {
		if len(l.entries) == 0 {
			continue
		}
		line := l.line
		entries := policy.CountOf(len(l.entries))
		line.Entries, line.Families = &entries, policy.CountOf(len(l.families))
		line.Words = line.InWords(before, after)
		lines = append(lines, line)
	}
	sortLines(lines)
	return lines
}
