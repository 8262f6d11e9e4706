package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
	"kith/internal/postgres/pgtest"
)

// refusesService: a 503 that says nothing of any record.
func refusesService(t *testing.T, what string, r reply) {
	t.Helper()
	if r.status != http.StatusServiceUnavailable || len(r.body) > 2000 || bytes.Contains(r.body, []byte(`"sections"`)) || bytes.Contains(r.body, []byte(`"content"`)) ||
		r.receipt() != "" || r.header.Get("Retry-After") == "" {
		t.Errorf("%s: status %d, %d bytes, receipt %q", what, r.status, len(r.body), r.receipt())
	}
}

// Where the log cannot be written no route does anything: 503, and no data.
func TestNothingWithoutTheLog(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	b.plant(t)
	family := hub.openTo(t, "social-worker", "FS")
	b.exec(t, `CREATE FUNCTION kith.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no space left'; END $$`)
	b.exec(t, `GRANT EXECUTE ON FUNCTION kith.full_disk() TO PUBLIC`)
	b.exec(t, `CREATE TRIGGER full_disk BEFORE INSERT ON kith.access_event FOR EACH ROW EXECUTE FUNCTION kith.full_disk()`)
	for _, purpose := range []string{"FS", "CP", "VI", "ZZ"} {
		refusesService(t, "a family under "+purpose, hub.send(t, b.reading(t, "social-worker", family, purpose)))
	}
	refusesService(t, "an unknown family", hub.send(t, b.reading(t, "social-worker", uuid.New(), "FS")))
	for _, op := range hub.operations(t) {
		if op.open || namesNobody(op) {
			continue
		}
		for _, as := range []string{"social-worker", "team-manager", "auditor", "privacy-officer-mh", "ig-approver-csc", "system-csc"} {
			c := call{method: op.method, path: parameter.ReplaceAllString(op.path, family.String()), bearer: b.token(t, as),
				header: map[string]string{"Kith-Purpose": "FS", "Kith-Reason": "a test of faults", "Idempotency-Key": uuid.NewString()}}
			if op.method != http.MethodGet {
				c.header["Content-Type"], c.body = "application/json", fmt.Sprintf(`{"family":%q,"family_name":"Smith","given_name":"Ann"}`, family)
				if op.id == "contribute" {
					c.header["Content-Type"], c.body = "application/x-ndjson", "{}\n"
				}
			}
			r := hub.send(t, c)
			if r.status < 400 || len(canariesIn(r.body)) > 0 || r.receipt() != "" {
				t.Errorf("%s %s as %s: status %d, receipt %q: %.200s", op.method, op.path, as, r.status, r.receipt(), r.body)
			}
		}
	}
	b.exec(t, `DROP TRIGGER full_disk ON kith.access_event`)
	if r := hub.send(t, b.reading(t, "social-worker", family, "FS")); r.status != http.StatusOK {
		t.Errorf("the log is back, and the answer is %d", r.status)
	}
}

// namesNobody: to look at the log's tree, at a policy or at an agreement is no
// event, since no person stands in it. Changing one is.
func namesNobody(op operation) bool {
	if op.method != http.MethodGet {
		return false
	}
	return slices.ContainsFunc([]string{"/v1/log/", "/v1/policies", "/v1/agreements"}, func(p string) bool { return strings.HasPrefix(op.path, p) })
}

