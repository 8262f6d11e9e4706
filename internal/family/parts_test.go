package family

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// read does what the one door does: log, commit, read, in one pipeline.
func (h *house) read(t *testing.T, f Facts, me uuid.UUID, wanted []Part, before func()) (*Sealed, audit.Receipt, error) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(h.app, &audit.Signer{Partnership: "northby", Replica: "hub-1", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	e := audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Agency: "MH", Purpose: "FS", Family: f.Family,
		Principal: proof.Principal{Worker: me, Name: "A Worker"}, Policy: proof.Digest(f.Policy), Input: []byte("{}"), Decision: []byte("{}"), Request: "r"}
	for _, id := range PartIDs(wanted) {
		e.Released = append(e.Released, audit.Release{Content: id, Entry: proof.EntryRef{Entry: uuid.New(), Version: 1}, Subjects: []uuid.UUID{f.People[0].ID},
			Terms: proof.Terms{Section: "mh-risk", Owner: "MH", Level: proof.Full, Part: "full", Sensitivity: 2, Clauses: []string{"own"}}})
	}
	row, err := recorder.Seal(e)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before()
	}
	conn, err := h.app.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	b := &pgx.Batch{}
	queued := row.Queue(b, audit.Guard{Families: []audit.FamilyStamp{{Family: f.Family, Stamp: f.Stamp}}, Policy: proof.Digest(f.Policy),
		AgreementStamp: f.AgreementStamp, Worker: me, WorkerStamp: f.Worker.Stamp})
	sealed := QueueParts(b, row.ID(), wanted)
	audit.QueueReset(b)
	results := conn.SendBatch(t.Context(), b)
	receipt, err := queued.Result(results)
	if closed := results.Close(); closed != nil {
		t.Fatal(closed)
	}
	return sealed, receipt, err
}

func (h *house) activatePolicy() {
	h.exec(`INSERT INTO policy_version (digest, partnership, name, bundle, state) VALUES (decode(repeat('ab', 32), 'hex'), 'northby', 'one', '', 'active')`)
	h.exec(`INSERT INTO policy_head (partnership, digest) VALUES ('northby', decode(repeat('ab', 32), 'hex'))`)
}

func TestContentOpensByItsEventAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.activatePolicy()
	fam := h.family()
	mum, me := h.member(fam, "parent"), h.worker("MH")
	var parts [5]int64
	for i := range parts {
		_, _, parts[i] = h.item("MH", "mh-risk", mum)
	}
	f := h.load(fam, Caller{Worker: me, Agency: "MH"})
	wanted := []Part{
		{ID: parts[0]},
		{ID: parts[1], Mask: []string{"a", "not there"}},
		{ID: parts[2], Keep: []string{"a", "b"}, Mask: []string{"b"}},
		{ID: parts[3], Keep: []string{}},
	}
	sealed, receipt, err := h.read(t, f, me, wanted, nil)
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := sealed.Release(receipt)
	if err != nil {
		t.Fatal(err)
	}
	got := map[int64]string{}
	for id, body := range bodies {
		got[id] = string(body)
	}
	want := map[int64]string{
		parts[0]: `{"a": "secret a", "b": "secret b", "c": "secret c"}`,
		parts[1]: `{"b": "secret b", "c": "secret c"}`,
		parts[2]: `{"a": "secret a"}`,
		parts[3]: `{}`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("content (-want +got):\n%s", d)
	}

	// No event, no content: neither by a plain read nor for what the event did not name.
	var n int
	if err := h.app.QueryRow(t.Context(), `SELECT count(*) FROM content`).Scan(&n); err != nil || n != 0 {
		t.Errorf("a plain read gives %d parts (%v)", n, err)
	}

	// A change between facts and event: nothing is logged, nothing opens.
	sealed, receipt, err = h.read(t, f, me, wanted, func() { h.member(fam, "child") })
	if !errors.Is(err, audit.ErrStale) {
		t.Errorf("stale facts: %v", err)
	}
	if len(sealed.parts) != 0 {
		t.Errorf("stale facts opened %d parts", len(sealed.parts))
	}
	if _, err := sealed.Release(receipt); !errors.Is(err, ErrSealed) {
		t.Errorf("released without a receipt: %v", err)
	}
}

func TestSealedOpensWithItsOwnReceipt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.activatePolicy()
	fam := h.family()
	mum, me := h.member(fam, "parent"), h.worker("MH")
	_, _, part := h.item("MH", "mh-risk", mum)
	f := h.load(fam, Caller{Worker: me, Agency: "MH"})
	one, _, err := h.read(t, f, me, []Part{{ID: part}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := h.read(t, f, me, []Part{{ID: part}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := one.Release(other); !errors.Is(err, ErrSealed) {
		t.Errorf("another event's receipt opens the seal: %v", err)
	}
	if _, err := (&Sealed{}).Release(audit.Receipt{}); !errors.Is(err, ErrSealed) {
		t.Errorf("the zero value opens: %v", err)
	}
	if len(one.parts) != 1 {
		t.Fatal("nothing was read")
	}
	type holder struct{ S Sealed }
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "sealed", one, "value", *one)
	for _, text := range []string{fmt.Sprint(one), fmt.Sprintf("%v %+v %#v %s %x %q", one, *one, *one, one, one, one), fmt.Sprintf("%+v", holder{*one}), one.String(), log.String()} {
		if strings.Contains(text, "secret") || strings.Contains(text, fmt.Sprintf("%x", "secret")) {
			t.Errorf("sealed content prints as %q", text)
		}
	}
	if b, err := json.Marshal(one); err == nil {
		t.Errorf("sealed content marshals to %s", b)
	}
	if b, err := json.Marshal(holder{*one}); err == nil {
		t.Errorf("sealed content marshals to %s", b)
	}
}
