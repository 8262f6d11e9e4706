package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// word gives what the outbox tells a caller, as kind:agency:reference.
func (x *town) word(as string) []string {
	x.t.Helper()
	if err := x.main.box.Round(x.t.Context()); err != nil {
		x.t.Fatal(err)
	}
	got := x.main.do(call{as: as, path: "/v1/outbox"}).want(200)
	var out []string
	messages, _ := got.json["messages"].([]any)
	for _, m := range messages {
		m := m.(map[string]any)
		out = append(out, strings.Join([]string{m["kind"].(string), m["agency"].(string), m["reference"].(string)}, ":"))
	}
	return out
}

// only keeps the messages of one kind.
func only(word []string, kind string) []string {
	return slices.DeleteFunc(slices.Clone(word), func(w string) bool { return !strings.HasPrefix(w, kind+":") })
}

// Word gets round: an approval waits, an agreement was stopped, an alert was
// raised; each to those whose office it is, once, and nobody is named.
func TestWordGetsRound(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for _, as := range []string{"social-worker", "system-mh", "outsider"} {
		if got := h.do(call{as: as, path: "/v1/outbox"}); got.status != http.StatusForbidden {
			t.Errorf("%s reads the outbox: %d", as, got.status)
		}
	}
	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "Police see mental health involvement"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	row := h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": draft.number("revision"), "section": "mh-involvement", "row": policeRow}}).want(200)
	const told = "stories/police-and-treatment.yaml"
	mended := strings.Replace(x.original(t, row, told), "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}",
		"want: {name: full, event: full, seen-by-nurse: summary}", 1)
	row = h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": row.number("revision"), "files": []any{map[string]any{"path": told, "content": mended}}}}).want(200)
	sub := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": row.number("revision"), "why": "police asked for it"}}).want(201)
	waits := "approval-waiting:MH:" + sub.text("digest")[:16]
	for range 2 { // found twice, told once
		if got := only(x.word("ig-approver-mh"), "approval-waiting"); !slices.Equal(got, []string{waits}) {
			t.Errorf("mental health is told %v, want %s", got, waits)
		}
	}
	if got := only(x.word("ig-approver-csc"), "approval-waiting"); len(got) > 0 {
		t.Errorf("social care, whose approval is not needed, is told %v", got)
	}

	h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/suspensions", body: map[string]any{"reason": "a breach was reported"}}).want(200)
	for _, as := range []string{"ig-approver-csc", "ig-approver-pol"} {
		got := x.word(as)
		for _, kind := range []string{"agreement-stopped", "access-lost"} {
			if !slices.ContainsFunc(got, func(w string) bool {
				return strings.HasPrefix(w, kind+":") && strings.HasSuffix(w, ":isa-family-safeguarding")
			}) {
				t.Errorf("%s is not told of %s: %v", as, kind, got)
			}
		}
	}
	h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/resumptions", body: map[string]any{"agency": "MH", "reason": "closed"}}).want(202)
	if got := x.word("ig-approver-csc"); !slices.Contains(got, "second-party-waiting:CSC:isa-family-safeguarding") {
		t.Errorf("social care is not asked to confirm: %v", got)
	}

	x.exec(`UPDATE kith.agreement SET review_on = current_date + 30 WHERE id = 'isa-mash'`)
	x.exec(`INSERT INTO kith.alert (id, partnership, kind) VALUES ('11111111-2222-4333-8444-555555555555', 'northby', 'forged-receipt')`)
	all := x.word("auditor")
	for _, want := range []string{"review-due:POL:isa-mash", "alert-raised:HUB:11111111-2222-4333-8444-555555555555", waits} {
		if !slices.Contains(all, want) {
			t.Errorf("the auditor does not see %s: %v", want, all)
		}
	}
}
