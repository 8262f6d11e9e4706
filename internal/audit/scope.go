package audit

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// Errors of reading the log.
var (
	ErrNotFound = errors.New("no such event in this scope")
	ErrPage     = errors.New("limit or cursor is not valid")
)

// MaxLimit is the most events that one page has; DefaultLimit holds where none
// is given.
const (
	MaxLimit     = 500
	DefaultLimit = 50
)

// Scope is how much of the log a reader may see (design.md §5). The zero value
// sees nothing.
type Scope struct {
	worker uuid.UUID
	agency string
	all    bool
}

// OwnScope is a person's own accesses.
func OwnScope(worker uuid.UUID) Scope { return Scope{worker: worker} }

// AgencyScope is what an agency's privacy officer sees: accesses to the
// agency's own data, only the part about its own entries; and accesses by its
// own people, with what was released and never what was withheld.
func AgencyScope(agency string) Scope { return Scope{agency: agency} }

// AuditorScope is everything, with people by reference.
func AuditorScope() Scope { return Scope{all: true} }

func (s Scope) empty() bool { return !s.all && s.agency == "" && s.worker == uuid.Nil }

// Filter narrows a list. Zero fields do not filter.
type Filter struct {
	From, Until time.Time // From included, Until not
	Agency      string
	Worker      uuid.UUID
	Family      uuid.UUID
	Subject     uuid.UUID // a person about whom something was released, or whom the event concerns; finds nothing in the own scope
	Owner       string    // something of this agency's was released
	Purpose     string
	Outcome     Outcome
	Kind        Kind
	Class       string      // events of one retention class alone, such as ClassAccess
	Level       proof.Level // something was released at this level or above
	Emergency   bool        // emergency accesses alone
	Declared    bool        // declared relationships alone
	Section     string      // something of this part of the record was released, as far as the reader is told
	Outside     *Hours      // outside these hours alone
}

// Hours are the working hours of weekdays by London's clocks, from midnight,
// and the days on which nobody works although they are weekdays.
type Hours struct {
	Opens, Closes time.Duration
	Holidays      []time.Time
}

// Page is where to go on and how far.
type Page struct {
	Limit int    // 0 means DefaultLimit
	After string // cursor of the page before
}

// position is the place of an event in the order of the log's lists.
type position struct {
	occurred time.Time
	id       uuid.UUID
}

// cursor is opaque to readers: they get it from one page and give it back.
func (p position) cursor() string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(p.occurred.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.id[:]...))
}

func parseCursor(text string) (position, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != 8+16 {
		return position{}, ErrPage
	}
	micros := int64(binary.BigEndian.Uint64(raw))
	if micros < 0 || micros > time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC).UnixMicro() {
		return position{}, ErrPage
	}
	return position{occurred: time.UnixMicro(micros).UTC(), id: uuid.UUID(raw[8:])}, nil
}

// conditions collects a WHERE clause with its arguments.
type conditions struct {
	sql  string
	args []any
}

// add appends a condition; each ? in it is the next argument.
func (c *conditions) add(condition string, args ...any) {
	if c.sql != "" {
		c.sql += " AND "
	}
	c.sql += c.text(condition, args...)
}

// text gives a condition with its arguments numbered, for use elsewhere in the
// statement.
func (c *conditions) text(condition string, args ...any) (sql string) {
	for i := range condition {
		if condition[i] != '?' {
			sql += condition[i : i+1]
			continue
		}
		c.args = append(c.args, args[0])
		args = args[1:]
		sql += "$" + strconv.Itoa(len(c.args))
	}
	return sql
}

func (c *conditions) scope(s Scope) {
	switch {
	case s.all:
	case s.agency != "":
		// What its people did in its name, and what others opened of its own.
		c.add("(agency = ? OR owners @> ARRAY[?]::text[])", s.agency, s.agency)
	case s.worker != uuid.Nil:
		c.add("worker = ?", s.worker)
	default:
		c.add("false")
	}
}

func (c *conditions) filter(f Filter) {
	if !f.From.IsZero() {
		c.add("occurred_at >= ?", f.From)
	}
	if !f.Until.IsZero() {
		c.add("occurred_at < ?", f.Until)
	}
	if f.Agency != "" {
		c.add("agency = ?", f.Agency)
	}
	if f.Worker != uuid.Nil {
		c.add("worker = ?", f.Worker)
	}
	if f.Family != uuid.Nil {
		c.add("family = ?", f.Family)
	}
	if f.Subject != uuid.Nil {
		c.add("subjects @> ARRAY[?]::uuid[]", f.Subject)
	}
	if f.Owner != "" {
		c.add("owners @> ARRAY[?]::text[]", f.Owner)
	}
	if f.Purpose != "" {
		c.add("purpose = ?", f.Purpose)
	}
	if f.Outcome != "" {
		c.add("outcome = ?", string(f.Outcome))
	}
	if f.Kind != "" {
		c.add("retention = ? AND kind = ?", f.Kind.class(), string(f.Kind)) // the class leaves the other partitions out
	}
	if f.Class != "" {
		c.add("retention = ?", f.Class)
	}
	if f.Level > proof.Hidden {
		c.add("top_level >= ?", int16(f.Level))
		if f.Outcome != "" && f.Outcome != OutcomeReleased {
			c.add("false") // nothing else has a level: not worth looking for
		}
	}
	if f.Emergency {
		c.add("emergency")
	}
	if f.Declared {
		c.add("declared")
	}
	if f.Section != "" {
		c.add("top_level > 0") // which part it was stands in the payload: show looks there
	}
	if f.Outside != nil {
		c.outside(f.Outside)
	}
}

// outside keeps what lies outside working hours, by the clock on the wall.
func (c *conditions) outside(h *Hours) {
	if h.Opens == 0 && h.Closes == 24*time.Hour {
		c.add("false") // round the clock, weekends too
		return
	}
	days := make([]string, 0, len(h.Holidays))
	for _, d := range h.Holidays {
		days = append(days, d.Format(time.DateOnly))
	}
	const local = "(occurred_at AT TIME ZONE 'Europe/London')"
	c.add("(extract(isodow FROM "+local+") > 5 OR "+local+"::date = ANY (?::date[]) OR extract(epoch FROM "+local+"::time) < ? OR extract(epoch FROM "+local+"::time) >= ?)",
		days, h.Opens.Seconds(), h.Closes.Seconds())
}

// All says whether the scope is the auditor's.
func (s Scope) All() bool { return s.all }

// Officer is the agency whose officer the scope is for, or "".
func (s Scope) Officer() string { return s.agency }
