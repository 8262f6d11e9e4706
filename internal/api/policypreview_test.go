package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kith/internal/policy"
)

func (h *replica) previewed(at string) policy.Preview {
	h.town.t.Helper()
	var v policy.Preview
	if err := json.Unmarshal(h.do(call{as: "ig-author-csc", path: at + "/preview"}).want(200).raw, &v); err != nil {
		h.town.t.Fatal(err)
	}
	return v
}

// TestThePreviewOfADraft: the whole report of a draft is what it is after the
// submission, and is void as soon as the draft or the active version changes.
func TestThePreviewOfADraft(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for _, key := range []string{"detective", "mh-practitioner", "social-worker"} {
		for story := range x.stories {
			h.read(key, story, "FS")
		}
	}
	draft, at := h.drafted(t)
	revision := map[string]any{"revision": draft.number("revision")}
	h.do(call{as: "ig-author-csc", path: at + "/preview"}).want(404)
	for _, as := range []string{"detective", "auditor", "privacy-officer-mh"} {
		h.do(call{as: as, path: at + "/preview", body: revision}).want(403)
	}
	h.do(call{as: "detective", path: at + "/preview"}).want(403)
	h.do(call{as: "ig-approver-mh", path: at + "/preview", body: map[string]any{"revision": 1}}).want(409)

	h.do(call{as: "ig-approver-mh", path: at + "/preview", body: revision}).want(202)
	h.do(call{as: "ig-author-csc", path: at + "/preview", body: revision}).want(202) // asked already
	if v := h.previewed(at); v.Effect.State != policy.EffectComputing || v.Void || v.Report == nil || v.Agency != "MH" {
		t.Errorf("while it is computed: %+v", v)
	}
	h.weigh()
	made := h.previewed(at)
	if made.Effect.State != policy.EffectComplete || made.Effect.Past == nil || len(made.Effect.Live.Lines) == 0 {
		t.Fatalf("it is not whole: %+v", made.Effect)
	}
	h.do(call{as: "ig-author-csc", path: at + "/preview", body: revision}).want(200)

	// A change of the draft voids it: no figure is left.
	edit := func(text string) int {
		d := h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": h.do(call{as: "ig-author-csc", path: at}).want(200).number("revision"),
			"files": []any{map[string]any{"path": "README.md", "content": text}}}}).want(200)
		return d.number("revision")
	}
	again := edit("a word\n")
	if v := h.previewed(at); !v.Void || v.Report != nil || v.Effect != nil {
		t.Errorf("after a change it still says %+v", v)
	}
	h.do(call{as: "ig-author-csc", path: at + "/preview", body: map[string]any{"revision": again}}).want(202)
	edit("another word\n")
	if did, err := h.weigher.Next(t.Context()); did || err != nil {
		t.Errorf("what is void is computed: %v %v", did, err)
	}
	last := edit("a word\n")
	h.do(call{as: "ig-author-csc", path: at + "/preview", body: map[string]any{"revision": last}}).want(202)
	h.weigh()
	made = h.previewed(at)

	// What is submitted has the same report.
	sub := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": last, "why": "police asked for it"}}).want(201)
	h.do(call{as: "ig-author-csc", path: at + "/preview", body: map[string]any{"revision": last}}).want(409)
	h.weigh()
	var whole policy.Submission
	if err := json.Unmarshal(h.do(call{as: "ig-author-csc", path: "/v1/policies/submissions/" + sub.text("id")}).want(200).raw, &whole); err != nil {
		t.Fatal(err)
	}
	timed := cmpopts.IgnoreFields(policy.ChangeReport{}, "Took", "Walked")
	if diff := cmp.Diff(whole.Report, made.Report, timed); diff != "" {
		t.Errorf("the preview says otherwise than the submission:\n%s", diff)
	}
	if diff := cmp.Diff(whole.Effect, made.Effect, cmpopts.IgnoreFields(policy.PastEffect{}, "Took"), cmpopts.IgnoreFields(policy.LiveEffect{}, "Took")); diff != "" {
		t.Errorf("the preview says otherwise than the submission:\n%s", diff)
	}
	if actions := h.actions(); !slices.Contains(actions, "preview-asked:done") {
		t.Errorf("the log does not tell who asked: %v", actions)
	}

	// Another version becomes active: what was asked of a second draft is void.
	other, second := h.drafted(t)
	h.do(call{as: "ig-author-csc", path: second + "/preview", body: map[string]any{"revision": other.number("revision")}}).want(202)
	s := h.approved(t, sub)
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(200)
	if v := h.previewed(second); !v.Void {
		t.Error("it is compared with a version that is active no more")
	}
}

