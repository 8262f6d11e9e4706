package api

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/policy"
)

// policyTimeout bounds what enumerates a decision space or runs a draft's tests.
const policyTimeout = 2 * time.Minute

func (s *Server) policyRoutes() {
	read, work := s.Limits.ReadTimeout, policyTimeout
	s.mux.Get("/v1/policies", s.caller(read, s.listPolicies))
	s.mux.Get("/v1/policies/{digest}", s.caller(read, s.readPolicy))
	s.mux.Post("/v1/policies/{digest}/return", s.caller(work, s.returnPolicy))
	s.mux.Get("/v1/policies/drafts", s.caller(read, s.listDrafts))
	s.mux.Post("/v1/policies/drafts", s.caller(read, s.openDraft))
	s.mux.Get("/v1/policies/drafts/{draft}", s.caller(read, s.readDraft))
	s.mux.Put("/v1/policies/drafts/{draft}", s.caller(read, s.replaceDraft))
	s.mux.Post("/v1/policies/drafts/{draft}/files", s.caller(read, s.editDraft))
	s.mux.Post("/v1/policies/drafts/{draft}/rows", s.caller(read, s.editDraftRow))
	s.mux.Post("/v1/policies/drafts/{draft}/tests", s.caller(work, s.testDraft))
	s.mux.Get("/v1/policies/drafts/{draft}/changes", s.caller(work, s.draftChanges))
	s.mux.Post("/v1/policies/drafts/{draft}/submission", s.caller(work, s.submitDraft))
	s.mux.Get("/v1/policies/submissions", s.caller(read, s.listSubmissions))
	s.mux.Get("/v1/policies/submissions/{submission}", s.caller(read, s.readSubmission))
	s.mux.Post("/v1/policies/submissions/{submission}/approvals", s.caller(read, s.approveSubmission))
	s.mux.Post("/v1/policies/submissions/{submission}/advice", s.caller(read, s.adviseSubmission))
	s.mux.Post("/v1/policies/submissions/{submission}/activation", s.caller(read, s.activateSubmission))
	s.mux.Post("/v1/policies/submissions/{submission}/withdrawal", s.caller(read, s.withdrawSubmission))
	s.policyTableRoutes()
}

// notChanged turns an error of the office into a problem.
func (s *Server) notChanged(err error) error {
	var conflict *policy.Conflict
	var draft *policy.DraftError
	var blocked *policy.Blocked
	switch {
	case errors.Is(err, audit.ErrNotLogged):
		return unavailable(err)
	case errors.As(err, &conflict):
		x := problem(http.StatusConflict, "draft-changed", "Somebody changed this draft since you read it", "Nothing was saved. Read the draft again, compare, and save yours on top of it.")
		x.Latest, x.Theirs = int(conflict.Revision), conflict.Theirs
		return x
	case errors.As(err, &draft):
		x := problem(http.StatusUnprocessableEntity, "draft", "The draft is not in order", "Nothing was submitted. Mend what is listed.")
		x.Changed = strings.Split(draft.Text, "\n")
		return x
	case errors.As(err, &blocked):
		return blockedProblem(blocked)
	case errors.Is(err, policy.ErrNotOfficer):
		return forbidden("role", "None of your roles does this.", nil)
	case errors.Is(err, policy.ErrUnknown):
		return problem(http.StatusNotFound, "unknown", "There is nothing like that", "There is no such draft, version or submission.")
	case errors.Is(err, policy.ErrClosed):
		return problem(http.StatusConflict, "closed", "This was decided already", "It was submitted, activated or taken back. Nothing was done.")
	case errors.Is(err, policy.ErrSandboxLimit):
		return problem(http.StatusUnprocessableEntity, "sandbox", "The draft was stopped", "It used more memory, time or output than a draft may. Nothing else noticed.").because(err)
	}
	return unavailable(err)
}

