package api_test

import (
	"encoding/csv"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// The papers say what the active version opens, as HTML and as CSV.
func TestPapers(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for paper, want := range map[string][]string{
		"processing":     {"UK GDPR article 30(1)", "Children Act 1989 s.47", "Northby Children", "DPIA isa-family-safeguarding", "Recipient: police"},
		"privacy-notice": {"Who we share information with", "Mental health involvement", "the shared summary", "Family Safeguarding information sharing agreement"},
		"use":            {"Rows that nobody used", "Releases under each clause"},
	} {
		page := h.do(call{as: "privacy-officer-mh", path: "/v1/policies/papers/" + paper + "?format=html"}).want(200)
		for _, words := range want {
			if !strings.Contains(string(page.raw), words) {
				t.Errorf("%s does not say %q: %.600s", paper, words, page.raw)
			}
		}
		table := h.do(call{as: "auditor", path: "/v1/policies/papers/" + paper + "?format=csv"}).want(200)
		rows, err := csv.NewReader(strings.NewReader(string(table.raw))).ReadAll()
		if err != nil || len(rows) < 10 {
			t.Errorf("%s: %d rows: %v", paper, len(rows), err)
		}
		for _, as := range []string{"social-worker", "system-mh", "admin", "outsider"} {
			if got := h.do(call{as: as, path: "/v1/policies/papers/" + paper}); got.status != http.StatusForbidden {
				t.Errorf("%s reads %s: %d", as, paper, got.status)
			}
		}
	}
	h.do(call{as: "auditor", path: "/v1/policies/papers/nothing"}).want(404)

	// A private row stays out of the notice: what no clause opens is not shared.
	notice := string(h.do(call{as: "auditor", path: "/v1/policies/papers/privacy-notice?format=csv"}).want(200).raw)
	for _, never := range []string{"Worker safety is", "Therapy notes"} {
		if strings.Contains(notice, never) {
			t.Errorf("the notice says %q", never)
		}
	}
	rows, err := csv.NewReader(strings.NewReader(notice)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[0] == "Police" && strings.Contains(row[1], "Group supervision") && row[2] != "the shared summary" {
			t.Errorf("police are said to receive group supervision: %q", row)
		}
	}

	paper := h.do(call{as: "ig-approver-mh", path: "/v1/agreements/isa-family-safeguarding/document?format=html"}).want(200)
	digest := x.agreement(h, "isa-family-safeguarding")["digest"].(string)
	for _, words := range []string{digest, "4.5", "Mental health: involvement and risk", "Caldicott Guardian", "signed since"} {
		if !strings.Contains(string(paper.raw), words) {
			t.Errorf("the document does not say %q", words)
		}
	}
}

func (x *town) agreement(h *replica, id string) map[string]any {
	x.t.Helper()
	list, _ := h.do(call{as: "ig-approver-mh", path: "/v1/agreements"}).want(200).json["agreements"].([]any)
	for _, a := range list {
		if a := a.(map[string]any); a["id"] == id {
			return a
		}
	}
	x.t.Fatalf("there is no agreement %s", id)
	return nil
}

// Sign-off: unsigned opens nothing; a signature says who, in which post, where
// the paper is and which text; a deputy signs within recorded days alone.
func TestSigningAnAgreement(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	story := x.aboutMentalHealth(t)
	x.exec(`UPDATE kith.agreement_party SET state = 'unsigned' WHERE agreement = 'isa-family-safeguarding' AND agency = 'MH'`)
	h.do(call{as: "mh-practitioner", path: "/v1/families/" + x.family(story), purpose: "FS"}).want(403)

	const at = "/v1/agreements/isa-family-safeguarding/signatures"
	digest := x.agreement(h, "isa-family-safeguarding")["digest"].(string)
	day := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format(time.DateOnly) }
	body := func(change map[string]any) map[string]any {
		out := map[string]any{"post": "Medical Director", "evidence": "signed paper, information governance file 14", "document": digest}
		for k, v := range change {
			if out[k] = v; v == nil {
				delete(out, k)
			}
		}
		return out
	}
	h.do(call{as: "mh-practitioner", path: at, body: body(nil)}).want(403)
	h.do(call{as: "ig-author-csc", path: at, body: body(nil)}).want(403)
	h.do(call{as: "ig-approver-mh", path: at, body: body(map[string]any{"post": nil})}).want(400)
	h.do(call{as: "ig-approver-mh", path: at, body: body(map[string]any{"evidence": nil})}).want(400)
	h.do(call{as: "ig-approver-mh", path: at, body: body(map[string]any{"document": strings.Repeat("0", 64)})}).want(409)
	for _, deputy := range []map[string]any{
		{"for": "Caldicott Guardian", "from": day(1), "until": day(9)},
		{"for": "Caldicott Guardian", "from": day(-9), "until": day(-1)},
	} {
		h.do(call{as: "ig-approver-mh", path: at, body: body(map[string]any{"deputy": deputy})}).want(400)
	}
	h.do(call{as: "mh-practitioner", path: "/v1/families/" + x.family(story), purpose: "FS"}).want(403)
	h.do(call{as: "ig-approver-mh", path: at, body: body(map[string]any{"deputy": map[string]any{"for": "Caldicott Guardian", "from": day(-1), "until": day(9)}})}).want(200)
	h.do(call{as: "ig-approver-mh", path: at, body: body(nil)}).want(409) // once
	h.do(call{as: "mh-practitioner", path: "/v1/families/" + x.family(story), purpose: "FS"}).want(200)

	acts, _ := h.do(call{as: "auditor", path: "/v1/agreements/isa-family-safeguarding/acts"}).want(200).json["acts"].([]any)
	signed := acts[0].(map[string]any)
	deputy, _ := signed["deputy"].(map[string]any)
	if signed["kind"] != "sign" || signed["document"] != digest || signed["post"] != "Medical Director" || deputy["for"] != "Caldicott Guardian" || signed["name"] == "" || signed["done_at"] == nil {
		t.Errorf("the record of the signature: %v", signed)
	}
}

