package tree

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// export is the file that a reader of a scope gets.
func (b *bench) export(t *testing.T, scope audit.Scope, change ...func(*Export)) []byte {
	t.Helper()
	log, err := audit.NewLog(b.auditor, "borough", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	public, _ := b.key.Public().(ed25519.PublicKey)
	x := Export{
		Scope: scope, Replicas: []proof.Key{b.replica}, Log: proof.NoteKey{Name: origin, Public: public}, Sign: b.recorder.SignExport,
		View: func(r *audit.Record) ([]byte, error) {
			return json.Marshal(map[string]string{"id": r.ID.String(), "name": r.Name})
		},
	}
	for _, f := range change {
		f(&x)
	}
	var out bytes.Buffer
	if _, err := NewReader(b.auditor).Export(t.Context(), log, x, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// trusted is what an auditor has from the day when the hub was set up.
func (b *bench) trusted() proof.KeyFile {
	public, _ := b.key.Public().(ed25519.PublicKey)
	return proof.KeyFile{Logs: []proof.NoteKey{{Name: origin, Public: public}}, Replicas: []proof.Key{b.replica}}
}

func (b *bench) verify(t *testing.T, file []byte, held ...proof.Checkpoint) proof.Report {
	t.Helper()
	r, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{Keys: b.trusted(), Held: held})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// logged is a log of n events, sequenced, and their ids by index.
func logged(t *testing.T, b *bench, n int) (*sequencer, []uuid.UUID) {
	t.Helper()
	s := lead(t, b.tree(t))
	b.append(t, n)
	round(t, s)
	return s, b.ids(t)
}

func (b *bench) ids(t *testing.T) []uuid.UUID {
	t.Helper()
	rows, err := b.admin.Query(t.Context(), `SELECT event FROM log_leaf ORDER BY index`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func TestAnHonestExportVerifies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	logged(t, b, 300)
	r := b.verify(t, b.export(t, audit.AuditorScope()))
	if !r.Good() || r.Shown != 300 || r.Hidden != 0 || !r.Independent || r.Payloads != 300 {
		t.Errorf("all: %+v", r)
	}
	one := uuid.MustParse("9a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc")
	for _, c := range []struct {
		name  string
		scope audit.Scope
		shown int64
	}{{"own", audit.OwnScope(one), 300}, {"another's", audit.OwnScope(uuid.New()), 0}, {"agency", audit.AgencyScope("NHFT"), 300}, {"other agency", audit.AgencyScope("POL"), 0}, {"nobody", audit.Scope{}, 0}} {
		r := b.verify(t, b.export(t, c.scope))
		if !r.Good() || r.Shown != c.shown || r.Shown+r.Hidden != 300 {
			t.Errorf("%s: %d shown, %d hidden, %v", c.name, r.Shown, r.Hidden, r.First)
		}
	}
	// A run in the middle, by time.
	var from, until time.Time
	if err := b.admin.QueryRow(t.Context(), `SELECT min(occurred_at), max(occurred_at) FROM log_leaf WHERE index IN (100, 110)`).Scan(&from, &until); err != nil {
		t.Fatal(err)
	}
	r = b.verify(t, b.export(t, audit.AuditorScope(), func(x *Export) { x.From, x.Until = from, until }))
	if !r.Good() || r.Shown != 10 || r.Hidden != 290 {
		t.Errorf("run: %d shown, %d hidden, %v", r.Shown, r.Hidden, r.First)
	}
}

// What an auditor's scope hides from the pages must not be in the file either.
func TestAnExportOpensNoMoreThanItsScope(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := lead(t, b.tree(t))
	child := uuid.New()
	e := event()
	e.Children, e.Search, e.Reason, e.Causes = []uuid.UUID{child}, map[string]string{"family_name": "Okafor"}, "plan review", []string{"restricted"}
	e.Outcome = audit.OutcomeDenied
	subject := e.Subjects[0]
	if _, err := b.recorder.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	round(t, s)
	for _, c := range []struct {
		name  string
		scope audit.Scope
		never []string
	}{
		{"auditor", audit.AuditorScope(), []string{child.String(), subject.String(), "Okafor"}},
		{"agency", audit.AgencyScope("NHFT"), []string{child.String(), subject.String(), "Okafor", "restricted", "plan review"}},
		{"own", audit.OwnScope(e.Principal.Worker), []string{subject.String(), "restricted"}},
	} {
		file := b.export(t, c.scope)
		for _, never := range c.never {
			if bytes.Contains(file, []byte(never)) {
				t.Errorf("%s: the file holds %q", c.name, never)
			}
		}
		if r := b.verify(t, file); !r.Good() || r.Shown != 1 {
			t.Errorf("%s: %v", c.name, r.First)
		}
	}
}

// What somebody who owns the database can do, each on a fresh log of 20. The
// verifier, with keys from elsewhere, must name entry 7.
func TestTamperingAsTheOwnerIsNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		do   func(t *testing.T, b *bench, s *sequencer, ids []uuid.UUID)
		want string // at entry 7, or at -1
		at   int64
	}{
		{"update the payload", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET common = convert_to(replace(convert_from(common, 'UTF8'), 'Ada', 'Eve'), 'UTF8') WHERE id = $1`, ids[7])
		}, "altered: in the database payload", 7},
		{"update the header", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET header = convert_to(replace(convert_from(header, 'UTF8'), 'NHFT', 'POLX'), 'UTF8') WHERE id = $1`, ids[7])
		}, "altered: its bytes do not give the leaf", 7},
		{"header that is no JSON", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET header = 'x' WHERE id = $1`, ids[7])
		}, "altered: ", 7},
		{"update a search copy", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET worker = gen_random_uuid() WHERE id = $1`, ids[7])
		}, "altered: in the database worker no longer fit", 7},
		{"delete the event", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `DELETE FROM access_event WHERE id = $1`, ids[7])
		}, "missing: the tree has its leaf", 7},
		{"delete event and leaf", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `DELETE FROM access_event WHERE id = $1`, ids[7])
			b.exec(t, `DELETE FROM log_leaf WHERE event = $1`, ids[7])
		}, "missing: the tree has its leaf", 7},
		{"delete and close the gap", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `DELETE FROM access_event WHERE id = $1`, ids[7])
			b.exec(t, `DELETE FROM log_leaf WHERE event = $1`, ids[7])
			b.exec(t, `UPDATE log_leaf SET index = -index + 999 WHERE index > 7`)
			b.exec(t, `UPDATE log_leaf SET index = 999 - index - 1 WHERE index > 7`)
		}, "reordered: a genuine entry stands here", 7},
		{"reorder", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE log_leaf SET index = 1000 WHERE index = 7`)
			b.exec(t, `UPDATE log_leaf SET index = 7 WHERE index = 12`)
			b.exec(t, `UPDATE log_leaf SET index = 12 WHERE index = 1000`)
		}, "reordered: a genuine entry stands here", 7},
		{"back-date the row", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET occurred_at = occurred_at - interval '2 min' WHERE id = $1`, ids[7])
		}, "back-dated", 7},
		{"back-date row and leaf", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET occurred_at = occurred_at - interval '2 min' WHERE id = $1`, ids[7])
			b.exec(t, `UPDATE log_leaf SET occurred_at = occurred_at - interval '2 min' WHERE event = $1`, ids[7])
		}, "back-dated", 7},
		{"rewrite the leaf's own table", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET header = convert_to(replace(convert_from(header, 'UTF8'), 'NHFT', 'POLX'), 'UTF8') WHERE id = $1`, ids[7])
			b.exec(t, `UPDATE log_leaf SET hash = sha256('x') WHERE event = $1`, ids[7])
		}, "altered: its bytes do not give the leaf", 7},
		{"rewrite the tiles as well", func(t *testing.T, b *bench, _ *sequencer, ids []uuid.UUID) {
			b.exec(t, `UPDATE access_event SET header = convert_to(replace(convert_from(header, 'UTF8'), 'NHFT', 'POLX'), 'UTF8'), agency = 'POLX' WHERE id = $1`, ids[7])
			b.rewrite(t)
		}, "added: no replica of the hub has signed its receipt", 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s, ids := logged(t, b, 20)
			c.do(t, b, s, ids)
			r := b.verify(t, b.export(t, audit.AuditorScope()))
			if r.Good() {
				t.Fatal("nothing was found")
			}
			if f := r.First[0]; f.Index != c.at || !strings.Contains(f.What, c.want) {
				t.Errorf("found %v, want %q at %d", r.First, c.want, c.at)
			}
		})
	}
}

