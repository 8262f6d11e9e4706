package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/policy"
)

type approvalsPage struct {
	Mine, Others, Decided []proposalLine
	Approver              bool
	Drafts                []proposedDraft
	Done                  string
}

// proposalLine is a submission in a list.
type proposalLine struct {
	ID, Why, Agency, Short string
	At                     time.Time
	Ended                  *time.Time
	State                  string
	Missing                []string
	Void                   bool
	Starts                 *time.Time
}

func (s *Server) proposalLine(sub policy.Submission, agencies map[string]identity.Agency) proposalLine {
	line := proposalLine{ID: sub.ID.String(), Why: sub.Why, Agency: named(agencies, []string{sub.Agency})[0], Short: shortDigest(sub.Digest), At: sub.SubmittedAt, Ended: sub.EndedAt,
		Void: sub.Void, Starts: sub.StartsAt, State: s.words.say("proposal.state." + sub.State)}
	for _, agency := range sub.Missing {
		if agency == "" {
			line.Missing = append(line.Missing, s.words.say("need.second"))
			continue
		}
		line.Missing = append(line.Missing, named(agencies, []string{agency})[0])
	}
	return line
}

// waitsFor tells whether a proposal waits for an approval that this reader can give.
func waitsFor(v visit, sub policy.Submission) bool {
	return mayApprove(v) && sub.State == "open" && !sub.Void && !slices.Contains(sub.Authors, v.by().Worker) &&
		(slices.Contains(sub.Missing, v.by().Agency) || slices.Contains(sub.Missing, ""))
}

