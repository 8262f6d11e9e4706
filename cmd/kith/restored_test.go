package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/demo"
)

// verifier is kith-verify, built as an auditor has it.
type verifier struct{ path string }

func newVerifier(t *testing.T) verifier {
	t.Helper()
	v := verifier{filepath.Join(t.TempDir(), "kith-verify")}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", v.path, "kith/cmd/kith-verify").CombinedOutput(); err != nil {
		t.Fatalf("build kith-verify: %v\n%s", err, out)
	}
	return v
}

func (v verifier) run(t *testing.T, args ...string) (status int, out string) {
	t.Helper()
	raw, err := exec.CommandContext(t.Context(), v.path, args...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if ended != nil {
		status = ended.ExitCode()
	}
	return status, string(raw)
}

// good runs it and wants status 0 and each of says.
func (v verifier) good(t *testing.T, args []string, says ...string) {
	t.Helper()
	status, out := v.run(t, args...)
	if status != 0 {
		t.Errorf("kith-verify %s: status %d\n%s", strings.Join(args, " "), status, out)
	}
	for _, want := range says {
		if !strings.Contains(out, want) {
			t.Errorf("kith-verify %s does not say %q:\n%s", strings.Join(args, " "), want, out)
		}
	}
}

// keep writes a file of its own.
func keep(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// logTables are what a backup has of the log.
func logTables() []string {
	return []string{"access_event", "log_head", "log_tile", "log_checkpoint", "log_leaf"}
}

// backup keeps the log's tables as they are under a checkpoint of all that is in
// the tree, and gives its size.
func (b *borough) backup(t *testing.T) (size int64) {
	t.Helper()
	b.sequenced(t)
	var signed int64
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := pgx.BeginTxFunc(context.Background(), b.admin, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
			for _, table := range logTables() {
				if _, err := tx.Exec(context.Background(), `DROP TABLE IF EXISTS kith.yesterday_`+table+`; CREATE TABLE kith.yesterday_`+table+` AS TABLE kith.`+table); err != nil {
					return err
				}
			}
			return tx.QueryRow(context.Background(), `SELECT size, checkpoint_size FROM kith.yesterday_log_head`).Scan(&size, &signed)
		})
		if err != nil {
			t.Fatal(err)
		}
		if size == signed {
			return size
		}
		if time.Now().After(end) {
			t.Fatal("the log is never signed whole")
		}
	}
}

// rollBack turns the log's tables back to the backup.
func (b *borough) rollBack(t *testing.T) {
	t.Helper()
	b.exec(t, `SET session_replication_role = replica; TRUNCATE kith.log_leaf, kith.log_tile, kith.log_checkpoint, kith.log_head CASCADE; DELETE FROM kith.access_event;
		INSERT INTO kith.log_head SELECT * FROM kith.yesterday_log_head; INSERT INTO kith.log_tile SELECT * FROM kith.yesterday_log_tile;
		INSERT INTO kith.log_checkpoint SELECT * FROM kith.yesterday_log_checkpoint; INSERT INTO kith.log_leaf SELECT * FROM kith.yesterday_log_leaf;
		INSERT INTO kith.access_event SELECT * FROM kith.yesterday_access_event; SET session_replication_role = DEFAULT`)
}

// reads makes n reads that find nothing, which are events too, and gives their
// receipts.
func (r *replica) reads(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		got := r.send(t, r.b.reading(t, "social-worker", uuid.New(), "FS"))
		if out[i] = got.receipt(); got.status != http.StatusNotFound || out[i] == "" {
			t.Fatalf("status %d, receipt %q: %.300s", got.status, out[i], got.body)
		}
	}
	return out
}

// restored is a hub whose database was turned back, and whose log two officers
// resumed by command.
type restored struct {
	*replica
	size int64    // of the older log, as it was restored
	lost []string // receipts that were given out, and whose events are gone
}

