package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/policy"
)

const (
	logDays    = 14  // that are shown where no dates are chosen
	logMostFor = 366 // days of one list
	logRows    = 25
)

// logFilter is what a list of the log is narrowed by. It holds ids, references
// and codes alone: it stands in the address, which is sent to colleagues.
type logFilter struct {
	From, Until string // days, both included
	Agency      string
	Purpose     string
	Outcome     string
	What        string // kind of event; "" the accesses, "all" everything
	Worker      string
	About       string // person or family, by reference
	Part        string // of the record, that was shown
	Only        string // emergency, declared, hours
}

func (f *logFilter) fields() []struct {
	name string
	to   *string
} {
	return []struct {
		name string
		to   *string
	}{{"from", &f.From}, {"until", &f.Until}, {"agency", &f.Agency}, {"purpose", &f.Purpose}, {"outcome", &f.Outcome}, {"what", &f.What},
		{"worker", &f.Worker}, {"about", &f.About}, {"part", &f.Part}, {"only", &f.Only}}
}

func readLogFilter(v url.Values) logFilter {
	var f logFilter
	for _, x := range f.fields() {
		*x.to = strings.TrimSpace(v.Get(x.name))
	}
	f.From, f.Until = typedDay(f.From), typedDay(f.Until)
	return f
}

// address is where the list stands, with one field changed where it is named.
func (f logFilter) address(change ...string) string {
	q := url.Values{}
	for _, x := range f.fields() {
		if *x.to != "" {
			q.Set(x.name, *x.to)
		}
	}
	for i := 0; i+1 < len(change); i += 2 {
		if change[i+1] == "" {
			q.Del(change[i])
		} else {
			q.Set(change[i], change[i+1])
		}
	}
	if len(q) == 0 {
		return "/log"
	}
	return "/log?" + q.Encode()
}

// days fills in the dates that were left out, and gives the first and the last day.
func (f *logFilter) days(now time.Time) (from, until time.Time, err error) {
	if f.Until == "" {
		f.Until = now.In(london()).Format(time.DateOnly)
	}
	if until, err = londonDay(f.Until); err != nil {
		return from, until, err
	}
	if f.From == "" {
		f.From = until.AddDate(0, 0, 1-logDays).Format(time.DateOnly)
	}
	from, err = londonDay(f.From)
	return from, until, err
}

func logOutcomes() []audit.Outcome {
	return []audit.Outcome{audit.OutcomeReleased, audit.OutcomeNothing, audit.OutcomeNotFound, audit.OutcomeDenied, audit.OutcomeDone, audit.OutcomeFailed}
}

func logKinds() []audit.Kind {
	return []audit.Kind{audit.KindRead, audit.KindSearch, audit.KindPrint, audit.KindPhone, audit.KindRefusal, audit.KindEmergency}
}

const logEverything = "all"

// logOnly are the marks that a list can be narrowed to; "" is everything.
func logOnly() []string { return []string{"", "emergency", "declared", onlyHours} }

const onlyHours = "hours" // outside working hours

type logPage struct {
	auditHead
	Filter    logFilter
	Errors    []formError
	Chosen    []chosenFilter
	Agencies  []pick
	Purposes  []pick
	Parts     []pick
	Outcomes  []pick
	Whats     []pick
	Onlys     []pick
	Heading   string
	Standing  []string // what stands out
	Picture   *picture
	NoPicture string
	Rows      []logRow
	Older     string
	Newest    string // where this is not the newest page
	Export    string
	Use       bool
}

// chosenFilter is a filter that can be taken away.
type chosenFilter struct{ Text, Without string }

type logRow struct {
	ID, When        string
	Name, Roles     string
	Agency          string
	WorkerHref      string
	What, Purpose   string
	Declared        bool
	Emergency       bool
	About           string
	AboutHref       string
	Children        string // how many of them
	Outcome         string
	Refused         bool
	Detail          string
	Erased, Damaged bool
	Explain, Which  string // address, and what tells this link from the others
}

