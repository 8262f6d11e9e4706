package web

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/policies"
)

// Goldens are written anew by KITH_UPDATE=1 go test.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if os.Getenv("KITH_UPDATE") != "" {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func day22() time.Time { return time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC) }

// drawn draws a family page from a view alone: no database, no clock.
func drawn(t *testing.T, change func(*disclosure.View), before seen) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/view.json")
	if err != nil {
		t.Fatal(err)
	}
	var view disclosure.View
	if err := json.Unmarshal(raw, &view); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&view)
	}
	version, err := policy.Load(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	w, err := readWords()
	if err != nil {
		t.Fatal(err)
	}
	all, err := parsePages(w, assets{}, day22)
	if err != nil {
		t.Fatal(err)
	}
	agencies := map[string]identity.Agency{}
	for _, a := range []identity.Agency{
		{Code: "CSC", Name: "Children's Social Care", ContactPhone: "01632 960100"}, {Code: "POL", Name: "Police", ContactName: "Protection desk", ContactPhone: "01632 960150"},
		{Code: "DV", Name: "Harbour", ContactPhone: "01632 960130"}, {Code: "MH", Name: "Mental Health Trust", ContactPhone: "01632 960110"},
		{Code: "SCH", Name: "Millbrook Primary School", ContactPhone: "01632 960170"},
	} {
		agencies[a.Code] = a
	}
	rec := newRecord(view, version, agencies, "CSC", w, day22(), before)
	s := &Server{words: w}
	sh := s.sheetOf(rec, identity.Choice{Purpose: view.Purpose, At: day22()}, rec.familyPage(DefaultChecklist(), filter{}))
	sh.Who, sh.Ends, sh.Warn = &who{Name: "Grace Adeyemi", Role: "social worker", Agency: "Children's Social Care", Worker: true}, day22().Add(30*time.Minute), 1800
	var out bytes.Buffer
	if err := all["family"].ExecuteTemplate(&out, "layout.html", sh); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFamilyPageGolden(t *testing.T) {
	t.Parallel()
	golden(t, "testdata/family.golden.html", drawn(t, nil, seen{}))
}

// What is not in the view must move nothing: no order, no count, no place in
// the drawing. The page of a view is the page of its parts alone.
func TestPageOfLessHasNoTraceOfMore(t *testing.T) {
	t.Parallel()
	page := string(drawn(t, func(v *disclosure.View) {
		v.Sections = slices.DeleteFunc(v.Sections, func(s disclosure.SectionView) bool {
			return s.Section == "da-victim-safety" || s.Section == "mh-risk" || s.Section == "mh-involvement"
		})
		v.Holders = []disclosure.Holder{}
	}, seen{}))
	for _, trace := range []string{"Mental Health Trust", "Sunita Rao", "safety of the harmed person", "A partner service", "Told 3 ways", "mental health risk"} {
		if strings.Contains(page, trace) {
			t.Errorf("the page still says %q", trace)
		}
	}
	if !strings.Contains(page, "Told 2 ways.") {
		t.Error("the two accounts that are left are not side by side")
	}
	one := string(drawn(t, func(v *disclosure.View) {
		for i := range v.Sections {
			for j := range v.Sections[i].Entries {
				if v.Sections[i].Section != "police-events" {
					v.Sections[i].Entries[j].AccountOf = nil
				}
			}
		}
	}, seen{}))
	if strings.Contains(one, "Told ") && strings.Contains(one, "ways.") || strings.Contains(one, "Account 1") {
		t.Error("a lone account has a frame")
	}
}

func TestStrangeNamesStayText(t *testing.T) {
	t.Parallel()
	page := string(drawn(t, func(v *disclosure.View) {
		v.Members[0].Name = `<script>alert(1)</script>`
		for i := range v.Sections {
			if v.Sections[i].Section == "childs-story" {
				v.Sections[i].Entries[0].Content = json.RawMessage(`{"text":"<img src=x onerror=alert(1)>","in_own_words":true}`)
			}
		}
	}, seen{}))
	if strings.Contains(page, "<script>alert") || strings.Contains(page, "<img") {
		t.Error("markup came through")
	}
}

// Every key that is used has words, and all words are used.
func TestWordsAreThere(t *testing.T) {
	t.Parallel()
	w, err := readWords()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	var open []string // prefixes that are put together
	files, err := os.ReadDir("templates")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\b(t|n) "([^"]+)"`)
	for _, f := range files {
		raw, err := os.ReadFile("templates/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(raw), -1) {
			keys := []string{m[2]}
			if m[1] == "n" {
				keys = []string{m[2] + ".one", m[2] + ".many"}
			}
			for _, key := range keys {
				used[key] = true
				if _, ok := w[key]; !ok {
					t.Errorf("%s: no words for %s", f.Name(), key)
				}
			}
		}
		for _, m := range regexp.MustCompile(`printf "([a-z.]+)%s"`).FindAllStringSubmatch(string(raw), -1) {
			open = append(open, m[1])
		}
	}
	code, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range code {
		if strings.HasSuffix(f.Name(), ".go") && !strings.HasSuffix(f.Name(), "_test.go") {
			raw, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			all.Write(raw)
		}
	}
	for _, m := range regexp.MustCompile(`(say|count)\("([a-z.-]+)"`).FindAllStringSubmatch(all.String(), -1) {
		key := m[2]
		if strings.HasSuffix(key, ".") || strings.HasSuffix(key, "-") {
			continue // the code puts the rest to it
		}
		if m[1] == "count" {
			key += ".many"
		}
		if _, ok := w[key]; !ok {
			t.Errorf("no words for %s", key)
		}
	}
	// Keys that the code puts together: of a beginning, or of an end.
	for _, m := range regexp.MustCompile(`(?:say|known|count|options)\("([a-z.-]+[.-])"(?: ?\+|,)`).FindAllStringSubmatch(all.String(), -1) {
		open = append(open, m[1])
	}
	for _, m := range regexp.MustCompile(`"([a-z-]+\.[a-z.-]*)" ?\+`).FindAllStringSubmatch(all.String(), -1) {
		open = append(open, m[1])
	}
	var ends []string
	for _, m := range regexp.MustCompile(`\+ ?"([.-][a-z.-]+)"`).FindAllStringSubmatch(all.String(), -1) {
		ends = append(ends, m[1])
	}
	open = append(open, "role.", "event.", "outcome.", "statement.", "label.", "heading.", "masked.", "refused.", "error.", "risk.", "trio.")
	for key := range w {
		name := strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".many")
		if used[key] || strings.Contains(all.String(), `"`+name+`"`) || slices.ContainsFunc(open, func(p string) bool { return strings.HasPrefix(key, p) }) {
			continue
		}
		if slices.ContainsFunc(ends, func(end string) bool {
			begin, ok := strings.CutSuffix(key, end)
			return ok && (strings.Contains(all.String(), `"`+begin+`"`) || slices.Contains([]string{"allocation", "cover", "told.purpose", "told.told", "told.agreed", "grant.section", "grant.level"}, begin))
		}) {
			continue
		}
		t.Errorf("nobody says %s", key)
	}
}
