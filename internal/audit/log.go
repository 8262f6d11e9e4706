package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Log reads the access log on a pool of the role kith_auditor.
type Log struct {
	pool        *pgxpool.Pool
	partnership string
	key         []byte
}

// NewLog gives the log of one partnership. referenceKey, 32 bytes or more,
// makes the references to people; it must stay the same for as long as
// references are to be compared.
func NewLog(pool *pgxpool.Pool, partnership string, referenceKey []byte) (*Log, error) {
	if partnership == "" || len(referenceKey) < 32 {
		return nil, errors.New("log: partnership and a reference key of 32 bytes must be given")
	}
	return &Log{pool: pool, partnership: partnership, key: slices.Clone(referenceKey)}, nil
}

// storedRow is what the auditor's role may read of an event, less the columns
// that only repeat the payload. The recorded input is not among them.
type storedRow struct {
	ID           uuid.UUID
	OccurredAt   time.Time
	RecordedAt   time.Time
	Header       []byte
	Commitments  []byte
	Receipt      []byte
	Common       []byte
	CommonSalt   []byte
	SubjectSalts [][]byte
	SubjectParts [][]byte
	Kind         string
	Agency       string
	ActingFor    string
	Worker       *uuid.UUID
	Purpose      string
	Family       *uuid.UUID
	Outcome      string
	Declared     bool
	Emergency    bool

	opened *proof.Opened // once open has opened it
}

const selectRows = `
SELECT id, occurred_at, recorded_at, header, commitments, receipt, common, common_salt, subject_salts, subject_parts,
       kind, agency, acting_for, worker, purpose, family, outcome, declared, emergency
  FROM kith.access_event WHERE `

func (r *storedRow) entry() proof.Entry {
	return proof.Entry{
		Header: r.Header, Commitments: r.Commitments, Signature: r.Receipt, Common: r.Common, CommonSalt: r.CommonSalt,
		SubjectParts: r.SubjectParts, SubjectSalts: r.SubjectSalts,
	}
}

// open opens the entry, once: it is the dear part of showing an event.
func (r *storedRow) open() (*proof.Opened, error) {
	if r.opened == nil {
		entry := r.entry()
		opened, err := entry.Open()
		if err != nil {
			return nil, err
		}
		r.opened = &opened
	}
	return r.opened, nil
}

// maxScans bounds the work for one page where rows must be looked at before
// they can be shown (agency scope). A page may then be short and still have a
// next one.
const maxScans = 20

// List gives events newest first, and the cursor of the next page, empty after
// the last. Errors: ErrPage; a scope without a reader sees nothing.
func (l *Log) List(ctx context.Context, s Scope, f Filter, p Page) (records []Record, next string, err error) {
	limit := p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > MaxLimit {
		return nil, "", fmt.Errorf("%w: limit is 1 to %d", ErrPage, MaxLimit)
	}
	var after position
	if p.After != "" {
		if after, err = parseCursor(p.After); err != nil {
			return nil, "", err
		}
	}
	if s.empty() || s.worker != uuid.Nil && f.Subject != uuid.Nil {
		return nil, "", nil // whom an entry is also about may be what was hidden from its reader
	}
	w, err := l.newest(ctx, f, after)
	if err != nil {
		return nil, "", err
	}
	batch := limit + 1
	if f.Section != "" {
		batch = MaxLimit // most of them have it not, and the payload alone tells
	}
	for scans := 0; scans < maxScans; {
		rows, err := l.page(ctx, s, f, w, after, batch)
		if err != nil {
			return nil, "", err
		}
		for i := range rows {
			after = position{rows[i].OccurredAt, rows[i].ID}
			rec, ok := l.show(&rows[i], s, f)
			if !ok {
				continue
			}
			if len(records) == limit {
				// One more may be seen, so that no last page is empty.
				last := &records[limit-1]
				return records, position{last.Occurred, last.ID}.cursor(), nil
			}
			records = append(records, rec)
		}
		if len(rows) == batch {
			scans++
		} else if w = w.older(); w.empty() {
			return records, "", nil
		}
	}
	return records, after.cursor(), nil
}

