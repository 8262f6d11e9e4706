package audit

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Leaf is one leaf of the tree with its event, as one reader may see it.
type Leaf struct {
	Index   int64
	Event   uuid.UUID
	Forged  bool // nobody's key has signed its receipt
	Missing bool // the event is gone from the database
	// Shown: the event is in the reader's scope. Else only Index is filled.
	Shown  bool
	Entry  proof.Entry // parts that the scope does not open are nil
	Erased int         // parts that were erased
	// NoCommon: the common part is one of them.
	NoCommon bool
	Copies   *proof.Copies // where the scope sees all
	Dropped  *DroppedUnder // after its retention; then Missing is false
	Record   Record
	Differs  []string // columns that do not say what header and payload say
}

// walkPage is how many leaves are read at once.
const walkPage = 500

// walkRow is a stored row with its leaf and with every copy that is compared.
type walkRow struct {
	storedRow
	Index       int64
	Event       uuid.UUID
	Forged      bool
	Found       bool
	LeafTime    time.Time
	LeafClass   string
	Partnership string
	Replica     string
	Principal   string
	Subjects    []uuid.UUID
	Released    []int64
	Owners      []string
	TopLevel    int16
	RequestID   string
	Filed       string // retention
}

const selectLeaves = `
SELECT l.index, l.event, l.forged, l.occurred_at, l.retention, e.id IS NOT NULL,
       coalesce(e.id, l.event), coalesce(e.occurred_at, l.occurred_at), coalesce(e.recorded_at, l.occurred_at), e.header, e.commitments, e.receipt,
       e.common, e.common_salt, e.subject_salts, e.subject_parts, coalesce(e.kind, ''), coalesce(e.agency, ''), coalesce(e.acting_for, ''), e.worker,
       coalesce(e.purpose, ''), e.family, coalesce(e.outcome, ''), coalesce(e.declared, false), coalesce(e.emergency, false),
       coalesce(e.partnership, ''), coalesce(e.replica, ''), coalesce(e.principal, ''), e.subjects, e.released, e.owners, coalesce(e.top_level, 0::smallint),
       coalesce(e.request_id, ''), coalesce(e.retention, '')
  FROM kith.log_leaf l`

// The three columns find the partition; an event that was filed under another
// time is looked for by its id alone.
const (
	joinWhole = ` LEFT JOIN kith.access_event e ON e.id = l.event AND e.occurred_at = l.occurred_at AND e.retention = l.retention
 WHERE l.number = $1 AND l.index >= $2 AND l.index < $3 ORDER BY l.index`
	joinID = ` LEFT JOIN kith.access_event e ON e.id = l.event WHERE l.number = $1 AND l.index = $2 LIMIT 1`
)

func scanLeaf(r pgx.CollectableRow) (walkRow, error) {
	var x walkRow
	err := r.Scan(&x.Index, &x.Event, &x.Forged, &x.LeafTime, &x.LeafClass, &x.Found,
		&x.ID, &x.OccurredAt, &x.RecordedAt, &x.Header, &x.Commitments, &x.Receipt,
		&x.Common, &x.CommonSalt, &x.SubjectSalts, &x.SubjectParts, &x.Kind, &x.Agency, &x.ActingFor, &x.Worker,
		&x.Purpose, &x.Family, &x.Outcome, &x.Declared, &x.Emergency,
		&x.Partnership, &x.Replica, &x.Principal, &x.Subjects, &x.Released, &x.Owners, &x.TopLevel, &x.RequestID, &x.Filed)
	return x, err
}

