package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"kith/internal/api"
)

// shows gives the levels at which a part of the record is shown.
func (a answer) shows(section string) []string {
	var levels []string
	sections, _ := a.json["sections"].([]any)
	for _, s := range sections {
		x := s.(map[string]any)
		if x["section"] != section {
			continue
		}
		for _, e := range x["entries"].([]any) {
			levels = append(levels, e.(map[string]any)["level"].(string))
		}
	}
	return levels
}

// aboutMentalHealth finds a story that the detective opens under FS and in
// which mental health has said that it is involved.
func (x *town) aboutMentalHealth(t *testing.T) string {
	t.Helper()
	for key := range x.stories {
		n := x.count(`SELECT count(*) FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id JOIN kith.membership m ON m.person = s.person
			WHERE m.family = $1 AND v.latest AND v.section = 'mh-involvement' AND m.confirmed_by IS NOT NULL`, x.family(key))
		if n > 0 && x.main.read("detective", key, "FS").status == http.StatusOK {
			if x.main.read("mh-practitioner", key, "FS").status == http.StatusOK {
				return key
			}
		}
	}
	t.Fatal("no story shows it")
	return ""
}

var policeRow = map[string]any{"to": "POL", "roles": []string{"detective"}, "purposes": []string{"CN"}, "level": "summary", "clause": "isa-family-safeguarding 4.5"}

