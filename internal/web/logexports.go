package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/tree"
	"kith/internal/disclosure"
)

// exportsPage chooses a file of the log.
type exportsPage struct {
	auditHead
	Form    sheetForm
	Formats []pick
	Events  string
	Auditor bool
	Leaves  bool // there is a tree, so that a proven file can be made
}

// exportCounted is the most events that are counted before a file is begun: more
// take longer than it is worth.
const exportCounted = 1_000_000

func exportFormats() []string { return []string{"ndjson", "csv", "fhir"} }

func (s *Server) showExports(w http.ResponseWriter, r *http.Request, v visit) error {
	now := s.Now().In(london())
	chosen := url.Values{"format": {"ndjson"}}
	dayInto(chosen, "from", now.AddDate(0, -1, 0).Format(time.DateOnly))
	dayInto(chosen, "until", now.Format(time.DateOnly))
	for _, name := range []string{"from", "until"} {
		if day := r.URL.Query().Get(name); day != "" {
			dayInto(chosen, name, day)
		}
	}
	return s.exportsPage(w, r, v, answers{chosen}, nil)
}

func (s *Server) exportsPage(w http.ResponseWriter, r *http.Request, v visit, a answers, fail func(*sheetForm)) error {
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	format := &control{Kind: "radios", Name: "format", Label: s.words.say("exports.format")}
	for _, f := range exportFormats() {
		format.Options = append(format.Options, choiceOf{Value: f, Label: s.words.say("exports.format-" + f), Hint: s.words.say("exports.hint-" + f)})
	}
	page := exportsPage{auditHead: head, Events: head.State.Events, Auditor: v.by().Has(roleAuditor), Leaves: s.Audit.Tree != nil}
	page.Form = sheetForm{Action: "/log/exports", Button: s.words.say("exports.go"), Controls: []*control{format,
		{Kind: "date", Name: "from", Label: s.words.say("exports.from")}, {Kind: "date", Name: "until", Label: s.words.say("exports.until"), Hint: s.words.say("exports.until-hint")}}}
	a.fill(page.Form.Controls)
	if fail != nil {
		fail(&page.Form)
	}
	return s.write(w, v, statusOf(page.Form), "exports", sheet{Title: s.titled(s.words.say("exports.title"), page.Form), Page: page, Nav: "exports"})
}

// export streams the file that was chosen: the JSON face makes it, so that it is
// the same file from both. What goes wrong once it has begun cuts it off.
func (s *Server) export(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	a := answers{r.PostForm}
	format := a.text("format")
	from, fromGood := a.day("from")
	until, untilGood := a.day("until")
	var first, last time.Time
	var wrong []formError
	if !slices.Contains(exportFormats(), format) {
		wrong = append(wrong, formError{"format", s.words.say("exports.error-format")})
	}
	if !fromGood || from == "" {
		wrong = append(wrong, formError{"from", s.words.say("form.date-wrong", s.words.say("exports.from"))})
	}
	if !untilGood || until == "" {
		wrong = append(wrong, formError{"until", s.words.say("form.date-wrong", s.words.say("exports.until"))})
	}
	if len(wrong) == 0 {
		var err error
		if first, last, err = readPeriod(from, until); err != nil {
			wrong = append(wrong, formError{"until", s.words.say("log.error-order")})
		}
	}
	if len(wrong) > 0 {
		return s.exportsPage(w, r, v, a, func(f *sheetForm) {
			for _, e := range wrong {
				f.fail(e.Field, e.Text)
			}
		})
	}
	if s.Audit.Export == nil || format == "ndjson" && s.Audit.Tree == nil {
		return &fault{status: http.StatusServiceUnavailable, key: "error.no-tree", cause: tree.ErrNoCheckpoint}
	}
	inner := r.Clone(r.Context())
	inner.Method = http.MethodGet
	inner.URL = &url.URL{Path: "/v1/access-events/export", RawQuery: url.Values{"format": {format}, "from": {first.UTC().Format(time.RFC3339)}, "until": {last.UTC().Format(time.RFC3339)}}.Encode()}
	ending := map[string]string{"ndjson": "ndjson", "csv": "csv", "fhir": "fhir.ndjson"}[format]
	w.Header().Set("Content-Disposition", `attachment; filename="`+strings.Join([]string{"kith-log", from, until}, "_")+"."+ending+`"`)
	if n, err := s.Log.Count(r.Context(), logScope(v.by()), audit.Filter{From: first, Until: last}, exportCounted); err == nil && n >= 0 {
		w.Header().Set("Kith-Events", strconv.Itoa(n)) // for the page's script, which says how far it is
	}
	if err := s.Audit.Export(w, inner, v.by(), v.request); err != nil {
		w.Header().Del("Kith-Events")
		w.Header().Del("Content-Disposition") // nothing has left: what comes now is a page
		return err
	}
	return nil
}
