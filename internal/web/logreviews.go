package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
)

type queuePage struct {
	auditHead
	Done    string
	Rows    []queueRow
	States  []pick
	Kinds   []pick
	Heading string
	Closed  bool
	Next    string
}

type queueRow struct {
	Href, Reference string
	Finding, When   string
	Agency          string
	Accesses        int
	Why             string
	Innocence       []string
	Due             string
	Overdue         bool
	Closed          string // its outcome
	Started         bool   // somebody has opened it
}

func reviewKinds() []audit.FindingKind {
	return []audit.FindingKind{audit.FindingEmergency, audit.FindingOwnRecord, audit.FindingOwnFamily, audit.FindingProtected, audit.FindingOwnAddress, audit.FindingSameSurname,
		audit.FindingColleague, audit.FindingNoInvolvement, audit.FindingRestricted, audit.FindingDeclared, audit.FindingDenials, audit.FindingVolume,
		audit.FindingNewInvolvement, audit.FindingOutOfHours, audit.FindingSample}
}

// reviewFault turns the error of a reviewer's call into a page.
func (s *Server) reviewFault(err error) error {
	var denied *disclosure.Denied
	switch {
	case errors.Is(err, disclosure.ErrUnknown), errors.Is(err, audit.ErrPage), errors.Is(err, audit.ErrDays):
		return notShown(disclosure.Call{})
	case errors.As(err, &denied):
		if denied.Code == "own-review" || denied.Code == "not-opened" {
			return &fault{status: http.StatusForbidden, key: "error." + denied.Code, cause: err}
		}
		return notShown(disclosure.Call{})
	case errors.Is(err, disclosure.ErrAlready):
		return &fault{status: http.StatusConflict, key: "error.reviewed", cause: err}
	}
	return err
}

func (s *Server) listReviews(w http.ResponseWriter, r *http.Request, v visit) error {
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	f := audit.ReviewFilter{Kind: audit.FindingKind(q.Get("kind")), State: audit.ReviewState(q.Get("state"))}
	if !plainCode(string(f.Kind)) || !plainCode(string(f.State)) {
		return notShown(disclosure.Call{})
	}
	list, err := s.Audit.Reviews.List(r.Context(), v.by(), v.request, f, audit.Page{Limit: 30, After: q.Get("after")})
	if err != nil {
		return s.reviewFault(err)
	}
	agencies := s.agencies(r.Context())
	page := queuePage{auditHead: head, Done: s.noticeOf(r), Closed: f.State == audit.ReviewClosed}
	overdue := 0
	for i := range list.Reviews {
		row := s.queueRow(&list.Reviews[i])
		row.Agency = named(agencies, []string{list.Reviews[i].Agency})[0]
		if row.Overdue {
			overdue++
		}
		page.Rows = append(page.Rows, row)
	}
	for _, state := range []audit.ReviewState{"", audit.ReviewWaiting, audit.ReviewOpen, audit.ReviewClosed} {
		page.States = append(page.States, pick{Value: string(state), Text: s.words.say("reviews.state-" + string(state)), Chosen: state == f.State})
	}
	page.Kinds = []pick{{Text: s.words.say("reviews.all-kinds"), Chosen: f.Kind == ""}}
	for _, k := range reviewKinds() {
		page.Kinds = append(page.Kinds, pick{Value: string(k), Text: s.words.say("finding." + string(k)), Chosen: k == f.Kind})
	}
	page.Heading = s.words.count("reviews.heading", len(page.Rows), overdue)
	if list.Next != "" {
		page.Heading = s.words.say("reviews.heading-more", len(page.Rows), overdue)
		page.Next = "/log/reviews?" + url.Values{"kind": {string(f.Kind)}, "state": {string(f.State)}, "after": {list.Next}}.Encode()
	}
	return s.write(w, v, http.StatusOK, "reviews", sheet{Title: s.words.say("reviews.title"), Page: page, Nav: "reviews", Receipt: list.Receipt})
}

func (s *Server) queueRow(r *audit.Review) queueRow {
	row := queueRow{Href: "/log/reviews/" + r.ID.String(), Reference: r.Reference, Finding: s.words.known("finding."+string(r.Kind), string(r.Kind)), When: s.daySpan(r.First, r.Last),
		Accesses: r.Count, Why: r.Why(), Innocence: r.Innocence(), Due: s.daySpan(r.Due, r.Due), Started: r.State == audit.ReviewOpen}
	if r.State == audit.ReviewClosed {
		row.Closed = s.words.known("examine.outcome."+string(r.Outcome), string(r.Outcome))
	} else {
		row.Overdue = r.Due.Before(s.Now())
	}
	return row
}

