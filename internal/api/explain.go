package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
)

// explainRoutes are the auditor's and the privacy officer's questions to the
// log beyond its lists.
func (s *Server) explainRoutes() {
	s.mux.Get("/v1/access-events/usage", s.caller(s.Limits.SubmissionTimeout, s.countUsage))
	s.mux.Post("/v1/access-events/replay", s.caller(s.Limits.SubmissionTimeout, s.replayEvents))
	s.mux.Get("/v1/access-events/{event}/explanation", s.caller(s.Limits.ReadTimeout, s.explainAccessEvent))
	s.mux.Get("/v1/people/{person}/disclosures", s.caller(s.Limits.SubmissionTimeout, s.listDisclosures))
}

// errNoExplainer: this replica cannot read recorded inputs.
var errNoExplainer = errors.New("this hub has no role that reads recorded inputs (database.replay)")

type explanationView struct {
	disclosure.Explanation
	Receipt string `json:"receipt"` // of this look at the log
}

// explainAccessEvent answers GET /v1/access-events/{event}/explanation.
func (s *Server) explainAccessEvent(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := parseID(chi.URLParam(r, "event"))
	if err != nil {
		return badField("event", "must be a lower-case UUID")
	}
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	if s.Explain == nil {
		return unavailable(errNoExplainer)
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"event": id.String(), "what": "explanation"})
	if err != nil {
		return err
	}
	w.Header().Set("Kith-Receipt", receipt.String())
	explanation, err := s.Explain.Explain(r.Context(), p, scope, id)
	switch {
	case errors.Is(err, audit.ErrNotFound):
		return problem(http.StatusNotFound, "not-shown", "Kith cannot show this", "There is no such event within your view of the log.")
	case err != nil:
		return unavailable(err)
	}
	return writeJSON(w, receipt.String(), explanationView{explanation, receipt.String()})
}

// period reads from and until.
func period(from, until string) (a, b time.Time, err error) {
	for _, x := range []struct {
		name, text string
		to         *time.Time
	}{{"from", from, &a}, {"until", until, &b}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = time.Parse(time.RFC3339, x.text); err != nil {
			return a, b, badField(x.name, "must be a time such as 2026-11-02T09:30:00Z")
		}
	}
	if !a.IsZero() && !b.IsZero() && !a.Before(b) {
		return a, b, badField("until", "must be after from")
	}
	return a, b, nil
}

// replayLine is one line of a replay: how far it is, the events that differ
// among those since the line before, and at last the end.
type replayLine struct {
	Total         int64           `json:"total"`
	Done          int64           `json:"done"`
	Same          int64           `json:"same"`
	Different     int64           `json:"different"`
	NotReplayable int64           `json:"not_replayable"`
	Undecided     int64           `json:"nothing_decided"`
	Differ        []differingView `json:"differ,omitempty"`
	End           bool            `json:"end,omitempty"`
	Error         string          `json:"error,omitempty"`
	Receipt       string          `json:"receipt,omitempty"`
}

type differingView struct {
	Event    uuid.UUID  `json:"event"`
	Kind     audit.Kind `json:"kind"`
	Occurred time.Time  `json:"occurred_at"`
	Why      string     `json:"why"`
}

func replayLineOf(t disclosure.Tally, differ []disclosure.Replay) replayLine {
	line := replayLine{Total: t.Total, Done: t.Done, Same: t.Same, Different: t.Different, NotReplayable: t.NotReplayable, Undecided: t.Undecided}
	for _, x := range differ {
		line.Differ = append(line.Differ, differingView{x.Event, x.Kind, x.Occurred.UTC(), x.Why})
	}
	return line
}