// Signatories of two parties move an end by 30 days at most, in all; past its
// review date an agreement warns and denies nothing, past its end it denies.
func TestExtendingAnAgreement(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	story := x.aboutMentalHealth(t)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	set := func(review, end int) {
		x.exec(`UPDATE kith.agreement SET review_on = $1, ends_on = $2, first_end = NULL WHERE id = 'isa-family-safeguarding'`, today.AddDate(0, 0, review), today.AddDate(0, 0, end))
	}
	reads := func() int {
		return h.do(call{as: "mh-practitioner", path: "/v1/families/" + x.family(story), purpose: "FS"}).status
	}
	for _, c := range []struct {
		review, end int
		warning     string
		status      int
	}{{90, 300, "", 200}, {59, 300, "review-60", 200}, {30, 300, "review-30", 200}, {6, 300, "review-7", 200}, {-1, 300, "review-past", 200},
		{-9, 60, "end-60", 200}, {-9, 29, "end-30", 200}, {-9, 7, "end-7", 200}, {-9, 0, "end-7", 200}, {-9, -1, "end-past", 403}} {
		set(c.review, c.end)
		if got, _ := x.agreement(h, "isa-family-safeguarding")["warning"].(string); got != c.warning {
			t.Errorf("review in %d, end in %d days: %q, want %q", c.review, c.end, got, c.warning)
		}
		if got := reads(); got != c.status {
			t.Errorf("review in %d, end in %d days: status %d, want %d", c.review, c.end, got, c.status)
		}
	}

	set(100, 2)
	const at = "/v1/agreements/isa-family-safeguarding/extensions"
	until := func(days int) map[string]any {
		return map[string]any{"reason": "the review is not done", "ends_on": today.AddDate(0, 0, days).Format(time.DateOnly)}
	}
	h.do(call{as: "ig-approver-mh", path: at, body: until(20)}).want(202)
	h.do(call{as: "ig-approver-mh", path: at, body: until(20)}).want(409)  // one party is not two
	h.do(call{as: "ig-approver-csc", path: at, body: until(25)}).want(409) // another day than was asked
	h.do(call{as: "ig-approver-csc", path: at, body: until(20)}).want(200)
	if got := x.agreement(h, "isa-family-safeguarding")["end"]; got != today.AddDate(0, 0, 20).Format(time.DateOnly) {
		t.Errorf("ends on %v", got)
	}
	h.do(call{as: "ig-approver-csc", path: at, body: until(33)}).want(202) // 31 days past the first end
	h.do(call{as: "ig-approver-mh", path: at, body: until(33)}).want(400)
	if got := x.agreement(h, "isa-family-safeguarding")["end"]; got != today.AddDate(0, 0, 20).Format(time.DateOnly) {
		t.Errorf("a second extension reached past 30 days: %v", got)
	}

	acts, _ := h.do(call{as: "auditor", path: "/v1/access-events?limit=100&kind=agreement"}).want(200).json["events"].([]any)
	var actions []string
	for _, e := range acts {
		details, _ := e.(map[string]any)["details"].(map[string]any)
		actions = append(actions, details["action"].(string))
	}
	if !slices.Contains(actions, "extend") || !slices.Contains(actions, "extend-asked") {
		t.Errorf("the log tells of %v", actions)
	}
}
