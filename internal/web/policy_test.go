package web_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// field gives the value of a form's hidden field.
func field(t *testing.T, page, name string) string {
	t.Helper()
	found := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("no field %q in the page:\n%.3000s", name, page)
	}
	return html.UnescapeString(found[1])
}

// newDraft opens a draft and gives its address.
func (b *browser) newDraft(title string) string {
	b.t.Helper()
	a := b.post("/policy/drafts", url.Values{"title": {title}})
	at := a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(at, "/policy/drafts/") {
		b.t.Fatalf("opening a draft: status %d to %q\n%.2000s", a.StatusCode, at, a.body)
	}
	return at
}

// setCell changes a cell of a draft as its form does.
func (b *browser) setCell(draft, cell, purpose string, change url.Values) answer {
	b.t.Helper()
	at := draft + "/cells/" + cell + "?purpose=" + purpose
	page := b.get(at)
	form := url.Values{"purpose": {purpose}, "seen": {field(b.t, page.body, "seen")}, "rule": {field(b.t, page.body, "rule")}, "do": {"save"}}
	if found := regexp.MustCompile(`<option value="([^"]+)" selected>[^<]*agreement`).FindStringSubmatch(page.body); found != nil {
		form.Set("clause", found[1])
	}
	for key, values := range change {
		form[key] = values
	}
	return b.post(draft+"/cells/"+cell, form)
}

