package disclosure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
)

// keeping is a replica beside the hub's own door that keeps facts in memory.
func (h *hub) keeping() *disclosure.Door {
	h.t.Helper()
	kept, err := family.NewKept(10_000)
	if err != nil {
		h.t.Fatal(err)
	}
	d := *h.door
	d.Kept = kept
	return &d
}

// through reads by one door and gives what the caller can tell of the answer.
func (h *hub) through(d *disclosure.Door, as string, of uuid.UUID, purpose string) string {
	h.t.Helper()
	v, err := d.Read(context.Background(), h.people[as], disclosure.Request{Family: of, Purpose: purpose, Reason: "testing the door", RequestID: uuid.NewString()})
	var r *disclosure.Refusal
	switch {
	case errors.As(err, &r):
		return "refused: " + r.Code
	case err != nil:
		h.t.Fatalf("%s reads %s under %s: %v", as, of, purpose, err)
	}
	v.Receipt = ""
	b, err := json.Marshal(v)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// has tells whether a door has facts in memory for a read.
func (h *hub) has(d *disclosure.Door, as string, of uuid.UUID, purpose string) bool {
	p := h.people[as]
	_, ok := d.Kept.Get(of, family.Caller{Worker: p.Worker, Agency: p.Agency, Roles: p.Roles, Teams: p.Teams, Purpose: purpose, Now: d.Now()})
	return ok
}

// One of each kind gets the same of every story, whether facts are kept or not.
func TestKeptFactsGiveTheSameAnswers(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	keeping := h.keeping()
	opened := 0
	for _, as := range []string{"social-worker", "team-manager", "mh-practitioner", "detective", "health-visitor", "idva", "outsider", "auditor"} {
		for story := range h.stories {
			of := h.story(story)
			want := h.through(h.door, as, of, "FS")
			if d := cmp.Diff(want, h.through(keeping, as, of, "FS")); d != "" {
				t.Errorf("%s, %s, first (-anew +kept):\n%s", as, story, d)
			}
			if strings.HasPrefix(want, "refused") {
				continue // never from memory
			}
			opened++
			if !h.has(keeping, as, of, "FS") {
				t.Errorf("%s, %s: nothing is kept", as, story)
			}
			if d := cmp.Diff(want, h.through(keeping, as, of, "FS")); d != "" {
				t.Errorf("%s, %s, again (-anew +kept):\n%s", as, story, d)
			}
		}
	}
	if opened < 40 {
		t.Errorf("only %d reads were opened: the test looks at too little", opened)
	}
}

// What somebody changes acts with the very next read, on the replica that made
// the change and on the other, and so does taking it back.
func TestChangesReachKeptFactsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	const as, purpose = "detective", "FS"
	of := h.story(h.open(t, as, purpose))
	me := h.people[as].Worker
	replicas := []*disclosure.Door{h.keeping(), h.keeping()}
	for _, s := range []struct {
		what string
		sql  string // $1 the family, $2 the caller
	}{
		{"an agreement is suspended", `UPDATE kith.agreement_party SET state = 'suspended' WHERE agency = 'POL' AND $1::uuid <> $2::uuid`},
		{"and resumed", `UPDATE kith.agreement_party SET state = 'signed' WHERE agency = 'POL' AND $1::uuid <> $2::uuid`},
		{"the worker is suspended", `UPDATE kith.worker SET suspended = true WHERE id = $2 AND $1::uuid <> $2::uuid`},
		{"and comes back", `UPDATE kith.worker SET suspended = false WHERE id = $2 AND $1::uuid <> $2::uuid`},
		{"the agency ends", `UPDATE kith.agency SET active_until = current_date - 1 WHERE code = 'POL' AND $1::uuid <> $2::uuid`},
		{"and goes on", `UPDATE kith.agency SET active_until = NULL WHERE code = 'POL' AND $1::uuid <> $2::uuid`},
		{"an exclusion is set", `INSERT INTO kith.restriction (id, person, kind, workers, reason, valid_from, review_on)
SELECT gen_random_uuid(), m.person, 'exclusion', ARRAY[$2::uuid], 'conflict', now() - interval '1 minute', current_date + 90 FROM kith.membership m WHERE m.family = $1 AND m.role = 'child'`},
		{"and ends", `UPDATE kith.restriction SET valid_until = now() - interval '1 second', ended_why = 'over' WHERE $2 = ANY (workers) AND $1::uuid <> $2::uuid`},
		{"a conflict is declared", `INSERT INTO kith.staff_conflict (id, worker, family, kind, declared_at) VALUES (gen_random_uuid(), $2, $1, 'neighbour', now())`},
		{"and is over", `UPDATE kith.staff_conflict SET valid_until = current_date - 1 WHERE worker = $2 AND family = $1`},
		{"an entry is questioned", `UPDATE kith.entry_version v SET questioned = NOT v.questioned FROM kith.entry_subject s JOIN kith.membership m ON m.person = s.person AND m.family = $1 WHERE s.version = v.id AND v.latest AND $2::uuid <> $1`},
		{"an entry is purged", `UPDATE kith.entry_version v SET latest = false FROM kith.entry_subject s JOIN kith.membership m ON m.person = s.person AND m.family = $1 WHERE s.version = v.id AND v.section = 'identity' AND $2::uuid <> $1`},
		{"the involvements end", `UPDATE kith.involvement i SET valid_until = greatest(i.valid_from, now() - interval '1 second') FROM kith.membership m WHERE m.person = i.person AND m.family = $1 AND i.agency = 'POL' AND $2::uuid <> $1`},
	} {
		before := h.through(h.door, as, of, purpose)
		for i, d := range replicas {
			for range 2 { // the second is from memory
				if got := h.through(d, as, of, purpose); got != before {
					t.Errorf("before %s, replica %d: %s", s.what, i, cmp.Diff(before, got))
				}
			}
		}
		h.exec(s.sql, of, me)
		after := h.through(h.door, as, of, purpose)
		if after == before {
			t.Errorf("%s: nothing changed, the test looks at too little", s.what)
		}
		for i, d := range replicas {
			if got := h.through(d, as, of, purpose); got != after {
				t.Errorf("%s, replica %d (-want +got): %s", s.what, i, cmp.Diff(after, got))
			}
		}
	}
}