func (b *borough) restored(t *testing.T, r *replica, file string, edit ...func(*hubConfig)) restored {
	t.Helper()
	open := b.reading(t, "social-worker", r.openTo(t, "social-worker", "FS"), "FS")
	out := restored{size: b.backup(t)}
	out.lost = r.reads(t, 3)
	eventually(t, 30*time.Second, "what is lost was published", func() bool {
		note, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		cp, err := proof.PeekCheckpoint(note)
		return err == nil && cp.Size >= out.size+3
	})
	r.stop()
	b.rollBack(t)
	out.replica = b.open(t, "hub-1", append(edit, func(c *hubConfig) { c.Tree.File = file })...)
	refused := func(when string) {
		t.Helper()
		if got := out.send(t, open); got.status != http.StatusServiceUnavailable {
			t.Fatalf("%s: a read has status %d: %s", when, got.status, got.body)
		}
	}
	resume := func(as string, status int, says string) {
		t.Helper()
		if got, text := out.audit(t, out.url, as, "resume", "--reason", "restored last night's backup"); got != status || !strings.Contains(text, says) {
			t.Fatalf("resume by %s: %d\n%s", as, got, text)
		}
	}
	refused("after the restore")
	resume("social-worker", 1, "Not for this caller")
	resume("auditor", 0, "it was rolled back")
	resume("auditor", 0, "Another officer must ask")
	refused("by one officer, twice")
	resume("privacy-officer-csc", 0, "last known head: {\"origin\":\""+logOrigin+"\"")
	eventually(t, 30*time.Second, "reads go on", func() bool {
		return out.send(t, open).status == http.StatusOK
	})
	resume("auditor", 0, "there is nothing to resume")
	if got, text := out.audit(t, out.url, "auditor", "resume", "--reason", "short"); got != 2 {
		t.Errorf("without a reason: %d\n%s", got, text)
	}
	return out
}