// TestOfficersPages walks the officer's task without script: each page is read,
// and each form is sent as a browser sends it.
func TestOfficersPages(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	author := h.as(t, "ig-author-csc")

	t.Run("the matrix says what the version says", func(t *testing.T) {
		page := author.get("/policy")
		for _, want := range []string{"Sharing matrix", "version 1", "Mental health involvement", "Children&#39;s social care", "/policy/cells/mh-involvement.SCH?purpose=FS#cell"} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if len(page.body) > 150_000 {
			t.Errorf("the page has %d bytes", len(page.body))
		}
		cell := author.get("/policy/cells/da-victim-safety.DP?purpose=CP")
		if cell.StatusCode != http.StatusOK || !strings.Contains(cell.body, "Whoever works with the alleged abuser never sees") {
			t.Errorf("the reason of a cell that is never shared is not there: status %d", cell.StatusCode)
		}
		if strings.Contains(cell.body, `name="level"`) {
			t.Error("what is in force can be edited")
		}
		if a := author.get("/policy/cells/no-such.part?purpose=CP"); a.StatusCode != http.StatusNotFound {
			t.Errorf("unknown cell: status %d", a.StatusCode)
		}
	})
	t.Run("roles that may not are told so, and read nothing", func(t *testing.T) {
		for _, name := range []string{"social-worker", "detective", "admin"} {
			b := h.as(t, name)
			for _, path := range []string{"/policy", "/policy/drafts", "/policy/versions", "/policy/rules", "/policy/try", "/approvals"} {
				if a := b.get(path); a.StatusCode != http.StatusForbidden || !strings.Contains(a.body, "officers of the sharing policy") {
					t.Errorf("%s, %s: status %d", name, path, a.StatusCode)
				}
			}
			if a := b.post("/policy/drafts", url.Values{"title": {"mine"}}); a.StatusCode != http.StatusForbidden {
				t.Errorf("%s opens a draft: status %d", name, a.StatusCode)
			}
		}
		approver := h.as(t, "ig-approver-mh")
		if a := approver.post("/policy/drafts", url.Values{"title": {"mine"}}); a.StatusCode != http.StatusForbidden {
			t.Errorf("an approver opens a draft: status %d", a.StatusCode)
		}
		if a := h.browser(t).get("/policy"); a.StatusCode != http.StatusSeeOther {
			t.Errorf("without a session: status %d", a.StatusCode)
		}
	})
	t.Run("a cell is changed, marked, and put back", func(t *testing.T) {
		draft := author.newDraft("Schools learn that a service is involved")
		a := author.setCell(draft, "sm-involvement.SCH", "CN", url.Values{"level": {"existence"}, "why": {"the lead needs to know whom to ask"}})
		if a.StatusCode != http.StatusSeeOther || !strings.HasSuffix(a.Header.Get("Location"), "#cell") {
			t.Fatalf("status %d to %q\n%.3000s", a.StatusCode, a.Header.Get("Location"), a.body)
		}
		page := author.get(strings.TrimSuffix(a.Header.Get("Location"), "#cell"))
		for _, want := range []string{"Saved in the draft", "k-c--changed", "was hidden", "Was hidden, now existence.", "1 cell changed", "the lead needs to know whom to ask", "1 wider"} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		a = author.setCell(draft, "sm-involvement.SCH", "CN", url.Values{"do": {"restore"}})
		page = author.get(strings.TrimSuffix(a.Header.Get("Location"), "#cell"))
		if !strings.Contains(page.body, "Nothing is changed yet.") {
			t.Errorf("it is not as before: %.1500s", page.body)
		}
		files := author.get("/policy/rules?draft=" + strings.TrimPrefix(draft, "/policy/drafts/"))
		if strings.Contains(files.body, ">changed<") {
			t.Error("a cell that was put back leaves its file changed")
		}
	})
	t.Run("what is wrong is told at the field and what was typed is kept", func(t *testing.T) {
		draft := author.newDraft("wrong forms")
		a := author.setCell(draft, "mh-risk.SCH", "CN", url.Values{"level": {"summary"}})
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `id="why-error"`) || !strings.Contains(a.body, `value="summary" id="level-summary" checked`) {
			t.Errorf("no reason: status %d", a.StatusCode)
		}
		a = author.setCell(draft, "mh-risk.SCH", "CN", url.Values{"level": {"summary"}, "why": {"because"}, "clause": {""}})
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "a release rests on a clause") {
			t.Errorf("no clause: status %d", a.StatusCode)
		}
		form := url.Values{"purpose": {"CN"}, "level": {"full"}, "why": {"because"}, "clause": {"isa-family-safeguarding 4.5"}, "quick": {"1"}, "was": {"never"}}
		if a := author.post(draft+"/cells/therapy-notes.SCH", form); a.StatusCode == http.StatusOK || a.StatusCode == http.StatusSeeOther {
			t.Errorf("what is never shared was opened: status %d", a.StatusCode)
		}
	})
	t.Run("two officers, one cell: both are shown and nothing is lost", func(t *testing.T) {
		draft := author.newDraft("two officers")
		other := h.as(t, "ig-author-csc")
		stale := field(t, author.get(draft+"/cells/mh-risk.SCH?purpose=CN").body, "seen")
		if a := other.setCell(draft, "mh-risk.SCH", "CN", url.Values{"level": {"existence"}, "why": {"theirs, first"}}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("status %d\n%.2000s", a.StatusCode, a.body)
		}
		if a := other.setCell(draft, "mh-risk.HOU", "CN", url.Values{"level": {"existence"}, "why": {"another cell of the file"}}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("another cell: status %d\n%.2000s", a.StatusCode, a.body)
		}
		a := author.setCell(draft, "mh-risk.SCH", "CN", url.Values{"seen": {stale}, "level": {"summary"}, "why": {"mine, typed before"}})
		if a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "mine, typed before") || !strings.Contains(a.body, "theirs, first") {
			t.Fatalf("status %d\n%.3000s", a.StatusCode, a.body)
		}
		a = author.setCell(draft, "mh-risk.SCH", "CN", url.Values{"seen": {field(t, a.body, "seen")}, "level": {"summary"}, "why": {"mine, typed before"}})
		if a.StatusCode != http.StatusSeeOther {
			t.Errorf("saving over theirs knowingly: status %d", a.StatusCode)
		}
	})
	t.Run("a key in the grid sets a level and says what came of it", func(t *testing.T) {
		draft := author.newDraft("by keys")
		at := draft + "/cells/mh-risk.SCH"
		a := author.post(at, url.Values{"quick": {"1"}, "purpose": {"CN"}, "was": {"hidden"}, "level": {"existence"}})
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Schools, Mental health risk: existence, was hidden. Wider.") {
			t.Fatalf("status %d: %s", a.StatusCode, a.body)
		}
		if a = author.post(at, url.Values{"quick": {"1"}, "purpose": {"CN"}, "was": {"hidden"}, "level": {"full"}}); a.StatusCode != http.StatusConflict {
			t.Errorf("a stale cell: status %d", a.StatusCode)
		}
		if a = author.post(at, url.Values{"quick": {"1"}, "purpose": {"CN"}, "was": {"existence"}, "do": {"restore"}}); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "as in force") {
			t.Errorf("putting back: status %d: %s", a.StatusCode, a.body)
		}
	})
	t.Run("rules are edited as text, with messages by line", func(t *testing.T) {
		draft := author.newDraft("a rule")
		id := strings.TrimPrefix(draft, "/policy/drafts/")
		page := author.get("/policy/rules?draft=" + id)
		form := func(page, do string) url.Values {
			return url.Values{"draft": {id}, "file": {field(t, page, "file")}, "revision": {field(t, page, "revision")}, "do": {do}}
		}
		f := form(page.body, "new")
		f.Set("name", "kernel/gate.rego")
		if a := author.post("/policy/rules", f); a.StatusCode != http.StatusBadRequest {
			t.Errorf("a file of the kernel: status %d", a.StatusCode)
		}
		f.Set("name", "local/no_schools.rego")
		a := author.post("/policy/rules", f)
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("status %d\n%.2000s", a.StatusCode, a.body)
		}
		page = author.get(a.Header.Get("Location"))
		stale := form(page.body, "save")
		f = form(page.body, "save")
		f.Set("text", "package local.no_schools\n\nallow := input.caller.agency\nshut if http.send({})\n")
		a = author.post("/policy/rules", f)
		page = author.get(a.Header.Get("Location"))
		if !strings.Contains(page.body, "Line 4:") {
			t.Errorf("no message with its line:\n%.4000s", page.body[strings.Index(page.body, "text-messages"):])
		}
		stale.Set("text", "package local.no_schools\n\n# mine\n")
		a = author.post("/policy/rules", stale)
		if a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "# mine") || !strings.Contains(a.body, "http.send") {
			t.Errorf("a stale save: status %d", a.StatusCode)
		}
		check := author.post("/policy/rules/check", url.Values{"file": {"local/no_schools.rego"}, "text": {"package kith.kernel\n"}})
		if check.StatusCode != http.StatusOK || !strings.Contains(check.body, "Package must be local.") {
			t.Errorf("checks while typing: status %d: %s", check.StatusCode, check.body)
		}
	})
	t.Run("documents are pages and tables", func(t *testing.T) {
		list := author.get("/policy/documents")
		for _, code := range []string{"processing", "privacy-notice", "use"} {
			at := "/policy/documents/" + code
			if !strings.Contains(list.body, at) {
				t.Errorf("%s is not on the list", code)
			}
			if a := author.get(at); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "<table") && !strings.Contains(a.body, "Nothing.") {
				t.Errorf("%s: status %d", code, a.StatusCode)
			}
			if a := author.get(at + "?format=csv"); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/csv") || strings.Count(a.body, "\r\n") < 3 {
				t.Errorf("%s as a table: status %d\n%.400s", code, a.StatusCode, a.body)
			}
		}
		if a := author.get("/policy/documents/nothing"); a.StatusCode != http.StatusNotFound {
			t.Errorf("no such document: status %d", a.StatusCode)
		}
		if a := author.get("/agreements/isa-marac/document"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "MARAC") {
			t.Errorf("an agreement to sign: status %d", a.StatusCode)
		}
		if a := h.as(t, "detective").get("/policy/documents/use"); a.StatusCode != http.StatusForbidden {
			t.Errorf("a detective: status %d", a.StatusCode)
		}
	})
	t.Run("a story is tried under the draft and today", func(t *testing.T) {
		draft := author.newDraft("to be tried")
		id := strings.TrimPrefix(draft, "/policy/drafts/")
		author.setCell(draft, "mh-involvement.POL", "CN", url.Values{"level": {"summary"}, "why": {"asked for"}})
		a := author.get("/policy/try?draft=" + id + "&story=stories/police-and-treatment.yaml&agency=POL&role=detective&purpose=FS")
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Seen by nurse (Child&#39;s story): shared summary, today hidden") || !strings.Contains(a.body, "only in the draft") {
			t.Errorf("status %d\n%.4000s", a.StatusCode, a.body)
		}
	})
}

