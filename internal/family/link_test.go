package family

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

func (h *house) recordOf(agency, local string) (record, person uuid.UUID) {
	h.t.Helper()
	err := h.admin.QueryRow(context.Background(), `SELECT r.id, l.person FROM source_record r JOIN person_link l ON l.record = r.id AND l.ended_at IS NULL WHERE r.agency = $1 AND r.local_id = $2`, agency, local).Scan(&record, &person)
	if err != nil {
		h.t.Fatal(err)
	}
	return record, person
}

// Two agencies' records of one child become one person, and two again, with
// everything that came with each.
func TestLinkMovesWhatCameWithTheRecordAndBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", child("K"), openWork("K"))
	h.mustGive("SCH", child("pupil 9"), Record{Entry: story("S", "pupil 9")},
		Record{Involvement: &InvolvementRecord{LocalID: "I", Person: "pupil 9", Team: "Safeguarding", From: "2026-01-01"}})
	_, kim := h.recordOf("CSC", "K")
	record, alone := h.recordOf("SCH", "pupil 9")
	fam := h.familyOf("K")
	h.run(`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', 'high profile', '2026-01-01', '2027-01-01')`, uuid.New(), alone)
	caller := Caller{Worker: h.worker("SCH"), Agency: "SCH"}
	if f := h.load(fam, caller); len(f.Entries)+len(f.Involvements) != 0 {
		t.Fatalf("before the link: %+v", f)
	}
	stamp := h.load(fam, caller).Stamp
	inTx := func(do func(tx pgx.Tx) error) error { return postgres.InTx(t.Context(), h.app, do) }
	by := h.worker("CSC")
	if err := inTx(func(tx pgx.Tx) error { return Link(t.Context(), tx, record, kim, by, "same UPN") }); err != nil {
		t.Fatal(err)
	}
	f := h.load(fam, caller)
	if len(f.Entries) != 1 || f.Entries[0].About[0] != kim || len(f.Involvements) != 1 || f.Stamp <= stamp {
		t.Errorf("linked: %+v", f)
	}
	if len(f.Restricted) != 1 {
		t.Error("the link opened a restricted record")
	}
	var back uuid.UUID
	err := inTx(func(tx pgx.Tx) (err error) {
		back, err = Unlink(t.Context(), tx, record, by, "another child")
		return err
	})
	if err != nil || back != alone {
		t.Fatalf("unlink: %v, %v", back, err)
	}
	if f := h.load(fam, caller); len(f.Entries)+len(f.Involvements) != 0 || len(f.Episodes) != 1 {
		t.Errorf("after the link was taken back: %+v", f)
	}
	if n := h.count(`SELECT count(*) FROM person_link WHERE record = $1`, record); n != 3 {
		t.Errorf("%d links are remembered, want 3", n)
	}

	// A record that was never anybody else becomes a person of its own.
	first, _ := h.recordOf("CSC", "K")
	err = inTx(func(tx pgx.Tx) (err error) {
		back, err = Unlink(t.Context(), tx, first, by, "typed into the wrong file")
		return err
	})
	if err != nil || back == kim || back == alone {
		t.Errorf("unlink of a first link: %v, %v", back, err)
	}
	if err := inTx(func(tx pgx.Tx) error { return Link(t.Context(), tx, record, kim, by, " ") }); !errors.Is(err, ErrNoReason) {
		t.Errorf("without a reason: %v", err)
	}
	if err := inTx(func(tx pgx.Tx) error { return Link(t.Context(), tx, uuid.New(), kim, by, "why") }); !errors.Is(err, ErrNoRecord) {
		t.Errorf("unknown record: %v", err)
	}
}
