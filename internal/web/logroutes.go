package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

// Auditing is what the pages about the log stand on.
type Auditing struct {
	Tree    *tree.Tree // nil: this replica serves no tree, and the pages say so
	Reader  *tree.Reader
	Keys    proof.KeyFile // that are given out
	Explain *disclosure.Explainer
	Reviews *disclosure.Reviews
	// Export streams a file of the log; the query is that of the JSON face's route.
	Export func(w http.ResponseWriter, r *http.Request, p identity.Principal, request string) error
	// Account streams one person's account as a table, likewise.
	Account func(w http.ResponseWriter, r *http.Request, p identity.Principal, request, person string) error
	// ExportTime bounds one file; default half an hour.
	ExportTime time.Duration
}

const (
	roleAuditor        = "auditor"
	rolePrivacyOfficer = "privacy-officer"
	roleSubjectAccess  = "sar-officer"
	roleAdmin          = "admin"
)

// auditRoutes is every page of the auditor and the privacy officers.
func (s *Server) auditRoutes() {
	if s.Audit.ExportTime == 0 {
		s.Audit.ExportTime = 30 * time.Minute
	}
	s.mux.Get("/log", s.auditor(s.showLog))
	s.mux.Post("/log", s.auditor(s.filterLog))
	s.mux.Get("/log/state", s.auditor(s.showLogState))
	s.mux.Get("/log/state/checkpoint", s.auditor(s.fileCheckpoint))
	s.mux.Get("/log/state/keys", s.auditor(s.fileKeys))
	s.mux.Get("/log/alerts/{alert}", s.auditor(s.settleAlert(s.Audit.Reviews, "/log/state")))
	s.mux.Post("/log/alerts/{alert}", s.auditor(s.settleAlert(s.Audit.Reviews, "/log/state")))
	s.mux.Get("/log/reviews", s.auditor(s.listReviews))
	s.mux.Get("/log/reviews/figures", s.auditor(s.reviewFigures))
	s.mux.Get("/log/reviews/{review}", s.auditor(s.showReview))
	s.mux.Post("/log/reviews/{review}/open", s.auditor(s.openReview))
	s.mux.Post("/log/reviews/{review}/close", s.auditor(s.closeReview))
	s.mux.Get("/log/person", s.only(s.showAccount, roleAuditor, rolePrivacyOfficer, roleSubjectAccess))
	s.mux.Post("/log/person", s.only(s.chooseAccount, roleAuditor, rolePrivacyOfficer, roleSubjectAccess))
	s.mux.Post("/log/person/file", s.within(s.Audit.ExportTime, formMost, s.signedIn(s.forRoles(s.fileAccount, roleAuditor, rolePrivacyOfficer, roleSubjectAccess))))
	s.mux.Get("/log/use", s.auditor(s.showUse))
	s.mux.Get("/log/exports", s.auditor(s.showExports))
	s.mux.Post("/log/exports", s.within(s.Audit.ExportTime, formMost, s.signedIn(s.forRoles(s.export, roleAuditor, rolePrivacyOfficer))))
	s.mux.Get("/log/{event}", s.auditor(s.explainEvent))
	s.mux.Get("/log/{event}/proof", s.auditor(s.fileProof))
}

// auditor is a page about the log beyond one's own accesses.
func (s *Server) auditor(h handler) http.HandlerFunc {
	return s.only(h, roleAuditor, rolePrivacyOfficer)
}

func (s *Server) only(h handler, roles ...string) http.HandlerFunc {
	return s.worker(s.forRoles(h, roles...))
}

// forRoles answers whoever has none of the roles as if there were no such page,
// and logs that it was tried.
func (s *Server) forRoles(h handler, roles ...string) handler {
	return func(w http.ResponseWriter, r *http.Request, v visit) error {
		if slices.ContainsFunc(roles, v.by().Has) {
			return h(w, r, v)
		}
		e := s.eventBy(v, audit.KindForbidden, audit.OutcomeDenied)
		e.Refusal, e.Details = "role", map[string]string{"what": "log"}
		if _, err := s.Recorder.Append(r.Context(), e); err != nil {
			return err
		}
		return s.unknown(w, r, v)
	}
}

// eventBy starts an event of the person who is signed in.
func (s *Server) eventBy(v visit, kind audit.Kind, outcome audit.Outcome) audit.Event {
	p := v.by()
	return audit.Event{Kind: kind, Outcome: outcome, Agency: p.Agency, ActingFor: p.ActingFor, Principal: principalOf(p), Request: v.request}
}

// looked logs a look at the log before anything of it is read.
func (s *Server) looked(r *http.Request, v visit, details map[string]string) (audit.Receipt, error) {
	e := s.eventBy(v, audit.KindLogView, audit.OutcomeDone)
	e.Details = details
	return s.Recorder.Append(r.Context(), e)
}

// logScope is how much of the log an officer sees: the auditor all, the others
// their agency's.
func logScope(p identity.Principal) audit.Scope {
	if p.Has(roleAuditor) {
		return audit.AuditorScope()
	}
	return audit.AgencyScope(p.Agency)
}

