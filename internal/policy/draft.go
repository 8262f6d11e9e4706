package policy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Roles of the officers.
const (
	RoleAuthor   = "ig-author"
	RoleApprover = "ig-approver"
	roleDPO      = "privacy-officer"
	roleAuditor  = "auditor"
)

// Office is where officers change the policy: drafts, submissions, approvals
// and activation. Every step is an event of the access log, in the transaction
// that makes it. It is safe for concurrent use.
type Office struct {
	Pool        *pgxpool.Pool // role kith_app
	Recorder    *audit.Recorder
	Sandbox     Sandbox
	Partnership string
	Now         func() time.Time
	Random      io.Reader
	// Submitted is called when there is a report to compute; nil is fine, since
	// whoever computes them looks now and then.
	Submitted func()
}

// Errors of the office, beside *DraftError and those of the sandbox.
var (
	ErrNotOfficer = errors.New("none of the caller's roles does this")
	ErrUnknown    = errors.New("there is no such draft, version or submission")
	ErrClosed     = errors.New("it has been decided or taken back")
)

// Conflict says that somebody changed the draft since it was read. Nothing was
// saved; Theirs is what stands there now, so that nothing of either is lost.
type Conflict struct {
	Revision int64
	Theirs   string
}

func (c *Conflict) Error() string {
	return "the draft was changed since: it is at revision " + strconv.FormatInt(c.Revision, 10)
}

// Draft is a version under work.
type Draft struct {
	ID        uuid.UUID   `json:"id"`
	Title     string      `json:"title"`
	BasedOn   Digest      `json:"based_on"`
	Agency    string      `json:"agency"`
	Authors   []uuid.UUID `json:"authors"`
	Revision  int64       `json:"revision"`
	ChangedAt time.Time   `json:"changed_at"`
	Submitted bool        `json:"submitted"`
	Files     []DraftFile `json:"files,omitempty"`
}

// DraftFile is one file of a draft.
type DraftFile struct {
	Path     string `json:"path"`
	Content  string `json:"content"`
	Revision int64  `json:"revision"` // of the draft, when it last changed
}

// may refuses a caller without one of the roles. A system is no officer.
func may(p identity.Principal, roles ...string) error {
	if p.Worker != uuid.Nil && slices.ContainsFunc(roles, p.Has) {
		return nil
	}
	return ErrNotOfficer
}

func mayRead(p identity.Principal) error {
	return may(p, RoleAuthor, RoleApprover, roleDPO, roleAuditor)
}

// event starts an event of an officer.
func (o *Office) event(p identity.Principal, request, action, why string, details map[string]string) audit.Event {
	e := audit.Event{
		Kind: audit.KindPolicy, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Request: request, Reason: why,
		Principal: proof.Principal{ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, Worker: p.Worker},
		Details:   map[string]string{"action": action},
	}
	for k, v := range details {
		e.Details[k] = v
	}
	return e
}

// step makes a change and its event in one transaction and gives the receipt.
func (o *Office) step(ctx context.Context, e audit.Event, change func(tx pgx.Tx, e *audit.Event) error) (string, error) {
	var receipt string
	err := postgres.InTx(ctx, o.Pool, func(tx pgx.Tx) error {
		event := e
		if err := change(tx, &event); err != nil {
			return err
		}
		r, err := o.Recorder.AppendTx(ctx, tx, event)
		receipt = r.String()
		return err
	})
	return receipt, err
}

// denied logs an attempt that was refused.
func (o *Office) denied(ctx context.Context, e audit.Event, code string) error {
	e.Outcome, e.Refusal = audit.OutcomeDenied, code
	_, err := o.Recorder.Append(ctx, e)
	return err
}

// bundle reads a stored version.
func (o *Office) bundle(ctx context.Context, digest Digest) (Bundle, error) {
	var encoded []byte
	err := o.Pool.QueryRow(ctx, `SELECT bundle FROM policy_version WHERE digest = $1 AND partnership = $2`, digest[:], o.Partnership).Scan(&encoded)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Bundle{}, ErrUnknown
	case err != nil:
		return Bundle{}, fmt.Errorf("read policy version %s: %w", digest, postgres.Redact(err))
	}
	b, err := LoadBundle(encoded)
	if err == nil && b.Digest() != digest {
		err = ErrDamaged
	}
	return b, err
}

