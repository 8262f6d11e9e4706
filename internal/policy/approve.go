package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Blocked is why a submission, an approval or an activation was refused. Code
// is one of the codes of the schema; Missing names agencies that must still
// approve.
type Blocked struct {
	Code    string
	Missing []string
	Reasons []string // of a refused change
	Tests   []Failure
}

func (b *Blocked) Error() string { return "refused: " + b.Code }

// Submission is a proposal to make one version active in place of another.
type Submission struct {
	ID           uuid.UUID     `json:"id"`
	Digest       Digest        `json:"digest"`
	ComparedWith Digest        `json:"compared_with"`
	Agency       string        `json:"agency"`
	Authors      []uuid.UUID   `json:"authors"`
	Why          string        `json:"why"`
	State        string        `json:"state"` // open, activated, withdrawn
	Void         bool          `json:"void"`  // another version has become active since: submit again
	StartsAt     *time.Time    `json:"starts_at,omitempty"`
	SubmittedAt  time.Time     `json:"submitted_at"`
	EndedAt      *time.Time    `json:"ended_at,omitempty"`
	Missing      []string      `json:"missing"` // agencies that must still approve; "" = a second person
	Approvals    []Approval    `json:"approvals"`
	Advice       []Advice      `json:"advice"`
	Refusals     []Refused     `json:"refusals,omitempty"`
	Report       *ChangeReport `json:"report,omitempty"`
	Effect       *Effect       `json:"effect,omitempty"` // the rest of the report, which comes after it
}

// Approval of one officer.
type Approval struct {
	Agency  string    `json:"agency"`
	Name    string    `json:"name"`
	Why     string    `json:"why"`
	GivenAt time.Time `json:"given_at"`
}

// Advice of a data protection officer, who advises and never approves.
type Advice struct {
	Agency  string    `json:"agency"`
	Name    string    `json:"name"`
	Advice  string    `json:"advice"`
	GivenAt time.Time `json:"given_at"`
}

// VersionLine is a stored version.
type VersionLine struct {
	Digest    Digest    `json:"digest"`
	Name      string    `json:"name"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
}

// Versions lists the stored versions, the newest first.
func (o *Office) Versions(ctx context.Context, p identity.Principal) ([]VersionLine, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT digest, name, state, created_at FROM policy_version WHERE partnership = $1 ORDER BY created_at DESC LIMIT 500`, o.Partnership)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (VersionLine, error) {
		var v VersionLine
		var digest []byte
		err := row.Scan(&digest, &v.Name, &v.State, &v.CreatedAt)
		copy(v.Digest[:], digest)
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("list policy versions: %w", postgres.Redact(err))
	}
	return list, nil
}

// Files gives the files of a stored version, the kernel's among them.
func (o *Office) Files(ctx context.Context, p identity.Principal, digest Digest) (map[string]string, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	b, err := o.bundle(ctx, digest)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string, len(b.Files))
	for path, content := range b.Files {
		files[path] = string(content)
	}
	return files, nil
}

// Check lints a draft and runs its stories and tests, in the sandbox.
func (o *Office) Check(ctx context.Context, p identity.Principal, id uuid.UUID) (Checked, error) {
	d, err := o.Draft(ctx, p, id)
	if err != nil {
		return Checked{}, err
	}
	b, err := d.pack()
	if err != nil {
		return Checked{}, err
	}
	return o.Sandbox.Check(ctx, b)
}

// Changes gives the report that a draft would have if it were submitted now.
func (o *Office) Changes(ctx context.Context, p identity.Principal, id uuid.UUID) (ChangeReport, error) {
	d, err := o.Draft(ctx, p, id)
	if err != nil {
		return ChangeReport{}, err
	}
	b, err := d.pack()
	if err != nil {
		return ChangeReport{}, err
	}
	space, err := o.space(ctx)
	if err != nil {
		return ChangeReport{}, err
	}
	r, _, err := o.compareWithActive(ctx, b, d.Agency, space)
	return r, err
}

func (o *Office) compareWithActive(ctx context.Context, after Bundle, author string, s Space) (ChangeReport, Digest, error) {
	head, err := Head(ctx, o.Pool, o.Partnership)
	if err != nil {
		return ChangeReport{}, Digest{}, err
	}
	before, err := o.bundle(ctx, head)
	if err != nil {
		return ChangeReport{}, Digest{}, err
	}
	r, err := o.Sandbox.Compare(ctx, before, after, author, s)
	return r, head, err
}