// auditPages tells who looks after the log; it chooses the links in the header.
func (s *Server) auditPages(p identity.Principal) bool {
	return s.Audit != nil && (p.Has(roleAuditor) || p.Has(rolePrivacyOfficer))
}

// auditHead is what all pages about the log begin with.
type auditHead struct {
	State *logState // nil: not on this page
	Scope string    // for what, and how much of the log
	Queue string    // how many reviews are not settled, for the link to them; "" none
}

// queueMost is where the count at the link to the reviews ends.
const queueMost = 99

func (h auditHead) queue() string { return h.Queue }

func (s *Server) auditHead(r *http.Request, v visit, state bool) (auditHead, error) {
	h := auditHead{Scope: s.words.say("audit.scope-all")}
	if !v.by().Has(roleAuditor) {
		h.Scope = s.words.say("audit.scope-agency", s.agencyName(v.by().Agency))
	}
	if s.auditPages(v.by()) {
		n, err := s.Log.CountReviews(r.Context(), logScope(v.by()), v.by().Worker, queueMost+1)
		if err != nil {
			return h, err
		}
		switch {
		case n > queueMost:
			h.Queue = s.words.say("nav.queue-more", queueMost)
		case n > 0:
			h.Queue = s.words.say("nav.queue", n)
		}
	}
	if !state {
		return h, nil
	}
	st, err := s.logState(r.Context())
	h.State = &st
	return h, err
}

// inWords turns what the log says in codes into words: of purposes, parts and
// agencies as they are named today.
type inWords struct {
	s        *Server
	version  *policy.Version
	agencies map[string]identity.Agency
}

func (s *Server) inWords(r *http.Request, v visit) (inWords, error) {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	return inWords{s: s, version: version, agencies: s.agencies(r.Context())}, err
}

func (w inWords) agency(code string) string {
	if a, ok := w.agencies[code]; ok && a.Name != "" {
		return a.Name
	}
	return code
}

// purpose is "" where none was stated.
func (w inWords) purpose(code string) string {
	if code == "" {
		return ""
	}
	return w.s.purposeName(w.version, code)
}

func (w inWords) part(code string) string {
	if code == audit.LegallyRestricted {
		return w.s.words.say("audit.restricted")
	}
	return w.s.partName(w.version, code)
}

// roles names the professional roles; what only opens doors says less.
func (w inWords) roles(codes []string) string {
	var names []string
	for _, c := range codes {
		if (c == "practitioner" || c == "manager") && len(codes) > 1 {
			continue
		}
		names = append(names, w.s.words.known("role."+c, c))
	}
	return strings.Join(names, ", ")
}

// agencyPicks are the agencies of the directory by name, with what stands for all.
func (w inWords) agencyPicks(all, chosen string) []pick {
	list := make([]pick, 0, len(w.agencies)+1)
	for code := range w.agencies {
		list = append(list, pick{Value: code, Text: w.agency(code), Chosen: code == chosen})
	}
	slices.SortFunc(list, func(a, b pick) int { return strings.Compare(a.Text, b.Text) })
	return slices.Insert(list, 0, pick{Text: all, Chosen: chosen == ""})
}

func (w inWords) purposePicks(all, chosen string) []pick {
	list := []pick{{Text: all, Chosen: chosen == ""}}
	for _, p := range w.version.Purposes {
		list = append(list, pick{Value: p.Code, Text: upperFirst(p.Name), Chosen: p.Code == chosen})
	}
	return list
}

// partPicks are the parts of the record in the catalogue's order.
func (w inWords) partPicks(all, chosen string) []pick {
	list := []pick{{Text: all, Chosen: chosen == ""}}
	for _, x := range w.version.Sections {
		list = append(list, pick{Value: x.Code, Text: upperFirst(x.Name), Chosen: x.Code == chosen})
	}
	return list
}

// logTime is a time as the log's lists have it: 12 Nov, 13:56:07, with the year
// where it is another.
func logTime(t, now time.Time) string {
	t, now = t.In(london()), now.In(london())
	if t.Year() == now.Year() {
		return t.Format("2 Jan, 15:04:05")
	}
	return t.Format("2 Jan 2006, 15:04:05")
}

// londonDay is the beginning of a day such as 2026-11-02.
func londonDay(text string) (time.Time, error) {
	return time.ParseInLocation(time.DateOnly, text, london())
}

// typedDay turns a day as the UK writes it, such as 12 Nov 2026 or 12/11/2026, into
// the one form that addresses have. What is no day stays as it was typed.
func typedDay(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, form := range []string{time.DateOnly, "2 Jan 2006", "2 January 2006", "2/1/2006", "2/1/06", "2.1.2006", "2 1 2006"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return text
}

// shownDay is a day in a field to be typed into: 12 Nov 2026.
func shownDay(text string) string {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Format("2 Jan 2006")
	}
	return text
}

// parseUUID reads an id in the one form in which it is written.
func parseUUID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && id.String() == text
}
