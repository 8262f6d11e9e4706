package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/policy"
)

const (
	// policyTimeout bounds what enumerates a decision space or runs a draft's tests.
	policyTimeout = 2 * time.Minute
	// fileMost is the longest form that carries a file of a draft.
	fileMost = 1 << 20
)

// policyRoutes is every page of the policy's officers.
func (s *Server) policyRoutes() {
	s.mux.Get("/policy", s.officer(s.showMatrix))
	s.mux.Get("/policy/cells/{cell}", s.officer(s.showMatrix))
	s.mux.Get("/policy/drafts", s.officer(s.listDrafts))
	s.mux.Post("/policy/drafts", s.officer(s.openDraft))
	s.mux.Get("/policy/drafts/{draft}", s.officer(s.showDraft))
	s.mux.Get("/policy/drafts/{draft}/cells/{cell}", s.officer(s.showDraft))
	s.mux.Post("/policy/drafts/{draft}/cells/{cell}", s.officer(s.saveCell))
	s.mux.Get("/policy/drafts/{draft}/several", s.officer(s.askSeveral))
	s.mux.Post("/policy/drafts/{draft}/several", s.officer(s.saveSeveral))
	s.mux.Get("/policy/drafts/{draft}/changes", s.slowly(s.draftChanges))
	s.mux.Post("/policy/drafts/{draft}/preview", s.slowly(s.askPreview))
	s.mux.Get("/policy/drafts/{draft}/report", s.slowly(s.draftReport))
	s.mux.Post("/policy/drafts/{draft}/submission", s.slowly(s.submitDraft))
	s.mux.Get("/policy/versions", s.officer(s.listVersions))
	s.mux.Post("/policy/versions/{digest}/return", s.slowly(s.returnVersion))

	s.mux.Get("/approvals", s.officer(s.listApprovals))
	s.mux.Get("/approvals/{submission}", s.slowly(s.showProposal))
	s.mux.Get("/approvals/{submission}/report", s.slowly(s.proposalReport))
	s.mux.Post("/approvals/{submission}/reminder", s.officer(s.remind))
	s.mux.Post("/approvals/{submission}/decision", s.slowly(s.decide))
	s.mux.Post("/approvals/{submission}/advice", s.slowly(s.advise))
	s.mux.Post("/approvals/{submission}/activation", s.slowly(s.publish))
	s.mux.Post("/approvals/{submission}/withdrawal", s.slowly(s.withdrawProposal))
	s.mux.Post("/approvals/{submission}/draft", s.officer(s.draftFromProposal))

	s.mux.Get("/policy/rules", s.officer(s.showRules))
	s.mux.Post("/policy/rules", s.within(policyTimeout, fileMost, s.signedIn(s.forOfficers(s.saveRules))))
	s.mux.Post("/policy/rules/check", s.within(s.ReadTimeout, fileMost, s.signedIn(s.forOfficers(s.checkRules))))
	s.mux.Get("/policy/try", s.slowly(s.try))

	s.mux.Get("/policy/documents", s.readsPapers(s.listDocuments))
	s.mux.Get("/policy/documents/{paper}", s.readsPapers(s.showDocument))
	s.mux.Get("/agreements/{agreement}/document", s.readsPapers(s.agreementDocument))

	s.mux.Get("/agreements", s.worker(s.listAgreements))
	s.mux.Get("/agreements/{agreement}", s.worker(s.showAgreement))
	s.mux.Post("/agreements/{agreement}/signature", s.worker(s.signAgreement))
	s.mux.Post("/agreements/{agreement}/extension", s.worker(s.extendAgreement))
	s.mux.Post("/agreements/{agreement}/resumption", s.worker(s.resumeAgreement))
	s.mux.Get("/agreements/{agreement}/stop", s.worker(s.askStop))
	s.mux.Post("/agreements/{agreement}/stop", s.worker(s.stopAgreement))
}

// officer is a page for those who may read drafts and versions.
func (s *Server) officer(h handler) http.HandlerFunc { return s.worker(s.forOfficers(h)) }

// slowly is officer for pages that ask a version every question there is.
func (s *Server) slowly(h handler) http.HandlerFunc {
	return s.within(policyTimeout, formMost, s.signedIn(s.forOfficers(h)))
}

func (s *Server) forOfficers(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, v visit) error {
		if !s.policyPages(v.by()) && !v.by().Has("auditor") {
			return &fault{status: http.StatusForbidden, key: "error.officer"}
		}
		return h(w, r, v)
	}
}

// policyPages tells who works on the sharing policy: it chooses the links in the
// header, and the office checks each act by itself.
func (s *Server) policyPages(p identity.Principal) bool {
	return s.Office != nil && (p.Has(policy.RoleAuthor) || p.Has(policy.RoleApprover) || p.Has("privacy-officer"))
}

func mayWrite(v visit) bool   { return v.by().Has(policy.RoleAuthor) }
func mayApprove(v visit) bool { return v.by().Has(policy.RoleApprover) }
func mayAdvise(v visit) bool  { return v.by().Has("privacy-officer") }

