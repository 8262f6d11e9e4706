package disclosure

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// Roles that review.
const (
	roleAuditor = "auditor"
	roleAdmin   = "admin"
)

// Reviews is where the auditor and the privacy officers look at findings.
type Reviews struct {
	Door  *Door
	Log   *audit.Log
	Rules WatchRules // that the findings are raised by
}

const reviewsShown = "The auditor reviews accesses, and an agency's privacy officer those by its people and to its data."

// reviewer is the caller with the scope in which they review; not ok: none.
func reviewer(p identity.Principal) (by audit.Reviewer, ok bool) {
	by = audit.Reviewer{Worker: p.Worker, Name: p.WorkerName, Agency: p.Agency}
	switch {
	case p.Worker == uuid.Nil:
	case p.Has(roleAuditor):
		by.Scope, ok = audit.AuditorScope(), true
	case p.Has(rolePrivacyOfficer):
		by.Scope, ok = audit.AgencyScope(p.Agency), true
	}
	return by, ok
}

// viewed logs that the queue, a review, figures or alerts were looked at,
// before they are; details say what was asked for.
func (r *Reviews) viewed(ctx context.Context, p identity.Principal, request, what string, details map[string]string) (audit.Reviewer, string, error) {
	e := eventOf(p, audit.KindLogView, request, what, "")
	for k, v := range details {
		if v != "" {
			e.Details[k] = v
		}
	}
	by, ok := reviewer(p)
	if !ok {
		return by, "", r.Door.deny(ctx, e, "role", reviewsShown)
	}
	receipt, err := r.Door.listed(ctx, e)
	return by, receipt, err
}

// Queue is a page of reviews.
type Queue struct {
	Reviews []audit.Review
	Next    string
	Receipt string
}

// List gives the queue, most urgent first. Errors: *Denied, audit.ErrPage.
func (r *Reviews) List(ctx context.Context, p identity.Principal, request string, f audit.ReviewFilter, page audit.Page) (Queue, error) {
	details := map[string]string{"kind": string(f.Kind), "state": string(f.State)}
	if !f.DueBy.IsZero() {
		details["due"] = f.DueBy.UTC().Format(time.RFC3339)
	}
	by, receipt, err := r.viewed(ctx, p, request, "reviews", details)
	if err != nil {
		return Queue{}, err
	}
	list, next, err := r.Log.Reviews(ctx, by.Scope, by.Worker, f, page)
	return Queue{list, next, receipt}, err
}

// Shown is one review, with what opened with it for a reviewer who has opened
// it.
type Shown struct {
	Review     audit.Review
	References []string // of whom it is about, to the auditor, until it is opened
	Opened     *audit.Opened
	Receipt    string
}

// Read gives one. Errors: *Denied, ErrUnknown.
func (r *Reviews) Read(ctx context.Context, p identity.Principal, request string, id uuid.UUID) (Shown, error) {
	by, receipt, err := r.viewed(ctx, p, request, "review", map[string]string{"review": id.String()})
	if err != nil {
		return Shown{}, err
	}
	return r.shown(ctx, by, id, receipt)
}

func (r *Reviews) shown(ctx context.Context, by audit.Reviewer, id uuid.UUID, receipt string) (Shown, error) {
	review, err := r.Log.Review(ctx, by.Scope, by.Worker, id)
	if errors.Is(err, audit.ErrNoReview) {
		return Shown{}, ErrUnknown
	}
	if err != nil {
		return Shown{}, err
	}
	s := Shown{Review: review, Receipt: receipt}
	if !review.Mine {
		s.References = r.Log.References(by.Scope, review)
		return s, nil
	}
	opened, err := r.Log.Open(ctx, by.Scope, review)
	s.Opened = &opened
	return s, err
}

