package family

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres/pgtest"
)

// clock is the time of every test here.
func clock() time.Time { return time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC) }

// date reads a day; "" is none.
func date(s string) *time.Time {
	if s == "" {
		return nil
	}
	d, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return &d
}

// house is a small partnership to test in: three agencies, no family yet.
type house struct {
	t     testing.TB
	db    *pgtest.DB
	app   *pgxpool.Pool
	admin *pgxpool.Pool
}

func newHouse(t testing.TB) *house {
	t.Helper()
	db := pgtest.New(t)
	h := &house{t: t, db: db, app: db.Pool(t, "app"), admin: db.Pool(t, "admin")}
	h.exec(`INSERT INTO partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours)
	        VALUES ('northby', 'Northby', 'Desk', '01632 960001', '01632 960002', '01632 960003')`)
	for _, a := range [][2]string{{"CSC", "CSC"}, {"MH", "MH"}, {"POL", "POL"}, {"SCH", "SCH"}, {"SCH2", "SCH"}} {
		h.exec(`INSERT INTO agency (code, partnership, kind, name, legal_controller, ods, active_from) VALUES ($1, 'northby', $2, $1, $1, 'X1', '2020-01-01')`, a[0], a[1])
	}
	h.exec(`INSERT INTO agreement_head (partnership) VALUES ('northby')`)
	return h
}

// exec runs a statement as the superuser, for what the app's role may not set up.
func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.admin.Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

// run runs a statement as the app's role.
func (h *house) run(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.app.Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

func (h *house) count(sql string, args ...any) int {
	h.t.Helper()
	var n int
	if err := h.admin.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (h *house) worker(agency string) uuid.UUID {
	id := uuid.New()
	h.exec(`INSERT INTO worker (id, partnership, agency, employer, name, roles, active_from)
	        VALUES ($1, 'northby', $2, $2, 'A Worker', '{practitioner}', '2020-01-01')`, id, agency)
	return id
}

func (h *house) family() uuid.UUID {
	id := uuid.New()
	h.run(`INSERT INTO family (id, partnership, ref) VALUES ($1, 'northby', $2)`, id, "F-"+id.String()[:8])
	return id
}

func (h *house) person() uuid.UUID {
	id := uuid.New()
	h.run(`INSERT INTO person (id, partnership, born) VALUES ($1, 'northby', '2015-01-01')`, id)
	return id
}

// member makes a person who is a confirmed member with a role.
func (h *house) member(family uuid.UUID, role string) uuid.UUID {
	p := h.person()
	h.membership(family, p, role, true)
	return p
}

func (h *house) membership(family, person uuid.UUID, role string, confirmed bool) uuid.UUID {
	id := uuid.New()
	h.run(`INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at)
	       VALUES ($1, $2, $3, $4, 'CSC', CASE WHEN $5 THEN 'CSC' END, CASE WHEN $5 THEN now() END)`, id, family, person, role, confirmed)
	return id
}

func (h *house) relationship(from, to uuid.UUID, kind string) {
	h.run(`INSERT INTO relationship (id, from_person, to_person, kind, supplied_by, confirmed_at) VALUES ($1, $2, $3, $4, 'CSC', now())`, uuid.New(), from, to, kind)
}

// item makes an entry with content, and returns it with its full part.
func (h *house) item(owner, section string, about ...uuid.UUID) (entry uuid.UUID, version, part int64) {
	h.t.Helper()
	entry = uuid.New()
	if err := h.app.QueryRow(context.Background(), `SELECT nextval('part_id')`).Scan(&part); err != nil {
		h.t.Fatal(err)
	}
	h.run(`INSERT INTO content (part, body) VALUES ($1, '{"a": "secret a", "b": "secret b", "c": "secret c"}')`, part)
	h.run(`INSERT INTO entry (id, partnership, owner) VALUES ($1, 'northby', $2)`, entry, owner)
	err := h.app.QueryRow(context.Background(), `INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, full_part)
	       VALUES ($1, $3, 1, true, $2, $2 || '/1', $3, 'fact', 2, '2026-06-01', false, true, $4) RETURNING id`, entry, section, owner, part).Scan(&version)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, p := range about {
		h.run(`INSERT INTO entry_subject (version, person, relation) VALUES ($1, $2, 'about')`, version, p)
	}
	return entry, version, part
}

func (h *house) load(family uuid.UUID, c Caller) Facts {
	h.t.Helper()
	if c.Now.IsZero() {
		c.Now = clock()
	}
	if c.Purpose == "" {
		c.Purpose = "FS"
	}
	f, err := Load(context.Background(), h.app, family, c)
	if err != nil {
		h.t.Fatal(err)
	}
	return f
}