// space reads which agencies there are and who contributed to what.
func (o *Office) space(ctx context.Context) (Space, error) {
	kinds, err := o.kinds(ctx)
	s := Space{Date: o.Now().UTC().Format(time.DateOnly), Agencies: kinds, Entries: map[string][]string{}}
	if err != nil {
		return s, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT section, owner FROM contributors() ORDER BY 1, 2`)
	var section, owner string
	if _, err := pgx.ForEachRow(rows, []any{&section, &owner}, func() error { s.Entries[section] = append(s.Entries[section], owner); return nil }); err != nil {
		return s, fmt.Errorf("list contributors: %w", postgres.Redact(err))
	}
	return s, nil
}

// Submit makes a draft immutable under its digest and asks for the approvals
// that its change report calls for. revision is the draft's as it was read.
// Errors: *Conflict, *Blocked (tests, refused changes), *DraftError.
func (o *Office) Submit(ctx context.Context, p identity.Principal, request string, id uuid.UUID, revision int64, why string, startsAt *time.Time) (Submission, string, error) {
	if err := may(p, RoleAuthor); err != nil {
		return Submission{}, "", err
	}
	d, err := o.Draft(ctx, p, id)
	switch {
	case err != nil:
		return Submission{}, "", err
	case d.Submitted:
		return Submission{}, "", ErrClosed
	case d.Revision != revision:
		return Submission{}, "", &Conflict{Revision: d.Revision}
	}
	b, err := d.pack()
	if err != nil {
		return Submission{}, "", err
	}
	authors := d.Authors
	return o.propose(ctx, p, request, proposal{bundle: b, agency: d.Agency, authors: append(authors, p.Worker), draft: &d, why: why, startsAt: startsAt, action: "submitted"})
}

// Return proposes a version that was active before. It goes the way of every
// change: a return can open wider too.
func (o *Office) Return(ctx context.Context, p identity.Principal, request string, digest Digest, why string) (Submission, string, error) {
	if err := may(p, RoleAuthor, RoleApprover); err != nil {
		return Submission{}, "", err
	}
	b, err := o.bundle(ctx, digest)
	if err != nil {
		return Submission{}, "", err
	}
	return o.propose(ctx, p, request, proposal{bundle: b, agency: p.Agency, authors: []uuid.UUID{p.Worker}, why: why, action: "return-proposed"})
}

type proposal struct {
	bundle   Bundle
	agency   string
	authors  []uuid.UUID
	draft    *Draft
	why      string
	startsAt *time.Time
	action   string
}

func (o *Office) propose(ctx context.Context, p identity.Principal, request string, x proposal) (Submission, string, error) {
	if x.why = strings.TrimSpace(x.why); x.why == "" || len(x.why) > 2000 {
		return Submission{}, "", &DraftError{Text: "say why, in at most 2 000 characters"}
	}
	space, err := o.space(ctx)
	if err != nil {
		return Submission{}, "", err
	}
	report, head, err := o.compareWithActive(ctx, x.bundle, x.agency, space)
	if err != nil {
		return Submission{}, "", err
	}
	digest := x.bundle.Digest()
	switch {
	case digest == head:
		return Submission{}, "", &Blocked{Code: "policy-changes-nothing"}
	case len(report.Refused) > 0:
		return Submission{}, "", &Blocked{Code: "policy-refused", Reasons: report.Refused}
	case !report.Tests[1].Passed():
		return Submission{}, "", &Blocked{Code: "policy-tests", Tests: report.Tests[1].Failures}
	}
	name, encoded, err := o.storable(x.bundle)
	if err != nil {
		return Submission{}, "", err
	}
	kept, err := json.Marshal(report)
	if err != nil {
		return Submission{}, "", fmt.Errorf("encode report: %w", err)
	}
	id, err := uuid.NewRandomFromReader(o.Random)
	if err != nil {
		return Submission{}, "", fmt.Errorf("submit: %w", err)
	}
	var needed []string
	for _, n := range report.Needs {
		needed = append(needed, n.Agency)
	}
	e := o.event(p, request, x.action, x.why, map[string]string{"submission": id.String(), "digest": digest.String(), "compared_with": head.String(), "needs": strings.Join(needed, " ")})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		if x.draft != nil {
			tag, err := tx.Exec(ctx, `UPDATE policy_draft SET submitted = true WHERE id = $1 AND revision = $2 AND NOT submitted AND NOT discarded`, x.draft.ID, x.draft.Revision)
			if err != nil {
				return fmt.Errorf("close draft: %w", err)
			}
			if tag.RowsAffected() != 1 {
				return &Conflict{Revision: x.draft.Revision + 1}
			}
		}
		if _, err := tx.Exec(ctx, `SELECT submit_policy_version($1, $2, $3, $4)`, digest[:], o.Partnership, name, encoded); err != nil {
			return fmt.Errorf("store version: %w", err)
		}
		var draft *uuid.UUID
		if x.draft != nil {
			draft = &x.draft.ID
		}
		if _, err := tx.Exec(ctx, `INSERT INTO policy_submission (id, partnership, digest, compared_with, draft, agency, authors, submitted_by, why, report, starts_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, id, o.Partnership, digest[:], head[:], draft, x.agency, x.authors, p.Worker, x.why, kept, x.startsAt); err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		for _, n := range report.Needs {
			if _, err := tx.Exec(ctx, `INSERT INTO policy_need (submission, agency, why) VALUES ($1, $2, $3)`, id, n.Agency, n.Why); err != nil {
				return fmt.Errorf("submit: need of %s: %w", n.Agency, err)
			}
		}
		return o.await(ctx, tx, id, &report, space)
	})
	if err != nil {
		return Submission{}, "", err
	}
	if o.Submitted != nil {
		o.Submitted()
	}
	s, err := o.Submission(ctx, p, id)
	return s, receipt, err
}