// rewrite computes all tiles anew from the events as they now stand; only the
// signed checkpoint is out of reach.
func (b *bench) rewrite(t *testing.T) {
	t.Helper()
	var e edge
	rows, err := b.admin.Query(t.Context(), `SELECT e.header, e.commitments FROM log_leaf l JOIN access_event e ON e.id = l.event ORDER BY l.index`)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []proof.Digest
	for rows.Next() {
		var header, commitments []byte
		if err := rows.Scan(&header, &commitments); err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, proof.LeafHash(header, commitments))
	}
	rows.Close()
	for _, tile := range e.append(leaves) {
		b.exec(t, `UPDATE log_tile SET hashes = $1 WHERE level = $2 AND n = $3`, tile.hashes, tile.level, tile.n)
	}
	root := e.root()
	b.exec(t, `UPDATE log_head SET root = $1`, root[:])
}

// An event that somebody with the database, and without a replica's key, puts
// in is sequenced, marked, and named.
func TestAnInsertedEventIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _ := logged(t, b, 7)
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	forger, err := audit.NewRecorder(b.admin, &audit.Signer{Partnership: "borough", Replica: "hub-1", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := forger.Append(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	b.append(t, 3)
	round(t, s)
	b.exec(t, `UPDATE log_leaf SET forged = false`) // he takes the mark off, too
	r := b.verify(t, b.export(t, audit.AuditorScope()))
	if r.Good() || r.First[0].Index != 7 || !strings.Contains(r.First[0].What, "added") {
		t.Errorf("found %v", r.First)
	}
}

// An entry back-dated by somebody who has a replica's key as well.
func TestABackDatedEventIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _ := logged(t, b, 7)
	// The row security that asks for the server's time does not bind the owner.
	owner, err := audit.NewRecorder(b.admin, &audit.Signer{
		Partnership: "borough", Replica: "hub-1", Key: b.replicaKey, Now: func() time.Time { return time.Now().Add(-3 * time.Hour) }, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Append(t.Context(), event()); err != nil {
		t.Fatal(err)
	}
	round(t, s)
	r := b.verify(t, b.export(t, audit.AuditorScope()))
	if r.Good() || r.First[0].Index != 7 || !strings.Contains(r.First[0].What, "back-dated") {
		t.Errorf("found %v", r.First)
	}
}

func TestAnOlderDumpIsNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _ := logged(t, b, 7)
	b.dump(t)
	b.append(t, 5)
	round(t, s)
	before := b.head(t)
	held := before.checkpoint() // what the auditor took home
	b.restore(t)
	r := b.verify(t, b.export(t, audit.AuditorScope()), held)
	if r.Good() || r.First[0].Index != 7 || !strings.Contains(r.First[0].What, "rolled back") {
		t.Errorf("found %v", r.First)
	}
	if r := b.verify(t, b.export(t, audit.AuditorScope())); !r.Good() {
		t.Errorf("without a memory there is nothing to compare with, yet found %v", r.First)
	}
	fork := proof.Checkpoint{Origin: origin, Size: 4, Root: proof.Leaf([]byte("another"))}
	if r := b.verify(t, b.export(t, audit.AuditorScope()), fork); r.Good() || !strings.Contains(r.First[0].What, "first 4 entries") {
		t.Errorf("fork: found %v", r.First)
	}
}

// One byte, anywhere in the file.
func TestEveryChangedByteOfTheFileIsFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	logged(t, b, 4)
	file := b.export(t, audit.AuditorScope())
	lines := bytes.SplitAfter(file, []byte("\n"))
	start := 0
	for n, line := range lines {
		for at := range line {
			changed := bytes.Clone(file)
			changed[start+at] ^= 0x01
			r, err := proof.VerifyExport(bytes.NewReader(changed), proof.VerifyOptions{Keys: b.trusted()})
			if err == nil && r.Good() {
				t.Fatalf("line %d, byte %d (%q became %q) was not found", n, at, line[at], changed[start+at])
			}
			// Inside an entry's line that very entry is named first.
			if n >= 1 && n <= 4 && at < len(line)-1 && err == nil && r.First[0].Index != int64(n-1) {
				t.Fatalf("line %d, byte %d: named %v", n, at, r.First[0])
			}
		}
		start += len(line)
	}
	for _, cut := range []int{len(lines[0]), len(file) - 10, len(file) - len(lines[len(lines)-2]) - 1} {
		if r, err := proof.VerifyExport(bytes.NewReader(file[:cut]), proof.VerifyOptions{Keys: b.trusted()}); err == nil && r.Good() {
			t.Errorf("cut to %d bytes: nothing found", cut)
		}
	}
	two := append(append(append(append([]byte{}, lines[0]...), lines[2]...), lines[1]...), bytes.Join(lines[3:], nil)...)
	if r := b.verify(t, two); r.Good() || r.First[0].Index != 0 {
		t.Errorf("two lines changed places: %v", r.First)
	}
}

func TestForeignKeysVerifyNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	logged(t, b, 2)
	file := b.export(t, audit.AuditorScope())
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	if _, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{Keys: proof.KeyFile{Logs: []proof.NoteKey{{Name: origin, Public: public}}}}); err == nil {
		t.Error("a checkpoint verified by another's key")
	}
	r, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{})
	if err != nil || !r.Good() || r.Independent {
		t.Errorf("by its own key: %+v, %v", r, err)
	}
	receipts := map[uuid.UUID]proof.Receipt{}
	for range 3 {
		receipts[uuid.New()] = proof.Receipt{}
	}
	if _, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{Receipts: receipts}); err != nil || len(receipts) != 3 {
		t.Errorf("receipts of nothing: %s left, %v", strconv.Itoa(len(receipts)), err)
	}
}
