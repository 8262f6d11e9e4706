package tree

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// resumed restores yesterday's dump and begins a new log, as two officers ask.
func (m *month) resumed(t *testing.T) {
	t.Helper()
	m.dump(t)
	m.append(t, 4) // lost with the restore
	round(t, m.s)
	m.restore(t)
	m.s.resign()
	round(t, m.s)
	stopped(t, m.s.tree, ReasonRolledBack)
	last, err := m.s.tree.LastKnown()
	if err != nil {
		t.Fatal(err)
	}
	m.officer(t, m.first.Principal.Worker, last)
	m.officer(t, m.second.Principal.Worker, last)
	round(t, m.s)
	round(t, m.s)
	open(t, m.s.tree)
	if h := m.head(t); h.Number != 2 {
		t.Fatalf("the log is number %d", h.Number)
	}
}

// exportOf takes a whole export of one log, and keeps that it was made.
func (m *month) exportOf(t *testing.T, number int) ([]byte, proof.Digest) {
	t.Helper()
	file := m.export(t, audit.AuditorScope(), func(x *Export) { x.Number = number })
	lines := bytes.Split(bytes.TrimSpace(file), []byte("\n"))
	var end proof.ExportEnd
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil {
		t.Fatal(err)
	}
	var size int64
	if err := m.admin.QueryRow(t.Context(), `SELECT checkpoint_size FROM log_head WHERE number = $1`, number).Scan(&size); err != nil {
		t.Fatal(err)
	}
	if err := m.recorder.Exported(t.Context(), uuid.New(), audit.AuditorScope(), number, 0, size, end.End.Digest); err != nil {
		t.Fatal(err)
	}
	return file, end.End.Digest
}

// A month that lies in the log before a restore, and partly in the one after it,
// is dropped under one certificate, and both logs stay whole.
func TestAMonthAcrossAResumedLogIsDropped(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	m.resumed(t)
	then := m.old(t)
	var late []audit.Receipt
	for range 2 { // of the same month, and written down only now
		late = append(late, then(access(uuid.New(), uuid.New())))
	}
	round(t, m.s)
	verify := func(ctx context.Context, number int, first, end int64) error {
		return NewReader(m.auditor).Verify(ctx, m.log(t), m.trusted(), m.recorder.SignExport, number, first, end)
	}
	drop := func(exports ...proof.Digest) (audit.Done, error) {
		return m.keeper.Drop(t.Context(), m.first, "access", march, exports, verify)
	}
	before, older := m.exportOf(t, 1)
	if _, err := drop(older); !errors.Is(err, audit.ErrNoExport) {
		t.Errorf("with an export of the older log alone: %v", err)
	}
	_, newer := m.exportOf(t, 2)
	if _, err := drop(newer); !errors.Is(err, audit.ErrNoExport) {
		t.Errorf("with an export of the newer log alone: %v", err)
	}
	months, err := m.keeper.Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range months {
		if x.Class == "access" && x.Month.Equal(march) && (x.Events != 7 || x.Held != 1 || x.Record != 1 || !x.Exported) {
			t.Errorf("due: %+v", x)
		}
	}
	done, err := drop(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	d := m.certified(t, done)
	if d.Events != 5 || d.Held != 1 || d.Record != 1 || len(d.Logs) != 2 || d.Logs[0].Number != 1 || d.Logs[0].Count != 3 || d.Logs[1].Number != 2 || d.Logs[1].Count != 2 ||
		d.Logs[0].Log != origin || d.Logs[1].Log != origin+"/2" {
		t.Errorf("certificate: %+v", d)
	}
	if n := m.left(t); n != 2 {
		t.Errorf("%d events are left", n)
	}
	round(t, m.s)
	m.provable(t, m.s.tree, append(m.views, m.events[1], m.events[3])...)
	for number, gone := range map[int]int64{1: 3, 2: 2} {
		file, _ := m.exportOf(t, number)
		if r := m.verify(t, file); !r.Good() || r.Dropped != gone || len(r.Certificates) != 1 || r.Certificates[0].ID != d.ID {
			t.Errorf("log %d: %d dropped, %d certificates, %v", number, r.Dropped, len(r.Certificates), r.First)
		}
	}
	if r := m.verify(t, before); !r.Good() {
		t.Errorf("the export from before: %v", r.First)
	}

	// A row of the older log that stayed and is deleted by hand is named in its export.
	m.exec(t, `DELETE FROM access_event WHERE id = $1`, m.events[1].Event())
	file, _ := m.exportOf(t, 1)
	if r := m.verify(t, file); r.Good() || r.First[0].Event != m.events[1].Event() {
		t.Errorf("a row deleted from the older log: %v", r.First)
	}
	for _, r := range late {
		if _, err := NewReader(m.auditor).Prove(t.Context(), r.Event()); !errors.Is(err, ErrNoLeaf) {
			t.Errorf("what was dropped from the newer log: %v", err)
		}
	}
}