// storable gives a bundle's name and its archive.
func (o *Office) storable(b Bundle) (string, []byte, error) {
	files, err := b.FS()
	if err != nil {
		return "", nil, err
	}
	v, err := Load(files)
	if err != nil {
		return "", nil, &DraftError{Text: err.Error()}
	}
	if v.Partnership != o.Partnership {
		return "", nil, &DraftError{Text: "version.yaml: partnership: is not this hub's"}
	}
	encoded, err := b.Encode()
	return v.Name, encoded, err
}

const submissionColumns = `s.id, s.digest, s.compared_with, s.agency, s.authors, s.why, s.state, s.starts_at, s.submitted_at, s.ended_at,
       s.state = 'open' AND NOT EXISTS (SELECT 1 FROM policy_head h WHERE h.partnership = s.partnership AND h.digest = s.compared_with),
       policy_approvals_missing(s.id)`

func scanSubmission(row pgx.Row, more ...any) (Submission, error) {
	var s Submission
	var digest, with []byte
	err := row.Scan(append([]any{&s.ID, &digest, &with, &s.Agency, &s.Authors, &s.Why, &s.State, &s.StartsAt, &s.SubmittedAt, &s.EndedAt, &s.Void, &s.Missing}, more...)...)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return s, ErrUnknown
	case err != nil:
		return s, fmt.Errorf("read submission: %w", postgres.Redact(err))
	}
	copy(s.Digest[:], digest)
	copy(s.ComparedWith[:], with)
	s.Approvals, s.Advice = []Approval{}, []Advice{}
	return s, nil
}

// Submissions lists the submissions, the newest first, without their reports.
func (o *Office) Submissions(ctx context.Context, p identity.Principal) ([]Submission, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT `+submissionColumns+` FROM policy_submission s WHERE s.partnership = $1 ORDER BY s.submitted_at DESC LIMIT 200`, o.Partnership)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Submission, error) { return scanSubmission(row) })
	if err != nil {
		return nil, fmt.Errorf("list submissions: %w", postgres.Redact(err))
	}
	return list, nil
}

// Submission reads one submission with its report, approvals and advice.
func (o *Office) Submission(ctx context.Context, p identity.Principal, id uuid.UUID) (Submission, error) {
	if err := mayRead(p); err != nil {
		return Submission{}, err
	}
	var report []byte
	s, err := scanSubmission(o.Pool.QueryRow(ctx, `SELECT `+submissionColumns+`, s.report FROM policy_submission s WHERE s.id = $1 AND s.partnership = $2`, id, o.Partnership), &report)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(report, &s.Report); err != nil {
		return s, fmt.Errorf("read report of submission %s: %w", id, err)
	}
	if s.Effect, err = o.effect(ctx, id); err != nil {
		return s, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT agency, name, why, given_at FROM policy_approval WHERE submission = $1 ORDER BY given_at`, id)
	if s.Approvals, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Approval]); err != nil {
		return s, fmt.Errorf("read approvals: %w", postgres.Redact(err))
	}
	rows, _ = o.Pool.Query(ctx, `SELECT agency, name, advice, given_at FROM policy_advice WHERE submission = $1 ORDER BY given_at`, id)
	if s.Advice, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Advice]); err != nil {
		return s, fmt.Errorf("read advice: %w", postgres.Redact(err))
	}
	s.Refusals, err = o.Refusals(ctx, p, id)
	return s, err
}

