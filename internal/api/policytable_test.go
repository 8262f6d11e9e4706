package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/internal/policy"
)

// cell reads one cell of a draft.
func (h *replica) cell(at, section, kind, purpose string) policy.Cell {
	h.town.t.Helper()
	got := h.do(call{as: "ig-author-csc", path: at + "/cells?section=" + section + "&kind=" + kind + "&purpose=" + purpose}).want(200)
	var list struct{ Cells []policy.Cell }
	if err := json.Unmarshal(got.raw, &list); err != nil {
		h.town.t.Fatal(err)
	}
	if len(list.Cells) != 1 {
		h.town.t.Fatalf("%d cells of %s for %s and %s", len(list.Cells), section, kind, purpose)
	}
	return list.Cells[0]
}

// TestTheMatrixCellByCell: officers change one cell at a time, in each other's
// presence, and nothing of either is lost; what nobody knows is refused by row
// and column.
func TestTheMatrixCellByCell(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "cells"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	put := func(as, cell string, body map[string]any) answer {
		return h.do(call{as: as, method: http.MethodPut, path: at + "/cells/" + cell, body: body})
	}
	const clause = "isa-family-safeguarding 4.5"
	summary := []any{map[string]any{"level": "summary", "roles": []string{"detective"}, "clause": clause, "why": "the board asked"}}

	before := h.cell(at, "mh-involvement", "POL", "CN")
	if before.Says.Level != "hidden" || before.Today != nil || len(before.Rows) != 0 {
		t.Fatalf("at the start the cell says %+v", before)
	}
	if via := h.cell(at, "mh-involvement", "POL", "FS"); via.Purpose != "CN" { // FS reads the rows of CN
		t.Errorf("the rows of FS are those of %s", via.Purpose)
	}
	put("ig-author-csc", "mh-involvement/POL/CN", map[string]any{"seen": before.Seen, "rows": summary}).want(200)
	after := h.cell(at, "mh-involvement", "POL", "CN")
	want := []policy.CellRow{{To: "POL", Roles: []string{"detective"}, Level: "summary", Clause: clause, Why: "the board asked"}}
	if diff := cmp.Diff(want, after.Rows); diff != "" || after.Says.Level != "summary" || after.Today == nil || after.Today.Level != "hidden" {
		t.Errorf("the cell says %+v, today %+v:\n%s", after.Says, after.Today, diff)
	}

	// A second officer who read it before: a conflict that says what stands there, and nothing is saved.
	lost := put("ig-author-csc", "mh-involvement/POL/CN", map[string]any{"seen": before.Seen, "rows": []any{map[string]any{"level": "existence", "clause": clause}}}).want(409)
	if !strings.Contains(lost.text("type"), "cell-changed") || !strings.Contains(lost.text("theirs"), "the board asked") {
		t.Errorf("the conflict does not say what stands there: %s", lost.raw)
	}
	put("ig-author-csc", "mh-involvement/POL/CN", map[string]any{"rows": []any{}}).want(409) // whoever has read nothing overwrites nothing
	// Another cell of the same file, read before that change, is none.
	other := h.cell(at, "mh-involvement", "HOU", "CN")
	put("ig-author-csc", "mh-involvement/HOU/CN", map[string]any{"seen": other.Seen, "rows": []any{map[string]any{"level": "existence", "clause": clause}}}).want(200)
	if diff := cmp.Diff(after, h.cell(at, "mh-involvement", "POL", "CN")); diff != "" {
		t.Errorf("the neighbour's change lost the first: %s", diff)
	}

	// What nobody knows is named, and not saved.
	seen := after.Seen
	for _, c := range []struct {
		cell string
		row  map[string]any
		want string
	}{
		{"no-such/POL/CN", nil, `section: unknown section "no-such"`},
		{"mh-involvement/ZZZ/CN", nil, `kind: unknown kind "ZZZ"`},
		{"mh-involvement/HUB/CN", nil, "kind: HUB opens no records"},
		{"mh-involvement/POL/XX", nil, `purpose: unknown purpose "XX"`},
		{"mh-involvement/POL/FS", nil, "purpose: FS has no rows of its own: it reads those of CN"},
		{"mh-involvement/POL/AU", nil, "purpose: AU has no rows"},
		{"mh-involvement/POL/CN", map[string]any{"to": "NOBODY", "level": "summary", "clause": clause}, `row 2: to: "NOBODY" is neither POL nor an agency of that kind`},
		{"mh-involvement/POL/CN", map[string]any{"level": "everything", "clause": clause}, `row 2: level: unknown "everything"`},
		{"mh-involvement/POL/CN", map[string]any{"level": "full", "clause": clause, "masks": []string{"colour"}}, `row 2: masks: unknown field "colour"`},
		{"mh-involvement/POL/CN", map[string]any{"level": "full", "clause": clause, "roles": []string{"wizard"}}, `row 2: roles: unknown role "wizard"`},
		{"mh-involvement/POL/CN", map[string]any{"level": "full", "clause": clause, "conditions": []string{"full-moon"}}, `row 2: conditions: unknown condition "full-moon"`},
		{"mh-involvement/POL/CN", map[string]any{"level": "full", "clause": "isa-nothing 1"}, `row 2: clause: unknown agreement "isa-nothing"`},
		{"mh-involvement/POL/CN", map[string]any{"level": "full"}, "row 2: clause: is missing"},
		{"mh-involvement/POL/CN", map[string]any{"level": "full", "clause": clause, "from": "soon"}, `row 2: from: "soon" is no day`},
	} {
		rows := []any{}
		if c.row != nil {
			rows = []any{summary[0], c.row}
		}
		no := put("ig-author-csc", c.cell, map[string]any{"seen": seen, "rows": rows}).want(422)
		if !slices.ContainsFunc(no.list("changed"), func(line string) bool { return strings.HasPrefix(line, c.want) }) {
			t.Errorf("%s: %s\nwant %s", c.cell, no.raw, c.want)
		}
	}
	wrong := h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": 3, "section": "mh-risk",
		"row": map[string]any{"to": "POLICE", "purposes": []string{"CN"}, "level": "most", "clause": clause}}}).want(422)
	for _, want := range []string{`row: to: unknown kind or agency "POLICE"`, `row: level: unknown "most"`} {
		if !slices.ContainsFunc(wrong.list("changed"), func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("a row of its own: %s\nwant %s", wrong.raw, want)
		}
	}
	h.do(call{as: "ig-author-csc", path: at + "/cells?section=no-such"}).want(422)

	// Put back: the draft says again what it began with.
	put("ig-author-csc", "mh-involvement/POL/CN", map[string]any{"seen": seen, "restore": true}).want(200)
	put("ig-author-csc", "mh-involvement/HOU/CN", map[string]any{"seen": h.cell(at, "mh-involvement", "HOU", "CN").Seen, "restore": true}).want(200)
	if diff := cmp.Diff(before, h.cell(at, "mh-involvement", "POL", "CN")); diff != "" {
		t.Errorf("the cell was not put back: %s", diff)
	}
	now := h.do(call{as: "ig-author-csc", path: at}).want(200)
	if x.original(t, now, "matrix/mh-involvement.yaml") != x.original(t, draft, "matrix/mh-involvement.yaml") {
		t.Error("the file is not the one that the draft began with")
	}
	for as, status := range map[string]int{"ig-approver-mh": 403, "detective": 403, "auditor": 403} {
		put(as, "mh-involvement/POL/CN", map[string]any{"seen": before.Seen, "rows": summary}).want(status)
	}
	h.do(call{as: "detective", path: at + "/cells"}).want(403)
	all := h.do(call{as: "auditor", path: at + "/cells"}).want(200)
	if cells, _ := all.json["cells"].([]any); len(cells) < 30*10*3 {
		t.Errorf("the matrix has %d cells", len(cells))
	}
	edits := slices.DeleteFunc(h.actions(), func(a string) bool { return a != "draft-edited:done" })
	if len(edits) != 4 {
		t.Errorf("%d events of 4 changes", len(edits))
	}
}

