package audit_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// hub is a database with one family, one worker, two content parts, an active
// policy, and a recorder that writes as the app.
type hub struct {
	db       *pgtest.DB
	app      *pgxpool.Pool
	admin    *pgxpool.Pool
	signer   *audit.Signer
	recorder *audit.Recorder
	family   uuid.UUID
	other    uuid.UUID // another family
	worker   uuid.UUID
	policy   proof.Digest
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{
		db: pgtest.New(t), family: uuid.New(), other: uuid.New(), worker: uuid.New(), policy: sha256.Sum256([]byte("policy")),
		signer: newSigner(t),
	}
	h.app, h.admin = h.db.Pool(t, "app"), h.db.Pool(t, "admin")
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ('borough', 'Borough', 'Desk', '1', '2', '3')`)
	b.Queue(`INSERT INTO agency (code, partnership, kind, name, legal_controller, ico) VALUES ('NHFT', 'borough', 'MH', 'Trust', 'Trust', 'Z1')`)
	b.Queue(`INSERT INTO worker (id, partnership, agency, employer, name, roles) VALUES ($1, 'borough', 'NHFT', 'NHFT', 'Ada', '{practitioner}')`, h.worker)
	b.Queue(`INSERT INTO policy_version (digest, partnership, name, bundle, state) VALUES ($1, 'borough', 'one', '', 'active')`, h.policy[:])
	b.Queue(`INSERT INTO policy_head (partnership, digest) VALUES ('borough', $1)`, h.policy[:])
	b.Queue(`INSERT INTO agreement_head (partnership) VALUES ('borough')`)
	b.Queue(`INSERT INTO family (id, partnership, ref) VALUES ($1, 'borough', 'F-1'), ($2, 'borough', 'F-2')`, h.family, h.other)
	b.Queue(`INSERT INTO content (part, body) VALUES (1, '"one"'), (2, '"two"'), (3, '"three"')`)
	if err := h.admin.SendBatch(t.Context(), b).Close(); err != nil {
		t.Fatalf("fixture: %v", err)
	}
	var err error
	if h.recorder, err = audit.NewRecorder(h.app, h.signer); err != nil {
		t.Fatal(err)
	}
	return h
}

func newSigner(t testing.TB) *audit.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &audit.Signer{Partnership: "borough", Replica: "hub-1", Key: key, Now: time.Now, Random: rand.Reader}
}

func (h *hub) guard() audit.Guard {
	return audit.Guard{
		Families: []audit.FamilyStamp{{Family: h.family, Stamp: 1}}, Policy: h.policy, AgreementStamp: 1, Worker: h.worker, WorkerStamp: 1,
	}
}

func (h *hub) log(t *testing.T) *audit.Log {
	t.Helper()
	l, err := audit.NewLog(h.db.Pool(t, "auditor"), "borough", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// read is an event of the fixture's worker that opens content parts 1 and 2.
func (h *hub) read() audit.Event {
	person := uuid.MustParse("9a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc")
	e := audit.Event{
		Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Agency: "NHFT", Purpose: "FS", Reason: "plan review", Family: h.family,
		Principal: proof.Principal{Worker: h.worker, Name: "Ada", Roles: []string{"practitioner"}}, Policy: h.policy,
		Children: []uuid.UUID{person}, Input: []byte("{}"), Decision: []byte("{}"), Request: "req",
	}
	for part := range int64(2) {
		e.Released = append(e.Released, audit.Release{
			Content: part + 1, Entry: proof.EntryRef{Entry: uuid.New(), Version: 1}, Subjects: []uuid.UUID{person},
			Terms: proof.Terms{Section: "mh-risk", Owner: "NHFT", Level: proof.Full, Part: "full", Sensitivity: 2, Clauses: []string{"own"}},
		})
	}
	return e
}

// answer is what one pipeline of the one door gave.
type answer struct {
	receipt audit.Receipt
	err     error // of the append
	content []string
	readErr error
}

const readContent = `SELECT body #>> '{}' FROM kith.content WHERE part = ANY ($1) ORDER BY part`

// open does what the disclosure package does: append and read in one pipeline.
func (h *hub) open(ctx context.Context, t *testing.T, conn *pgxpool.Conn, e audit.Event, g audit.Guard) answer {
	t.Helper()
	row, err := h.recorder.Seal(e)
	if err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	queued := row.Queue(b, g)
	b.Queue(readContent, []int64{1, 2, 3})
	audit.QueueReset(b)
	results := conn.SendBatch(ctx, b)
	var a answer
	a.receipt, a.err = queued.Result(results)
	if a.receipt.Committed() && a.receipt.Event() != row.ID() {
		t.Errorf("receipt of %s for %s", a.receipt.Event(), row.ID())
	}
	// Read on even after an error, as a careless caller would.
	rows, err := results.Query()
	if err == nil {
		a.content, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	a.readErr = err
	if err := results.Close(); err != nil && a.err == nil {
		t.Errorf("close: %v", err)
	}
	return a
}

func (h *hub) acquire(t *testing.T) *pgxpool.Conn {
	t.Helper()
	conn, err := h.app.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	return conn
}

func (h *hub) events(t *testing.T) (n int) {
	t.Helper()
	if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM access_event`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (h *hub) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
