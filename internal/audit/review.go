package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Errors of reviews.
var (
	ErrNoReview  = errors.New("no such review in this scope")
	ErrOwnReview = errors.New("nobody reviews themselves")
	ErrReviewed  = errors.New("the review is closed")
	ErrNotOpened = errors.New("the review was not opened by this reviewer")
)

// ReviewState is how far a review is.
type ReviewState string

// The states of a review.
const (
	ReviewWaiting ReviewState = "waiting"
	ReviewOpen    ReviewState = "open"
	ReviewClosed  ReviewState = "closed"
)

// ReviewOutcome is what a reviewer decided.
type ReviewOutcome string

// The outcomes of a review.
const (
	ReviewRight      ReviewOutcome = "right"
	ReviewPoorly     ReviewOutcome = "right-poorly-recorded"
	ReviewWrong      ReviewOutcome = "wrong"
	ReviewCannotTell ReviewOutcome = "cannot-tell"
)

// ReviewOutcomes lists them in the order in which they are offered.
func ReviewOutcomes() []ReviewOutcome {
	return []ReviewOutcome{ReviewRight, ReviewPoorly, ReviewWrong, ReviewCannotTell}
}

// Review is a finding as the queue shows it: without a name, an event or a
// person. Those open with it (Opened).
type Review struct {
	ID        uuid.UUID
	Reference string // V-7K3QX2AB
	Kind      FindingKind
	Urgency   Urgency
	State     ReviewState
	Agency    string // the worker's
	Count     int    // accesses
	First     time.Time
	Last      time.Time
	Raised    time.Time
	Due       time.Time
	Numbers   map[string]int
	Excuses   []Excuse
	Since     *WorkSince
	Mine      bool // this reader has opened it

	Outcome  ReviewOutcome // once closed
	Note     string
	Reviewer string
	Closed   *time.Time

	worker uuid.UUID
	family uuid.UUID
	events []uuid.UUID
	people []uuid.UUID
}

// Format prints the reference alone.
func (r Review) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "audit.Review "+r.Reference) }

// LogValue keeps the review out of log lines.
func (r Review) LogValue() slog.Value { return slog.StringValue(r.Reference) }

// ReviewFilter narrows the queue. Zero fields do not filter, but without a
// state what is closed is left out.
type ReviewFilter struct {
	Kind  FindingKind
	State ReviewState
	DueBy time.Time // due before
}

type storedReview struct {
	ID        uuid.UUID
	Reference string
	Kind      string
	Urgency   int16
	State     string
	Agency    string
	Count     int
	FirstAt   time.Time
	LastAt    time.Time
	RaisedAt  time.Time
	DueAt     time.Time
	Numbers   json.RawMessage
	Excuses   []string
	Worker    uuid.UUID
	Family    *uuid.UUID
	Events    []uuid.UUID
	People    []uuid.UUID
	Mine      bool
	Outcome   *string
	Note      *string
	Name      *string
	ClosedAt  *time.Time
	Source    *string
	Since     *time.Time
}

func (s *storedReview) review() (Review, error) {
	r := Review{
		ID: s.ID, Reference: s.Reference, Kind: FindingKind(s.Kind), Urgency: Urgency(s.Urgency), State: ReviewState(s.State), Agency: s.Agency, Count: s.Count,
		First: s.FirstAt, Last: s.LastAt, Raised: s.RaisedAt, Due: s.DueAt, Mine: s.Mine, Closed: s.ClosedAt, worker: s.Worker, events: s.Events, people: s.People,
	}
	for _, e := range s.Excuses {
		r.Excuses = append(r.Excuses, Excuse(e))
	}
	if s.Family != nil {
		r.family = *s.Family
	}
	if s.Outcome != nil && s.Note != nil && s.Name != nil {
		r.Outcome, r.Note, r.Reviewer = ReviewOutcome(*s.Outcome), *s.Note, *s.Name
	}
	if s.Source != nil && s.Since != nil {
		r.Since = &WorkSince{Source: *s.Source, From: *s.Since}
	}
	if err := json.Unmarshal(s.Numbers, &r.Numbers); err != nil {
		return Review{}, fmt.Errorf("numbers of review %s: %w", s.Reference, err)
	}
	return r, nil
}