// OpenDraft begins a draft from a stored version; a zero digest is the active one.
func (o *Office) OpenDraft(ctx context.Context, p identity.Principal, request string, from Digest, title string) (Draft, string, error) {
	if err := may(p, RoleAuthor); err != nil {
		return Draft{}, "", err
	}
	if title = strings.TrimSpace(title); title == "" || len(title) > 200 {
		return Draft{}, "", &DraftError{Text: "a draft needs a title of at most 200 characters"}
	}
	if from.IsZero() {
		head, err := Head(ctx, o.Pool, o.Partnership)
		if err != nil {
			return Draft{}, "", err
		}
		from = head
	}
	b, err := o.bundle(ctx, from)
	if err != nil {
		return Draft{}, "", err
	}
	id, err := uuid.NewRandomFromReader(o.Random)
	if err != nil {
		return Draft{}, "", fmt.Errorf("open draft: %w", err)
	}
	e := o.event(p, request, "draft-opened", title, map[string]string{"draft": id.String(), "based_on": from.String()})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		if _, err := tx.Exec(ctx, `INSERT INTO policy_draft (id, partnership, title, based_on, agency, authors, changed_by) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			id, o.Partnership, title, from[:], p.Agency, []uuid.UUID{p.Worker}, p.Worker); err != nil {
			return fmt.Errorf("open draft: %w", err)
		}
		for _, path := range sortedKeys(b.Files) {
			if strings.HasPrefix(path, kernelFolder) {
				continue
			}
			if _, err := tx.Exec(ctx, `INSERT INTO policy_draft_file (draft, path, content, revision) VALUES ($1, $2, $3, 1)`, id, path, b.Files[path]); err != nil {
				return fmt.Errorf("open draft: %s: %w", path, err)
			}
		}
		return nil
	})
	if err != nil {
		return Draft{}, "", err
	}
	d, err := o.Draft(ctx, p, id)
	return d, receipt, err
}

const draftColumns = `id, title, based_on, agency, authors, revision, changed_at, submitted`

func scanDraft(row pgx.Row) (Draft, error) {
	var d Draft
	var based []byte
	err := row.Scan(&d.ID, &d.Title, &based, &d.Agency, &d.Authors, &d.Revision, &d.ChangedAt, &d.Submitted)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return d, ErrUnknown
	case err != nil:
		return d, fmt.Errorf("read draft: %w", postgres.Redact(err))
	}
	copy(d.BasedOn[:], based)
	return d, nil
}

// Draft reads a draft with its files.
func (o *Office) Draft(ctx context.Context, p identity.Principal, id uuid.UUID) (Draft, error) {
	if err := mayRead(p); err != nil {
		return Draft{}, err
	}
	d, err := scanDraft(o.Pool.QueryRow(ctx, `SELECT `+draftColumns+` FROM policy_draft WHERE id = $1 AND partnership = $2 AND NOT discarded`, id, o.Partnership))
	if err != nil {
		return Draft{}, err
	}
	d.Files, err = o.draftFiles(ctx, id)
	return d, err
}

func (o *Office) draftFiles(ctx context.Context, id uuid.UUID) ([]DraftFile, error) {
	rows, _ := o.Pool.Query(ctx, `SELECT path, convert_from(content, 'UTF8'), revision FROM policy_draft_file WHERE draft = $1 ORDER BY path`, id)
	files, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DraftFile])
	if err != nil {
		return nil, fmt.Errorf("read files of draft %s: %w", id, postgres.Redact(err))
	}
	return files, nil
}

// Drafts lists the drafts that are not discarded, the last changed first.
func (o *Office) Drafts(ctx context.Context, p identity.Principal) ([]Draft, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT `+draftColumns+` FROM policy_draft WHERE partnership = $1 AND NOT discarded ORDER BY changed_at DESC LIMIT 200`, o.Partnership)
	drafts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Draft, error) { return scanDraft(row) })
	if err != nil {
		return nil, fmt.Errorf("list drafts: %w", postgres.Redact(err))
	}
	return drafts, nil
}

