package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"kith/internal/identity"
	"kith/internal/policy"
)

type draftsPage struct {
	Drafts []proposedDraft
	Title  string
	From   string
	Errors []formError
	Write  bool
	No     int
}

func (s *Server) proposedDrafts(drafts []policy.Draft, agencies map[string]identity.Agency) []proposedDraft {
	var out []proposedDraft
	for _, d := range drafts {
		name := agencies[d.Agency].Name
		if name == "" {
			name = d.Agency
		}
		out = append(out, proposedDraft{ID: d.ID.String(), Title: d.Title, Agency: name, ChangedAt: d.ChangedAt, Submitted: d.Submitted})
	}
	return out
}

// listDrafts is every draft under work, and the form for a new one.
func (s *Server) listDrafts(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.draftsPage(w, r, v, http.StatusOK, draftsPage{})
}

func (s *Server) draftsPage(w http.ResponseWriter, r *http.Request, v visit, status int, page draftsPage) error {
	drafts, err := s.Office.Drafts(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	page.Drafts, page.Write, page.No = s.proposedDrafts(drafts, s.agencies(r.Context())), mayWrite(v), now.No
	title := s.words.say("drafts.title")
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "policydrafts", sheet{Title: title, Page: page, Nav: "policy"})
}

// openDraft begins a draft from the version in force, or from another.
func (s *Server) openDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	title := strings.TrimSpace(r.PostForm.Get("title"))
	var from policy.Digest
	if text := r.PostForm.Get("from"); text != "" {
		if err := from.UnmarshalText([]byte(text)); err != nil {
			return s.officeFault(policy.ErrUnknown)
		}
	}
	d, _, err := s.Office.OpenDraft(r.Context(), v.by(), v.request, from, title)
	var wrong *policy.DraftError
	if errors.As(err, &wrong) {
		return s.draftsPage(w, r, v, http.StatusBadRequest, draftsPage{Title: title, From: r.PostForm.Get("from"), Errors: []formError{{"title", s.words.say("drafts.error-title")}}})
	}
	if err != nil {
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/policy/drafts/"+d.ID.String(), http.StatusSeeOther)
	return nil
}

// submitDraft closes a draft and asks for the approvals that its report calls for.
func (s *Server) submitDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	typed := submitForm{Why: strings.TrimSpace(r.PostForm.Get("why")), Starts: r.PostForm.Get("starts"), Revision: r.PostForm.Get("revision")}
	var startsAt *time.Time
	if typed.Starts != "" {
		at, err := time.ParseInLocation("2006-01-02T15:04", typed.Starts, london())
		if err != nil || !at.After(s.Now()) {
			return s.changesPage(w, r, v, http.StatusBadRequest, typed, []formError{{"starts", s.words.say("submit.error-starts")}})
		}
		startsAt = &at
	}
	if typed.Why == "" || len(typed.Why) > reasonMost {
		return s.changesPage(w, r, v, http.StatusBadRequest, typed, []formError{{"why", s.words.say("submit.error-why")}})
	}
	sub, _, err := s.Office.Submit(r.Context(), v.by(), v.request, d.ID, typed.revision(), typed.Why, startsAt)
	var conflict *policy.Conflict
	var blocked *policy.Blocked
	var draft *policy.DraftError
	switch {
	case errors.As(err, &conflict):
		return s.changesPage(w, r, v, http.StatusConflict, typed, []formError{{"why", s.words.say("submit.error-changed")}})
	case errors.As(err, &blocked):
		wrong := []formError{{"why", s.words.say(s.blockedKey(blocked) + ".text")}}
		for _, reason := range blocked.Reasons {
			wrong = append(wrong, formError{"why", reason})
		}
		return s.changesPage(w, r, v, http.StatusConflict, typed, wrong)
	case errors.As(err, &draft):
		var wrong []formError
		for _, line := range plainLines(draft.Text) {
			wrong = append(wrong, formError{"why", line})
		}
		return s.changesPage(w, r, v, http.StatusUnprocessableEntity, typed, wrong)
	case err != nil:
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/approvals/"+sub.ID.String()+"?done=submitted", http.StatusSeeOther)
	return nil
}

type versionsPage struct {
	Rows   []versionRow
	Return string // digest whose return was refused, with what was typed
	Why    string
	Errors []formError
	Write  bool
}

type versionRow struct {
	No            int
	Digest, Short string
	State, Name   string
	At            time.Time
	Active        bool
	Return        bool
}

// listVersions is every version that was stored, with the way back to it.
func (s *Server) listVersions(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.versionsPage(w, r, v, http.StatusOK, versionsPage{})
}

func (s *Server) versionsPage(w http.ResponseWriter, r *http.Request, v visit, status int, page versionsPage) error {
	rows, err := s.versionRows(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	page.Rows, page.Write = rows, mayWrite(v) || mayApprove(v)
	title := s.words.say("versions.title")
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "policyversions", sheet{Title: title, Page: page, Nav: "policy"})
}

func (s *Server) versionRows(ctx context.Context, v visit) ([]versionRow, error) {
	lines, err := s.Office.Versions(ctx, v.by())
	if err != nil {
		return nil, err
	}
	var rows []versionRow
	for i, l := range lines {
		rows = append(rows, versionRow{No: len(lines) - i, Digest: l.Digest.String(), Short: shortDigest(l.Digest), Name: l.Name,
			State: s.words.known("version."+l.State, l.State), At: l.CreatedAt, Active: l.State == "active", Return: l.State == "retired"})
	}
	return rows, nil
}

// returnVersion proposes a version that was in force before.
func (s *Server) returnVersion(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	var digest policy.Digest
	if err := digest.UnmarshalText([]byte(chi.URLParam(r, "digest"))); err != nil {
		return s.officeFault(policy.ErrUnknown)
	}
	why := strings.TrimSpace(r.PostForm.Get("why"))
	sub, _, err := s.Office.Return(r.Context(), v.by(), v.request, digest, why)
	var blocked *policy.Blocked
	var draft *policy.DraftError
	switch {
	case errors.As(err, &blocked):
		return s.versionsPage(w, r, v, http.StatusConflict, versionsPage{Return: digest.String(), Why: why, Errors: []formError{{"why-" + shortKey(digest), s.words.say(s.blockedKey(blocked) + ".text")}}})
	case errors.As(err, &draft):
		return s.versionsPage(w, r, v, http.StatusBadRequest, versionsPage{Return: digest.String(), Why: why, Errors: []formError{{"why-" + shortKey(digest), s.words.say("submit.error-why")}}})
	case err != nil:
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/approvals/"+sub.ID.String()+"?done=proposed", http.StatusSeeOther)
	return nil
}

func shortKey(d policy.Digest) string { return d.String()[:12] }

// named gives agencies their names, in the order given.
func named(agencies map[string]identity.Agency, codes []string) []string {
	out := slices.Clone(codes)
	for i, code := range codes {
		if a, ok := agencies[code]; ok && a.Name != "" {
			out[i] = a.Name
		}
	}
	return out
}