func (l *Log) page(ctx context.Context, s Scope, f Filter, w window, after position, limit int) ([]storedRow, error) {
	var c conditions
	c.add("partnership = ?", l.partnership)
	c.scope(s)
	c.filter(f)
	c.add("occurred_at >= ? AND occurred_at < ?", w.from, w.until)
	if after.id != uuid.Nil {
		c.add("(occurred_at, id) < (?, ?)", after.occurred, after.id)
	}
	sql := selectRows + c.sql + fmt.Sprintf(" ORDER BY occurred_at DESC, id DESC LIMIT %d", limit)
	// Planned for these very values each time: how rare they are decides which index is the right one.
	rows, err := l.pool.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, c.args...)...)
	if err != nil {
		return nil, fmt.Errorf("list access events: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedRow])
	if err != nil {
		return nil, fmt.Errorf("list access events: %w", postgres.Redact(err))
	}
	return list, nil
}

// show applies again, to the part that an agency may see, the filters that the
// row as a whole has passed: else a filter would tell of what others own.
func (l *Log) show(row *storedRow, s Scope, f Filter) (Record, bool) {
	rec, lines := l.view(row, s)
	if f.Section != "" && !slices.ContainsFunc(rec.Released, func(x Released) bool { return x.Section == f.Section }) {
		return Record{}, false // by what this reader is told: what is restricted to them is not found by it either
	}
	if s.agency == "" || row.Agency == s.agency {
		return rec, true
	}
	if len(lines) == 0 || rec.Level < f.Level || f.Owner != "" && f.Owner != s.agency {
		return Record{}, false
	}
	about := f.Subject == uuid.Nil || slices.ContainsFunc(lines, func(x line) bool { return slices.Contains(x.people, f.Subject) })
	return rec, about
}

// Count tells how many events a list has, or -1 where there are more than most.
// An agency's may be fewer: of what others did it is shown its own part alone.
func (l *Log) Count(ctx context.Context, s Scope, f Filter, most int) (int, error) {
	var c conditions
	c.add("partnership = ?", l.partnership)
	c.scope(s)
	c.filter(f)
	var n int
	if err := l.pool.QueryRow(ctx, fmt.Sprintf(`SELECT count(*) FROM (SELECT 1 FROM kith.access_event WHERE %s LIMIT %d) AS x`, c.sql, most+1), c.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count access events: %w", postgres.Redact(err))
	}
	if n > most {
		return -1, nil
	}
	return n, nil
}

// Get gives one event. Error: ErrNotFound, also for an event out of scope.
func (l *Log) Get(ctx context.Context, s Scope, id uuid.UUID) (Record, error) {
	var c conditions
	c.add("partnership = ?", l.partnership)
	c.add("id = ?", id)
	c.scope(s)
	rows, err := l.pool.Query(ctx, selectRows+c.sql, c.args...)
	if err != nil {
		return Record{}, fmt.Errorf("get access event %s: %w", id, postgres.Redact(err))
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[storedRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return Record{}, fmt.Errorf("get access event %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Record{}, fmt.Errorf("get access event %s: %w", id, postgres.Redact(err))
	}
	rec, ok := l.show(&row, s, Filter{})
	if !ok {
		return Record{}, fmt.Errorf("get access event %s: %w", id, ErrNotFound)
	}
	return rec, nil
}

// Explain is Get for whoever explains an event. concerned: something of the
// scope's agency was decided on, so its officer is told, even where nothing of
// it was released (design.md §5: what was withheld is shown to its owner).
// Error: ErrNotFound.
func (l *Log) Explain(ctx context.Context, s Scope, id uuid.UUID, concerned bool) (Record, error) {
	rec, err := l.Get(ctx, s, id)
	if !errors.Is(err, ErrNotFound) || !concerned || s.agency == "" {
		return rec, err
	}
	rows, _ := l.pool.Query(ctx, selectRows+`partnership = $1 AND id = $2`, l.partnership, id)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[storedRow])
	if err != nil {
		return Record{}, fmt.Errorf("get access event %s: %w", id, postgres.Redact(err))
	}
	rec, _ = l.view(&row, s)
	return rec, nil
}