// A change of the active policy reaches a kept copy: no decision is logged, and
// nothing stays in memory, under the digest that was active before.
func TestKeptFactsFollowThePolicy(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	const as, purpose = "detective", "FS"
	of := h.story(h.open(t, as, purpose))
	d := h.keeping()
	h.through(d, as, of, purpose)
	p := h.people[as]
	caller := family.Caller{Worker: p.Worker, Agency: p.Agency, Purpose: purpose, Now: d.Now()}
	before, ok := d.Kept.Get(of, caller)
	if !ok {
		t.Fatal("nothing is kept")
	}
	h.exec(`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) SELECT sha256('other'), partnership, 'other', '', 'draft' FROM kith.policy_head`)
	h.exec(`UPDATE kith.policy_head SET digest = sha256('other')`)
	// The other version cannot be compiled; what comes of that is not for here.
	_, _ = d.Read(context.Background(), p, disclosure.Request{Family: of, Purpose: purpose, Reason: "r", RequestID: uuid.NewString()})
	after, _ := d.Kept.Get(of, caller)
	if after.Policy == before.Policy {
		t.Error("the copy of before is still there")
	}
}

// A moment passes while facts are kept.
func TestKeptFactsEndWithAnInvolvement(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	const as, purpose = "detective", "FS"
	of := h.story(h.open(t, as, purpose))
	d := h.keeping()
	var passed time.Duration // of the door's clock alone: the log's is checked by the database
	began := time.Now()
	d.Now = func() time.Time { return began.Add(passed) }
	if began.UTC().Add(time.Hour).Day() != began.UTC().Day() {
		passed = -time.Hour // not over midnight, which ends a copy by itself
	}
	at := began.Add(passed).Add(5 * time.Minute)
	h.exec(`UPDATE kith.involvement i SET valid_until = $2 FROM kith.membership m WHERE m.person = i.person AND m.family = $1 AND i.agency = 'POL'`, of, at)
	open := h.through(d, as, of, purpose)
	passed += 5*time.Minute - time.Second
	if got := h.through(d, as, of, purpose); got != open {
		t.Errorf("a second before its end: %s", cmp.Diff(open, got))
	}
	passed += time.Second
	if got := h.through(d, as, of, purpose); got != "refused: "+disclosure.RefusedNotFound {
		t.Errorf("at its end: %.80s", got)
	}
}