// After a restore each receipt of either log is proven by the commands alone, and
// those whose events were lost with it are named.
func TestReceiptsOfBothLogsAreProvenAfterARestore(t *testing.T) {
	t.Parallel()
	verify := newVerifier(t)
	b := newBorough(t)
	file := filepath.Join(t.TempDir(), "checkpoint")
	first := b.open(t, "hub-1", func(c *hubConfig) { c.Tree.File = file })
	status, keys := first.audit(t, first.url, "auditor", "keys")
	if status != 0 {
		t.Fatal(keys)
	}
	trusted := keep(t, keys)
	accesses(t, b.recorder(t, "app", time.Now), 300) // more than a tile
	receipts := first.reads(t, 4)
	r := b.restored(t, first, file)
	receipts = append(receipts, r.reads(t, 4)...)
	b.sequenced(t)

	ask := func(as, path string) reply {
		return r.send(t, call{method: http.MethodGet, path: path, bearer: b.token(t, as)})
	}
	var state logState
	if err := json.Unmarshal(ask("auditor", "/v1/log/status").body, &state); err != nil {
		t.Fatal(err)
	}
	if len(state.Logs) != 2 || state.Logs[0] != (logNamed{1, logOrigin, r.size}) || state.Logs[1].Origin != logOrigin+"/2" || state.Logs[1].Number != 2 {
		t.Errorf("logs: %+v", state.Logs)
	}
	trust := b.logKeys(t)
	older, err := trust.Open(ask("system-csc", "/v1/log/1/checkpoint").body)
	if err != nil || older.Origin != logOrigin || older.Size != r.size {
		t.Fatalf("the older log's checkpoint: %+v, %v", older, err)
	}
	for _, path := range []string{"/v1/log/checkpoint", "/v1/log/2/checkpoint"} {
		if cp, err := trust.Open(ask("auditor", path).body); err != nil || cp.Origin != logOrigin+"/2" {
			t.Errorf("%s: %+v, %v", path, cp, err)
		}
	}
	for path, want := range map[string]int{
		"/v1/log/3/checkpoint": 404, "/v1/log/3/tile/0/000": 404, "/v1/log/1/tile/0/000": 200, "/v1/log/2/tile/0/000": 404, "/v1/log/1/tile/0/x001/000": 404,
		"/v1/log/0/checkpoint": 400, "/v1/log/x/checkpoint": 400, "/v1/log/1/tile/0/0": 400,
	} {
		if got := ask("auditor", path); got.status != want {
			t.Errorf("%s: status %d, want %d: %s", path, got.status, want, got.body)
		}
		if got := ask("social-worker", path); got.status != http.StatusForbidden && want != 400 {
			t.Errorf("%s by a social worker: status %d", path, got.status)
		}
	}
	tesseraProves(t, r.replica, older, receipts[:4])

	for i, text := range receipts {
		receipt, err := proof.ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		log := "log " + logOrigin + ": " + strconv.FormatInt(r.size, 10) + " entries"
		if i >= 4 {
			log = "log " + logOrigin + "/2: "
		}
		one := keep(t, string(ask("auditor", "/v1/access-events/"+receipt.Event.String()+"/proof").body))
		verify.good(t, []string{"inclusion", one, "--key", trusted, "--receipt", text}, log, "key: yours", "good: entry ")
	}
	for _, format := range []string{"csv", "fhir"} {
		dir := t.TempDir()
		if status, out := r.audit(t, r.url, "auditor", "export", "--format", format, "--out", dir); status != 0 {
			t.Fatalf("%s: %s", format, out)
		}
		name := map[string]string{"csv": "events.csv", "fhir": "events.fhir.ndjson"}[format]
		verify.good(t, []string{"receipts", filepath.Join(dir, name), "--tiles", dir, "--key", trusted}, "log "+logOrigin+": ", "log "+logOrigin+"/2: ", ", 0 bad")
		verify.good(t, []string{"receipts", keep(t, strings.Join(receipts, "\n")), "--tiles", dir, "--key", trusted}, "8 receipts of 8 events, 0 bad")
	}
	one, two := t.TempDir(), t.TempDir()
	for dir, more := range map[string][]string{one: {"--log", "1"}, two: nil} {
		if status, out := r.audit(t, r.url, "auditor", slices.Concat([]string{"export", "--out", dir}, more)...); status != 0 {
			t.Fatal(out)
		}
		verify.good(t, []string{"export", dir, "--key", trusted}, "good: every entry is as it was logged")
	}
	held := keep(t, strings.Join(receipts, "\n"))
	verify.good(t, []string{"receipts", held, "--export", one, "--export", two, "--key", trusted}, "8 receipts of 8 events, 0 bad")
	if status, out := verify.run(t, "receipts", held, "--export", two, "--key", trusted); status != 1 || !strings.Contains(out, "4 bad") {
		t.Errorf("by the newer log alone: %d\n%s", status, out)
	}
	status, out := verify.run(t, "receipts", keep(t, strings.Join(append(receipts, r.lost...), "\n")), "--export", one, "--export", two, "--key", trusted)
	if status != 1 || !strings.Contains(out, "11 receipts of 11 events, 3 bad") {
		t.Errorf("with what was lost: %d\n%s", status, out)
	}
}