// listApprovals is what waits for the reader, then what waits for others.
func (s *Server) listApprovals(w http.ResponseWriter, r *http.Request, v visit) error {
	subs, err := s.Office.Submissions(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	drafts, err := s.Office.Drafts(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	agencies := s.agencies(r.Context())
	page := approvalsPage{Approver: mayApprove(v), Done: s.noticeOf(r)}
	for _, sub := range subs {
		line := s.proposalLine(sub, agencies)
		switch {
		case waitsFor(v, sub):
			page.Mine = append(page.Mine, line)
		case sub.State == "open":
			page.Others = append(page.Others, line)
		default:
			page.Decided = append(page.Decided, line)
		}
	}
	for _, d := range s.proposedDrafts(drafts, agencies) {
		if !d.Submitted {
			page.Drafts = append(page.Drafts, d)
		}
	}
	return s.write(w, v, http.StatusOK, "approvals", sheet{Title: s.words.say("approvals.title"), Page: page, Nav: "approvals"})
}

type approvalPage struct {
	proposalLine
	Digest, ComparedWith string
	digest               policy.Digest
	No                   int // of the version compared with
	Report               reportView
	Advice               []adviceLine
	Refusals             []adviceLine
	Mine                 []string // what it opens of the reader's
	Approve              bool
	Advise               bool
	Publish              bool
	CannotPublish        string
	Withdraw             bool
	Remind, RemindNow    bool // somebody is missing; and was not asked again today
	Reminded             []adviceLine
	Again                bool
	Changed              time.Time // when another version came into force, for a void proposal
	Approved             bool      // by the reader's agency
	Decision             string
	Typed                string
	Errors               []formError
	Done                 string
}

type adviceLine struct {
	Who, Text string
	At        time.Time
}

func (s *Server) showProposal(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.proposalPage(w, r, v, http.StatusOK, approvalPage{})
}

// proposalPage draws a proposal; with says what was typed and why it was refused.
func (s *Server) proposalPage(w http.ResponseWriter, r *http.Request, v visit, status int, with approvalPage) error {
	page, err := s.proposal(r, v, with)
	if err != nil {
		return err
	}
	title := s.words.say("proposal.title", page.Short)
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "approval", sheet{Title: title, Page: page, Nav: "approvals"})
}

// proposal reads a proposal for its page.
func (s *Server) proposal(r *http.Request, v visit, with approvalPage) (approvalPage, error) {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return with, s.officeFault(err)
	}
	sub, err := s.Office.Submission(r.Context(), v.by(), id)
	if err != nil {
		return with, s.officeFault(err)
	}
	refusals, err := s.Office.Refusals(r.Context(), v.by(), id)
	if err != nil {
		return with, s.officeFault(err)
	}
	reminders, err := s.Office.Reminders(r.Context(), v.by(), id)
	if err != nil {
		return with, s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return with, s.officeFault(err)
	}
	lines, err := s.Office.Versions(r.Context(), v.by())
	if err != nil {
		return with, s.officeFault(err)
	}
	agencies := s.agencies(r.Context())
	page := with
	page.proposalLine = s.proposalLine(sub, agencies)
	page.Digest, page.ComparedWith, page.digest = sub.Digest.String(), sub.ComparedWith.String(), sub.Digest
	page.No, _ = versionNo(lines, sub.ComparedWith)
	if sub.Report != nil {
		page.Report = s.reportView(r.Context(), sub.Report, now.Version, s.proposalExamples(r.Context(), v, sub), "")
		s.judgeNeeds(&page, v, sub, refusals, agencies)
	}
	if open := sub.State == "open" && !sub.Void; open && len(sub.Missing) > 0 && (mayWrite(v) || mayApprove(v)) {
		page.Remind = true
		for _, missing := range sub.Missing {
			i := slices.IndexFunc(reminders, func(x policy.Reminded) bool { return x.Agency == missing })
			page.RemindNow = page.RemindNow || i < 0 || !s.today(reminders[i].At)
		}
	}
	for _, x := range reminders {
		page.Reminded = append(page.Reminded, adviceLine{Who: upperFirst(s.missing(r.Context(), []string{x.Agency})[0]), At: x.At})
	}
	if sub.Effect != nil {
		page.Report.Effect = s.effectView(r.Context(), sub.Effect, now.Version)
	}
	for _, a := range sub.Advice {
		page.Advice = append(page.Advice, adviceLine{Who: s.words.say("need.by", a.Name, named(agencies, []string{a.Agency})[0]), Text: a.Advice, At: a.GivenAt})
	}
	for _, a := range refusals {
		page.Refusals = append(page.Refusals, adviceLine{Who: s.words.say("need.by", a.Name, named(agencies, []string{a.Agency})[0]), Text: a.Why, At: a.GivenAt})
	}
	open := sub.State == "open" && !sub.Void
	author := slices.Contains(sub.Authors, v.by().Worker)
	page.Approved = slices.ContainsFunc(sub.Approvals, func(a policy.Approval) bool { return a.Agency == v.by().Agency && a.Name == v.by().WorkerName })
	page.Approve = open && mayApprove(v) && !author && !page.Approved
	page.Advise = sub.State == "open" && mayAdvise(v)
	page.Withdraw = sub.State == "open" && author && (mayWrite(v) || mayApprove(v))
	page.Again = sub.Void && mayWrite(v)
	if sub.Void {
		page.Changed = now.Since
	}
	if open && (mayWrite(v) || mayApprove(v)) {
		switch {
		case sub.Effect != nil && sub.Effect.State == policy.EffectComputing:
			page.CannotPublish = s.words.say("error.policy-report-pending.text")
		case len(sub.Missing) > 0:
			page.CannotPublish = s.words.say("publish.missing", joinWords(page.Missing))
		case sub.StartsAt != nil && sub.StartsAt.After(s.Now()):
			page.CannotPublish = s.words.say("publish.early", longDate(*sub.StartsAt), clockTime(*sub.StartsAt))
		default:
			page.Publish = true
		}
	}
	if page.Done == "" {
		page.Done = s.noticeOf(r)
	}
	return page, nil
}

// today says whether a moment lies on the present day in London.
func (s *Server) today(at time.Time) bool {
	return at.In(london()).Format(time.DateOnly) == s.Now().In(london()).Format(time.DateOnly)
}

// judgeNeeds says of each approval that is needed how it stands.
func (s *Server) judgeNeeds(page *approvalPage, v visit, sub policy.Submission, refusals []policy.Refused, agencies map[string]identity.Agency) {
	for i, n := range sub.Report.Needs {
		line := &page.Report.Needs[i]
		line.Mine = n.Agency == v.by().Agency
		if line.Mine {
			page.Mine = n.Why
		}
		for _, a := range refusals {
			if a.Agency == n.Agency {
				line.State, line.By, line.When, line.Why = "refused", a.Name, a.GivenAt, a.Why
			}
		}
		for _, a := range sub.Approvals {
			if a.Agency != n.Agency && n.Agency != "" {
				continue
			}
			line.By, line.When, line.Why = a.Name, a.GivenAt, a.Why
			switch {
			case sub.Void:
				line.State = "void"
			case slices.Contains(sub.Missing, n.Agency): // the officer lost the role since
				line.State = "void"
			default:
				line.State = "approved"
			}
		}
	}
}