// blockedProblem says why a change may not go on, and what would let it.
func blockedProblem(b *policy.Blocked) *Problem {
	detail := map[string]string{
		"policy-approval-missing":      "Approvals are missing. Nothing was activated.",
		"policy-compared-with-changed": "Another version has become active since the report was made: submit again. Nothing was done.",
		"policy-own-draft":             "Nobody approves what they wrote themselves.",
		"policy-not-approver":          "An approval comes from a policy approver of an agency.",
		"policy-not-officer":           "This needs a policy author or approver.",
		"policy-approved-already":      "You have approved this already.",
		"policy-closed":                "It was activated or taken back already.",
		"policy-state":                 "This version cannot become active from where it stands.",
		"policy-early":                 "It starts later. Nothing was activated.",
		"policy-report-pending":        "Its report is still being computed: nobody approves what has not been shown whole. Try again when it is there.",
		"policy-refused":               "The draft changes what no approval can change.",
		"policy-tests":                 "The draft's own stories or tests do not hold.",
		"policy-changes-nothing":       "This version is the active one already.",
		"policy-none-missing":          "Nobody's approval is missing.",
		"policy-reminded":              "Everybody was asked again today.",
	}[b.Code]
	status := http.StatusConflict
	switch b.Code {
	case "policy-own-draft", "policy-not-approver", "policy-not-officer":
		status = http.StatusForbidden
	case "policy-refused", "policy-tests", "policy-changes-nothing":
		status = http.StatusUnprocessableEntity
	case "policy-unknown":
		status = http.StatusNotFound
	}
	x := problem(status, b.Code, "This cannot be done now", detail)
	x.Missing = b.Missing
	x.Changed = b.Reasons
	for _, f := range b.Tests {
		x.Changed = append(x.Changed, f.File+": "+f.Name+": "+f.Problem)
	}
	return x
}

func (s *Server) listPolicies(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	versions, err := s.Office.Versions(r.Context(), p)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"versions": versions})
}

func pathDigest(r *http.Request) (policy.Digest, error) {
	var d policy.Digest
	if err := d.UnmarshalText([]byte(chi.URLParam(r, "digest"))); err != nil {
		return d, badField("digest", "is 64 hexadecimal digits")
	}
	return d, nil
}

func (s *Server) readPolicy(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	digest, err := pathDigest(r)
	if err != nil {
		return err
	}
	files, err := s.Office.Files(r.Context(), p, digest)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"digest": digest, "files": files})
}

type whyBody struct {
	Why string `json:"why"`
}

func (s *Server) returnPolicy(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	digest, err := pathDigest(r)
	if err != nil {
		return err
	}
	var body whyBody
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	sub, receipt, err := s.Office.Return(r.Context(), p, requestID(r.Context()), digest, body.Why)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, sub)
}

func (s *Server) listDrafts(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	drafts, err := s.Office.Drafts(r.Context(), p)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"drafts": drafts})
}

func (s *Server) openDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Title string `json:"title"`
		From  string `json:"from"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	var from policy.Digest
	if body.From != "" {
		if err := from.UnmarshalText([]byte(body.From)); err != nil {
			return badField("from", "is the digest of a stored version; leave it out for the active one")
		}
	}
	d, receipt, err := s.Office.OpenDraft(r.Context(), p, requestID(r.Context()), from, body.Title)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, d)
}

func (s *Server) readDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	d, err := s.Office.Draft(r.Context(), p, id)
	return s.draft(w, d, "", err)
}

func (s *Server) draft(w http.ResponseWriter, d policy.Draft, receipt string, err error) error {
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, receipt, d)
}

// ofDraft reads the draft's id and the body of a change.
func (s *Server) ofDraft(w http.ResponseWriter, r *http.Request, body any) (uuid.UUID, error) {
	id, err := pathID(r, "draft")
	if err != nil {
		return uuid.Nil, err
	}
	_, err = s.readBody(w, r, body)
	return id, err
}

func (s *Server) replaceDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Revision int64 `json:"revision"`
		Files    []struct {
			Path    string `json:"path"`
			Content string `json:"content"`
		} `json:"files"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	files := make(map[string]string, len(body.Files))
	for _, f := range body.Files {
		if _, twice := files[f.Path]; twice {
			return badField("files", "names each path once")
		}
		files[f.Path] = f.Content
	}
	d, receipt, err := s.Office.Replace(r.Context(), p, requestID(r.Context()), id, body.Revision, files)
	return s.draft(w, d, receipt, err)
}