// tesseraProves: the older log's prefix is one that a standard tile reader takes.
func tesseraProves(t *testing.T, r *replica, head proof.Signed, receipts []string) {
	t.Helper()
	root, err := url.Parse(r.url + "/v1/log/1/")
	if err != nil {
		t.Fatal(err)
	}
	fetch, err := client.NewHTTPFetcher(root, r.client)
	if err != nil {
		t.Fatal(err)
	}
	fetch.SetAuthorizationHeader("Bearer " + r.b.token(t, "auditor"))
	builder, err := client.NewProofBuilder(t.Context(), uint64(head.Size), fetch.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range receipts {
		receipt, err := proof.ParseReceipt(text)
		if err != nil {
			t.Fatal(err)
		}
		index := one[uint64](t, r.b, `SELECT index FROM kith.log_leaf WHERE event = $1 AND number = 1`, receipt.Event)
		path, err := builder.InclusionProof(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, index, uint64(head.Size), receipt.Leaf[:], path, head.Root[:]); err != nil {
			t.Errorf("entry %d of the older log: %v", index, err)
		}
	}
}

// A month that lies in two logs, since the database was restored within it, goes
// by one command once it is past its retention, after an export of each log.
func TestAMonthInTwoLogsIsDroppedByCommand(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	file := filepath.Join(t.TempDir(), "checkpoint")
	first := b.open(t, "hub-1", func(c *hubConfig) { c.Tree.File = file })
	first.reads(t, 3)
	r := b.restored(t, first, file)
	r.reads(t, 2)
	b.sequenced(t)
	export := func(from *replica, more ...string) string {
		t.Helper()
		dir := t.TempDir()
		if status, out := from.audit(t, from.url, "auditor", slices.Concat([]string{"export", "--out", dir}, more)...); status != 0 {
			t.Fatal(out)
		}
		return dir
	}
	older, newer := export(r.replica, "--log", "1"), export(r.replica)
	month := time.Now().UTC().Format("2006-01")
	r.stop()

	// Two months later, by the clock of the hub and of who signs in.
	day := time.Now().UTC()
	ahead := time.Date(day.Year(), day.Month()+2, 2, 0, 0, 0, 0, time.UTC).Sub(day)
	// The server's clock stays where it is, and has its own word in all of this.
	for _, name := range strings.Fields(one[string](t, b, `SELECT string_agg(policyname, ' ') FROM pg_policies WHERE schemaname = 'kith' AND tablename = 'access_event' AND with_check LIKE '%clock_timestamp%'`)) {
		b.exec(t, `ALTER POLICY `+pgx.Identifier{name}.Sanitize()+` ON kith.access_event WITH CHECK (true)`)
	}
	b.exec(t, `ALTER TABLE kith.access_event ALTER COLUMN recorded_at SET DEFAULT clock_timestamp() + interval '`+strconv.Itoa(int(ahead.Seconds()))+` seconds'`)
	b.exec(t, `DO $do$ BEGIN EXECUTE replace((SELECT pg_get_functiondef(oid) FROM pg_proc WHERE prosrc LIKE '%disposal-early%'), '> now()', '> now() + interval ''100 days'''); END $do$`)
	a := b.accounts["auditor"]
	late, err := b.provider.Realm(strings.ToLower(a.Agency)).Mint(map[string]any{"sub": a.Subject, "client_id": demo.CommandClient, "agency": a.Agency, "roles": a.Roles,
		"iat": time.Now().Add(ahead).Unix(), "exp": time.Now().Add(ahead + 10*time.Minute).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.tokens["auditor"], b.signed["auditor"] = late, time.Now()
	b.mu.Unlock()
	later := b.open(t, "hub-2", func(c *hubConfig) {
		c.Tree.File, c.Keep, c.Now = file, audit.Periods{"access": 1}, func() time.Time { return time.Now().Add(ahead) }
	})
	left := func() int {
		return one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE retention = 'access' AND to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') = $1 AND cardinality(coalesce(released, '{}')) = 0`, month)
	}
	drop := func(exports ...string) (int, string) {
		args := []string{"drop", "--month", month, "--class", "access", "--reason", "past its retention"}
		for _, dir := range exports {
			args = append(args, "--export", dir)
		}
		return later.audit(t, later.url, "auditor", args...)
	}
	before := left()
	for name, dir := range map[string]string{"older": older, "newer": newer} {
		if status, out := drop(dir); status != 1 || !strings.Contains(out, "No export holds this month") {
			t.Errorf("with the export of the %s log alone: %d %s", name, status, out)
		}
	}
	whole, err := os.ReadFile(filepath.Join(older, "events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(damaged, bytes.Replace(whole, []byte(`"kind":"read"`), []byte(`"kind":"raed"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := drop(damaged, newer); status != 1 || !strings.Contains(out, "does not verify") {
		t.Errorf("with one that was changed: %d %s", status, out)
	}
	if n := left(); n != before || n == 0 {
		t.Fatalf("%d events of the month are left, want all %d", n, before)
	}
	status, out := drop(older, newer)
	if status != 0 || !strings.Contains(out, `"kind":"drop"`) || !strings.Contains(out, logOrigin+"/2") {
		t.Fatalf("drop: %d %s\n%s", status, out, later.log.String())
	}
	b.sequenced(t)
	for _, number := range []string{"1", "2"} {
		if report := later.verified(t, export(later, "--log", number)); report.Dropped == 0 || len(report.Certificates) != 1 || len(report.Certificates[0].Logs) != 2 {
			t.Errorf("log %s: %d dropped, %+v", number, report.Dropped, report.Certificates)
		}
	}
}