// TestWhoLosesIsTold: an activation that narrows writes to those who lose, of
// the agencies that work with somebody, once, by a reference.
func TestWhoLosesIsTold(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	sub := h.propose(t, nil)
	s := h.approved(t, sub)
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(200)
	if got := only(x.word("auditor"), "access-lost"); len(got) > 0 {
		t.Fatalf("nobody lost anything, and told are %v", got)
	}
	back := h.do(call{as: "ig-approver-mh", path: "/v1/policies/" + sub.text("compared_with") + "/return", body: map[string]any{"why": "the trial is over"}}).want(201)
	h.weigh()
	if got := only(x.word("auditor"), "access-lost"); len(got) > 0 {
		t.Errorf("it is not active yet, and told are %v", got)
	}
	h.do(call{as: "ig-approver-mh", path: "/v1/policies/submissions/" + back.text("id") + "/activation", method: http.MethodPost}).want(200)
	want := "access-lost:POL:" + sub.text("compared_with")[:16]
	for range 2 { // found twice, told once: the managers, and the detectives, who see less of living records
		if got := only(x.word("ig-approver-pol"), "access-lost"); !slices.Equal(got, []string{want, want}) {
			t.Errorf("police are told %v, want %s twice", got, want)
		}
	}
	roles := x.one(`SELECT string_agg(role, ' ' ORDER BY role) FROM kith.outbox_message WHERE kind = 'access-lost'`)
	if roles != "detective manager" {
		t.Errorf("told are %s", roles)
	}
	if got := only(x.word("ig-approver-mh"), "access-lost"); len(got) > 0 {
		t.Errorf("mental health lost nothing, and is told %v", got)
	}
}

// TestTheDatabaseAsksForWhatTheReportSays: a program that leaves out a need, a
// part that opens or an author changes nothing of who must approve.
func TestTheDatabaseAsksForWhatTheReportSays(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	app := x.db.Pool(t, "app")
	author, other := x.people["ig-author-csc"].Worker, x.people["ig-approver-csc"].Worker
	draft, _ := h.drafted(t)
	id := draft.text("id")
	insert := func(authors, by, report string) error {
		_, err := app.Exec(t.Context(), `INSERT INTO kith.policy_submission (id, partnership, digest, compared_with, draft, agency, authors, submitted_by, why, report)
			SELECT gen_random_uuid(), 'northby', v.digest, h.digest, $1, 'CSC', $2::uuid[], $3, 'w', convert_to($4, 'UTF8') FROM kith.policy_head h, kith.policy_version v WHERE v.name = 'mine'`,
			id, authors, by, report)
		return err
	}
	x.exec(`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES (decode(repeat('ab', 32), 'hex'), 'northby', 'mine', '', 'submitted')`)
	const report = `{"needs": [{"agency": "MH"}, {"agency": ""}], "changes": [{"gain": true, "section": "mh-involvement"}, {"gain": false, "section": "housing"}]}`
	if err := insert("{"+other.String()+"}", other.String(), report); err == nil || !strings.Contains(err.Error(), "policy-authors") {
		t.Errorf("a submission leaves out who wrote the draft: %v", err)
	}
	if err := insert("{"+author.String()+"}", other.String(), report); err == nil || !strings.Contains(err.Error(), "policy-authors") {
		t.Errorf("whoever submits is no author: %v", err)
	}
	if _, err := app.Exec(t.Context(), `UPDATE kith.policy_draft SET authors = ARRAY[$2::uuid], changed_by = $2 WHERE id = $1`, id, other); err == nil {
		t.Error("an author can be taken off a draft")
	}
	if err := insert("{"+author.String()+"}", author.String(), report); err != nil {
		t.Fatal(err)
	}
	x.exec(`INSERT INTO kith.policy_effect (submission, state, result) SELECT id, 'complete', '{}' FROM kith.policy_submission`)
	missing := func() string {
		return x.one(`SELECT array_to_string(kith.policy_approvals_missing(id), ' ', '-') FROM kith.policy_submission`)
	}
	// Neither needs nor openings were stored: every contributor to what opens is asked, and a second person.
	all := x.one(`SELECT string_agg(owner, ' ' ORDER BY owner) FROM (SELECT '' AS owner UNION SELECT 'MH' UNION SELECT owner FROM kith.contributors() WHERE section = 'mh-involvement') o`)
	if got := missing(); got != all {
		t.Errorf("missing are %q, want %q", got, all)
	}
	// Somebody who has never contributed cannot be listed as known, and is asked when they come to.
	if _, err := app.Exec(t.Context(), `INSERT INTO kith.policy_opening (submission, section, owners)
		SELECT s.id, 'mh-involvement', array_append(array_agg(c.owner), 'HOU') FROM kith.policy_submission s, kith.contributors() c WHERE c.section = 'mh-involvement' GROUP BY s.id`); err != nil {
		t.Fatal(err)
	}
	if got := missing(); got != " MH" {
		t.Errorf("missing are %q, want a second person and MH", got)
	}
	x.exec(`UPDATE kith.entry_version SET owner = NULL WHERE section = 'mh-involvement' AND latest AND entry = (SELECT entry FROM kith.entry_version WHERE section = 'mh-involvement' AND latest ORDER BY id LIMIT 1)`)
	x.exec(`UPDATE kith.entry SET owner = 'HOU', local_id = NULL WHERE id = (SELECT entry FROM kith.entry_version WHERE owner IS NULL AND latest LIMIT 1)`)
	if got := missing(); got != " HOU MH" {
		t.Errorf("missing are %q, want a second person, HOU and MH", got)
	}
	if tag, err := app.Exec(t.Context(), `SELECT kith.withdraw_policy(id, $1) FROM kith.policy_submission`, other); err != nil || tag.RowsAffected() != 1 {
		t.Fatal(tag, err)
	}
	if got := x.one(`SELECT state FROM kith.policy_submission`); got != "open" {
		t.Errorf("one who is no author took it back: %s", got)
	}
}