// decide approves a proposal or refuses it with a reason.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	decision, why := r.PostForm.Get("decision"), strings.TrimSpace(r.PostForm.Get("why"))
	with := approvalPage{Decision: decision, Typed: why}
	var wrong []formError
	if decision != "approve" && decision != "refuse" {
		wrong = append(wrong, formError{"decision", s.words.say("decide.error-none")})
	}
	if why == "" || len(why) > reasonMost {
		wrong = append(wrong, formError{"why", s.words.say("submit.error-why")})
	}
	if with.Errors = wrong; len(wrong) > 0 {
		return s.proposalPage(w, r, v, http.StatusBadRequest, with)
	}
	if decision == "refuse" {
		_, err = s.Office.Refuse(r.Context(), v.by(), v.request, id, why)
	} else {
		err = s.approve(r, v, id, why)
	}
	return s.afterProposal(w, r, v, err, with, "decision", cmp.Or(map[string]string{"approve": "approved", "refuse": "refused"}[decision], "saved"))
}

// approve gives the approval for the two versions that the form named: those
// that the approver was shown.
func (s *Server) approve(r *http.Request, v visit, id uuid.UUID, why string) error {
	var digest, with policy.Digest
	if digest.UnmarshalText([]byte(r.PostForm.Get("digest"))) != nil || with.UnmarshalText([]byte(r.PostForm.Get("compared"))) != nil {
		return policy.ErrUnknown
	}
	_, _, err := s.Office.Approve(r.Context(), v.by(), v.request, id, digest, with, why)
	return err
}

// afterProposal goes back to the proposal, or shows why it could not be done.
func (s *Server) afterProposal(w http.ResponseWriter, r *http.Request, v visit, err error, with approvalPage, field, done string) error {
	var blocked *policy.Blocked
	var draft *policy.DraftError
	switch {
	case errors.As(err, &blocked):
		text := s.words.say(s.blockedKey(blocked) + ".text")
		if len(blocked.Missing) > 0 {
			text = s.words.say("publish.missing", joinWords(s.missing(r.Context(), blocked.Missing)))
		}
		with.Errors = []formError{{field, text}}
		return s.proposalPage(w, r, v, http.StatusConflict, with)
	case errors.As(err, &draft):
		with.Errors = []formError{{field, upperFirst(draft.Text)}}
		return s.proposalPage(w, r, v, http.StatusBadRequest, with)
	case errors.Is(err, policy.ErrClosed):
		with.Errors = []formError{{field, s.words.say("error.closed.text")}}
		return s.proposalPage(w, r, v, http.StatusConflict, with)
	case err != nil:
		return s.officeFault(err)
	}
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/approvals/"+id.String()+"?done="+done, http.StatusSeeOther)
	return nil
}

func (s *Server) missing(ctx context.Context, codes []string) []string {
	out := named(s.agencies(ctx), codes)
	for i, code := range codes {
		if code == "" {
			out[i] = s.words.say("need.second")
		}
	}
	return out
}

// advise records a data protection officer's advice, which approves nothing.
func (s *Server) advise(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	_, err = s.Office.Advise(r.Context(), v.by(), v.request, id, r.PostForm.Get("advice"))
	return s.afterProposal(w, r, v, err, approvalPage{Typed: r.PostForm.Get("advice")}, "advice", "advised")
}

// publish makes a proposal's version the one in force, if it can be.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	_, _, err = s.Office.Activate(r.Context(), v.by(), v.request, id)
	return s.afterProposal(w, r, v, err, approvalPage{}, "publish", "published")
}

// withdrawProposal takes a proposal back.
func (s *Server) withdrawProposal(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	why := strings.TrimSpace(r.PostForm.Get("why"))
	if why == "" || len(why) > reasonMost {
		return s.proposalPage(w, r, v, http.StatusBadRequest, approvalPage{Errors: []formError{{"withdraw-why", s.words.say("submit.error-why")}}})
	}
	_, err = s.Office.Withdraw(r.Context(), v.by(), v.request, id, why)
	return s.afterProposal(w, r, v, err, approvalPage{}, "withdraw-why", "withdrawn")
}

// draftFromProposal begins a draft from a proposal whose approvals no longer count.
func (s *Server) draftFromProposal(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	sub, err := s.Office.Submission(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	title := []rune(s.words.say("draft.again", sub.Why))
	d, _, err := s.Office.OpenDraft(r.Context(), v.by(), v.request, sub.Digest, string(title[:min(len(title), 60)]))
	if err != nil {
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/policy/drafts/"+d.ID.String()+"?show=changed", http.StatusSeeOther)
	return nil
}