// Approve gives an approval of the caller's agency. The caller names both
// versions, so that nobody approves what was not shown. Errors: *Blocked.
func (o *Office) Approve(ctx context.Context, p identity.Principal, request string, id uuid.UUID, digest, comparedWith Digest, why string) (Submission, string, error) {
	e := o.event(p, request, "approved", why, map[string]string{"submission": id.String(), "digest": digest.String(), "compared_with": comparedWith.String()})
	if err := may(p, RoleApprover); err != nil {
		return Submission{}, "", errors.Join(err, o.denied(ctx, e, "policy-not-approver"))
	}
	approval, err := uuid.NewRandomFromReader(o.Random)
	if err != nil {
		return Submission{}, "", fmt.Errorf("approve: %w", err)
	}
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM policy_submission WHERE id = $1 AND partnership = $2)`, id, o.Partnership).Scan(&exists); err != nil {
			return fmt.Errorf("approve: %w", err)
		}
		if !exists {
			return ErrUnknown
		}
		_, err := tx.Exec(ctx, `INSERT INTO policy_approval (id, submission, digest, compared_with, agency, worker, name, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			approval, id, digest[:], comparedWith[:], p.Agency, p.Worker, p.WorkerName, strings.TrimSpace(why))
		return blocked(err)
	})
	var no *Blocked
	if errors.As(err, &no) {
		return Submission{}, "", errors.Join(err, o.denied(ctx, e, no.Code))
	}
	if err != nil {
		return Submission{}, "", err
	}
	s, err := o.Submission(ctx, p, id)
	return s, receipt, err
}

// blocked turns what the schema says into a *Blocked.
func blocked(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch {
		case pg.Code == "P0001" && strings.HasPrefix(pg.Message, "policy-"):
			return &Blocked{Code: pg.Message}
		case pg.ConstraintName == "policy_approval_once":
			return &Blocked{Code: "policy-approved-already"}
		}
	}
	return err
}

// Advise records a data protection officer's advice.
func (o *Office) Advise(ctx context.Context, p identity.Principal, request string, id uuid.UUID, advice string) (string, error) {
	if err := may(p, roleDPO); err != nil {
		return "", err
	}
	if advice = strings.TrimSpace(advice); advice == "" || len(advice) > 4000 {
		return "", &DraftError{Text: "advice has 1 to 4 000 characters"}
	}
	if _, err := o.Submission(ctx, p, id); err != nil {
		return "", err
	}
	own, err := uuid.NewRandomFromReader(o.Random)
	if err != nil {
		return "", fmt.Errorf("advise: %w", err)
	}
	return o.step(ctx, o.event(p, request, "advised", advice, map[string]string{"submission": id.String()}), func(tx pgx.Tx, _ *audit.Event) error {
		_, err := tx.Exec(ctx, `INSERT INTO policy_advice (id, submission, agency, worker, name, advice) VALUES ($1, $2, $3, $4, $5, $6)`, own, id, p.Agency, p.Worker, p.WorkerName, advice)
		return err
	})
}

// Withdraw takes a submission back. Only its authors may.
func (o *Office) Withdraw(ctx context.Context, p identity.Principal, request string, id uuid.UUID, why string) (string, error) {
	if err := may(p, RoleAuthor, RoleApprover); err != nil {
		return "", err
	}
	s, err := o.Submission(ctx, p, id)
	if err != nil {
		return "", err
	}
	if !containsID(s.Authors, p.Worker) {
		return "", ErrNotOfficer
	}
	return o.step(ctx, o.event(p, request, "withdrawn", why, map[string]string{"submission": id.String(), "digest": s.Digest.String()}), func(tx pgx.Tx, _ *audit.Event) error {
		var done bool
		if err := tx.QueryRow(ctx, `SELECT withdraw_policy($1, $2)`, id, p.Worker).Scan(&done); err != nil {
			return fmt.Errorf("withdraw: %w", err)
		}
		if !done {
			return ErrClosed
		}
		return nil
	})
}

func containsID(list []uuid.UUID, id uuid.UUID) bool {
	for _, x := range list {
		if x == id {
			return true
		}
	}
	return false
}