// TestTheOfficersWalk is the walk of the README: draft, see who gains, fail to
// activate, approve, activate, see the record change, stop the agreement, see
// it close, return to the earlier version; and the log tells the whole story.
func TestTheOfficersWalk(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	other := x.hub(api.Limits{})
	story := x.aboutMentalHealth(t)
	if got := h.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) > 0 {
		t.Fatalf("police see mental health involvement at the start: %v", got)
	}

	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "Police see mental health involvement"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	h.do(call{as: "detective", path: at}).want(403)
	row := h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": draft.number("revision"), "section": "mh-involvement", "row": policeRow}}).want(200)

	// A story tells what was agreed so far: it must be told anew with the change.
	tested := h.do(call{as: "ig-author-csc", path: at + "/tests", method: http.MethodPost}).want(200)
	if !strings.Contains(string(tested.raw), "a police officer sees treatment only as a summary") {
		t.Fatalf("the shipped story does not fail: %.2000s", tested.raw)
	}
	const told = "stories/police-and-treatment.yaml"
	mended := strings.Replace(x.original(t, row, told), "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}",
		"want: {name: full, event: full, seen-by-nurse: summary}", 1)
	row = h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": row.number("revision"),
		"files": []any{map[string]any{"path": told, "content": mended}}}}).want(200)
	sub := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": row.number("revision"), "why": "police asked for it at the board"}}).want(201)
	if got := sub.list("missing"); !slices.Equal(got, []string{"MH"}) {
		t.Fatalf("%v must approve, want MH: %.3000s", got, sub.raw)
	}
	if !strings.Contains(string(sub.raw), "Police gain the shared summary of mental health involvement") {
		t.Errorf("the report does not say who gains: %.2000s", sub.raw)
	}
	s := "/v1/policies/submissions/" + sub.text("id")
	if early := h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409); !strings.Contains(early.text("type"), "policy-report-pending") {
		t.Errorf("activated before the report was whole: %s", early.raw)
	}
	if got := h.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) > 0 {
		t.Fatalf("a refused activation opened %v", got)
	}
	both := map[string]any{"digest": sub.text("digest"), "compared_with": sub.text("compared_with"), "why": "in children's interest"}
	h.do(call{as: "ig-author-csc", path: s + "/approvals", body: both}).want(403)
	if early := h.do(call{as: "ig-approver-mh", path: s + "/approvals", body: both}).want(409); !strings.Contains(early.text("type"), "policy-report-pending") {
		t.Errorf("approved before the report was whole: %s", early.raw)
	}
	h.weigh()
	whole := h.do(call{as: "ig-approver-mh", path: s}).want(200)
	if effect, _ := whole.json["effect"].(map[string]any); effect["state"] != "complete" || effect["past"] == nil || effect["live"] == nil {
		t.Errorf("the report is not whole: %v", whole.json["effect"])
	}
	h.do(call{as: "ig-approver-pol", path: s + "/approvals", body: both}).want(201) // may, and is not enough
	no := h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409)
	if !slices.Equal(no.list("missing"), []string{"MH"}) {
		t.Errorf("the refusal does not say who is missing: %s", no.raw)
	}
	wrong := map[string]any{"digest": sub.text("compared_with"), "compared_with": sub.text("compared_with")}
	h.do(call{as: "ig-approver-mh", path: s + "/approvals", body: wrong}).want(409)
	h.do(call{as: "privacy-officer-mh", path: s + "/advice", body: map[string]any{"advice": "proportionate if audited"}}).want(201)
	h.do(call{as: "ig-approver-mh", path: s + "/approvals", body: both}).want(201)

	// The approver's role is lost between approval and activation, and comes back.
	mh := x.people["ig-approver-mh"].Worker
	x.exec(`UPDATE kith.worker SET suspended = true WHERE id = $1`, mh)
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409)
	x.exec(`UPDATE kith.worker SET suspended = false WHERE id = $1`, mh)

	done := h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(200)
	if done.text("state") != "activated" {
		t.Errorf("state %s", done.text("state"))
	}
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409)
	for _, hub := range []*replica{h, other} { // at once, on every replica
		got := hub.read("detective", story, "FS").want(200).shows("mh-involvement")
		if len(got) == 0 || slices.Contains(got, "full") {
			t.Fatalf("after activation the detective is shown %v", got)
		}
	}

	affected := h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/affected"}).want(200)
	if affected.number("children") == 0 {
		t.Errorf("stopping would hit nobody: %s", affected.raw)
	}
	h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/suspensions", body: map[string]any{"reason": ""}}).want(400)
	h.do(call{as: "ig-approver-pol", path: "/v1/agreements/isa-family-safeguarding/suspensions", body: map[string]any{"agency": "MH", "reason": "x"}}).want(403)
	h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/suspensions", body: map[string]any{"reason": "a breach was reported"}}).want(200)
	if got := other.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) > 0 {
		t.Errorf("the stopped part still shows %v", got)
	}
	h.do(call{as: "mh-practitioner", path: "/v1/families/" + x.family(story), purpose: "FS"}).want(403)
	resume := call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/resumptions", body: map[string]any{"agency": "MH", "reason": "closed"}}
	h.do(resume).want(202)
	h.do(resume).want(409) // the same party cannot be both
	if got := h.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) > 0 {
		t.Errorf("one party alone resumed: %v", got)
	}
	resume.as = "ig-approver-csc"
	h.do(resume).want(200)
	if got := h.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) == 0 {
		t.Error("after both resumed the summary is still closed")
	}

	back := h.do(call{as: "ig-approver-mh", path: "/v1/policies/" + sub.text("compared_with") + "/return", body: map[string]any{"why": "the trial is over"}}).want(201)
	if got := back.list("missing"); len(got) > 0 {
		t.Errorf("mental health takes back what is its own, and %v must approve", got)
	}
	h.weigh()
	h.do(call{as: "ig-approver-mh", path: "/v1/policies/submissions/" + back.text("id") + "/activation", method: http.MethodPost}).want(200)
	if got := h.read("detective", story, "FS").want(200).shows("mh-involvement"); len(got) > 0 {
		t.Errorf("after the return the detective is shown %v", got)
	}

	actions := h.actions()
	for _, want := range []string{"draft-opened:done", "draft-edited:done", "submitted:done", "activated:denied", "approved:denied", "approved:done", "advised:done", "activated:done",
		"suspend:done", "resume-asked:done", "resume:done", "return-proposed:done", "report-computed:done"} {
		if !slices.Contains(actions, want) {
			t.Errorf("the log does not tell of %s: %v", want, actions)
		}
	}

}

// Two officers, one draft: a clear conflict, and nothing is lost.
// actions lists what officers did, as action:outcome, the oldest first.
func (h *replica) actions() []string {
	h.town.t.Helper()
	var actions []string
	for _, kind := range []string{"policy", "agreement"} {
		log := h.do(call{as: "auditor", path: "/v1/access-events?limit=100&kind=" + kind}).want(200)
		events, _ := log.json["events"].([]any)
		for _, e := range events {
			details, _ := e.(map[string]any)["details"].(map[string]any)
			action, _ := details["action"].(string)
			actions = append([]string{action + ":" + e.(map[string]any)["outcome"].(string)}, actions...)
		}
	}
	return actions
}