// filterLog reads the filter as it was typed, and sends the browser to its
// address: what is no reference gets into no address.
func (s *Server) filterLog(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	f := readLogFilter(r.PostForm)
	if errs := s.logErrors(&f); len(errs) > 0 {
		return s.logPage(w, r, v, f, errs)
	}
	http.Redirect(w, r, f.address()+"#results", http.StatusSeeOther)
	return nil
}

func (s *Server) showLog(w http.ResponseWriter, r *http.Request, v visit) error {
	f := readLogFilter(r.URL.Query())
	return s.logPage(w, r, v, f, s.logErrors(&f))
}

// logErrors says what is wrong with a filter.
func (s *Server) logErrors(f *logFilter) []formError {
	var errs []formError
	add := func(field, key string) { errs = append(errs, formError{field, s.words.say(key)}) }
	from, until, err := f.days(s.Now())
	switch {
	case err != nil:
		add("from", "log.error-day")
	case until.Before(from):
		add("until", "log.error-order")
	case until.Sub(from) > logMostFor*24*time.Hour:
		add("from", "log.error-long")
	}
	if !plainCode(f.Agency) || !plainCode(f.Purpose) {
		add("agency", "log.error-choice")
	}
	if _, ok := parseUUID(f.Worker); f.Worker != "" && !ok {
		add("worker", "log.error-worker")
	}
	if f.About != "" && aboutKind(f.About) == "" {
		add("about", "log.error-about")
	}
	if !plainCode(f.Part) {
		add("part", "log.error-choice")
	}
	if !slices.Contains(logOnly(), f.Only) ||
		f.Outcome != "" && !slices.Contains(logOutcomes(), audit.Outcome(f.Outcome)) ||
		f.What != "" && f.What != logEverything && !slices.Contains(logKinds(), audit.Kind(f.What)) {
		add("only", "log.error-choice")
	}
	return errs
}