// replayEvents answers POST /v1/access-events/replay: one line whenever it is
// further, the last one with end. What was recorded leaves the hub in no line.
func (s *Server) replayEvents(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !p.Has(roleAuditor) {
		return s.notYours(r, p, "replay", "Only an auditor has the log decided again.")
	}
	if s.Explain == nil {
		return unavailable(errNoExplainer)
	}
	var body struct {
		From  string `json:"from"`
		Until string `json:"until"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	if body.From == "" || body.Until == "" {
		return badField("from", "from and until are both needed")
	}
	from, until, err := period(body.From, body.Until)
	if err != nil {
		return err
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "replay", "from": from.UTC().Format(time.RFC3339), "until": until.UTC().Format(time.RFC3339)})
	if err != nil {
		return err
	}
	w.Header().Set("Kith-Receipt", receipt.String())
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	tally, err := s.Explain.Replayer.Range(r.Context(), from, until, func(t disclosure.Tally, differ []disclosure.Replay) error {
		if err := out.Encode(replayLineOf(t, differ)); err != nil {
			return err
		}
		_ = flush.Flush() // a writer that cannot flush shows progress late
		return nil
	})
	last := replayLineOf(tally, nil)
	last.End, last.Receipt = err == nil, receipt.String()
	if err != nil {
		s.Logger.ErrorContext(r.Context(), "replay ended early", "request", requestID(r.Context()), "cause", err.Error())
		last.Error = "The replay ended early; what was counted stands. Begin again behind the last day that was done."
	}
	return ignoreGone(out.Encode(last))
}

// officerOf is the agency for whose information a caller may count or list:
// officers their own, an auditor the one that is named.
func (s *Server) officerOf(r *http.Request, p identity.Principal, named string, roles ...string) (string, error) {
	switch {
	case p.Has(roleAuditor):
		return named, nil
	case slices.ContainsFunc(roles, p.Has) && (named == "" || named == p.Agency):
		return p.Agency, nil
	}
	return "", s.notYours(r, p, "log", "This is for auditors, and for officers of the agency whose information it is.")
}

type usageView struct {
	Owner   string      `json:"owner"`
	From    time.Time   `json:"from"`
	Until   time.Time   `json:"until"`
	Usage   []usageLine `json:"usage"`
	Receipt string      `json:"receipt"`
}

type usageLine struct {
	Agency    string    `json:"agency,omitempty"`
	Roles     []string  `json:"roles,omitempty"`
	Purpose   string    `json:"purpose,omitempty"`
	Month     string    `json:"month,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Accesses  int       `json:"accesses"`
	Entries   int       `json:"entries"`
	Existence int       `json:"existence"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Events    string    `json:"events"` // where the events behind the line are listed
}

// usagePeriod is counted where no period is named.
const usagePeriod = 31 * 24 * time.Hour

// countUsage answers GET /v1/access-events/usage.
func (s *Server) countUsage(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q := r.URL.Query()
	owner, err := s.officerOf(r, p, q.Get("owner"), rolePrivacyOfficer)
	if err != nil {
		return err
	}
	if owner == "" {
		return badField("owner", "is required: the agency whose information was used")
	}
	from, until, err := period(q.Get("from"), q.Get("until"))
	if err != nil {
		return err
	}
	if until.IsZero() {
		until = s.Now().UTC()
	}
	if from.IsZero() {
		from = until.Add(-usagePeriod)
	}
	var by audit.UsageBy
	marks := map[string]*bool{"agency": &by.Agency, "role": &by.Role, "purpose": &by.Purpose, "month": &by.Month, "subject": &by.Subject}
	names := q.Get("by")
	if names == "" {
		names = "agency,role,purpose,month"
	}
	for _, name := range strings.Split(names, ",") {
		mark := marks[name]
		if mark == nil {
			return badField("by", "must be some of agency, role, purpose, month, subject, separated by commas")
		}
		*mark = true
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, with(filterDetails(r), "what", "usage"))
	if err != nil {
		return err
	}
	f := audit.Filter{From: from, Until: until, Agency: q.Get("agency"), Purpose: q.Get("purpose")}
	lines, err := s.Log.Usage(r.Context(), owner, f, by, q.Get("subject"))
	switch {
	case errors.Is(err, audit.ErrTooMuch):
		w.Header().Set("Kith-Receipt", receipt.String())
		return badField("from", "the period holds too many accesses for one answer: ask for less of it")
	case err != nil:
		return unavailable(err)
	}
	answer := usageView{Owner: owner, From: from, Until: until, Usage: make([]usageLine, 0, len(lines)), Receipt: receipt.String()}
	for i := range lines {
		answer.Usage = append(answer.Usage, usageLineOf(&lines[i], f))
	}
	return writeJSON(w, answer.Receipt, answer)
}

func usageLineOf(u *audit.Usage, f audit.Filter) usageLine {
	line := usageLine{Agency: u.Agency, Purpose: u.Purpose, Month: u.Month, Subject: u.Subject, Accesses: u.Accesses, Entries: u.Entries, Existence: u.Existence,
		First: u.First.UTC(), Last: u.Last.UTC()}
	if u.Roles != "" {
		line.Roles = strings.Split(u.Roles, ",")
	}
	path := "/v1/access-events"
	query := url.Values{"from": {u.First.UTC().Format(time.RFC3339Nano)}, "until": {u.Last.UTC().Add(time.Microsecond).Format(time.RFC3339Nano)}}
	if u.Subject != "" {
		path = "/v1/people/" + u.Subject + "/disclosures" // what is listed there names the event
	}
	for name, v := range map[string]string{"agency": u.Agency, "purpose": u.Purpose} {
		if v == "" {
			v = map[string]string{"agency": f.Agency, "purpose": f.Purpose}[name]
		}
		if v != "" && u.Subject == "" {
			query.Set(name, v)
		}
	}
	line.Events = path + "?" + query.Encode()
	return line
}

func with(details map[string]string, name, value string) map[string]string {
	details[name] = value
	return details
}

// notYours logs that a verified caller tried a door that is not theirs.
func (s *Server) notYours(r *http.Request, p identity.Principal, code, shown string) error {
	e := eventBy(r.Context(), p, audit.KindForbidden, audit.OutcomeDenied)
	e.Refusal = "role"
	e.Details = map[string]string{"what": code}
	if _, err := s.Recorder.Append(context.WithoutCancel(r.Context()), e); err != nil {
		return unavailable(err)
	}
	return forbidden(code, shown, nil)
}