// FileEdit is a change of one file. Row edits are FileEdits too: see AddRow.
type FileEdit struct {
	Path    string
	Content string
	Remove  bool
}

// Edit changes files of a draft, all or none. revision is the draft's as the
// caller read it: another officer's change to the same files since then is a
// *Conflict; changes to other files are no conflict.
func (o *Office) Edit(ctx context.Context, p identity.Principal, request string, id uuid.UUID, revision int64, edits []FileEdit) (Draft, string, error) {
	if err := may(p, RoleAuthor); err != nil {
		return Draft{}, "", err
	}
	var paths []string
	for _, e := range edits {
		if !fs.ValidPath(e.Path) || e.Path == "." || strings.HasPrefix(e.Path, kernelFolder) || len(e.Path) > 200 {
			return Draft{}, "", &DraftError{Text: "a file's path is like matrix/mh-risk.yaml; the kernel cannot be edited"}
		}
		if len(e.Content) > maxFileBytes || strings.ContainsRune(e.Content, 0) || strings.ToValidUTF8(e.Content, "") != e.Content {
			return Draft{}, "", &DraftError{Text: e.Path + ": a file is plain UTF-8 text of at most 256 KiB"}
		}
		paths = append(paths, e.Path)
	}
	e := o.event(p, request, "draft-edited", "", map[string]string{"draft": id.String(), "files": strings.Join(paths, " ")})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, event *audit.Event) error {
		d, err := scanDraft(tx.QueryRow(ctx, `SELECT `+draftColumns+` FROM policy_draft WHERE id = $1 AND partnership = $2 AND NOT discarded FOR UPDATE`, id, o.Partnership))
		if err != nil {
			return err
		}
		if d.Submitted {
			return ErrClosed
		}
		if err := conflict(ctx, tx, d, revision, paths); err != nil {
			return err
		}
		next := d.Revision + 1
		event.Details["revision"] = strconv.FormatInt(next, 10)
		for _, edit := range edits {
			if err := saveFile(ctx, tx, id, next, edit); err != nil {
				return err
			}
		}
		authors := d.Authors
		if !slices.Contains(authors, p.Worker) {
			authors = append(authors, p.Worker)
		}
		_, err = tx.Exec(ctx, `UPDATE policy_draft SET revision = $2, authors = $3, changed_by = $4, changed_at = clock_timestamp() WHERE id = $1`, id, next, authors, p.Worker)
		return err
	})
	if err != nil {
		return Draft{}, "", err
	}
	d, err := o.Draft(ctx, p, id)
	return d, receipt, err
}

// conflict finds a file among those to be changed that somebody changed since.
func conflict(ctx context.Context, tx pgx.Tx, d Draft, revision int64, paths []string) error {
	if revision == d.Revision {
		return nil
	}
	if revision > d.Revision {
		return &Conflict{Revision: d.Revision}
	}
	// A file that somebody removed since has left no row: only an unchanged set of paths proves there was none.
	var theirs []byte
	var gone bool
	err := tx.QueryRow(ctx, `
SELECT (SELECT content FROM policy_draft_file WHERE draft = $1 AND path = ANY ($2) AND revision > $3 ORDER BY path LIMIT 1),
       (SELECT count(*) FROM policy_draft_file WHERE draft = $1 AND path = ANY ($2)) < cardinality($2::text[])`, d.ID, paths, revision).Scan(&theirs, &gone)
	if err != nil {
		return fmt.Errorf("look for a conflict: %w", err)
	}
	if theirs != nil || gone {
		return &Conflict{Revision: d.Revision, Theirs: string(theirs)}
	}
	return nil
}

