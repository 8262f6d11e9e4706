package tree

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// lastMark cuts a file that ended early behind its last mark.
func lastMark(t *testing.T, file []byte) ([]byte, proof.ExportMark) {
	t.Helper()
	var last proof.ExportMark
	cut := 0
	for at := 0; at < len(file); {
		n := bytes.IndexByte(file[at:], '\n')
		if n < 0 {
			break
		}
		if m, ok := proof.MarkOf(file[at : at+n+1]); ok {
			last, cut = m, at+n+1
		}
		at += n + 1
	}
	if cut == 0 {
		t.Fatal("no mark in the file")
	}
	return file[:cut], last
}

// An export that was cut off goes on to the very bytes that it would have had,
// also over a range that was dropped.
func TestAnExportThatWasCutOffGoesOn(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	m.exported(t)
	if _, err := m.drop(t); err != nil {
		t.Fatal(err)
	}
	m.append(t, 2100)
	round(t, m.s)
	begunAt := time.Now().Add(time.Hour) // behind the drop
	made := func(x *Export) { x.Made = begunAt }
	for name, scope := range map[string]audit.Scope{"all": audit.AuditorScope(), "agency": audit.AgencyScope("NHFT")} {
		whole := m.export(t, scope, made)
		if r := m.verify(t, whole); !r.Good() {
			t.Fatal(name, r.First)
		}
		for _, part := range []int{len(whole) * 3 / 5, len(whole) - 1} {
			begun, mark := lastMark(t, whole[:part])
			mark, err := proof.ParseMark(mark.Cursor())
			if err != nil || mark.Verify(proof.NewKeys(m.replica)) != nil {
				t.Fatal(err)
			}
			rest := m.export(t, scope, func(x *Export) { x.After = &mark })
			if got := append(bytes.Clone(begun), rest...); !bytes.Equal(got, whole) {
				t.Errorf("%s, cut at %d: %s", name, part, cmp.Diff(strings.Split(string(whole), "\n"), strings.Split(string(got), "\n")))
			}
			other := audit.AgencyScope("CSC")
			if _, err := NewReader(m.auditor).Export(t.Context(), m.log(t), Export{Scope: other, After: &mark, Sign: m.recorder.SignExport}, &bytes.Buffer{}); !errors.Is(err, proof.ErrMark) {
				t.Errorf("%s: another reader went on with it: %v", name, err)
			}
			forged := mark
			forged.Digest[0] ^= 1
			if forged.Verify(proof.NewKeys(m.replica)) == nil {
				t.Error("a mark with another digest verifies")
			}
		}
	}
}

// What was dropped while an export was interrupted has its certificate in what
// follows.
func TestADropBetweenTheHalvesOfAnExport(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	m.append(t, 1100)
	round(t, m.s)
	m.exported(t)
	head, _, _ := bytes.Cut(m.exportedBefore, []byte("\n"))
	begun, mark := lastMark(t, m.exportedBefore)
	if _, err := m.drop(t); err != nil {
		t.Fatal(err)
	}
	rest := m.export(t, audit.AuditorScope(), func(x *Export) { x.After = &mark })
	if r := m.verify(t, append(bytes.Clone(begun), rest...)); !r.Good() || r.Dropped != 0 {
		t.Errorf("the first half had shown them: %d dropped, %v", r.Dropped, r.First)
	}
	if bytes.Contains(rest, head) {
		t.Error("the first line came twice")
	}
	broken := bytes.Replace(append(bytes.Clone(begun), rest...), []byte(`{"mark":{"lines":1`), []byte(`{"mark":{"lines":2`), 1)
	if r := m.verify(t, broken); r.Good() {
		t.Error("a changed mark went unseen")
	}
}