func (s *Server) editDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Revision int64 `json:"revision"`
		Files    []struct {
			Path    string `json:"path"`
			Content string `json:"content"`
			Remove  bool   `json:"remove"`
		} `json:"files"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	var edits []policy.FileEdit
	for _, f := range body.Files {
		edits = append(edits, policy.FileEdit(f))
	}
	d, receipt, err := s.Office.Edit(r.Context(), p, requestID(r.Context()), id, body.Revision, edits)
	return s.draft(w, d, receipt, err)
}

func (s *Server) editDraftRow(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Revision int64  `json:"revision"`
		Section  string `json:"section"`
		Remove   int    `json:"remove"`
		Row      *struct {
			To         string   `json:"to"`
			Roles      []string `json:"roles"`
			Purposes   []string `json:"purposes"`
			Level      string   `json:"level"`
			Masks      []string `json:"masks"`
			Conditions []string `json:"conditions"`
			Clause     string   `json:"clause"`
			From       string   `json:"from"`
			Until      string   `json:"until"`
			Why        string   `json:"why"`
		} `json:"row"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	if (body.Row == nil) == (body.Remove < 1) {
		return badField("row", "give either a row to add or remove, the number of the row to take away")
	}
	edit := policy.RowEdit{Section: body.Section, Remove: body.Remove}
	if x := body.Row; x != nil {
		edit.Row = policy.Row{Section: body.Section, To: x.To, Roles: x.Roles, Purposes: x.Purposes, Level: x.Level, Masks: x.Masks, Conditions: x.Conditions,
			Clause: x.Clause, From: x.From, Until: x.Until, Why: x.Why}
	}
	d, receipt, err := s.Office.EditRow(r.Context(), p, requestID(r.Context()), id, body.Revision, edit)
	return s.draft(w, d, receipt, err)
}

func (s *Server) testDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	checked, err := s.Office.Check(r.Context(), p, id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", checked)
}

func (s *Server) draftChanges(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	report, err := s.Office.Changes(r.Context(), p, id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", report)
}

func (s *Server) submitDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Revision int64      `json:"revision"`
		Why      string     `json:"why"`
		StartsAt *time.Time `json:"starts_at"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	sub, receipt, err := s.Office.Submit(r.Context(), p, requestID(r.Context()), id, body.Revision, body.Why, body.StartsAt)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, sub)
}

func (s *Server) listSubmissions(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	list, err := s.Office.Submissions(r.Context(), p)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"submissions": list})
}

func (s *Server) readSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	sub, err := s.Office.Submission(r.Context(), p, id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", sub)
}

func (s *Server) approveSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	var body struct {
		Digest       policy.Digest `json:"digest"`
		ComparedWith policy.Digest `json:"compared_with"`
		Why          string        `json:"why"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	sub, receipt, err := s.Office.Approve(r.Context(), p, requestID(r.Context()), id, body.Digest, body.ComparedWith, body.Why)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, sub)
}

func (s *Server) adviseSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	var body struct {
		Advice string `json:"advice"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	receipt, err := s.Office.Advise(r.Context(), p, requestID(r.Context()), id, body.Advice)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, map[string]string{"receipt": receipt})
}

func (s *Server) activateSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	sub, receipt, err := s.Office.Activate(r.Context(), p, requestID(r.Context()), id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, receipt, sub)
}

func (s *Server) withdrawSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	var body whyBody
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	receipt, err := s.Office.Withdraw(r.Context(), p, requestID(r.Context()), id, body.Why)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, receipt, map[string]string{"receipt": receipt})
}
