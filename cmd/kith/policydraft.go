package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kith/internal/policy"
)

// cellOptions say which cell of the matrix is meant, and what it shall say.
type cellOptions struct {
	section, to, purpose, level, clause, roles, masks, conditions string
}

// tryOptions are a question about a story's family.
type tryOptions struct{ story, role, with string }

// listed splits a list that the command line gives with commas.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

func draftPath(id string) string { return "/v1/policies/drafts/" + url.PathEscape(id) }

func (c officer) drafts(ctx context.Context) error {
	var list struct{ Drafts []policy.Draft }
	if err := c.call(ctx, http.MethodGet, "/v1/policies/drafts", nil, &list); err != nil {
		return err
	}
	for _, d := range list.Drafts {
		state := "open"
		if d.Submitted {
			state = "submitted"
		}
		fmt.Fprintf(c.out, "%s  %-9s  revision %d  %s  %s\n", d.ID, state, d.Revision, d.Agency, d.Title)
	}
	return nil
}

// cell shows a cell of a draft, or gives it one row. Whoever changed it between
// the two steps is not overwritten.
func (c officer) cell(ctx context.Context, o policyOptions) error {
	if o.cell.section == "" || o.cell.to == "" || o.cell.purpose == "" {
		return errors.New("--section, --to (a kind of agency) and --purpose say which cell")
	}
	q := url.Values{"section": {o.cell.section}, "kind": {o.cell.to}, "purpose": {o.cell.purpose}}
	var list struct{ Cells []policy.Cell }
	if err := c.get(ctx, draftPath(o.target)+"/cells", q, &list); err != nil {
		return err
	}
	if len(list.Cells) != 1 {
		return errors.New("there is no such cell")
	}
	cell := list.Cells[0]
	if o.cell.level == "" {
		c.printCell(cell)
		return nil
	}
	rows := []policy.CellRow{}
	if o.cell.level != policy.Hidden.String() || o.why != "" {
		rows = append(rows, policy.CellRow{Level: o.cell.level, Clause: o.cell.clause, Roles: listed(o.cell.roles), Masks: listed(o.cell.masks), Conditions: listed(o.cell.conditions), Why: o.why})
	}
	path := draftPath(o.target) + "/cells/" + url.PathEscape(cell.Section) + "/" + url.PathEscape(cell.Kind) + "/" + url.PathEscape(cell.Purpose)
	if err := c.call(ctx, http.MethodPut, path, map[string]any{"seen": cell.Seen, "rows": rows}, &struct{}{}); err != nil {
		return err
	}
	if err := c.get(ctx, draftPath(o.target)+"/cells", q, &list); err != nil {
		return err
	}
	c.printCell(list.Cells[0])
	return nil
}

func (c officer) printCell(x policy.Cell) {
	fmt.Fprintf(c.out, "%s to %s for %s: %s", x.Section, x.Kind, x.Purpose, x.Says.Level)
	if x.Today != nil {
		fmt.Fprintf(c.out, " (today: %s)", x.Today.Level)
	}
	fmt.Fprintln(c.out)
	for i, r := range x.Rows {
		fmt.Fprintf(c.out, "  row %d: %s to %s", i+1, r.Level, r.To)
		for _, part := range []struct{ what, said string }{{"roles", strings.Join(r.Roles, ", ")}, {"on", strings.Join(r.Conditions, ", ")}, {"without", strings.Join(r.Masks, ", ")},
			{"clause", r.Clause}, {"from", r.From}, {"until", r.Until}, {"why", r.Why}} {
			if part.said != "" {
				fmt.Fprintf(c.out, "; %s %s", part.what, part.said)
			}
		}
		fmt.Fprintln(c.out)
	}
}

// try asks what somebody would see of a story's family under a draft, beside
// today; without a story it gives what any story's question is answered otherwise.
func (c officer) try(ctx context.Context, o policyOptions) error {
	body := map[string]any{}
	if o.try.story != "" {
		var list struct{ Stories []policy.StoryLine }
		if err := c.call(ctx, http.MethodGet, draftPath(o.target)+"/stories", nil, &list); err != nil {
			return err
		}
		file := o.try.story
		if !strings.HasPrefix(file, "stories/") {
			file = "stories/" + strings.TrimSuffix(file, ".yaml") + ".yaml"
		}
		q := policy.Question{Story: file, Agency: o.agency, Role: o.try.role, Purpose: o.cell.purpose, Mine: listed(o.try.with)}
		if i := slices.IndexFunc(list.Stories, func(s policy.StoryLine) bool { return s.File == file }); i >= 0 && len(q.Mine) == 0 {
			q.Mine = list.Stories[i].Children
		}
		body["questions"] = []policy.Question{q}
	}
	var got struct{ Tried []policy.Tried }
	if err := c.call(ctx, http.MethodPost, draftPath(o.target)+"/trials", body, &got); err != nil {
		return err
	}
	for _, t := range got.Tried {
		fmt.Fprintf(c.out, "%s: %s (%s) of %s for %s\n", t.Title, cmp.Or(t.Question.Who, "somebody"), t.Question.Role, t.Question.Agency, t.Question.Purpose)
		if t.Refused[0]+t.Refused[1] != "" {
			fmt.Fprintf(c.out, "  refused: today %s, in the draft %s\n", cmp.Or(t.Refused[0], "no"), cmp.Or(t.Refused[1], "no"))
		}
		for _, e := range t.Entries {
			if mark := map[bool]string{true: "*"}[e.Differs()]; mark != "" || o.try.story != "" {
				fmt.Fprintf(c.out, "%1s %-20s %-20s of %-5s today %-9s in the draft %s\n", mark, e.Name, e.Section, e.Owner, e.Before.Level, e.After.Level)
			}
		}
	}
	if len(got.Tried) == 0 {
		fmt.Fprintln(c.out, "No question of any story is answered otherwise.")
	}
	return nil
}

// preview asks for the whole report of a draft and waits until it is there.
func (c officer) preview(ctx context.Context, id string) error {
	var d policy.Draft
	if err := c.call(ctx, http.MethodGet, draftPath(id), nil, &d); err != nil {
		return err
	}
	var v policy.Preview
	if err := c.call(ctx, http.MethodPost, draftPath(id)+"/preview", map[string]any{"revision": d.Revision}, &v); err != nil {
		return err
	}
	told := time.Now()
	for wait := 50 * time.Millisecond; !v.Void && v.Effect != nil && v.Effect.State == policy.EffectComputing; wait = min(2*wait, 2*time.Second) {
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(c.out, "computing what it would have changed: %s, %d of %d\n", stageWords(v.Effect.Stage), v.Effect.Done, v.Effect.Total)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		v = policy.Preview{}
		if err := c.call(ctx, http.MethodGet, draftPath(id)+"/preview", nil, &v); err != nil {
			return err
		}
	}
	if v.Void || v.Report == nil {
		return errors.New("the draft, or the active version, has changed meanwhile: ask again")
	}
	printReport(c.out, *v.Report)
	printEffect(c.out, v.Effect)
	return nil
}

// say posts words about a submission: a refusal, advice, taking it back.
func (c officer) say(ctx context.Context, id, what, key, words string) error {
	if err := c.call(ctx, http.MethodPost, "/v1/policies/submissions/"+url.PathEscape(id)+"/"+what, map[string]string{key: words}, &struct{}{}); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "done")
	return nil
}