// officeFault turns an error of the office into a page. What a form can show
// beside what was typed is caught before.
func (s *Server) officeFault(err error) error {
	var blocked *policy.Blocked
	var draft *policy.DraftError
	var conflict *policy.Conflict
	var shown *fault
	key, status := "", http.StatusConflict
	switch {
	case err == nil:
		return nil
	case errors.As(err, &shown):
		return err
	case errors.As(err, &blocked):
		key = s.blockedKey(blocked)
	case errors.As(err, &draft):
		key, status = "error.draft", http.StatusUnprocessableEntity
	case errors.As(err, &conflict):
		key = "error.draft-changed"
	case errors.Is(err, policy.ErrNotOfficer):
		key, status = "error.officer", http.StatusForbidden
	case errors.Is(err, policy.ErrUnknown):
		key, status = "error.no-draft", http.StatusNotFound
	case errors.Is(err, policy.ErrClosed):
		key = "error.closed"
	case errors.Is(err, policy.ErrSandboxLimit):
		key, status = "error.sandbox", http.StatusUnprocessableEntity
	default:
		return err
	}
	return &fault{status: status, key: key, cause: err}
}

// blockedKey names the words for why a change may not go on.
func (s *Server) blockedKey(b *policy.Blocked) string {
	if key := "error." + b.Code; s.words.known(key+".title", "") != "" {
		return key
	}
	return "error.policy-closed"
}

// draftID reads the address of a draft or a submission.
func pathUUID(r *http.Request, name string) (uuid.UUID, error) {
	text := chi.URLParam(r, name)
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, policy.ErrUnknown
	}
	return id, nil
}

// inForce is the active version as the officers' pages name it.
type inForce struct {
	*policy.Version
	No    int // by the order in which versions were stored
	Since time.Time
}

// active reads the version in force, its number and since when it is.
func (s *Server) active(ctx context.Context, v visit) (inForce, error) {
	version, err := s.Door.Version(ctx, v.by().Partnership)
	if err != nil {
		return inForce{}, err
	}
	now := inForce{Version: version}
	lines, err := s.Office.Versions(ctx, v.by())
	if err != nil {
		return inForce{}, err
	}
	now.No, now.Since = versionNo(lines, version.Digest)
	proposals, err := s.Office.Submissions(ctx, v.by())
	if err != nil {
		return inForce{}, err
	}
	for _, p := range proposals { // the newest first
		if p.Digest == version.Digest && p.State == "activated" && p.EndedAt != nil {
			now.Since = *p.EndedAt
			break
		}
	}
	return now, nil
}

// versionNo numbers a version among those that are stored, the oldest 1.
func versionNo(lines []policy.VersionLine, digest policy.Digest) (int, time.Time) {
	i := slices.IndexFunc(lines, func(l policy.VersionLine) bool { return l.Digest == digest })
	if i < 0 {
		return 0, time.Time{}
	}
	return len(lines) - i, lines[i].CreatedAt
}

// shortDigest is what a person compares by eye.
func shortDigest(d policy.Digest) string {
	text := d.String()
	return text[:4] + "…" + text[len(text)-4:]
}

// pick is one choice of a select or a list of boxes.
type pick struct {
	Value, Text, Hint string
	Chosen            bool
}

// kindName is a kind of agency as pages write it, in a heading or a sentence.
func (s *Server) kindName(v *policy.Version, code string) string {
	k, ok := v.Kind(code)
	if !ok {
		return code
	}
	return s.words.known("kind."+code, upperFirst(k.Name))
}

func (s *Server) purposeName(v *policy.Version, code string) string {
	if p, ok := v.Purpose(code); ok {
		return upperFirst(p.Name)
	}
	return code
}

func (s *Server) partName(v *policy.Version, code string) string {
	if x, ok := v.Section(code); ok {
		return upperFirst(x.Name)
	}
	return code
}

// noticeOf reads the one word that a redirect left behind for the page it leads to.
func (s *Server) noticeOf(r *http.Request) string {
	if key := r.URL.Query().Get("done"); key != "" {
		return s.words.known("done."+key, "")
	}
	return ""
}

// reports keeps the last change reports, which take seconds to make. A report
// holds for one state of a draft against one active version.
type reports struct {
	mu   sync.Mutex
	kept map[reportKey]madeReport
}

type reportKey struct {
	draft    uuid.UUID
	revision int64
	active   policy.Digest
}

type madeReport struct {
	report   policy.ChangeReport
	examples []policy.Tried
	at       time.Time
}

const reportsMost = 16

func (k *reports) get(key reportKey, now time.Time) (madeReport, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m, ok := k.kept[key]
	return m, ok && now.Sub(m.at) < 10*time.Minute // it counts live records, which move
}

func (k *reports) put(key reportKey, m madeReport) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept = map[reportKey]madeReport{}
	}
	if len(k.kept) >= reportsMost {
		clear(k.kept)
	}
	k.kept[key] = m
}

// plainLines cuts a text that reports several things into its lines.
func plainLines(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// wrongAt gives what is wrong at a field, "" nothing.
func wrongAt(errors []formError, field string) string {
	var texts []string
	for _, e := range errors {
		if e.Field == field {
			texts = append(texts, e.Text)
		}
	}
	return strings.Join(texts, " ")
}