// Open opens a review: from now on this reviewer sees whom it is about and
// what was typed. Errors: *Denied, ErrUnknown, ErrKeyReused.
func (r *Reviews) Open(ctx context.Context, p identity.Principal, c Change, id uuid.UUID) (Shown, Written, error) {
	by, w, err := r.change(ctx, p, c, "opened", "", id, func(tx pgx.Tx, by audit.Reviewer) (audit.ReviewOf, error) {
		return audit.OpenReview(ctx, tx, p.Partnership, by, id, r.Door.Now())
	})
	if err != nil {
		return Shown{}, Written{}, err
	}
	s, err := r.shown(ctx, by, id, w.Receipt)
	return s, w, err
}

// Close settles a review that its reviewer has opened. Errors: *Denied,
// ErrUnknown, ErrAlready, ErrKeyReused, *family.FieldError.
func (r *Reviews) Close(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, outcome audit.ReviewOutcome, note string) (Written, error) {
	if !slices.Contains(audit.ReviewOutcomes(), outcome) {
		return Written{}, &family.FieldError{Field: "outcome", Rule: "is one of right, right-poorly-recorded, wrong, cannot-tell"}
	}
	if err := checkNote(note); err != nil {
		return Written{}, err
	}
	_, w, err := r.change(ctx, p, c, string(outcome), note, id, func(tx pgx.Tx, by audit.Reviewer) (audit.ReviewOf, error) {
		return audit.CloseReview(ctx, tx, p.Partnership, by, id, outcome, strings.TrimSpace(note), r.Door.Now())
	})
	return w, err
}

// checkNote holds what a reviewer writes against what is worth keeping.
func checkNote(note string) error {
	if n := utf8.RuneCountInString(strings.TrimSpace(note)); n < 10 || n > 4000 {
		return &family.FieldError{Field: "note", Rule: "says why, in 10 to 4 000 characters"}
	}
	return nil
}

func (r *Reviews) change(ctx context.Context, p identity.Principal, c Change, action, why string, id uuid.UUID, make func(pgx.Tx, audit.Reviewer) (audit.ReviewOf, error)) (audit.Reviewer, Written, error) {
	e := eventOf(p, audit.KindReview, c.RequestID, action, why)
	e.Details["review"] = id.String()
	by, ok := reviewer(p)
	if !ok {
		return by, Written{}, r.Door.deny(ctx, e, "role", reviewsShown)
	}
	w, err := r.Door.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		of, err := make(tx, by)
		event.Family, event.Subjects, event.Details["kind"] = of.Family, of.People, string(of.Kind)
		return Written{ID: id}, err
	})
	switch {
	case errors.Is(err, audit.ErrOwnReview):
		return by, Written{}, r.Door.deny(ctx, e, "own-review", "Nobody reviews themselves: another reviewer can.")
	case errors.Is(err, audit.ErrNotOpened):
		return by, Written{}, r.Door.deny(ctx, e, "not-opened", "Open the review first: whoever settles it has seen whom it is about and what was typed.")
	case errors.Is(err, audit.ErrNoReview):
		return by, Written{}, ErrUnknown
	case errors.Is(err, audit.ErrReviewed):
		return by, Written{}, ErrAlready
	}
	return by, w, err
}

// Figures says how the reviews go. Errors: *Denied.
func (r *Reviews) Figures(ctx context.Context, p identity.Principal, request string, from, until time.Time) (audit.ReviewFigures, string, error) {
	by, receipt, err := r.viewed(ctx, p, request, "review-figures", nil)
	if err != nil {
		return audit.ReviewFigures{}, "", err
	}
	f, err := r.Log.ReviewFigures(ctx, by.Scope, by.Worker, from, until, r.Door.Now())
	return f, receipt, err
}

// Counts gives the accesses by day within the caller's scope, for pictures.
// Errors: *Denied, audit.ErrDays.
func (r *Reviews) Counts(ctx context.Context, p identity.Principal, request string, from, until time.Time) ([]audit.DayCount, string, error) {
	by, receipt, err := r.viewed(ctx, p, request, "access-figures", map[string]string{"from": from.Format(time.DateOnly), "until": until.Format(time.DateOnly)})
	if err != nil {
		return nil, "", err
	}
	list, err := r.Log.Figures(ctx, by.Scope, from, until)
	return list, receipt, err
}