func saveFile(ctx context.Context, tx pgx.Tx, draft uuid.UUID, revision int64, e FileEdit) error {
	if e.Remove {
		if _, err := tx.Exec(ctx, `DELETE FROM policy_draft_file WHERE draft = $1 AND path = $2`, draft, e.Path); err != nil {
			return fmt.Errorf("remove %s: %w", e.Path, err)
		}
		return nil
	}
	if _, err := tx.Exec(ctx, `
INSERT INTO policy_draft_file (draft, path, content, revision) VALUES ($1, $2, $3, $4)
ON CONFLICT (draft, path) DO UPDATE SET content = excluded.content, revision = excluded.revision`, draft, e.Path, []byte(e.Content), revision); err != nil {
		return fmt.Errorf("save %s: %w", e.Path, err)
	}
	return nil
}

// Replace gives a draft exactly these files: what an agency pushes from its own
// archive.
func (o *Office) Replace(ctx context.Context, p identity.Principal, request string, id uuid.UUID, revision int64, files map[string]string) (Draft, string, error) {
	d, err := o.Draft(ctx, p, id)
	if err != nil {
		return Draft{}, "", err
	}
	var edits []FileEdit
	for _, f := range d.Files {
		if content, ok := files[f.Path]; !ok {
			edits = append(edits, FileEdit{Path: f.Path, Remove: true})
		} else if content == f.Content {
			continue
		}
	}
	there := map[string]string{}
	for _, f := range d.Files {
		there[f.Path] = f.Content
	}
	for _, path := range sortedKeys(files) {
		if content, ok := there[path]; !ok || content != files[path] {
			edits = append(edits, FileEdit{Path: path, Content: files[path]})
		}
	}
	if len(edits) == 0 {
		return d, "", nil
	}
	return o.Edit(ctx, p, request, id, revision, edits)
}

// pack makes the draft's bundle, with the kernel of this binary.
func (d Draft) pack() (Bundle, error) {
	b := Bundle{Format: bundleFormat, Engine: Engine(), Files: map[string][]byte{}}
	for _, f := range d.Files {
		b.Files[f.Path] = []byte(f.Content)
	}
	kernel, err := embeddedKernel()
	if err != nil {
		return Bundle{}, err
	}
	for file, text := range kernel {
		b.Files[kernelFolder+file] = []byte(text)
	}
	if err := b.check(); err != nil {
		return Bundle{}, &DraftError{Text: err.Error()}
	}
	return b, nil
}

// RowEdit adds a row to the matrix of a section, or takes one away.
type RowEdit struct {
	Section string
	Remove  int // number of the row to take away, from 1; 0 = add Row
	Row     Row
}

// EditRow changes one row of a draft's matrix and leaves the rest of its file,
// comments too, as it is.
func (o *Office) EditRow(ctx context.Context, p identity.Principal, request string, id uuid.UUID, revision int64, edit RowEdit) (Draft, string, error) {
	d, err := o.Draft(ctx, p, id)
	if err != nil {
		return Draft{}, "", err
	}
	path := "matrix/" + edit.Section + ".yaml"
	i := slices.IndexFunc(d.Files, func(f DraftFile) bool { return f.Path == path })
	if i < 0 {
		return Draft{}, "", &DraftError{Text: "unknown section: there is no such file in matrix/"}
	}
	if edit.Remove == 0 {
		edit.Row.Section = edit.Section
		wrong, err := d.wrongRow(edit.Row)
		if err != nil {
			return Draft{}, "", err
		}
		if len(wrong) > 0 {
			return Draft{}, "", &DraftError{Text: "row: " + strings.Join(wrong, "\nrow: ")}
		}
	}
	text, err := editRows([]byte(d.Files[i].Content), edit)
	if err != nil {
		return Draft{}, "", err
	}
	// A row's number is that of the revision which the caller saw.
	if edit.Remove > 0 && revision != d.Revision {
		return Draft{}, "", &Conflict{Revision: d.Revision, Theirs: d.Files[i].Content}
	}
	return o.Edit(ctx, p, request, id, max(revision, d.Files[i].Revision), []FileEdit{{Path: path, Content: string(bytes.TrimRight(text, "\n")) + "\n"}})
}
