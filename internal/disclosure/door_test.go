package disclosure_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
)

// sections gives the parts of the record that a view shows, with the levels in them.
func sections(v disclosure.View) map[string][]string {
	out := map[string][]string{}
	for _, s := range v.Sections {
		for _, e := range s.Entries {
			out[s.Section] = append(out[s.Section], e.Level.String())
		}
	}
	return out
}

func refusal(t *testing.T, err error) *disclosure.Refusal {
	t.Helper()
	var r *disclosure.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("want a refusal, got %v", err)
	}
	return r
}

// bytesOf is what a face would write, less what differs by chance.
func bytesOf(t *testing.T, v disclosure.View) []byte {
	t.Helper()
	v.Receipt = ""
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTwoAgenciesSeeTwoRecords(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	compared := 0
	for story := range h.stories {
		mh, err := h.read("mh-practitioner", story, "FS")
		if err != nil {
			continue
		}
		pol, err := h.read("detective", story, "FS")
		if err != nil {
			continue
		}
		compared++
		if bytes.Equal(bytesOf(t, mh), bytesOf(t, pol)) {
			t.Errorf("%s: mental health and police see the same", story)
		}
		if got := sections(pol); len(got["mh-clinical"]) > 0 || len(got["mh-risk"]) > 0 {
			t.Errorf("%s: police see %v of mental health under FS", story, got)
		}
		for _, v := range []disclosure.View{mh, pol} {
			if v.Receipt == "" || v.Notice.Text == "" || v.Notice.Call.Mash == "" {
				t.Errorf("%s: an answer without receipt or notice", story)
			}
			for _, s := range v.Sections {
				for _, e := range s.Entries {
					if len(e.Clauses) == 0 && e.Grant == "" && e.Owner != "MH" && e.Owner != "POL" {
						t.Errorf("%s: entry of %s in %s is shown and no clause allows it", story, e.Owner, s.Section)
					}
				}
			}
		}
	}
	if compared < 10 {
		t.Errorf("only %d stories are open to both", compared)
	}
}

func TestEveryReadIsInTheLogBeforeItsContentIsOut(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	request := uuid.NewString()
	story := h.story(h.open(t, "social-worker", "FS"))
	v, err := h.ask("social-worker", disclosure.Request{Family: story, Purpose: "FS", RequestID: request, Reason: "meeting at two"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	events, _, err := h.log.List(ctx, audit.AuditorScope(), audit.Filter{Family: story}, audit.Page{Limit: 10})
	if err != nil || len(events) == 0 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	i := slices.IndexFunc(events, func(e audit.Record) bool { return e.Request == request })
	if i < 0 {
		t.Fatal("the read is not in the log")
	}
	e := events[i]
	entries := 0
	for _, s := range v.Sections {
		entries += len(s.Entries)
	}
	if e.Purpose != "FS" || e.Outcome != audit.OutcomeReleased || e.Reason != "meeting at two" || e.Count != entries || e.Receipt != v.Receipt {
		t.Errorf("event says purpose %s, outcome %s, %d entries; the answer had %d", e.Purpose, e.Outcome, e.Count, entries)
	}
}

// open finds a story that somebody can read under a purpose.
func (h *hub) open(t *testing.T, as, purpose string) string {
	t.Helper()
	var keys []string
	for k := range h.stories {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if _, err := h.read(as, k, purpose); err == nil {
			return k
		}
	}
	t.Fatalf("no story is open to %s under %s", as, purpose)
	return ""
}

func TestUnknownAndForbiddenAreOneAnswer(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	unknown := disclosure.Request{Family: uuid.MustParse("00000000-0000-4000-8000-000000000001"), Purpose: "FS", Reason: "r", RequestID: uuid.NewString()}
	_, err := h.ask("detective", unknown)
	absent := refusal(t, err)
	seen := 0
	for story := range h.stories {
		_, err := h.read("detective", story, "FS")
		if err == nil {
			continue
		}
		seen++
		hidden := refusal(t, err)
		hidden.Receipt, absent.Receipt = "", ""
		if diff := cmp.Diff(absent, hidden); diff != "" {
			t.Errorf("%s: the answer tells hidden from absent:\n%s", story, diff)
		}
	}
	if seen == 0 {
		t.Error("no story is closed to the detective: nothing was compared")
	}
	events, _, err := h.log.List(context.Background(), audit.AuditorScope(), audit.Filter{Outcome: audit.OutcomeNotFound}, audit.Page{Limit: 100})
	if err != nil || len(events) != seen+1 {
		t.Errorf("%d refusals are in the log, want %d (%v)", len(events), seen+1, err)
	}
}

// Promise 3: removing a hidden entry from the database changes no byte of any
// answer. Every entry that an answer neither showed nor counted among the
// holders is removed, for each caller in turn.
func TestRemovingWhatIsHiddenChangesNoByte(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ctx := context.Background()
	callers := []string{"mh-practitioner", "detective", "perpetrator-practitioner", "housing-officer", "safeguarding-lead", "idva", "social-worker"}
	removed := 0
	for _, as := range callers {
		for story := range h.stories {
			for _, purpose := range []string{"FS", "CP"} {
				before, err := h.read(as, story, purpose)
				if err != nil {
					continue
				}
				if len(before.Holders) > 0 {
					continue // which entries made a holder is not in the answer
				}
				tx, err := h.admin.Begin(ctx)
				if err != nil {
					t.Fatal(err)
				}
				shown := []uuid.UUID{}
				for _, s := range before.Sections {
					for _, e := range s.Entries {
						shown = append(shown, e.ID)
					}
				}
				// Taken out of the facts by hand and put back after: entries of this
				// family's people that the answer did not show.
				rows, err := tx.Query(ctx, `
UPDATE kith.entry_version v SET latest = false
 WHERE v.latest AND NOT v.entry = ANY ($2)
   AND EXISTS (SELECT 1 FROM kith.entry_subject s JOIN kith.membership m ON m.person = s.person WHERE s.version = v.id AND m.family = $1)
RETURNING v.id`, before.Family, shown)
				if err != nil {
					t.Fatal(err)
				}
				var ids []int64
				for rows.Next() {
					var id int64
					if err := rows.Scan(&id); err != nil {
						t.Fatal(err)
					}
					ids = append(ids, id)
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
				if err := tx.Commit(ctx); err != nil {
					t.Fatal(err)
				}
				removed += len(ids)
				after, err := h.read(as, story, purpose)
				if err != nil {
					t.Fatalf("%s, %s, %s: after removal: %v", as, story, purpose, err)
				}
				if diff := cmp.Diff(string(bytesOf(t, before)), string(bytesOf(t, after))); diff != "" {
					t.Errorf("%s, %s, %s: removing %d hidden entries shows:\n%s", as, story, purpose, len(ids), diff)
				}
				h.exec(`UPDATE kith.entry_version SET latest = true WHERE id = ANY ($1)`, ids)
			}
		}
	}
	if removed < 100 {
		t.Errorf("only %d hidden entries were removed: the test looks at too little", removed)
	}
}

func TestAnExclusionActsAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.open(t, "detective", "FS")
	worker := h.people["detective"].Worker
	h.exec(`INSERT INTO kith.restriction (id, person, kind, workers, reason, valid_from, review_on)
SELECT gen_random_uuid(), m.person, 'exclusion', ARRAY[$2::uuid], 'conflict came up', now() - interval '1 minute', current_date + 90
  FROM kith.membership m WHERE m.family = $1 AND m.role = 'child'`, h.story(story), worker)
	_, err := h.read("detective", story, "FS")
	if r := refusal(t, err); r.Code != disclosure.RefusedNotFound {
		t.Errorf("an exclusion answers %s", r.Code)
	}
}

func TestEndingAnAgreementClosesAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.open(t, "detective", "FS")
	h.exec(`UPDATE kith.agreement_party SET state = 'suspended' WHERE agency = 'POL' AND agreement = 'isa-family-safeguarding'`)
	_, err := h.read("detective", story, "FS")
	if r := refusal(t, err); r.Code != disclosure.RefusedNoAgreement {
		t.Errorf("a suspended agreement answers %s", r.Code)
	}
}

func TestEndedWorkerIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.open(t, "detective", "FS")
	h.exec(`UPDATE kith.worker SET active_until = current_date - 1, active_from = current_date - 700 WHERE id = $1`, h.people["detective"].Worker)
	if _, err := h.read("detective", story, "FS"); err == nil {
		t.Error("a worker whose access ended reads on")
	}
}

func TestPurposeRefusalsDependOnTheCallerAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.open(t, "social-worker", "FS")
	for _, c := range []struct{ as, purpose, want string }{
		{"social-worker", "", disclosure.RefusedPurpose},
		{"social-worker", "XX", disclosure.RefusedPurpose},
		{"social-worker", "VI", disclosure.RefusedEmergency},
		{"outsider", "FS", disclosure.RefusedNoAgreement},
		{"admin", "FS", disclosure.RefusedRole},
		{"auditor", "AU", disclosure.RefusedRole},
	} {
		for _, family := range []uuid.UUID{h.story(story), uuid.New()} {
			_, err := h.ask(c.as, disclosure.Request{Family: family, Purpose: c.purpose, Reason: "r", RequestID: uuid.NewString()})
			r := refusal(t, err)
			if r.Code != c.want {
				t.Errorf("%s, purpose %q: %s, want %s", c.as, c.purpose, r.Code, c.want)
			}
			if c.want == disclosure.RefusedPurpose && len(r.Purposes) == 0 {
				t.Errorf("%s, purpose %q: no purposes are offered", c.as, c.purpose)
			}
		}
	}
}

func TestALogThatCannotBeWrittenShowsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.open(t, "social-worker", "FS")
	h.exec(`CREATE FUNCTION kith.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left'; END $$`)
	h.exec(`GRANT EXECUTE ON FUNCTION kith.full_disk() TO PUBLIC`)
	h.exec(`CREATE TRIGGER full_disk BEFORE INSERT ON kith.access_event FOR EACH ROW EXECUTE FUNCTION kith.full_disk()`)
	for _, purpose := range []string{"FS", "VI", "XX"} {
		v, err := h.read("social-worker", story, purpose)
		if !errors.Is(err, audit.ErrNotLogged) || len(v.Sections) > 0 || v.Ref != "" {
			t.Errorf("purpose %s: %v, %d sections", purpose, err, len(v.Sections))
		}
	}
	h.exec(`DROP TRIGGER full_disk ON kith.access_event`)
	if _, err := h.read("social-worker", story, "FS"); err != nil {
		t.Errorf("the log is back, the reads are not: %v", err)
	}
}

func TestTheClientThatHangsUpIsLoggedAllTheSame(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.story(h.open(t, "social-worker", "FS"))
	h.exec(`DELETE FROM kith.access_event`)
	h.exec(`CREATE FUNCTION kith.slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$`)
	h.exec(`GRANT EXECUTE ON FUNCTION kith.slow() TO PUBLIC`)
	h.exec(`CREATE TRIGGER slow BEFORE INSERT ON kith.access_event FOR EACH ROW EXECUTE FUNCTION kith.slow()`)
	ctx, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	done := make(chan error, 1)
	go func() {
		_, err := h.door.Read(ctx, h.people["social-worker"], disclosure.Request{Family: story, Purpose: "FS", Reason: "r", RequestID: uuid.NewString()})
		done <- err
	}()
	// The client goes while the row is being written, not before and not after.
	for writing := 0; writing == 0; time.Sleep(5 * time.Millisecond) {
		if err := h.admin.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`).Scan(&writing); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("the read ended before its row was written: %v", err)
		default:
		}
	}
	hangUp()
	if err := <-done; err != nil {
		t.Errorf("a logged read was broken off by its client: %v", err)
	}
	var logged int
	if err := h.admin.QueryRow(context.Background(), `SELECT count(*) FROM kith.access_event WHERE family = $1 AND outcome = 'released'`, story).Scan(&logged); err != nil {
		t.Fatal(err)
	}
	if logged != 1 {
		t.Errorf("%d rows are in the log, want 1", logged)
	}
}
