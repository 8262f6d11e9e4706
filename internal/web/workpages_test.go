package web_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	entryLink  = regexp.MustCompile(`href="(/entries/[0-9a-f-]{36}\?family=[0-9a-f-]{36})"`)
	personLink = regexp.MustCompile(`href="(/people/[0-9a-f-]{36}\?family=[0-9a-f-]{36})"`)
	hiddenText = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
)

// linksOf are the pages of people and entries to which a family's page leads.
func (h *hub) linksOf(b *browser, family uuid.UUID) []string {
	b.t.Helper()
	page := b.open(family, "FS").body + b.get("/families/"+family.String()+"?since=all").body
	var out []string
	for _, pattern := range []*regexp.Regexp{entryLink, personLink} {
		for _, m := range pattern.FindAllStringSubmatch(page, -1) {
			if to := html.UnescapeString(m[1]); !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

// fields are the hidden fields of a page's own form, as a browser would send them.
func (a answer) fields() url.Values {
	out := url.Values{}
	for _, m := range hiddenText.FindAllStringSubmatch(a.body[strings.Index(a.body, "<main"):], -1) {
		if m[1] != "back" || out.Has("purpose") {
			out.Add(m[1], html.UnescapeString(m[2]))
		}
	}
	return out
}

func with(v url.Values, more ...string) url.Values {
	out := url.Values{}
	for k, x := range v {
		out[k] = slices.Clone(x)
	}
	for i := 0; i < len(more); i += 2 {
		out.Set(more[i], more[i+1])
	}
	return out
}

// count runs a query that counts.
func (h *hub) count(t *testing.T, sql string, args ...any) int {
	t.Helper()
	var n int
	if err := h.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWritingWithoutScript writes, corrects and questions by plain forms.
func TestWritingWithoutScript(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.stories["three-ways"].ID
	of := family.String()
	b := h.as(t, "social-worker")
	b.open(family, "FS")
	links := h.linksOf(b, family)
	at := slices.IndexFunc(links, func(l string) bool { return strings.HasPrefix(l, "/people/") })
	if at < 0 {
		t.Fatal("the family's page names nobody")
	}
	person := links[at][len("/people/"):][:36]
	form := b.get("/entries/new?family=" + of + "&part=case-summary&about=" + person)
	if form.StatusCode != http.StatusOK {
		t.Fatalf("status %d", form.StatusCode)
	}
	typed := with(form.fields(), "about", person, "source", "opinion", "tagged", "nothing", "f-text", "The text that was typed.", "when-year", "2026", "when-month", "9")

	t.Run("what is wrong is said beside the field, and all that was typed is kept", func(t *testing.T) {
		bad := with(typed, "when-month", "17", "source", "")
		a := b.post("/entries/new", bad)
		for _, want := range []string{"There is a problem", `href="#when-day"`, `href="#source"`, "The text that was typed.", `value="17"`} {
			if !strings.Contains(a.body, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
		if a.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d", a.StatusCode)
		}
	})
	var entry string
	t.Run("an entry is checked, and saved once however often the button is pressed", func(t *testing.T) {
		check := b.post("/entries/new", typed)
		if check.StatusCode != http.StatusOK || !strings.Contains(check.body, "Who will see this") || !strings.Contains(check.body, "September 2026") {
			t.Fatalf("status %d\n%.1500s", check.StatusCode, check.body)
		}
		before := h.count(t, `SELECT count(*) FROM entry`)
		save := with(check.fields(), "act", "save")
		first, second := b.post("/entries/new", save), b.post("/entries/new", save)
		if n := h.count(t, `SELECT count(*) FROM entry`) - before; n != 1 {
			t.Errorf("%d entries were made", n)
		}
		found := entryLink.FindStringSubmatch(first.body)
		if first.StatusCode != http.StatusOK || second.StatusCode != http.StatusOK || found == nil || !strings.Contains(second.body, found[1]) {
			t.Fatalf("status %d and %d, the second names another entry", first.StatusCode, second.StatusCode)
		}
		entry = found[1][:strings.IndexByte(found[1], '?')]
		if a := b.post("/entries/new", with(save, "f-text", "Another text")); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "was saved already") || !strings.Contains(a.body, "Another text") {
			t.Errorf("another text under the same form: status %d", a.StatusCode)
		}
		if n := h.count(t, `SELECT count(*) FROM web_draft WHERE id::text = $1`, save.Get("draft")); n != 0 {
			t.Error("the draft of a saved entry is still there")
		}
	})
	t.Run("a correction that comes too late says so and keeps what was typed", func(t *testing.T) {
		correct := func() url.Values {
			a := b.get(entry + "/correct?family=" + of)
			if !strings.Contains(a.body, "The text that was typed.") {
				t.Fatalf("the form does not start from the entry: status %d", a.StatusCode)
			}
			return with(a.fields(), "about", person, "source", "opinion", "tagged", "nothing", "why", "closer")
		}
		one, other := correct(), correct()
		for _, v := range []url.Values{with(one, "f-text", "The text that was typed. First.", "act", "save")} {
			if a := b.post(entry+"/correct", v); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Your correction is saved") {
				t.Fatalf("status %d\n%.1500s", a.StatusCode, a.body)
			}
		}
		a := b.post(entry+"/correct", with(other, "f-text", "The text that was typed. Second.", "act", "save"))
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Somebody changed this entry") || !strings.Contains(a.body, "Second.") {
			t.Errorf("status %d", a.StatusCode)
		}
		page := b.get(entry + "?family=" + of)
		if !strings.Contains(page.body, "Version 2") || !strings.Contains(page.body, "What version 1 said") || !strings.Contains(page.body, "closer") {
			t.Error("the history lacks the first version or the reason")
		}
		if other := h.as(t, "health-visitor"); true {
			other.open(family, "FS")
			if a := other.get(entry + "?family=" + of); a.StatusCode == http.StatusOK && (strings.Contains(a.body, "History of this entry") || strings.Contains(a.body, "closer")) {
				t.Error("another agency reads the history")
			}
			if a := other.get(entry + "/correct?family=" + of); a.StatusCode == http.StatusOK {
				t.Error("another agency is offered a correction")
			}
		}
	})
	t.Run("an entry that is hidden and one that there is not are one page", func(t *testing.T) {
		walled := h.as(t, "perpetrator-practitioner")
		walled.open(family, "FS")
		var hidden string
		if err := h.admin.QueryRow(t.Context(), `SELECT v.entry::text FROM entry_version v JOIN entry_subject s ON s.version = v.id JOIN membership m ON m.person = s.person
			WHERE m.family = $1 AND v.section = 'da-victim-safety' AND v.latest LIMIT 1`, family).Scan(&hidden); err != nil {
			t.Fatal(err)
		}
		absent := "3f1c2b44-9d2e-4f5a-8c55-0d8a6d0f9b11"
		for _, what := range []string{"", "/concern", "/correct", "/summary", "/withdraw"} {
			one, two := walled.get("/entries/"+hidden+what+"?family="+of), walled.get("/entries/"+absent+what+"?family="+of)
			reference := func(a answer) string {
				return strings.ReplaceAll(strings.ReplaceAll(tidy(a.body), a.Header.Get("Kith-Request"), "REQUEST"), hidden, absent)
			}
			if one.StatusCode != http.StatusNotFound || two.StatusCode != http.StatusNotFound || reference(one) != reference(two) {
				t.Errorf("%s: status %d and %d, or the pages differ", what, one.StatusCode, two.StatusCode)
			}
		}
	})
	t.Run("nobody found and nobody who may be found are the same bytes", func(t *testing.T) {
		rows, _ := h.admin.Query(t.Context(), `SELECT DISTINCT c.body->>'family_name' FROM kith.content c JOIN kith.entry_version v ON v.full_part = c.part
			WHERE v.section = 'identity' AND c.body->>'family_name' ~ '^[A-Z][a-z]+$' ORDER BY 1 LIMIT 40`)
		known, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		b := h.as(t, "perpetrator-practitioner")
		ask := func(term string) string {
			a := b.post("/search", url.Values{"family-name": {term}, "purpose": {"FS"}, "reason": {"a test"}})
			if a.StatusCode != http.StatusOK {
				t.Fatalf("status %d\n%.800s", a.StatusCode, a.body)
			}
			return strings.ReplaceAll(tidy(a.body), term, "NAME")
		}
		nobody, compared := ask("Zxyqvwk"), 0
		for _, name := range known {
			if page := ask(name); strings.Contains(page, "No record that you can open matches this") {
				compared++
				if page != nobody {
					t.Errorf("a search for %s, who is hidden, differs from one for nobody", name)
				}
			}
		}
		if compared < 5 {
			t.Errorf("%d of %d names are hidden: nothing was compared", compared, len(known))
		}
	})
	t.Run("no address says for whom one looked", func(t *testing.T) {
		for _, path := range []string{"/search?family-name=Capstick&purpose=FS", "/search?q=Capstick"} {
			if a := b.get(path); strings.Contains(a.body, "Capstick<") || strings.Contains(a.body, "Ellie") {
				t.Errorf("%s finds somebody", path)
			}
		}
	})
}

// TestDraftsOutliveTheSession: what was sent after the session had ended is
// offered to its writer after sign-in, and to nobody else.
func TestDraftsOutliveTheSession(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.stories["three-ways"].ID
	of := family.String()
	b := h.as(t, "social-worker")
	b.open(family, "FS")
	form := b.get("/entries/new?family=" + of + "&part=case-summary&about=x")
	typed := with(form.fields(), "f-text", "Two hours of work.")
	delete(b.cookies, "__Host-kith") // as when the session has ended
	a := b.post("/entries/new", typed)
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther || to.Path != "/sign-in" || !strings.HasPrefix(to.Query().Get("back"), "/drafts/") {
		t.Fatalf("status %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	draft := to.Query().Get("back")
	if other := h.as(t, "team-manager"); other.get(draft).StatusCode != http.StatusNotFound || strings.Contains(other.get("/").body, "unfinished") {
		t.Error("another person is offered the draft")
	}
	if first := b.signIn("social-worker"); !strings.Contains(first.body, "You have something unfinished") || !strings.Contains(first.body, draft) {
		t.Error("the draft is not offered after sign-in")
	}
	b.open(family, "FS")
	page := b.get(b.get(draft).Header.Get("Location"))
	if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Two hours of work.") || !strings.Contains(page.body, "It has not been saved") {
		t.Errorf("status %d\n%.1500s", page.StatusCode, page.body)
	}
	if a := b.post("/drafts", with(page.fields(), "f-text", "Three hours of work.")); a.StatusCode != http.StatusNoContent {
		t.Errorf("keeping: status %d", a.StatusCode)
	}
	if again := b.get(b.get(draft).Header.Get("Location")); !strings.Contains(again.body, "Three hours of work.") {
		t.Error("what the script kept is not there")
	}
	if a := b.post(draft+"/drop", url.Values{}); a.StatusCode != http.StatusSeeOther {
		t.Errorf("throwing away: status %d", a.StatusCode)
	}
	if a := b.get(draft); a.StatusCode != http.StatusNotFound {
		t.Errorf("after throwing away: status %d", a.StatusCode)
	}
	if n := h.count(t, `SELECT count(*) FROM web_draft WHERE body IS NOT NULL`); n != 0 {
		t.Errorf("%d drafts are left", n)
	}
	if strings.Contains(h.output.String(), "hours of work") {
		t.Error("the log has what was typed")
	}
}

// TestCoveredScreenShowsNothing until its worker returns, whatever is asked for.
func TestCoveredScreenShowsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.stories["three-ways"].ID
	b := h.as(t, "social-worker")
	b.open(family, "FS")
	at := "/families/" + family.String()
	if a := b.post("/cover", url.Values{"back": {at}}); a.Header.Get("Location") != "/covered" {
		t.Fatalf("status %d", a.StatusCode)
	}
	for _, path := range []string{at, "/", "/me/accesses", "/search"} {
		if a := b.get(path); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/covered" {
			t.Errorf("%s: status %d", path, a.StatusCode)
		}
	}
	page := b.get("/covered")
	for _, trace := range []string{"Capstick", "Grace", "social worker", family.String(), "Receipt"} {
		if strings.Contains(page.body, trace) {
			t.Errorf("the neutral page says %q", trace)
		}
	}
	if a := b.post("/uncover", url.Values{}); a.Header.Get("Location") != at {
		t.Errorf("back to %q", a.Header.Get("Location"))
	}
	if a := b.post("/cover", url.Values{"back": {"https://evil.example/"}}); a.StatusCode != http.StatusSeeOther {
		t.Errorf("status %d", a.StatusCode)
	}
	if a := b.post("/uncover", url.Values{}); a.Header.Get("Location") != "/" {
		t.Errorf("led to %q", a.Header.Get("Location"))
	}
}

var pageCanary = regexp.MustCompile(`canary-(\d+)-([a-z0-9_]+)`)

// TestPagesCanary: every text of the content and the free words beside it carry
// a token. No page of any demo name holds a token of a part that the log does
// not say was released under that very request.
func TestPagesCanary(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	rows, _ := h.admin.Query(t.Context(), `SELECT part FROM kith.content`)
	parts, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(parts) < 100 {
		t.Fatalf("%d parts: %v", len(parts), err)
	}
	for _, sql := range []string{
		`UPDATE kith.content c SET body = (SELECT jsonb_object_agg(k, CASE jsonb_typeof(v) WHEN 'string' THEN to_jsonb((v #>> '{}') || ' canary-' || c.part || '-' || k) ELSE v END) FROM jsonb_each(c.body) x(k, v))`,
		`UPDATE kith.restriction SET reason = reason || ' canary-0-restriction'`,
		`UPDATE kith.told_and_agreed SET why = why || ' canary-0-told', by_words = by_words || ' canary-0-words'`,
		`UPDATE kith.access_grant SET reason = reason || ' canary-0-grant'`,
		`UPDATE kith.entry_version SET author_words = author_words || ' canary-0-author'`,
	} {
		if _, err := h.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	answers, canaries := 0, 0
	type seen struct {
		where   string
		request string
		parts   map[int64]bool
	}
	var all []seen
	note := func(who string, a answer, own bool) {
		where := who + " " + a.Request.Method + " " + a.Request.URL.Path
		answers++
		if strings.Contains(fmt.Sprint(a.Header), "canary") {
			t.Errorf("%s: content stands in the headers", where)
		}
		s := seen{where: where, request: a.Header.Get("Kith-Request"), parts: map[int64]bool{}}
		for _, m := range pageCanary.FindAllStringSubmatch(a.body, -1) {
			part, err := strconv.ParseInt(m[1], 10, 64)
			if err != nil || part == 0 && !own {
				t.Errorf("%s: status %d: holds %s", where, a.StatusCode, m[0])
				continue
			}
			canaries++
			if part != 0 {
				s.parts[part] = true
			}
		}
		all = append(all, s)
	}
	for _, name := range []string{"social-worker", "team-manager", "emergency-duty", "mh-practitioner", "idva", "perpetrator-practitioner", "detective", "mash-officer",
		"health-visitor", "safeguarding-lead", "probation-officer", "housing-officer", "outsider", "family-support-worker", "auditor"} {
		b := h.as(t, name)
		note(name, b.get("/"), false)
		note(name, b.get("/search"), false)
		for _, term := range []string{"Doyle", "Capstick", "Hussain"} {
			note(name, b.post("/search", url.Values{"family-name": {term}, "purpose": {"FS"}, "reason": {"a test"}, "scheme": {"CSC"}}), false)
		}
		for _, path := range []string{"/involvements", "/concerns"} {
			note(name, b.get(path), false)
		}
		note(name, b.get("/grants"), true) // a manager reads the reasons of the own agency's grants
		for _, key := range []string{"trio", "three-ways", "marac"} {
			family := h.stories[key].ID
			of := family.String()
			for _, purpose := range []string{"FS", "CP"} {
				if a := b.post("/families/"+of+"/purpose", url.Values{"purpose": {purpose}, "reason": {"a test"}}); a.StatusCode != http.StatusSeeOther {
					note(name, a, false)
					continue
				}
				page := b.get("/families/" + of + "?since=all")
				note(name, page, false)
				if purpose != "FS" || page.StatusCode != http.StatusOK {
					continue
				}
				var links []string
				for _, pattern := range []*regexp.Regexp{personLink, entryLink} {
					found := pattern.FindAllStringSubmatch(page.body, 3)
					for _, m := range found {
						links = append(links, html.UnescapeString(m[1]))
					}
				}
				for _, to := range links {
					note(name, b.get(to), false)
					path, query, _ := strings.Cut(to, "?")
					if strings.HasPrefix(to, "/entries/") {
						for _, what := range []string{"/concern", "/correct", "/summary"} {
							note(name, b.get(path+what+"?"+query), false)
						}
					} else {
						note(name, b.get(path+"/told?"+query), false)
						note(name, b.get("/restrictions?person="+path[len("/people/"):]+"&"+query), true)
						note(name, b.get("/grants/new?person="+path[len("/people/"):]+"&"+query), false)
						note(name, b.get("/involvements/new?how=allocation&person="+path[len("/people/"):]+"&"+query), false)
					}
				}
				note(name, b.get("/entries/new?family="+of), false)
				note(name, b.get("/involvements?family="+of), false)
				note(name, b.post("/families/"+of+"/print", url.Values{"block": {"brief", "story", "family", "involved", "line", "parts"}}), false)
			}
		}
	}
	released := map[string]map[int64]bool{}
	found, _ := h.admin.Query(t.Context(), `SELECT request_id, coalesce(released, '{}') FROM kith.access_event WHERE request_id <> ''`)
	var request string
	var list []int64
	if _, err := pgx.ForEachRow(found, []any{&request, &list}, func() error {
		if released[request] == nil {
			released[request] = map[int64]bool{}
		}
		for _, p := range list {
			released[request][p] = true
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for part := range s.parts {
			if !released[s.request][part] {
				t.Errorf("%s: shows part %d, and the log does not say that it was released", s.where, part)
			}
		}
	}
	if strings.Contains(h.output.String(), "canary") {
		t.Error("the face's log holds content")
	}
	t.Logf("%d answers, %d canaries", answers, canaries)
	if answers < 300 || canaries < 5000 {
		t.Errorf("%d answers with %d canaries: the test looks at too little", answers, canaries)
	}
}