func TestTwoOfficersOneDraft(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "one draft"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	save := func(revision int, path, content string) answer {
		return h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": revision, "files": []any{map[string]any{"path": path, "content": content}}}})
	}
	save(1, "README.md", "mine\n").want(200)
	lost := save(1, "README.md", "yours\n").want(409)
	if lost.text("theirs") != "mine\n" || lost.number("latest") != 2 {
		t.Errorf("the conflict does not say what stands there: %s", lost.raw)
	}
	save(2, "README.md", "both\n").want(200)
	save(3, "kernel/gate.rego", "package kith.kernel\n").want(422)
	save(3, "../etc/passwd", "x").want(422)
	h.do(call{as: "ig-approver-mh", path: at + "/files", body: map[string]any{"revision": 3, "files": []any{}}}).want(403)

	// What is not in order is not submitted, and says where.
	save(3, "matrix/mh-risk.yaml", "section: mh-risk\nrows:\n  - {to: POL, purposes: [CN], level: everything}\n").want(200)
	bad := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": 4, "why": "w"}}).want(422)
	if !strings.Contains(string(bad.raw), "matrix/mh-risk.yaml:3: row 1: level") {
		t.Errorf("the problem is not told by file, row and column: %s", bad.raw)
	}
	// A role that opens other doors cannot be changed by anybody's approval.
	save(4, "matrix/mh-risk.yaml", x.original(t, draft, "matrix/mh-risk.yaml")).want(200)
	save(5, "roles.yaml", strings.Replace(x.original(t, draft, "roles.yaml"), "name: auditor, kinds: [HUB]", "name: auditor, kinds: [HUB, CSC]", 1)).want(200)
	refused := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": 6, "why": "w"}}).want(422)
	if !strings.Contains(refused.text("type"), "policy-refused") {
		t.Errorf("got %s", refused.raw)
	}
}

// original is a file as a draft began.
func (x *town) original(t *testing.T, draft answer, path string) string {
	t.Helper()
	files, _ := draft.json["files"].([]any)
	for _, f := range files {
		if f := f.(map[string]any); f["path"] == path {
			return f["content"].(string)
		}
	}
	t.Fatalf("the draft has no %s", path)
	return ""
}

// The app's database role cannot step around the approvals, whoever holds it.
func TestTheAppCannotActivateByItself(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	app := x.db.Pool(t, "app")
	worker := x.people["ig-author-csc"].Worker
	for _, sql := range []string{
		`UPDATE kith.policy_head SET digest = digest`,
		`UPDATE kith.policy_version SET state = 'active'`,
		`UPDATE kith.policy_version SET bundle = ''`,
		`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES (decode(repeat('ab', 32), 'hex'), 'northby', 'mine', '', 'active')`,
		`DELETE FROM kith.policy_need`,
		`UPDATE kith.policy_submission SET state = 'open'`,
		`UPDATE kith.policy_approval SET agency = 'MH'`,
	} {
		if _, err := app.Exec(t.Context(), sql); err == nil {
			t.Errorf("the app's role may: %s", sql)
		}
	}
	x.exec(`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES (decode(repeat('ab', 32), 'hex'), 'northby', 'mine', '', 'submitted')`)
	x.exec(`INSERT INTO kith.policy_submission (id, partnership, digest, compared_with, agency, authors, submitted_by, why, report)
		SELECT '00000000-0000-4000-8000-00000000000a', 'northby', decode(repeat('ab', 32), 'hex'), h.digest, 'CSC', ARRAY[$1::uuid], $1, 'w', '{}' FROM kith.policy_head h`, worker)
	x.exec(`INSERT INTO kith.policy_need (submission, agency, why) VALUES ('00000000-0000-4000-8000-00000000000a', 'MH', '{}')`)
	x.exec(`INSERT INTO kith.policy_effect (submission, state, result) VALUES ('00000000-0000-4000-8000-00000000000a', 'complete', '{}')`)
	approve := func(agency, as string) error {
		_, err := app.Exec(t.Context(), `INSERT INTO kith.policy_approval (id, submission, digest, compared_with, agency, worker, name)
			SELECT gen_random_uuid(), s.id, s.digest, s.compared_with, $1, $2, 'n' FROM kith.policy_submission s`, agency, x.people[as].Worker)
		return err
	}
	for _, c := range []struct{ agency, as string }{{"CSC", "ig-author-csc"}, {"MH", "ig-approver-pol"}, {"MH", "mh-practitioner"}} {
		if approve(c.agency, c.as) == nil {
			t.Errorf("%s approved for %s", c.as, c.agency)
		}
	}
	activate := func() string {
		var said string
		if err := app.QueryRow(t.Context(), `SELECT kith.activate_policy('00000000-0000-4000-8000-00000000000a', $1)`, worker).Scan(&said); err != nil {
			t.Error(err)
		}
		return said
	}
	if got := activate(); got != "policy-approval-missing MH" {
		t.Errorf("without approval: %s", got)
	}
	if err := approve("MH", "ig-approver-mh"); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 2) // two at once: one of them does it
	for range 2 {
		go func() { said <- activate() }()
	}
	if got := []string{<-said, <-said}; !slices.Contains(got, "done") || !slices.Contains(got, "policy-closed") {
		t.Errorf("two activations at once: %v", got)
	}
}
