package audit

import (
	"context"
	"fmt"
	"slices"
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
	Shown   bool
	Entry   proof.Entry // parts that the scope does not open are nil
	Erased  int         // parts that were erased
	Record  Record
	Differs []string // columns that do not say what header and payload say
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
SELECT l.index, l.event, l.forged, l.occurred_at, e.id IS NOT NULL,
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
	err := r.Scan(&x.Index, &x.Event, &x.Forged, &x.LeafTime, &x.Found,
		&x.ID, &x.OccurredAt, &x.RecordedAt, &x.Header, &x.Commitments, &x.Receipt,
		&x.Common, &x.CommonSalt, &x.SubjectSalts, &x.SubjectParts, &x.Kind, &x.Agency, &x.ActingFor, &x.Worker,
		&x.Purpose, &x.Family, &x.Outcome, &x.Declared, &x.Emergency,
		&x.Partnership, &x.Replica, &x.Principal, &x.Subjects, &x.Released, &x.Owners, &x.TopLevel, &x.RequestID, &x.Filed)
	return x, err
}

// Walk gives the leaves from first (included) to end (not) of the log number
// in their order. A leaf whose place is empty in the database is not given:
// the caller sees the gap in the indexes.
func (l *Log) Walk(ctx context.Context, s Scope, number int, first, end int64, each func(*Leaf) error) error {
	for from := first; from < end; from += walkPage {
		rows, err := l.pool.Query(ctx, selectLeaves+joinWhole, number, from, min(end, from+walkPage))
		if err != nil {
			return fmt.Errorf("read leaves from %d: %w", from, postgres.Redact(err))
		}
		list, err := pgx.CollectRows(rows, scanLeaf)
		if err != nil {
			return fmt.Errorf("read leaves from %d: %w", from, postgres.Redact(err))
		}
		for i := range list {
			if !list[i].Found {
				if list[i], err = l.leafByID(ctx, number, list[i].Index); err != nil {
					return err
				}
			}
			leaf := l.leaf(&list[i], s)
			if err := each(&leaf); err != nil {
				return err
			}
		}
	}
	return nil
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
	whole := row.entry()
	opened, err := whole.Open()
	leaf.Entry = proof.Entry{Header: row.Header, Commitments: row.Commitments, Signature: row.Receipt}
	if err != nil {
		leaf.Differs = []string{"payload"}
		return leaf
	}
	leaf.Differs = row.differs(&opened)
	if opened.Common == nil {
		leaf.Erased++
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

// differs names the columns that no longer say what header and payload say:
// searches go by the columns, so who changes them hides an event.
func (r *walkRow) differs(o *proof.Opened) []string {
	var bad []string
	check := func(name string, good bool) {
		if !good {
			bad = append(bad, name)
		}
	}
	h := &o.Header
	check("id", r.ID == h.ID && r.Event == h.ID)
	check("occurred_at", r.OccurredAt.Equal(h.Occurred) && r.LeafTime.Equal(h.Occurred))
	check("recorded_at", r.RecordedAt.Sub(h.Occurred).Abs() < maxHeld)
	check("kind", r.Kind == h.Kind && r.Filed == Kind(h.Kind).class())
	check("outcome", r.Outcome == h.Outcome)
	check("agency", r.Agency == h.Agency)
	check("acting_for", r.ActingFor == h.ActingFor)
	check("partnership", r.Partnership == h.Partnership)
	check("replica", r.Replica == h.Replica)
	if c := o.Common; c != nil {
		check("worker", same(r.Worker, c.Principal.Worker))
		check("principal", r.Principal == c.Principal.Label())
		check("purpose", r.Purpose == c.Purpose)
		check("family", same(r.Family, c.Family))
		check("declared", r.Declared == c.Declared)
		check("emergency", r.Emergency == c.Emergency)
		check("request_id", r.RequestID == c.Request)
	}
	return append(bad, r.differsInParts(o)...)
}

// maxHeld is how long a row may take from the hub's clock to the database's.
const maxHeld = 30 * time.Second

func (r *walkRow) differsInParts(o *proof.Opened) []string {
	if o.Common == nil || slices.Contains(o.Subjects, nil) || len(r.Subjects) != len(o.Subjects) {
		return nil // what was erased cannot be compared
	}
	var owners []string
	var bad []string
	top := proof.Hidden
	for _, x := range linesOf(o) {
		top = max(top, x.terms.Level)
		if x.terms.Owner != "" && !slices.Contains(owners, x.terms.Owner) {
			owners = append(owners, x.terms.Owner)
		}
	}
	slices.Sort(owners)
	for i, part := range o.Subjects {
		if part.Person != r.Subjects[i] {
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
	if len(r.Released) > 0 && top < proof.Summary {
		bad = append(bad, "released")
	}
	return bad
}

func same(column *uuid.UUID, id uuid.UUID) bool {
	if column == nil {
		return id == uuid.Nil
	}
	return *column == id
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

// ReceiptKey is the public half of the key that signs this replica's receipts.
func (r *Recorder) ReceiptKey() (proof.Key, error) { return r.signer.PublicKey() }