// reviewScope: an agency's privacy officer has what the finding's readers say;
// nobody has a finding about themselves.
func (l *Log) reviewScope(s Scope, reader uuid.UUID) conditions {
	var c conditions
	c.add("f.partnership = ?", l.partnership)
	c.add("f.worker <> ?", reader)
	switch {
	case s.all:
	case s.agency != "":
		c.add("f.readers @> ARRAY[?]::text[]", s.agency)
	default:
		c.add("false")
	}
	return c
}

// CountReviews tells how many findings wait or are being reviewed, most at most.
func (l *Log) CountReviews(ctx context.Context, s Scope, reader uuid.UUID, most int) (int, error) {
	c := l.reviewScope(s, reader)
	c.add("f.state <> 'closed'")
	var n int
	if err := l.pool.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT 1 FROM kith.finding f WHERE %s LIMIT %d) AS x`, c.sql, most), c.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count reviews: %w", postgres.Redact(err))
	}
	return n, nil
}

func (l *Log) reviews(ctx context.Context, reader uuid.UUID, c conditions, tail string) ([]Review, error) {
	c.args = append(c.args, reader)
	sql := fmt.Sprintf(`
WITH f AS MATERIALIZED (SELECT * FROM kith.finding f WHERE %s %s)
SELECT f.id, f.reference, f.kind, f.urgency, f.state, f.agency, f.count, f.first_at, f.last_at, f.raised_at, f.due_at, f.numbers, f.excuses, f.worker, f.family, f.events, f.people,
       o.reviewer IS NOT NULL AS mine, r.outcome, r.note, r.name, r.closed_at, w.source, w.since
  FROM f
  LEFT JOIN kith.review_opening o ON o.finding = f.id AND o.reviewer = $%d
  LEFT JOIN kith.review r ON r.finding = f.id
  LEFT JOIN kith.work_since(ARRAY(SELECT id FROM f)) w ON w.finding = f.id
 ORDER BY f.urgency, f.due_at, f.id`, c.sql, tail, len(c.args))
	rows, _ := l.pool.Query(ctx, sql, c.args...)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedReview])
	if err != nil {
		return nil, postgres.Redact(err)
	}
	list := make([]Review, 0, len(stored))
	for i := range stored {
		r, err := stored[i].review()
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Reviews gives the queue, most urgent first, and the cursor of the next page.
// Error: ErrPage.
func (l *Log) Reviews(ctx context.Context, s Scope, reader uuid.UUID, f ReviewFilter, p Page) (list []Review, next string, err error) {
	limit := p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > MaxLimit {
		return nil, "", fmt.Errorf("%w: limit is 1 to %d", ErrPage, MaxLimit)
	}
	c := l.reviewScope(s, reader)
	if f.Kind != "" {
		c.add("f.kind = ?", string(f.Kind))
	}
	if f.State != "" {
		c.add("f.state = ?", string(f.State))
	} else {
		c.add("f.state <> 'closed'")
	}
	if !f.DueBy.IsZero() {
		c.add("f.due_at < ?", f.DueBy)
	}
	if p.After != "" {
		at, err := parseQueuePlace(p.After)
		if err != nil {
			return nil, "", err
		}
		c.add("(f.urgency, f.due_at, f.id) > (?, ?, ?)", int16(at.urgency), at.due, at.id)
	}
	list, err = l.reviews(ctx, reader, c, fmt.Sprintf("ORDER BY f.urgency, f.due_at, f.id LIMIT %d", limit+1))
	if err != nil {
		return nil, "", fmt.Errorf("list reviews: %w", err)
	}
	if len(list) > limit {
		list = list[:limit]
		last := &list[limit-1]
		next = queuePlace{last.Urgency, last.Due, last.ID}.cursor()
	}
	return list, next, nil
}

// Review gives one. Error: ErrNoReview, also for one out of scope.
func (l *Log) Review(ctx context.Context, s Scope, reader, id uuid.UUID) (Review, error) {
	c := l.reviewScope(s, reader)
	c.add("f.id = ?", id)
	list, err := l.reviews(ctx, reader, c, "")
	if err != nil {
		return Review{}, fmt.Errorf("get review %s: %w", id, err)
	}
	if len(list) != 1 {
		return Review{}, fmt.Errorf("get review %s: %w", id, ErrNoReview)
	}
	return list[0], nil
}

// queuePlace is the place of a review in the queue.
type queuePlace struct {
	urgency Urgency
	due     time.Time
	id      uuid.UUID
}

func (q queuePlace) cursor() string {
	raw := binary.BigEndian.AppendUint64([]byte{byte(q.urgency)}, uint64(q.due.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, q.id[:]...))
}

func parseQueuePlace(text string) (queuePlace, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 1+8+16 {
		return queuePlace{}, ErrPage
	}
	at, err := parseCursor(base64.RawURLEncoding.EncodeToString(raw[1:])) // the rest is a time and an id, as in the log's lists
	return queuePlace{Urgency(raw[0]), at.occurred, at.id}, err
}

// Opened is what opens with a review: who it is about and what was typed.
type Opened struct {
	Worker uuid.UUID
	Name   string
	Roles  []string
	Family uuid.UUID
	People []uuid.UUID // whom the finding is about
	// Events are the accesses, newest first, at most openedEvents: with people
	// by their ids in place of references.
	Events []Record
}

const openedEvents = 50

// Open gives what opens with a review to a reader who has opened it. A privacy
// officer gets no more of an access than the log's scope has for them, and the
// reason of the own agency's people. Error: ErrNotOpened.
func (l *Log) Open(ctx context.Context, s Scope, r Review) (Opened, error) {
	if !r.Mine {
		return Opened{}, fmt.Errorf("review %s: %w", r.Reference, ErrNotOpened)
	}
	var c conditions
	c.add("partnership = ?", l.partnership)
	c.add("id = ANY (?)", r.events)
	c.add("occurred_at BETWEEN ? AND ?", r.First, r.Last)
	c.scope(s)
	rows, _ := l.pool.Query(ctx, selectRows+c.sql+fmt.Sprintf(" ORDER BY occurred_at DESC, id DESC LIMIT %d", openedEvents), c.args...)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedRow])
	if err != nil {
		return Opened{}, fmt.Errorf("open review %s: %w", r.Reference, postgres.Redact(err))
	}
	o := Opened{Worker: r.worker, Family: r.family}
	var seen []uuid.UUID
	for i := range stored {
		rec, lines := l.view(&stored[i], s)
		theirs := s.all || stored[i].Agency == s.agency
		var people []uuid.UUID
		entry := stored[i].entry()
		if opened, err := entry.Open(); err == nil {
			people = peopleOf(&opened, lines, theirs)
			if opened.Common != nil && theirs {
				rec.Reason = opened.Common.Reason
			}
		}
		slices.SortFunc(people, compareIDs)
		seen = append(seen, people...)
		rec.Subjects, rec.Children, rec.Released = texts(people), nil, nil
		if o.Name == "" {
			o.Name, o.Roles = rec.Name, rec.Roles
		}
		o.Events = append(o.Events, rec)
	}
	for _, id := range r.people {
		if s.all || slices.Contains(seen, id) {
			o.People = append(o.People, id)
		}
	}
	slices.SortFunc(o.People, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return o, nil
}

func texts(ids []uuid.UUID) []string {
	var list []string
	for _, id := range ids {
		list = append(list, id.String())
	}
	return list
}

// References of the people whom a finding is about, for a review that is not
// opened: to the auditor alone.
func (l *Log) References(s Scope, r Review) []string {
	if !s.all {
		return nil
	}
	return l.references(r.people)
}