// TestTryingADraft: an officer asks what somebody would see of an invented
// family under the draft, beside today.
func TestTryingADraft(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "try"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	if got := h.do(call{as: "ig-author-csc", path: at + "/trials", body: map[string]any{}}).want(200); len(got.json["tried"].([]any)) != 0 {
		t.Errorf("a draft without a change answers otherwise: %.500s", got.raw)
	}
	h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": 1, "section": "mh-involvement", "row": policeRow}}).want(200)
	var stories struct{ Stories []policy.StoryLine }
	if err := json.Unmarshal(h.do(call{as: "ig-approver-mh", path: at + "/stories"}).want(200).raw, &stories); err != nil {
		t.Fatal(err)
	}
	const file = "stories/police-and-treatment.yaml"
	i := slices.IndexFunc(stories.Stories, func(s policy.StoryLine) bool { return s.File == file })
	if i < 0 {
		t.Fatal("the story is not listed")
	}
	question := map[string]any{"story": file, "agency": "POL", "role": "detective", "purpose": "CN", "mine": stories.Stories[i].Children}
	var got struct{ Tried []policy.Tried }
	if err := json.Unmarshal(h.do(call{as: "ig-approver-mh", path: at + "/trials", body: map[string]any{"questions": []any{question}}}).want(200).raw, &got); err != nil {
		t.Fatal(err)
	}
	opened := false
	for _, e := range got.Tried[0].Entries {
		if e.Differs() {
			opened = opened || e.Section == "childs-story" && e.Before.Level == policy.Hidden && e.After.Level == policy.Summary
		}
	}
	if len(got.Tried) != 1 || !opened {
		t.Errorf("the draft does not show it: %+v", got.Tried)
	}
	if err := json.Unmarshal(h.do(call{as: "auditor", path: at + "/trials", body: map[string]any{}}).want(200).raw, &got); err != nil || len(got.Tried) == 0 {
		t.Errorf("no story answers otherwise: %v", err)
	}
	for field, value := range map[string]any{"story": "stories/none.yaml", "agency": "NOBODY", "role": "wizard", "purpose": "XX", "mine": []string{"nobody"}} {
		bad := map[string]any{}
		for k, v := range question {
			bad[k] = v
		}
		bad[field] = value
		no := h.do(call{as: "ig-author-csc", path: at + "/trials", body: map[string]any{"questions": []any{bad}}}).want(422)
		if !strings.Contains(string(no.raw), "question 1: "+field+": ") {
			t.Errorf("%s: %s", field, no.raw)
		}
	}
	h.do(call{as: "detective", path: at + "/trials", body: map[string]any{}}).want(403)
}