// PostgreSQL dies and comes back: 503, not ready, and then service again
// without a restart of the hub.
func TestPostgreSQLDiesAndComesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.NewServer(t)
	b := boroughIn(t, server.New(t))
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	ready := func() int {
		res, err := http.Get(hub.private + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for range 2 {
		if got := ready(); got != http.StatusOK {
			t.Errorf("before: /readyz says %d", got)
		}
		server.Kill()
		began := time.Now()
		refusesService(t, "without a database", hub.send(t, b.reading(t, "social-worker", family, "FS")))
		if took := time.Since(began); took > 12*time.Second {
			t.Errorf("it took %s to say so", took)
		}
		if got := ready(); got != http.StatusServiceUnavailable {
			t.Errorf("without a database: /readyz says %d", got)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 20*time.Second, "service", func() bool { return hub.send(t, b.reading(t, "social-worker", family, "FS")).status == http.StatusOK })
		eventually(t, 20*time.Second, "readiness", func() bool { return ready() == http.StatusOK })
	}
}

// Clients that hang up at any moment leave whole rows, no open transaction, no
// lost connection, and a hub that serves.
func TestClientsThatHangUp(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	before := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE outcome = 'released'`)
	var wait sync.WaitGroup
	for range 60 {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(60_000))*time.Microsecond)
			defer cancel()
			_, _ = hub.try(ctx, b.reading(t, "social-worker", family, "FS")) // gone or not, as it comes
		})
	}
	wait.Wait()
	eventually(t, 15*time.Second, "no transaction left open", func() bool {
		return one[int](t, b, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'kith_app' AND state LIKE 'idle in transaction%'`) == 0
	})
	for range 20 { // more than the pool has connections
		wait.Go(func() {
			if r, err := hub.try(context.Background(), b.reading(t, "social-worker", family, "FS")); err != nil || r.status != http.StatusOK {
				t.Errorf("afterwards: status %d, %v", r.status, err)
			}
		})
	}
	wait.Wait()
	if after := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE outcome = 'released'`); after < before+20 {
		t.Errorf("%d rows, there were %d", after, before)
	}
}

// heldOpen is how long the transaction of another role stays open (faults.md §6).
const heldOpen = time.Minute

// A write transaction that another role holds open for a minute holds up
// neither the reads nor the tree: every receipt is provable while it is open.
func TestALongWriteTransaction(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	tx, err := b.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), `INSERT INTO kith.alert (id, partnership, kind) VALUES ($1, 'northby', 'test')`, uuid.New()); err != nil {
		t.Fatal(err)
	}
	// What holds the horizon back, and would stall whoever waits for it.
	var held int64
	if err := tx.QueryRow(t.Context(), `SELECT pg_current_xact_id()::text::bigint`).Scan(&held); err != nil {
		t.Fatal(err)
	}
	keys := proof.NewKeys(b.keys(t)...)
	var receipts []string
	began := time.Now()
	for quarter := range 4 {
		for time.Since(began) < time.Duration(quarter+1)*heldOpen/4 {
			r := hub.send(t, b.reading(t, "social-worker", family, "FS"))
			if r.status != http.StatusOK {
				t.Fatalf("status %d after %s", r.status, time.Since(began))
			}
			receipts = append(receipts, r.receipt())
			time.Sleep(200 * time.Millisecond)
		}
		b.sequenced(t)
	}
	if now := one[int64](t, b, `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint`); now > held {
		t.Fatalf("the horizon is at %d, past %d: nothing was tried", now, held)
	}
	if len(receipts) < 20 {
		t.Errorf("%d reads in %s", len(receipts), heldOpen)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sequenced(t)
	for _, receipt := range receipts {
		if _, err := b.inLog(receipt, keys); err != nil {
			t.Error(err)
		}
	}
}

// What is ended at one hub is refused by the other in the very next request.
func TestTwoHubsAgreeAtOnce(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	first, other := b.open(t, "hub-1"), b.open(t, "hub-2")
	status := func(h *replica, as string, family uuid.UUID, purpose string) int {
		return h.send(t, b.reading(t, as, family, purpose)).status
	}
	write := func(as, path, body string) {
		t.Helper()
		r := first.send(t, call{method: http.MethodPost, path: path, bearer: b.token(t, as), body: body,
			header: map[string]string{"Content-Type": "application/json", "Idempotency-Key": uuid.NewString(), "Kith-Purpose": "FS"}})
		if r.status >= 300 {
			t.Fatalf("%s: status %d: %s", path, r.status, r.body)
		}
	}
	family := other.openTo(t, "social-worker", "FS")
	for range 3 { // whatever a hub keeps, it keeps now
		if got := status(other, "mh-practitioner", family, "FS"); got != http.StatusOK {
			t.Fatalf("before: status %d", got)
		}
	}

	// A worker ended.
	ended := b.accounts["emergency-duty"]
	duty := other.openTo(t, "emergency-duty", "FS")
	write("team-manager", "/v1/workers", fmt.Sprintf(`{"worker":%q,"action":"end","reason":"left the council"}`, ended.Worker))
	if got := status(other, "emergency-duty", duty, "FS"); got != http.StatusForbidden {
		t.Errorf("a worker who was ended at the first hub: status %d at the second", got)
	}

	// A person restricted to nobody: whoever is about them is closed.
	child := one[string](t, b, `SELECT m.person::text FROM kith.membership m WHERE m.family = $1 AND m.role = 'child' ORDER BY 1 LIMIT 1`, family)
	before := other.send(t, b.reading(t, "mh-practitioner", family, "FS"))
	write("team-manager", "/v1/people/"+child+"/restrictions", fmt.Sprintf(`{"kind":"restriction","workers":[],"reason":"high profile","review_on":%q}`,
		time.Now().AddDate(0, 0, 60).Format(time.DateOnly)))
	after := other.send(t, b.reading(t, "mh-practitioner", family, "FS"))
	if after.status == http.StatusOK && bytes.Count(after.body, []byte(child)) >= bytes.Count(before.body, []byte(child)) {
		t.Errorf("a restricted child: status %d, named %d times, before %d", after.status, bytes.Count(after.body, []byte(child)), bytes.Count(before.body, []byte(child)))
	}

	// An agreement suspended by one party, for its own part.
	police := other.openTo(t, "detective", "FS")
	write("ig-approver-pol", "/v1/agreements/isa-family-safeguarding/suspensions", `{"reason":"a breach was reported"}`)
	if got := status(other, "detective", police, "FS"); got != http.StatusForbidden {
		t.Errorf("after the agreement was suspended: status %d", got)
	}
	b.sequenced(t) // each hub's receipts are good in the other's eyes
}
