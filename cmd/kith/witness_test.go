package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/demo"
)

// partner is `kith-verify witness` as a process of its own, which can be killed.
type partner struct {
	cmd      *exec.Cmd
	key, url string
}

const partnerName = "witness.police.example"

// witness starts one; at is where it listens, and dir holds its key and its state.
func (v verifier) witness(t *testing.T, dir, trusted, at string) *partner {
	t.Helper()
	p := &partner{cmd: exec.Command(v.path, "witness", "--name", partnerName, "--private", filepath.Join(dir, "own.pem"),
		"--state", filepath.Join(dir, "state"), "--key", trusted, "--listen", at)}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	for lines := bufio.NewScanner(out); p.url == "" && lines.Scan(); {
		if key, ok := strings.CutPrefix(lines.Text(), "witness "); ok {
			p.key = key
		}
		p.url, _ = strings.CutPrefix(lines.Text(), "ready ")
		if !strings.HasPrefix(p.url, "http://") {
			p.url = ""
		}
	}
	if p.url == "" || p.key == "" {
		t.Fatal("the witness ended before it was ready")
	}
	return p
}

func (p *partner) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// add asks for a cosignature, as a hub would.
func (p *partner) add(t *testing.T, a proof.AddCheckpoint) (status int, body string) {
	t.Helper()
	res, err := http.Post(p.url+"/add-checkpoint", "text/plain", bytes.NewReader(a.Format()))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// A partner runs kith-verify witness beside a hub that asks for its signature:
// the served checkpoint bears it, a killed witness goes on where it was, a fork
// that the log's own key signed is refused, and a hub on a new machine that was
// given an older database is told so by the witness alone.
func TestAPartnerWitnessesTheLog(t *testing.T) {
	t.Parallel()
	verify := newVerifier(t)
	b := newBorough(t)
	keys := b.logKeys(t)
	trusted, dir := keep(t, keys.String()), t.TempDir()
	police := verify.witness(t, dir, trusted, "127.0.0.1:0")
	key, err := proof.ParseNoteKey(police.key)
	if err != nil {
		t.Fatal(err)
	}
	keys.Witnesses = []proof.NoteKey{key}
	trusted = keep(t, keys.String())
	file := filepath.Join(t.TempDir(), "checkpoint")
	witnessed := func(c *hubConfig) {
		c.Tree.File, c.Tree.Witnesses, c.Tree.Quorum = file, []tree.Witness{{URL: police.url, Key: police.key}}, 1
	}
	hub := b.open(t, "hub-1", witnessed)

	// The served checkpoint of at least so many entries, once it is cosigned.
	var note []byte
	served := func(hub *replica, size int64) (cp proof.Signed) {
		t.Helper()
		eventually(t, 60*time.Second, "a cosigned checkpoint is served", func() bool {
			r := hub.send(t, call{method: http.MethodGet, path: "/v1/log/checkpoint", bearer: b.token(t, "auditor")})
			var err error
			note = r.body
			if cp, err = keys.Open(r.body); r.status != http.StatusOK || err != nil {
				return false // nothing is signed yet
			}
			return cp.Size >= size && slices.Equal(cp.Witnesses, []string{partnerName})
		})
		return cp
	}
	receipts := hub.reads(t, 3)
	one := served(hub, 3)
	old := keep(t, string(note))
	verify.good(t, []string{"consistency", old, old, "--key", trusted}, "cosigned by "+partnerName, "key: yours")

	// Without its witness the log goes on; the witness goes on from its own memory.
	police.kill()
	receipts = append(receipts, hub.reads(t, 3)...)
	b.sequenced(t)
	police = verify.witness(t, dir, trusted, strings.TrimPrefix(police.url, "http://"))
	if police.key != key.String() {
		t.Errorf("it came back with another key: %s", police.key)
	}
	if status, body := police.add(t, proof.AddCheckpoint{Checkpoint: []byte(note)}); status != http.StatusConflict || body == "0\n" {
		t.Errorf("after a restart it answers %d %q, as if it had forgotten", status, body)
	}
	receipts = append(receipts, hub.reads(t, 3)...)
	two := served(hub, one.Size+6)

	// Its signature stands in what kith-verify takes for proof.
	receipt, err := proof.ParseReceipt(receipts[4])
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	eventually(t, 60*time.Second, "a proof under a cosigned checkpoint", func() bool {
		r := hub.send(t, call{method: http.MethodGet, path: "/v1/access-events/" + receipt.Event.String() + "/proof", bearer: b.token(t, "auditor")})
		if r.status != http.StatusOK {
			return false
		}
		status, out := verify.run(t, "inclusion", keep(t, string(r.body)), "--key", trusted, "--receipt", receipts[4])
		said = out
		return status == 0 && strings.Contains(out, "cosigned by "+partnerName)
	})
	if !strings.Contains(said, "good: entry ") {
		t.Errorf("the last answer: %s", said)
	}
	whole := t.TempDir()
	if status, out := hub.audit(t, hub.url, "auditor", "export", "--out", whole); status != 0 {
		t.Fatal(out)
	}
	verify.good(t, []string{"consistency", old, whole, "--key", trusted}, "good: every entry is as it was logged")

	// The log's own key signs another history: nobody gets a cosignature for it.
	hub.stop()
	last := served(b.open(t, "hub-2", witnessed, func(c *hubConfig) { c.Tree.File = filepath.Join(t.TempDir(), "checkpoint") }), two.Size)
	for size, want := range map[int64]int{last.Size: http.StatusConflict, last.Size + 5: http.StatusUnprocessableEntity} {
		fork, err := proof.SignCheckpoint(proof.Checkpoint{Origin: logOrigin, Size: size, Root: proof.Leaf([]byte("another history"))}, b.logKey)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := police.add(t, proof.AddCheckpoint{Old: last.Size, Checkpoint: fork}); status != want || strings.Contains(body, partnerName) {
			t.Errorf("a fork of %d entries: %d %q, want %d", size, status, body, want)
		}
	}
}

// A hub on a new machine has no file that remembers how long the log was. The
// witness does, and reads stop.
func TestAWitnessRemembersWhatTheHubCannot(t *testing.T) {
	t.Parallel()
	verify := newVerifier(t)
	b := newBorough(t)
	keys := b.logKeys(t)
	police := verify.witness(t, t.TempDir(), keep(t, keys.String()), "127.0.0.1:0")
	fresh := func(c *hubConfig) { // its file is the one of its own temporary folder
		c.Tree.Witnesses, c.Tree.Quorum = []tree.Witness{{URL: police.url, Key: police.key}}, 1
	}
	hub := b.open(t, "hub-1", fresh)
	open := b.reading(t, "social-worker", hub.openTo(t, "social-worker", "FS"), "FS")
	size := b.backup(t)
	hub.reads(t, 3)
	var cosigned int64
	eventually(t, 60*time.Second, "the witness has cosigned more than the backup holds", func() bool {
		note := one[[]byte](t, b, `SELECT coalesce(checkpoint, '') FROM kith.log_head`)
		cp, err := proof.PeekCheckpoint(note)
		cosigned = cp.Size
		return err == nil && cp.Size >= size+3 && bytes.Contains(note, []byte("— "+partnerName+" "))
	})
	hub.stop()
	b.rollBack(t)
	hub = b.open(t, "hub-1", fresh)
	if got := hub.send(t, open); got.status != http.StatusServiceUnavailable {
		t.Errorf("a read of a database that was turned back: status %d", got.status)
	}
	for _, as := range []string{"auditor", "privacy-officer-mh"} {
		if status, out := hub.audit(t, hub.url, as, "resume", "--reason", "a new machine, from last night's backup"); status != 0 || !strings.Contains(out, "witnesses have cosigned a longer log") {
			t.Errorf("resume by %s: %d\n%s", as, status, out)
		}
	}
	eventually(t, 60*time.Second, "two officers have it resumed, and reads go on", func() bool { return hub.send(t, open).status == http.StatusOK })
	if n := one[int](t, b, `SELECT max(number) FROM kith.log_head`); n != 2 {
		t.Errorf("the log is number %d", n)
	}
	log, err := audit.NewLog(b.db.Pool(t, "auditor"), demo.Partnership, b.reference)
	if err != nil {
		t.Fatal(err)
	}
	first, err := log.Get(t.Context(), audit.AuditorScope(), one[uuid.UUID](t, b, `SELECT event FROM kith.log_leaf WHERE number = 2 AND index = 0`))
	if err != nil {
		t.Fatal(err)
	}
	if want := strconv.FormatInt(cosigned-size, 10); first.Details["gap"] != want || first.Details["last_origin"] != logOrigin {
		t.Errorf("the first entry states %v, want a gap of %s", first.Details, want)
	}
}
