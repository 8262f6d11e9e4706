package tree

import (
	"bytes"
	"testing"

	"github.com/google/uuid"

	"kith/internal/audit"
)

// After an erasure the person is gone, every proof holds, and the verifier
// says what was erased.
func TestErasureLeavesEveryProofValid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := lead(t, b.tree(t))
	person, other, family := uuid.New(), uuid.New(), uuid.New()
	var receipts []audit.Receipt
	for range 3 {
		e := event()
		e.Subjects, e.Family = []uuid.UUID{person, other}, family
		r, err := b.recorder.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	round(t, s)
	keeper := audit.Keeper{Pool: b.db.Pool(t, "retention"), Recorder: b.recorder}
	why := event()
	why.Subjects = nil
	if _, err := keeper.Erase(t.Context(), why, person); err == nil {
		t.Error("erased without a reason")
	}
	why.Reason = "request of the person, article 17"

	hold, err := keeper.Place(t.Context(), audit.Hold{Family: family, Reason: "care proceedings"})
	if err != nil {
		t.Fatal(err)
	}
	if done, err := keeper.Erase(t.Context(), why, person); err != nil || done.Events != 0 || done.Held != 3 {
		t.Errorf("under a hold: %+v, %v", done, err)
	}
	if err := keeper.Lift(t.Context(), hold); err != nil {
		t.Fatal(err)
	}
	if err := keeper.Lift(t.Context(), hold); err == nil {
		t.Error("lifted twice")
	}
	done, err := keeper.Erase(t.Context(), why, person)
	if err != nil || done.Events != 3 || done.Held != 0 {
		t.Fatalf("erase: %+v, %v", done, err)
	}
	round(t, s)
	b.provable(t, s.tree, receipts...)
	file := b.export(t, audit.AuditorScope())
	if r := b.verify(t, file); !r.Good() || r.Erased != 3 || r.Shown != 5 {
		t.Errorf("%d shown, %d erased, %v", r.Shown, r.Erased, r.First)
	}
	for name, id := range map[string]uuid.UUID{"erased": person, "other": other} {
		var found bool
		err := b.admin.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM access_event e, unnest(subject_parts) p
			WHERE subjects @> ARRAY[$1::uuid] OR position(convert_to($1::text, 'UTF8') IN p) > 0)`, id).Scan(&found)
		if err != nil || found != (name == "other") {
			t.Errorf("%s: found %v, %v", name, found, err)
		}
	}
	if bytes.Contains(file, []byte(person.String())) {
		t.Error("the export names the erased person")
	}
	if n := b.count(t, `SELECT count(*) FROM access_event WHERE kind = 'erasure'`); n != 2 {
		t.Errorf("%d certificates", n)
	}
	for _, sql := range []string{`UPDATE kith.access_event SET input = NULL`, `DELETE FROM kith.access_event`, `DELETE FROM kith.log_hold`, `SELECT common FROM kith.access_event`} {
		if _, err := keeper.Pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("the retention role may: %s", sql)
		}
	}
	for _, role := range []string{"app", "auditor", "sequencer"} {
		if _, err := b.db.Pool(t, role).Exec(t.Context(), `SELECT kith.erase_from_log(gen_random_uuid())`); err == nil {
			t.Errorf("%s may erase", role)
		}
	}
}