// Walk gives the leaves from first (included) to end (not) of the log number
// in their order. A leaf whose place is empty in the database is not given:
// the caller sees the gap in the indexes. While one page is looked at, the next
// is on its way; opening an event takes longer than reading it, so that is done
// on several processors.
func (l *Log) Walk(ctx context.Context, s Scope, number int, first, end int64, each func(*Leaf) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	gone := gone{log: l}
	coming := l.pageOf(ctx, number, first, end)
	for from := first; from < end; from += walkPage {
		page := <-coming
		if page.err != nil {
			return fmt.Errorf("read leaves from %d: %w", from, postgres.Redact(page.err))
		}
		if next := from + walkPage; next < end {
			coming = l.pageOf(ctx, number, next, end)
		}
		gone.fresh = false
		dropped := make([]*DroppedUnder, len(page.rows))
		for i := range page.rows {
			row := &page.rows[i]
			if row.Found {
				continue
			}
			var err error
			if dropped[i], err = gone.under(ctx, number, row); err == nil && dropped[i] == nil {
				*row, err = l.leafByID(ctx, number, row.Index)
			}
			if err != nil {
				return err
			}
		}
		leaves := l.leaves(page.rows, s)
		for i := range leaves {
			if dropped[i] != nil {
				leaves[i].Dropped, leaves[i].Missing = dropped[i], false
			}
			if err := each(&leaves[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// walked is one page of leaves.
type walked struct {
	rows []walkRow
	err  error
}

// pageOf reads a page, beside whatever its caller does meanwhile.
func (l *Log) pageOf(ctx context.Context, number int, from, end int64) <-chan walked {
	coming := make(chan walked, 1) // whoever asked may be gone
	go func() {
		rows, err := l.pool.Query(ctx, selectLeaves+joinWhole, number, from, min(end, from+walkPage))
		var page walked
		if page.err = err; err == nil {
			page.rows, page.err = pgx.CollectRows(rows, scanLeaf)
		}
		coming <- page
	}()
	return coming
}

// leaves opens a page of events.
func (l *Log) leaves(rows []walkRow, s Scope) []Leaf {
	const most = 4 // processors: those who read meanwhile need some too
	list := make([]Leaf, len(rows))
	workers := min(most, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(rows); i += workers {
				list[i] = l.leaf(&rows[i], s)
			}
		})
	}
	group.Wait()
	return list
}

func (l *Log) leafByID(ctx context.Context, number int, index int64) (walkRow, error) {
	rows, err := l.pool.Query(ctx, selectLeaves+joinID, number, index)
	if err != nil {
		return walkRow{}, fmt.Errorf("read leaf %d: %w", index, postgres.Redact(err))
	}
	row, err := pgx.CollectExactlyOneRow(rows, scanLeaf)
	if err != nil {
		return walkRow{}, fmt.Errorf("read leaf %d: %w", index, postgres.Redact(err))
	}
	return row, nil
}

func (l *Log) leaf(row *walkRow, s Scope) Leaf {
	leaf := Leaf{Index: row.Index, Event: row.Event, Forged: row.Forged}
	if !row.Found {
		// Whose it was is not known any more: only who sees all is told.
		leaf.Missing, leaf.Shown = s.all, s.all
		return leaf
	}
	if !s.sees(row) {
		return leaf
	}
	rec, ok := l.show(&row.storedRow, s, Filter{})
	if !ok {
		return leaf
	}
	leaf.Shown, leaf.Record = true, rec
	opened, err := row.open()
	leaf.Entry = proof.Entry{Header: row.Header, Commitments: row.Commitments, Signature: row.Receipt}
	copies := row.copies()
	if s.all {
		leaf.Copies = &copies
	}
	if err != nil {
		leaf.Differs = []string{"payload"}
		return leaf
	}
	leaf.Differs = row.differs(opened, &copies)
	if opened.Common == nil {
		leaf.Erased, leaf.NoCommon = leaf.Erased+1, true
	} else if s.opensCommon(opened.Common) {
		leaf.Entry.Common, leaf.Entry.CommonSalt = row.Common, row.CommonSalt
	}
	for _, part := range opened.Subjects {
		if part == nil {
			leaf.Erased++
		}
	}
	return leaf
}

// sees is Scope as conditions.scope has it.
func (s Scope) sees(row *walkRow) bool {
	switch {
	case s.all:
		return true
	case s.agency != "":
		return row.Agency == s.agency || slices.Contains(row.Owners, s.agency)
	case s.worker != uuid.Nil:
		return row.Worker != nil && *row.Worker == s.worker
	}
	return false
}

// opensCommon: the bytes of the common part may be given out only where they
// hold nothing that a Record of this scope would leave out. Subject parts name
// people, so no scope opens them: for those the commitments stand.
func (s Scope) opensCommon(c *proof.Common) bool {
	switch {
	case s.all:
		return len(c.Search) == 0 && len(c.Children) == 0 && !slices.ContainsFunc(c.Released, func(t proof.Terms) bool { return t.Sensitivity >= 4 })
	case s.worker != uuid.Nil:
		return len(c.Causes) == 0
	}
	return false // an agency's officer sees neither reasons nor others' entries
}

// copies are the row's, as a verifier compares them.
func (r *walkRow) copies() proof.Copies {
	c := proof.Copies{
		Occurred: r.OccurredAt, Recorded: r.RecordedAt, Kind: r.Kind, Outcome: r.Outcome, Agency: r.Agency, ActingFor: r.ActingFor,
		Partnership: r.Partnership, Replica: r.Replica, Principal: r.Principal, Purpose: r.Purpose,
		Declared: r.Declared, Emergency: r.Emergency, Request: r.RequestID,
	}
	if r.Worker != nil {
		c.Worker = *r.Worker
	}
	if r.Family != nil {
		c.Family = *r.Family
	}
	return c
}

// differs names the columns that no longer say what header and payload say:
// searches go by the columns, so who changes them hides an event. Erasure
// leaves in them nothing of what it destroyed.
func (r *walkRow) differs(o *proof.Opened, c *proof.Copies) []string {
	h := &o.Header
	bad := c.DiffersFromHeader(h)
	if r.ID != h.ID || r.Event != h.ID {
		bad = append(bad, "id")
	}
	if !r.LeafTime.Equal(h.Occurred) {
		bad = append(bad, "occurred_at")
	}
	if r.Filed != Kind(h.Kind).class() || r.Filed != r.LeafClass {
		bad = append(bad, "retention")
	}
	bad = append(bad, c.DiffersFromCommon(o.Common)...)
	return append(bad, r.differsInParts(o)...)
}

func (r *walkRow) differsInParts(o *proof.Opened) []string {
	if len(r.Subjects) != len(o.Subjects) {
		return []string{"subjects"}
	}
	var owners []string
	var bad []string
	top := proof.Hidden
	released := func(list []proof.Terms) {
		for i := range list {
			top = max(top, list[i].Level)
			if owner := list[i].Owner; owner != "" && !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
	}
	if o.Common != nil {
		released(o.Common.Released)
	}
	for _, part := range o.Subjects {
		if part != nil {
			released(part.Released)
		}
	}
	slices.Sort(owners)
	erased := o.Common == nil
	for i, part := range o.Subjects {
		person := uuid.Nil
		if part != nil {
			person = part.Person
		}
		erased = erased || part == nil
		if person != r.Subjects[i] {
			bad = append(bad, "subjects")
			break
		}
	}
	if !slices.Equal(owners, r.Owners) {
		bad = append(bad, "owners")
	}
	if int16(top) != r.TopLevel {
		bad = append(bad, "top_level")
	}
	if len(r.Released) > 0 && (erased || top < proof.Summary) {
		bad = append(bad, "released")
	}
	return bad
}

// Behind is the cursor behind an event, for a list that was cut off after it.
// Error: ErrNotFound.
func (l *Log) Behind(ctx context.Context, s Scope, id uuid.UUID) (string, error) {
	rec, err := l.Get(ctx, s, id)
	if err != nil {
		return "", err
	}
	return position{rec.Occurred, rec.ID}.cursor(), nil
}

// Name is the scope in an export's first line.
func (s Scope) Name() string {
	switch {
	case s.all:
		return "all"
	case s.agency != "":
		return "agency " + s.agency
	}
	return "own"
}

// SignExport signs the digest of an export with the replica's key, so that a
// file that was handed on can be told from one that was changed.
func (r *Recorder) SignExport(digest proof.Digest) (replica string, signature []byte) {
	return r.replica, proof.SignExport(r.signer.Key, digest)
}

// Exported keeps that an export came to its end, under the event that accounts
// for it: a month is dropped only where a whole export holds it.
func (r *Recorder) Exported(ctx context.Context, event uuid.UUID, scope Scope, number int, first, end int64, digest proof.Digest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendLimit)
	defer cancel()
	_, err := r.pool.Exec(ctx, `INSERT INTO kith.log_export (event, scope, number, first, until, digest) VALUES ($1, $2, $3, $4, $5, $6)`,
		event, scope.Name(), number, first, end, digest[:])
	if err != nil {
		return fmt.Errorf("keep that event %s was a whole export: %w", event, postgres.Redact(err))
	}
	return nil
}

// ReceiptKey is the public half of the key that signs this replica's receipts.
func (r *Recorder) ReceiptKey() (proof.Key, error) { return r.signer.PublicKey() }