// daySpan writes a span of days: 12 Nov, or 12 Nov – 14 Nov.
func (s *Server) daySpan(a, b time.Time) string {
	short := func(t time.Time) string { return shortDay(t.In(london()).Format(time.DateOnly), s.Now()) }
	if first, last := short(a), short(b); first != last {
		return first + " – " + last
	}
	return short(a)
}

// reviewPage is one review: what is known without opening it, and then who and
// what was typed.
type reviewPage struct {
	auditHead
	Done       string
	Row        queueRow
	Raised     time.Time
	References []string
	Opened     bool
	Name       string
	Roles      string
	Worker     string
	Family     string
	People     []string
	Events     []reviewedEvent
	Note       string
	Reviewer   string
	ClosedAt   time.Time
	Form       sheetForm
}

type reviewedEvent struct {
	When, What, Purpose, Outcome string
	Reason                       string
	Refusal                      string
	Declared, Emergency          bool
	Entries                      int
	Href                         string
}

func reviewIn(r *http.Request) (uuid.UUID, error) {
	id, err := pathUUID(r, "review")
	if err != nil {
		return uuid.Nil, notShown(disclosure.Call{})
	}
	return id, nil
}

func (s *Server) showReview(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := reviewIn(r)
	if err != nil {
		return err
	}
	x, err := s.Audit.Reviews.Read(r.Context(), v.by(), v.request, id)
	if err != nil {
		return s.reviewFault(err)
	}
	var f sheetForm
	if x.Opened != nil && x.Review.State != audit.ReviewClosed {
		var a answers
		if a, f, err = s.begin(r, v, r.URL.Path, s.words.say("examine.title", x.Review.Reference)); err != nil {
			return err
		}
		f.Controls = s.reviewControls()
		a.fill(f.Controls)
	}
	return s.reviewPage(w, r, v, &x, f)
}

// reviewControls are the questions that settle a review.
func (s *Server) reviewControls() []*control {
	outcome := &control{Kind: "radios", Name: "outcome", Label: s.words.say("examine.outcome")}
	for _, o := range audit.ReviewOutcomes() {
		outcome.Options = append(outcome.Options, choiceOf{Value: string(o), Label: s.words.say("examine.outcome." + string(o)), Hint: s.words.say("examine.outcome-hint." + string(o))})
	}
	return []*control{outcome, {Kind: "area", Name: "note", Label: s.words.say("examine.note"), Hint: s.words.say("examine.note-hint"), Rows: 4, Most: 4000}}
}

func (s *Server) reviewPage(w http.ResponseWriter, r *http.Request, v visit, x *disclosure.Shown, f sheetForm) error {
	head, err := s.auditHead(r, v, false)
	if err != nil {
		return err
	}
	say, err := s.inWords(r, v)
	if err != nil {
		return err
	}
	page := reviewPage{auditHead: head, Done: s.noticeOf(r), Row: s.queueRow(&x.Review), Raised: x.Review.Raised, References: x.References, Opened: x.Opened != nil, Form: f}
	page.Row.Agency = say.agency(x.Review.Agency)
	page.Form.Action, page.Form.Button = page.Row.Href+"/close", s.words.say("examine.close")
	if o := x.Opened; o != nil {
		page.Name, page.Roles, page.Worker = o.Name, say.roles(o.Roles), o.Worker.String()
		if o.Family != uuid.Nil {
			page.Family = o.Family.String()
		}
		for _, id := range o.People {
			page.People = append(page.People, id.String())
		}
		for i := range o.Events {
			page.Events = append(page.Events, s.reviewedEvent(&o.Events[i], say))
		}
		if x.Review.Closed != nil {
			page.Note, page.Reviewer, page.ClosedAt = x.Review.Note, x.Review.Reviewer, *x.Review.Closed
		}
	}
	title := s.words.say("examine.title", x.Review.Reference)
	return s.write(w, v, statusOf(f), "review", sheet{Title: s.titled(title, f), Page: page, Nav: "reviews", Receipt: x.Receipt})
}

func (s *Server) reviewedEvent(rec *audit.Record, say inWords) reviewedEvent {
	return reviewedEvent{When: logTime(rec.Occurred, s.Now()), What: s.words.known("event."+string(rec.Kind), string(rec.Kind)), Purpose: say.purpose(rec.Purpose),
		Outcome: s.words.known("outcome."+string(rec.Outcome), string(rec.Outcome)), Reason: rec.Reason, Refusal: refusalWords(rec), Declared: rec.Declared, Emergency: rec.Emergency,
		Entries: rec.Count, Href: "/log/" + rec.ID.String()}
}