// TestRefusingAProposal: an approver says no and why; that takes nothing away
// from who must approve, and the author reads it.
func TestRefusingAProposal(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	sub := h.propose(t, nil)
	s := "/v1/policies/submissions/" + sub.text("id")
	h.do(call{as: "ig-approver-mh", path: s + "/refusals", body: map[string]any{"why": " "}}).want(422)
	for _, as := range []string{"ig-author-csc", "privacy-officer-mh", "detective", "auditor"} {
		h.do(call{as: as, path: s + "/refusals", body: map[string]any{"why": "no"}}).want(403)
	}
	h.do(call{as: "ig-approver-mh", path: s + "/refusals", body: map[string]any{"why": "not without a purpose limit"}}).want(201)
	read := h.do(call{as: "ig-author-csc", path: s}).want(200)
	var whole policy.Submission
	if err := json.Unmarshal(read.raw, &whole); err != nil {
		t.Fatal(err)
	}
	if len(whole.Refusals) != 1 || whole.Refusals[0].Why != "not without a purpose limit" || whole.Refusals[0].Agency != "MH" || !slices.Equal(whole.Missing, []string{"MH"}) {
		t.Errorf("the refusal is not read: %.800s", read.raw)
	}
	if !slices.Contains(h.actions(), "refused:done") {
		t.Error("the log does not tell of the refusal")
	}
	h.approved(t, sub) // a refusal can be taken back by approving
	h.do(call{as: "ig-approver-mh", path: s + "/refusals", body: map[string]any{"why": "after all not"}}).want(409)
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(200)
	h.do(call{as: "ig-approver-pol", path: s + "/refusals", body: map[string]any{"why": "too late"}}).want(409)
}