// plainCode says whether a text can be a code, or is empty: nothing else is
// looked for, or noted in the log.
func plainCode(text string) bool {
	return len(text) <= 40 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// aboutKind tells a person's reference, a family's id and a family's reference apart.
func aboutKind(text string) string {
	if _, ok := parseUUID(text); ok {
		return "family-id"
	}
	for _, form := range []struct{ begin, kind, of string }{{"r-", "person", "abcdefghijklmnopqrstuvwxyz234567"}, {"F-", "family", "0123456789"}} {
		rest, ok := strings.CutPrefix(text, form.begin)
		if ok && rest != "" && len(rest) <= 40 && strings.Trim(rest, form.of) == "" {
			return form.kind
		}
	}
	return ""
}

// of turns the filter of a page into the log's, and what to note of it.
func (s *Server) logFilterOf(r *http.Request, v visit, f logFilter) (audit.Filter, audit.Event, error) {
	out := audit.Filter{Agency: f.Agency, Purpose: f.Purpose, Outcome: audit.Outcome(f.Outcome), Emergency: f.Only == "emergency", Declared: f.Only == "declared", Section: f.Part}
	from, until, err := f.days(s.Now())
	if err != nil {
		return out, audit.Event{}, err
	}
	out.From, out.Until = from, until.AddDate(0, 0, 1)
	if f.Only == onlyHours {
		out.Outside = s.Audit.Reviews.Hours(out.From, out.Until)
	}
	switch f.What {
	case "":
		out.Class = audit.ClassAccess
	case logEverything:
	default:
		out.Kind = audit.Kind(f.What)
	}
	if f.Worker != "" {
		out.Worker, _ = parseUUID(f.Worker)
	}
	e := s.eventBy(v, audit.KindLogView, audit.OutcomeDone)
	e.Details = map[string]string{}
	for _, x := range f.fields() {
		if *x.to != "" && x.name != "about" {
			e.Details[x.name] = *x.to
		}
	}
	switch aboutKind(f.About) {
	case "family-id":
		out.Family, _ = parseUUID(f.About)
		e.Family = out.Family
	case "family":
		if out.Family, err = s.Audit.Explain.FamilyByRef(r.Context(), v.by(), f.About); err != nil {
			return out, e, err
		}
		e.Details["about"], e.Family = f.About, out.Family
		if out.Family == uuid.Nil {
			out.Family = uuid.Max // nobody's: the list is empty
		}
	case "person":
		e.Details["about"] = f.About
		if out.Subject, err = s.personByRef(r.Context(), f.About); err != nil {
			return out, e, err
		}
	}
	return out, e, nil
}

// personByRef finds whom a reference stands for; nobody is uuid.Max, about whom
// nothing is found.
func (s *Server) personByRef(ctx context.Context, ref string) (uuid.UUID, error) {
	person, err := s.Log.Person(ctx, ref)
	if errors.Is(err, audit.ErrNotFound) {
		return uuid.Max, nil
	}
	return person, err
}

func (s *Server) logPage(w http.ResponseWriter, r *http.Request, v visit, f logFilter, errs []formError) error {
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	say, err := s.inWords(r, v)
	if err != nil {
		return err
	}
	page := logPage{auditHead: head, Filter: f, Errors: errs, Chosen: s.chosenFilters(f, say), Use: true,
		Agencies: say.agencyPicks(s.words.say("log.all-agencies"), f.Agency), Purposes: say.purposePicks(s.words.say("log.all-purposes"), f.Purpose), Parts: say.partPicks(s.words.say("log.all-parts"), f.Part)}
	page.Outcomes = []pick{{Text: s.words.say("log.all-outcomes"), Chosen: f.Outcome == ""}}
	for _, o := range logOutcomes() {
		page.Outcomes = append(page.Outcomes, pick{Value: string(o), Text: s.words.say("outcome." + string(o)), Chosen: f.Outcome == string(o)})
	}
	page.Whats = []pick{{Text: s.words.say("log.all-accesses"), Chosen: f.What == ""}}
	for _, k := range logKinds() {
		page.Whats = append(page.Whats, pick{Value: string(k), Text: s.words.say("event." + string(k)), Chosen: f.What == string(k)})
	}
	page.Whats = append(page.Whats, pick{Value: logEverything, Text: s.words.say("log.everything"), Chosen: f.What == logEverything})
	for _, only := range logOnly() {
		page.Onlys = append(page.Onlys, pick{Value: only, Text: s.words.say("log.only-" + only), Chosen: f.Only == only})
	}
	sh := sheet{Title: s.words.say("log.title"), Nav: "log"}
	if len(errs) > 0 {
		page.Chosen = nil // their links would carry what was typed wrong
		page.Heading = s.words.say("log.not-yet")
		sh.Title, sh.Page = s.words.say("form.error-title", sh.Title), page
		return s.write(w, v, http.StatusBadRequest, "log", sh)
	}
	filter, viewed, err := s.logFilterOf(r, v, f)
	if err != nil {
		return err
	}
	receipt, err := s.Recorder.Append(r.Context(), viewed)
	if err != nil {
		return err
	}
	sh.Receipt = receipt.String()
	if err := s.standsOut(r, v, f, say, &page); err != nil {
		return err
	}
	after := r.URL.Query().Get("after")
	scope := logScope(v.by())
	records, next, err := s.Log.List(r.Context(), scope, filter, audit.Page{Limit: logRows, After: after})
	if errors.Is(err, audit.ErrPage) {
		return notShown(disclosure.Call{})
	}
	if err != nil {
		return err
	}
	refs, err := s.Audit.Explain.FamilyRefs(r.Context(), v.by(), scope, records)
	if err != nil {
		return err
	}
	for i := range records {
		page.Rows = append(page.Rows, s.logRow(&records[i], f, say, refs))
	}
	if next != "" {
		page.Older = f.address("after", next) + "#latest"
	}
	if after != "" {
		page.Newest = f.address() + "#latest"
	}
	page.Export = "/log/exports?" + url.Values{"from": {f.From}, "until": {f.Until}}.Encode()
	sh.Page = page
	return s.write(w, v, http.StatusOK, "log", sh)
}

// chosenFilters are those that can be taken away; dates always stand.
func (s *Server) chosenFilters(f logFilter, say inWords) []chosenFilter {
	var out []chosenFilter
	add := func(name, value, text string) {
		if value != "" {
			out = append(out, chosenFilter{text, f.address(name, "")})
		}
	}
	add("agency", f.Agency, say.agency(f.Agency))
	add("purpose", f.Purpose, say.purpose(f.Purpose))
	add("part", f.Part, say.part(f.Part))
	add("outcome", f.Outcome, s.words.known("outcome."+f.Outcome, f.Outcome))
	if f.What == logEverything {
		add("what", f.What, s.words.say("log.everything"))
	} else {
		add("what", f.What, s.words.known("event."+f.What, f.What))
	}
	add("worker", f.Worker, s.words.say("log.chosen-worker", shortID(f.Worker)))
	add("about", f.About, shortID(f.About))
	add("only", f.Only, s.words.known("log.only-"+f.Only, f.Only))
	return out
}

// shortID is as much of an id as tells it apart on one page.
func shortID(text string) string {
	if _, ok := parseUUID(text); ok {
		return text[:8] + "…"
	}
	return text
}

func (s *Server) logRow(rec *audit.Record, f logFilter, say inWords, refs map[uuid.UUID]string) logRow {
	row := logRow{ID: rec.ID.String(), When: logTime(rec.Occurred, s.Now()), Name: rec.Name, Roles: say.roles(rec.Roles), Agency: say.agency(rec.Agency), Purpose: say.purpose(rec.Purpose),
		Declared: rec.Declared, Emergency: rec.Emergency, Erased: rec.Erased, Damaged: rec.Damaged, Explain: "/log/" + rec.ID.String(),
		Outcome: s.words.known("outcome."+string(rec.Outcome), string(rec.Outcome))}
	if row.Name == "" {
		if row.Name = rec.Client; row.Name == "" {
			row.Name = s.words.say("log.nobody")
		}
	}
	row.Which = s.words.say("log.explain-which", row.When, row.Name)
	if rec.Worker != uuid.Nil && f.Worker == "" {
		row.WorkerHref = f.address("worker", rec.Worker.String())
	}
	if rec.Kind != audit.KindRead || rec.Purpose == "" {
		row.What = s.words.known("event."+string(rec.Kind), upperFirst(strings.ReplaceAll(string(rec.Kind), "-", " ")))
	}
	if rec.Family != uuid.Nil {
		ref := refs[rec.Family]
		if ref == "" {
			ref = shortID(rec.Family.String())
		}
		row.About = s.words.say("family.by-reference", ref)
		if f.About == "" {
			row.AboutHref = f.address("about", rec.Family.String())
		}
		if n := len(rec.Children); n > 0 {
			row.Children = s.words.count("log.children", n)
		}
	}
	switch rec.Outcome {
	case audit.OutcomeReleased:
		row.Detail = s.words.count("log.entries", rec.Count)
		masked := 0
		for _, x := range rec.Released {
			if len(x.Masked) > 0 {
				masked++
			}
		}
		if masked > 0 {
			row.Detail = s.words.count("log.masked", masked, row.Detail)
		}
	case audit.OutcomeDenied, audit.OutcomeNotFound, audit.OutcomeInvalid, audit.OutcomeFailed:
		row.Refused = true
		row.Detail = refusalWords(rec)
	}
	return row
}

// refusalWords says why, as far as this reader is told.
func refusalWords(rec *audit.Record) string {
	reasons := policy.Reasons()
	for _, code := range append(slices.Clone(rec.Causes), rec.Refusal) {
		if words := reasons[code]; words != "" {
			return words
		}
	}
	return ""
}