const (
	toldToday = "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}"
	toldAnew  = "want: {name: full, event: full, seen-by-nurse: summary}"
)

// retell changes the story that says what police see under the plan.
func (b *browser) retell(draft string) {
	b.t.Helper()
	id := strings.TrimPrefix(draft, "/policy/drafts/")
	const file = "stories/police-and-treatment.yaml"
	page := b.get("/policy/rules?draft=" + id + "&file=" + file + "&plain")
	found := regexp.MustCompile(`(?s)<textarea[^>]*name="text"[^>]*>\n(.*?)</textarea>`).FindStringSubmatch(page.body)
	if found == nil {
		b.t.Fatalf("no text in the page:\n%.2000s", page.body)
	}
	text := strings.Replace(html.UnescapeString(found[1]), toldToday, toldAnew, 1)
	a := b.post("/policy/rules", url.Values{"draft": {id}, "file": {file}, "revision": {field(b.t, page.body, "revision")}, "do": {"save"}, "text": {text}})
	if a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("telling the story anew: status %d\n%.2000s", a.StatusCode, a.body)
	}
}

// TestOfficersWalkWithoutScript is the whole walk by plain forms: one cell,
// who gains, approvals, publication, the stopped agreement, the way back.
func TestOfficersWalkWithoutScript(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	author, mh := h.as(t, "ig-author-csc"), h.as(t, "ig-approver-mh")
	draft := author.newDraft("Police see mental health involvement")
	if a := author.setCell(draft, "mh-involvement.POL", "CN", url.Values{"level": {"summary"}, "role": {"detective"}, "why": {"asked for at the board"}}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d\n%.3000s", a.StatusCode, a.body)
	}
	changes := author.get(draft + "/changes")
	for _, want := range []string{"sees more", "a police officer sees treatment only as a summary", "It can be submitted when its stories and tests hold"} {
		if !strings.Contains(changes.body, want) {
			t.Errorf("the report does not say %q:\n%.1500s", want, changes.body)
		}
	}
	author.retell(draft)
	changes = author.get(draft + "/changes")
	for _, want := range []string{"Police", "▲ sees more", "hidden → shared summary", "Submit for approval"} {
		if !strings.Contains(changes.body, want) {
			t.Fatalf("the report does not say %q:\n%.3000s", want, changes.body)
		}
	}
	form := url.Values{"revision": {"1"}, "why": {"police asked for it at the board"}}
	if a := author.post(draft+"/submission", form); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "police asked for it at the board") {
		t.Errorf("a stale submission: status %d", a.StatusCode)
	}
	form.Set("revision", field(t, changes.body, "revision"))
	a := author.post(draft+"/submission", form)
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("submission: status %d\n%.3000s", a.StatusCode, a.body)
	}
	at, _, _ := strings.Cut(a.Header.Get("Location"), "?")
	page := author.get(at)
	if strings.Contains(page.body, "Publish this version") {
		t.Error("the author can publish at once")
	}
	if a := author.post(at+"/activation", url.Values{}); a.StatusCode != http.StatusConflict {
		t.Errorf("the author publishes: status %d", a.StatusCode)
	}
	if page := mh.get(at); !strings.Contains(page.body, "being decided again") {
		t.Error("the page does not say that the report is not whole yet")
	}
	h.weigh(t)
	if page := author.get(at); !strings.Contains(page.body, "cannot be put in force until these have approved: Northby and Dale Mental Health Trust") {
		t.Error("the author is not told whose approval is missing")
	}
	waiting := mh.get("/approvals")
	if !strings.Contains(waiting.body, "What waits for you") || !strings.Contains(waiting.body, at) {
		t.Errorf("the proposal does not wait for mental health:\n%.2000s", waiting.body)
	}
	page = mh.get(at)
	if !strings.Contains(page.body, "What it opens of yours") {
		t.Error("the approver does not see what it opens of theirs")
	}
	decision := url.Values{"digest": {field(t, page.body, "digest")}, "compared": {field(t, page.body, "compared")}, "decision": {"refuse"}, "why": {""}}
	if a := mh.post(at+"/decision", decision); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a refusal without a reason: status %d", a.StatusCode)
	}
	decision.Set("why", "not before it is audited")
	if a := mh.post(at+"/decision", decision); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("a refusal: status %d\n%.2000s", a.StatusCode, a.body)
	}
	if page := author.get(at); !strings.Contains(page.body, "not before it is audited") || !strings.Contains(page.body, ">Refused<") {
		t.Error("the author is not told of the refusal and its reason")
	}
	advice := h.as(t, "privacy-officer-mh").post(at+"/advice", url.Values{"advice": {"proportionate if audited"}})
	if advice.StatusCode != http.StatusSeeOther {
		t.Errorf("advice: status %d", advice.StatusCode)
	}
	decision.Set("decision", "approve")
	decision.Set("why", "audits are agreed")
	if a := mh.post(at+"/decision", decision); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("approval: status %d\n%.3000s", a.StatusCode, a.body)
	}
	page = author.get(at)
	if !strings.Contains(page.body, "Publish this version") || !strings.Contains(page.body, "proportionate if audited") {
		t.Fatalf("it cannot be published, or the advice is not there:\n%.2000s", page.body)
	}
	if a := author.post(at+"/activation", url.Values{}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("publication: status %d\n%.2000s", a.StatusCode, a.body)
	}
	if page := author.get("/policy"); !strings.Contains(page.body, "This is version 2") {
		t.Error("the matrix is still the old one")
	}

	// Stop now: what it hits first, then the reason, then a second page.
	const isa = "/agreements/isa-family-safeguarding"
	if a := author.get(isa + "/stop"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an author stops an agreement: status %d", a.StatusCode)
	}
	stop := mh.get(isa + "/stop")
	for _, want := range []string{"Children with open work whom it reaches", "What closes, and for whom", "Mental health risk"} {
		if !strings.Contains(stop.body, want) {
			t.Errorf("before stopping the page does not say %q", want)
		}
	}
	if a := mh.post(isa+"/stop", url.Values{"reason": {""}}); a.StatusCode != http.StatusBadRequest {
		t.Errorf("no reason: status %d", a.StatusCode)
	}
	if a := mh.post(isa+"/stop", url.Values{"reason": {"a breach was reported"}}); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Nothing has been stopped yet") {
		t.Errorf("the second page: status %d", a.StatusCode)
	}
	if a := mh.post(isa+"/stop", url.Values{"reason": {"a breach was reported"}, "step": {"confirmed"}}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("stopping: status %d\n%.2000s", a.StatusCode, a.body)
	}
	page = mh.get(isa)
	if !strings.Contains(page.body, "Stopped by") || !strings.Contains(page.body, "a breach was reported") {
		t.Error("the agreement does not say that it is stopped, and why")
	}
	if a := mh.post(isa+"/resumption", url.Values{"reason": {"mended"}}); a.StatusCode != http.StatusSeeOther || !strings.Contains(a.Header.Get("Location"), "done=asked") {
		t.Errorf("asking to resume: status %d to %s", a.StatusCode, a.Header.Get("Location"))
	}
	csc := h.as(t, "ig-approver-csc")
	if page := csc.get(isa); !strings.Contains(page.body, "Waits for a second party") || !strings.Contains(page.body, ">Confirm<") {
		t.Error("the second party is not asked")
	}
	if a := csc.post(isa+"/resumption", url.Values{"agency": {"MH"}, "reason": {"confirmed"}}); !strings.Contains(a.Header.Get("Location"), "done=resumed") {
		t.Errorf("the second party confirms: status %d\n%.1500s", a.StatusCode, a.body)
	}

	// The way back, and what becomes of proposals that were open meanwhile.
	versions := mh.get("/policy/versions")
	back := regexp.MustCompile(`action="(/policy/versions/[0-9a-f]{64}/return)"`).FindStringSubmatch(versions.body)
	if back == nil {
		t.Fatalf("no way back:\n%.2000s", versions.body)
	}
	a = mh.post(back[1], url.Values{"why": {"the trial is over"}})
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("return: status %d\n%.2000s", a.StatusCode, a.body)
	}
	at, _, _ = strings.Cut(a.Header.Get("Location"), "?")
	h.weigh(t)
	if a := mh.post(at+"/activation", url.Values{}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("publishing the return: status %d\n%.2000s", a.StatusCode, a.body)
	}
	if page := mh.get("/policy"); !strings.Contains(page.body, "This is version 1") {
		t.Error("the earlier version is not in force")
	}
}

// weigh finishes the reports of open proposals, which a hub does beside its requests.
func (h *hub) weigh(t *testing.T) {
	t.Helper()
	for {
		did, err := h.weigher.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !did {
			return
		}
	}
}
