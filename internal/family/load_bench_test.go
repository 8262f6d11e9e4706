package family

import (
	"context"
	"strconv"
	"testing"

	"github.com/google/uuid"
)

// Facts are read before every answer. 2 000 families of 5 people and 40
// entries, so that the planner sees tables worth an index.
func BenchmarkLoad(b *testing.B) {
	h := newHouse(b)
	me := h.worker("MH")
	families := h.settle(me, 2000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f, err := Load(context.Background(), h.app, families[i%len(families)], Caller{Worker: me, Agency: "MH", Purpose: "FS", Now: clock()})
		if err != nil || len(f.Entries) != 40 {
			b.Fatalf("%d entries, %v", len(f.Entries), err)
		}
	}
}

// settle fills the house with families, each with two children, three adults,
// a child in need and a client of the worker's. Triggers are off: the stamps
// are of no interest here.
func (h *house) settle(me uuid.UUID, families int) []uuid.UUID {
	h.t.Helper()
	h.exec(`DO $do$ BEGIN
  SET session_replication_role = replica;
  CREATE TEMP TABLE f AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, ` + strconv.Itoa(families) + `) n;
  CREATE TEMP TABLE p AS SELECT gen_random_uuid() AS id, f.id AS fam, k FROM f, generate_series(0, 4) k;
  CREATE TEMP TABLE e AS SELECT gen_random_uuid() AS id, p.id AS person, p.k FROM p, generate_series(1, 8);
  INSERT INTO family (id, partnership, ref) SELECT id, 'northby', 'B-' || n FROM f;
  INSERT INTO person (id, partnership) SELECT id, 'northby' FROM p;
  INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at)
    SELECT gen_random_uuid(), fam, id, CASE WHEN k < 2 THEN 'child' ELSE 'parent' END, 'CSC', 'CSC', now() FROM p;
  INSERT INTO relationship (id, from_person, to_person, kind, supplied_by, confirmed_at)
    SELECT gen_random_uuid(), a.id, c.id, 'parent', 'CSC', now() FROM p a JOIN p c ON a.fam = c.fam AND a.k > 2 AND c.k < 2;
  INSERT INTO involvement (id, person, agency, worker, source, valid_from) SELECT gen_random_uuid(), id, 'MH', '` + me.String() + `', 'feed', '2026-01-01' FROM p WHERE k = 3;
  INSERT INTO episode (id, person, kind, valid_from, source) SELECT gen_random_uuid(), id, 'child-in-need', '2026-01-01', 'CSC' FROM p WHERE k < 2;
  INSERT INTO protection (id, person, since, set_by) SELECT gen_random_uuid(), id, '2026-01-01', 'CSC' FROM p WHERE k = 4 AND random() < 0.02;
  INSERT INTO entry (id, partnership, owner) SELECT id, 'northby', 'CSC' FROM e;
  INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, full_part)
    SELECT id, 'CSC', 1, true, 'mh-risk', 'mh-risk/1', 'CSC', 'fact', 2, now(), false, true, nextval('part_id') FROM e;
  INSERT INTO entry_subject (version, person, relation) SELECT v.id, e.person, 'about' FROM e JOIN entry_version v ON v.entry = e.id;
  SET session_replication_role = origin;
END $do$`)
	h.exec(`VACUUM ANALYZE`)
	rows, err := h.admin.Query(context.Background(), `SELECT id FROM family ORDER BY ref LIMIT 500`)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}