// Whatever is stirred in the borough, in whatever order: two replicas that keep
// facts answer as one that keeps nothing.
func TestKeptFactsGoWithEveryChange(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	c := newChance(41)
	replicas := []*disclosure.Door{h.keeping(), h.keeping()}
	people := column[uuid.UUID](h, `SELECT id FROM kith.person ORDER BY id`)
	families := column[uuid.UUID](h, `SELECT id FROM kith.family ORDER BY id`)
	versions := column[int64](h, `SELECT v.id FROM kith.entry_version v JOIN kith.entry e ON e.id = v.entry WHERE v.latest ORDER BY e.id`)
	workers := []uuid.UUID{h.people["detective"].Worker, h.people["mh-practitioner"].Worker, h.people["social-worker"].Worker}
	agencies := []string{"CSC", "MH", "POL", "HV"}
	changes := []func(){
		func() {
			h.exec(`INSERT INTO kith.restriction (id, person, kind, workers, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', $3, 'stirred', '2020-01-01', '2030-01-01')`, c.id(), pick(c, people), []uuid.UUID{pick(c, workers)})
		},
		func() {
			h.exec(`UPDATE kith.restriction SET valid_until = now() - interval '1 second', ended_why = 'x' WHERE id IN (SELECT id FROM kith.restriction WHERE valid_until IS NULL AND valid_from < now() - interval '1 minute' ORDER BY id LIMIT 2)`)
		},
		func() {
			h.exec(`INSERT INTO kith.protection (id, person, since, set_by) VALUES ($1, $2, '2021-01-01', 'CSC')`, c.id(), pick(c, people))
		},
		func() {
			h.exec(`INSERT INTO kith.involvement (id, person, agency, worker, source, valid_from) SELECT $1, $2, w.agency, w.id, 'allocation', '2024-01-01' FROM kith.worker w WHERE w.id = $3`, c.id(), pick(c, people), pick(c, workers))
		},
		func() {
			h.exec(`UPDATE kith.involvement SET valid_until = greatest(valid_from, now() - interval '1 second') WHERE person = $1`, pick(c, people))
		},
		func() {
			h.exec(`INSERT INTO kith.membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at) VALUES ($1, $2, $3, $4, 'CSC', 'CSC', now())`, c.id(), pick(c, families), pick(c, people), pick(c, []string{"contact", "household", "parent"}))
		},
		func() {
			h.exec(`INSERT INTO kith.entry_subject (version, person, relation) VALUES ($1, $2, 'mentions') ON CONFLICT DO NOTHING`, pick(c, versions), pick(c, people))
		},
		func() {
			h.exec(`UPDATE kith.entry_version SET questioned = NOT questioned WHERE id = $1`, pick(c, versions))
		},
		func() {
			h.exec(`UPDATE kith.agreement_party SET state = CASE state WHEN 'signed' THEN 'suspended' ELSE 'signed' END WHERE agency = $1`, pick(c, agencies))
		},
		func() {
			h.exec(`INSERT INTO kith.told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', $3, $4, 'told', current_date)`, c.id(), pick(c, people), pick(c, agencies), pick(c, []string{"agreed", "withdrawn", "declined"}))
		},
		func() {
			h.exec(`UPDATE kith.worker SET suspended = NOT suspended WHERE id = $1`, pick(c, workers))
		},
		func() {
			h.exec(`INSERT INTO kith.access_grant (id, person, agency, worker, section, level, reason, giver, valid_from, valid_until)
SELECT $1, $2, w.agency, w.id, $4, 'full', 'stirred', 'CSC', now() - interval '1 minute', now() + interval '1 day' FROM kith.worker w WHERE w.id = $3`, c.id(), pick(c, people), pick(c, workers), pick(c, []string{"mh-risk", "case-summary", "marac"}))
		},
	}
	signs := []string{"detective", "mh-practitioner", "social-worker", "health-visitor"}
	fromMemory, shown := 0, 0
	for range 80 {
		pick(c, changes)()
		for range 4 {
			as, of := pick(c, signs), pick(c, families)
			want := h.through(h.door, as, of, "FS")
			if want[0] == '{' {
				shown++
			}
			for i, d := range replicas {
				if h.has(d, as, of, "FS") {
					fromMemory++
				}
				if got := h.through(d, as, of, "FS"); got != want {
					t.Fatalf("%s reads %s by replica %d (-anew +kept): %s", as, of, i, cmp.Diff(want, got))
				}
			}
		}
	}
	if fromMemory < 20 || shown < 40 {
		t.Errorf("%d reads began from memory, %d showed something: the test looks at too little", fromMemory, shown)
	}
}

// Many read one family from one copy, and nobody changes it for the others.
func TestKeptFactsAreShared(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	const as, purpose = "social-worker", "FS"
	of := h.story(h.open(t, as, purpose))
	d := h.keeping()
	want := h.through(d, as, of, purpose)
	p := h.people[as]
	caller := family.Caller{Worker: p.Worker, Agency: p.Agency, Purpose: purpose, Now: d.Now()}
	kept, _ := d.Kept.Get(of, caller)
	before := fmt.Sprintf("%#v", kept.Entries)
	var group sync.WaitGroup
	got := make([]string, 8)
	for i := range got {
		group.Go(func() {
			for range 5 {
				v, err := d.Read(context.Background(), p, disclosure.Request{Family: of, Purpose: purpose, Reason: "testing the door", RequestID: uuid.NewString()})
				if err != nil {
					t.Error(err)
					return
				}
				got[i] = string(bytesOf(t, v))
			}
		})
	}
	group.Wait()
	for i, g := range got {
		if g != want {
			t.Errorf("reader %d: %s", i, cmp.Diff(want, g))
		}
	}
	if after := fmt.Sprintf("%#v", kept.Entries); after != before {
		t.Error("reading changed what is kept")
	}
}
