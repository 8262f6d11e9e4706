package family

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
)

// ErrSealed: the receipt is not that of the access event under which the
// content was read. Nothing is released.
var ErrSealed = errors.New("content stays sealed: no receipt of its access event")

// Part is one part of one version of an entry, as a decision released it. The
// zero value asks for nothing.
type Part struct {
	ID int64
	// Mask lists fields that stay in the database.
	Mask []string
	// Keep, where it is not nil, lists the only fields that may leave: an empty
	// list lets none out.
	Keep []string
}

// PartIDs lists the parts that an access event must name so that they can be
// read, each once and in ascending order.
func PartIDs(wanted []Part) []int64 {
	ids := make([]int64, 0, len(wanted))
	for _, p := range wanted {
		if p.ID != 0 {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// fieldMark separates field names in one parameter; no field's name has it.
const fieldMark = "\x1f"

// Cutting jsonb costs a fifth of a millisecond a read, so whole parts go a way
// of their own.
const (
	selectWhole = `SELECT c.part, c.body FROM content c WHERE c.part = ANY ($1)`
	selectCut   = `
SELECT c.part,
       CASE WHEN w.keeps
         THEN (SELECT coalesce(jsonb_object_agg(f.key, f.value), '{}') FROM jsonb_each(c.body) f WHERE f.key = ANY (string_to_array(w.fields, E'\x1f')))
         ELSE c.body - string_to_array(w.fields, E'\x1f')
       END
  FROM unnest($1::bigint[], $2::boolean[], $3::text[]) AS w (part, keeps, fields)
  JOIN content c ON c.part = w.part`
)

// QueueParts queues the reading of content behind the access event that
// releases it; PostgreSQL gives nothing out unless that event is committed on
// the same connection. What is masked never leaves the database. The Sealed is
// filled when the batch is read and opens with that event's receipt alone.
func QueueParts(b *pgx.Batch, event uuid.UUID, wanted []Part) *Sealed {
	s := &Sealed{event: event, parts: make(map[int64]json.RawMessage, len(wanted))}
	var whole, cut []int64
	var keeps []bool
	var fields []string
	for _, p := range wanted {
		switch {
		case p.ID == 0:
		case p.Keep != nil:
			kept := slices.DeleteFunc(slices.Clone(p.Keep), func(f string) bool { return slices.Contains(p.Mask, f) })
			cut, keeps, fields = append(cut, p.ID), append(keeps, true), append(fields, strings.Join(kept, fieldMark))
		case len(p.Mask) > 0:
			cut, keeps, fields = append(cut, p.ID), append(keeps, false), append(fields, strings.Join(p.Mask, fieldMark))
		default:
			whole = append(whole, p.ID)
		}
	}
	if len(whole) > 0 {
		b.Queue(selectWhole, whole).Query(s.take)
	}
	if len(cut) > 0 {
		b.Queue(selectCut, cut, keeps, fields).Query(s.take)
	}
	return s
}

// Sealed is content that was read and may not be looked at yet. It prints as
// nothing and does not marshal. The zero value holds nothing and never opens.
type Sealed struct {
	event uuid.UUID
	parts map[int64]json.RawMessage
}

func (s *Sealed) take(rows pgx.Rows) error {
	for rows.Next() {
		var part int64
		var body []byte
		if err := rows.Scan(&part, &body); err != nil {
			return fmt.Errorf("read content: %w", err)
		}
		s.parts[part] = body
	}
	return rows.Err()
}

// Release opens the seal with the receipt of the event under which the content
// was read: only the log makes one, and only of a committed row. A part that
// was erased meanwhile is missing. Error: ErrSealed.
func (s Sealed) Release(r audit.Receipt) (map[int64]json.RawMessage, error) {
	if !r.Committed() || s.event == uuid.Nil || r.Event() != s.event {
		return nil, ErrSealed
	}
	return s.parts, nil
}

// String tells nothing: sealed content may stand in an error or a log line.
func (Sealed) String() string { return "sealed" }

// GoString is String for %#v.
func (Sealed) GoString() string { return "sealed" }

// Format keeps every verb, %+v and %x too, from walking into the content.
func (Sealed) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("sealed")) }

// LogValue is String for slog.
func (Sealed) LogValue() slog.Value { return slog.StringValue("sealed") }

// MarshalJSON refuses: sealed content is never part of an answer.
func (Sealed) MarshalJSON() ([]byte, error) { return nil, ErrSealed }