// openReview notes that this reviewer has seen who and what was typed, and
// shows it. A second press opens the same.
func (s *Server) openReview(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := reviewIn(r)
	if err != nil {
		return err
	}
	once := disclosure.Once{Key: "page-open-" + id.String(), Digest: sha256.Sum256([]byte(r.URL.Path))}
	if _, _, err := s.Audit.Reviews.Open(r.Context(), v.by(), disclosure.Change{Once: once, RequestID: v.request}, id); err != nil {
		return s.reviewFault(err)
	}
	http.Redirect(w, r, "/log/reviews/"+id.String(), http.StatusSeeOther)
	return nil
}

func (s *Server) closeReview(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := reviewIn(r)
	if err != nil {
		return err
	}
	a, f, err := s.sent(r)
	if err != nil {
		return err
	}
	f.Controls = s.reviewControls()
	a.fill(f.Controls)
	if a.text("outcome") == "" {
		f.fail("outcome", s.words.say("examine.error-outcome"))
	}
	if n := len([]rune(a.text("note"))); n < 10 || n > 4000 {
		f.fail("note", s.words.say("examine.error-note"))
	}
	if len(f.Errors) == 0 {
		_, err := s.Audit.Reviews.Close(r.Context(), v.by(), disclosure.Change{Once: f.once(r, a), RequestID: v.request}, id, audit.ReviewOutcome(a.text("outcome")), a.text("note"))
		if err == nil {
			if err := s.saved(r, v, f); err != nil {
				return err
			}
			http.Redirect(w, r, "/log/reviews?done=reviewed", http.StatusSeeOther)
			return nil
		}
		if !s.refuse(&f, err, func(field string) string { return field }) {
			return s.reviewFault(err)
		}
	}
	x, err := s.Audit.Reviews.Read(r.Context(), v.by(), v.request, id)
	if err != nil {
		return s.reviewFault(err)
	}
	if x.Opened == nil {
		return s.reviewFault(&disclosure.Denied{Code: "not-opened"})
	}
	return s.reviewPage(w, r, v, &x, f)
}

type figuresPage struct {
	auditHead
	From, Until string
	Errors      []formError
	Sentence    string
	Kinds       []figuresLine
}

type figuresLine struct {
	Name                                             string
	Raised, Closed, Right, Poorly, Wrong, CannotTell int
	Innocent                                         string
}

// reviewFigures says how the reviews go, so that noisy kinds are tuned.
func (s *Server) reviewFigures(w http.ResponseWriter, r *http.Request, v visit) error {
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	page := figuresPage{auditHead: head, From: typedDay(r.URL.Query().Get("from")), Until: typedDay(r.URL.Query().Get("until"))}
	if page.From == "" {
		page.From = s.Now().In(london()).AddDate(0, -3, 0).Format(time.DateOnly)
	}
	if page.Until == "" {
		page.Until = s.Now().In(london()).Format(time.DateOnly)
	}
	from, until, err := readPeriod(page.From, page.Until)
	sh := sheet{Title: s.words.say("figures.title"), Nav: "reviews"}
	if err != nil {
		page.Errors = []formError{{"from", s.words.say("log.error-day")}}
		sh.Page = page
		return s.write(w, v, http.StatusBadRequest, "reviewfigures", sh)
	}
	f, receipt, err := s.Audit.Reviews.Figures(r.Context(), v.by(), v.request, from, until)
	if err != nil {
		return s.reviewFault(err)
	}
	page.Sentence = s.words.say("figures.sentence", f.Raised, f.Closed, f.Wrong, f.Overdue)
	switch {
	case f.MedianDays == nil:
	case *f.MedianDays < 1:
		page.Sentence += " " + s.words.say("figures.median-day")
	default:
		page.Sentence += " " + s.words.say("figures.median", fmt.Sprintf("%.1f", *f.MedianDays))
	}
	for _, k := range f.Kinds {
		line := figuresLine{Name: s.words.known("finding."+string(k.Kind), string(k.Kind)), Raised: k.Raised, Closed: k.Closed, Right: k.Right, Poorly: k.Poorly, Wrong: k.Wrong, CannotTell: k.CannotTell}
		if k.Innocent != nil {
			line.Innocent = fmt.Sprintf("%.0f%%", 100**k.Innocent)
		}
		page.Kinds = append(page.Kinds, line)
	}
	sh.Page, sh.Receipt = page, receipt
	return s.write(w, v, http.StatusOK, "reviewfigures", sh)
}

// readPeriod reads two days, both included.
func readPeriod(from, until string) (a, b time.Time, err error) {
	if a, err = londonDay(from); err != nil {
		return a, b, err
	}
	if b, err = londonDay(until); err != nil {
		return a, b, err
	}
	if b = b.AddDate(0, 0, 1); !a.Before(b) {
		return a, b, errors.New("the period ends before it begins")
	}
	return a, b, nil
}
