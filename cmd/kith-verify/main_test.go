package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kith/internal/audit/proof"
)

const origin = "hub.example/log"

// world is a folder with a log's keys, an export of four entries and receipts.
type world struct {
	dir      string
	log      ed25519.PrivateKey
	replica  ed25519.PrivateKey
	leaves   []proof.Digest
	receipts []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	for _, to := range []*ed25519.PrivateKey{&w.log, &w.replica} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		*to = key
	}
	log, err := proof.NewLogKey(origin, publicOf(w.log))
	if err != nil {
		t.Fatal(err)
	}
	replica, err := proof.NewKey("hub-1", publicOf(w.replica))
	if err != nil {
		t.Fatal(err)
	}
	keys := proof.KeyFile{Logs: []proof.NoteKey{log}, Replicas: []proof.Key{replica}}
	w.write(t, "trusted", keys.String())
	entries := make([]proof.ExportEntry, 4)
	var f proof.Frontier
	for i := range entries {
		h := proof.Header{Kind: "read", Outcome: "released", Partnership: "northby", Agency: "MH", Replica: replica.ID(),
			Occurred: time.Date(2026, 11, 2, 9, i, 0, 0, time.UTC)}
		if _, err := rand.Read(h.ID[:]); err != nil {
			t.Fatal(err)
		}
		header, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		commitments := make([]byte, 32)
		leaf := proof.LeafHash(header, commitments)
		r := proof.SignReceipt(w.replica, replica.ID(), h.ID, h.Occurred, leaf)
		w.leaves, w.receipts = append(w.leaves, leaf), append(w.receipts, r.String())
		entries[i] = proof.ExportEntry{Index: int64(i), Leaf: leaf, Event: h.ID, Header: header, Commitments: commitments, Signature: r.Signature[:]}
		f.Append(leaf)
	}
	head := w.checkpoint(t, f)
	var out bytes.Buffer
	e, err := proof.NewExportWriter(&out, proof.ExportHeader{Checkpoint: head, LogKey: log.String(), ReplicaKeys: []string{replica.String()}, Scope: "all", End: 4}, proof.ExportMark{Number: 1, Size: 4},
		func(d proof.Digest) (string, []byte) { return replica.ID(), proof.SignExport(w.replica, d) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if err := e.Entry(&entries[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.write(t, "export/events.ndjson", out.String())
	w.write(t, "export/checkpoint", head)
	w.write(t, "export/keys", keys.String())
	tile := make([]byte, 0, 128)
	for _, l := range w.leaves {
		tile = append(tile, l[:]...)
	}
	w.write(t, "export/"+proof.TilePath(0, 0, 4), string(tile))
	w.write(t, "receipts", strings.Join(w.receipts, "\n"))
	w.write(t, "old", w.first(t, 2))
	w.write(t, "longer", w.first(t, 4, w.leaves[0]))
	fork := w.leaves[1]
	fork[0] ^= 1
	w.write(t, "fork", w.first(t, 1, fork))
	p := proof.Inclusion{Extra: proof.LeafData(entries[2].Header, entries[2].Commitments), Index: 2, Checkpoint: []byte(head)}
	if p.Path, err = w.tiles().Inclusion(4, 2); err != nil {
		t.Fatal(err)
	}
	w.write(t, "two.tlog-proof", string(p.Format()))
	return w
}

func publicOf(k ed25519.PrivateKey) ed25519.PublicKey {
	p, _ := k.Public().(ed25519.PublicKey)
	return p
}

func (w *world) tiles() proof.Tiles {
	return func(int, int64, int) ([]byte, error) {
		var tile []byte
		for _, l := range w.leaves {
			tile = append(tile, l[:]...)
		}
		return tile, nil
	}
}

func (w *world) checkpoint(t *testing.T, f proof.Frontier) string {
	t.Helper()
	s, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: f.Size(), Root: f.Root()}, w.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(s)
}

// first is a checkpoint of the first n leaves and others behind them.
func (w *world) first(t *testing.T, n int, more ...proof.Digest) string {
	t.Helper()
	var f proof.Frontier
	for _, l := range append(append([]proof.Digest{}, w.leaves[:n]...), more...) {
		f.Append(l)
	}
	return w.checkpoint(t, f)
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs the command in the world's folder: a word that begins with @ is a
// file in it.
func (w *world) run(args string) (status int, out string) {
	words := strings.Fields(args)
	for i, word := range words {
		if name, ok := strings.CutPrefix(word, "@"); ok {
			words[i] = filepath.Join(w.dir, name)
		}
		if name, ok := strings.CutPrefix(word, "$"); ok {
			words[i] = w.receipts[name[0]-'0']
		}
	}
	var stdout, stderr bytes.Buffer
	status = run(context.Background(), words, time.Now, &stdout, &stderr)
	return status, stdout.String() + stderr.String()
}

func TestCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	events, err := os.ReadFile(filepath.Join(w.dir, "export/events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "changed", strings.Replace(string(events), `"agency":"MH"`, `"agency":"PH"`, 1))
	lines := strings.SplitAfter(string(events), "\n")
	w.write(t, "shorter", strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""))
	at := strings.LastIndexByte(w.receipts[0], '.') + 1 // into the signature
	w.write(t, "strange", w.receipts[0][:at]+"AAAA"+w.receipts[0][at+4:])
	w.write(t, "other/export/events.ndjson", string(events))
	w.write(t, "other/export/checkpoint", w.first(t, 2))
	w.keyLists(t)
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"export @export --key @dated", 0, "from=2026-01-01T00:00:00Z until=2027-01-01T00:00:00Z: within them"},
		{"export @export --key @retired", 1, "the checkpoint is signed by a key that was not in use on 2026-11-02"},
		{"export @export --key @retired-replica", 1, "entry 2 (event "},
		{"export @export --key @retired-replica", 1, "which was not in use then"},
		{"export @export --key @other-log", 1, "not signed by a key that is trusted"},
		{"keys @announced --key @trusted", 0, "new: log " + origin},
		{"keys @announced --key @other-log", 0, "known: log " + origin},
		{"keys @announced --key @stranger", 1, "no key that you trust"},
		{"keys @trusted --key @trusted", 1, "no key that you trust"},
		{"keys @announced", 2, "--key is needed"},
		{"receipts @receipts --key @trusted --tiles @export", 0, "4 receipts of 4 events, 0 bad"},
		{"receipts @receipts --key @trusted --tiles @cut", 1, "do not give the root"},
		{"certificate @certificate --key @trusted", 0, "drop of 2019-03 of the class access"},
		{"certificate @certificate-changed --key @trusted", 1, "does not verify"},
		{"", 2, "usage"},
		{"nonsense", 2, "no command"},
		{"--help", 0, "usage"},
		{"export", 2, "usage"},
		{"export @nothing", 2, "no such file"},
		{"export @trusted --key @trusted", 1, "not an export"},
		{"export @export --key @trusted", 0, "key: yours"},
		{"export --key @trusted @export/events.ndjson", 0, "good"},
		{"export @export", 0, "key not independent"},
		{"export @export --key @nothing", 2, "no such file"},
		{"export @changed --key @trusted", 1, "entry 0"},
		{"export @shorter --key @trusted", 1, "entry 1: missing"},
		{"export @export --fast --key @trusted", 0, "left out"},
		{"export @export --key @trusted --checkpoint @old", 0, "good"},
		{"export @export --key @trusted --checkpoint @longer", 1, "entry 4: missing, and all after it"},
		{"export @export --key @trusted --checkpoint @fork", 1, "first 2 entries are not those"},
		{"export @export --checkpoint @old", 2, "--key"},
		{"export @other/export --key @trusted", 1, "not the one that they were exported under"},
		{"inclusion @two.tlog-proof --key @trusted", 0, "entry 2 is in the log"},
		{"inclusion @two.tlog-proof --key @trusted --receipt $2", 0, "good"},
		{"inclusion @two.tlog-proof --key @trusted --receipt $1", 1, "another entry's"},
		{"inclusion @two.tlog-proof", 2, "--key is needed"},
		{"inclusion @old --key @trusted", 1, "not a tlog-proof"},
		{"consistency @old @export/checkpoint --key @trusted --tiles @export", 0, "first 2 entries"},
		{"consistency @fork @export/checkpoint --key @trusted --tiles @export", 1, "not the older one"},
		{"consistency @old @export/checkpoint --key @trusted", 2, "--tiles"},
		{"consistency @old @export --key @trusted", 0, "good"},
		{"consistency @old @export", 0, "key not independent"},
		{"consistency @fork @export --key @trusted", 1, "first 2 entries"},
		{"consistency @longer @export --key @trusted", 1, "rolled back"},
		{"receipts @receipts --key @trusted", 0, "4 receipts of 4 events, 0 bad"},
		{"receipts @receipts --key @trusted --export @export", 0, "4 receipts of 4 events, 0 bad"},
		{"receipts @receipts --key @trusted --export @shorter", 1, "does not hold this entry"},
		{"receipts @strange --key @trusted", 1, "does not verify"},
		{"receipts @old --key @trusted", 2, "holds no receipt"},
		{"receipts @receipts", 2, "--key"},
		{"witness", 2, "--name"},
	} {
		status, out := w.run(c.args)
		if status != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", c.args, status, c.status, c.says, out)
		}
	}
}

// A witness that was killed and started again, over HTTP and on disk.
func TestWitnessServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data, err := os.ReadFile(filepath.Join(w.dir, "trusted"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.ParseKeyFile(data)
	if err != nil {
		t.Fatal(err)
	}
	path, state := filepath.Join(w.dir, "own.pem"), t.TempDir()
	private, err := ownKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ownKey(path); err != nil || !again.Equal(private) {
		t.Fatalf("the key was not kept: %v", err)
	}
	start := func() *httptest.Server {
		book, err := openBook("w.example", private, keys.Logs, time.Now, state)
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(serveWitness(book))
		t.Cleanup(s.Close)
		return s
	}
	post := func(s *httptest.Server, body string) (int, string) {
		res, err := http.Post(s.URL+"/add-checkpoint", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		out, _ := io.ReadAll(res.Body)
		return res.StatusCode, res.Header.Get("Content-Type") + " " + string(out)
	}
	one := start()
	if status, out := post(one, "old 0\n\n"+w.first(t, 2)); status != 200 || !strings.Contains(out, "— w.example ") {
		t.Errorf("first: %d %s", status, out)
	}
	if status, out := post(one, strings.Repeat("x", 100_000)); status != 400 {
		t.Errorf("a long request: %d %s", status, out)
	}
	one.Close()
	two := start()
	if status, out := post(two, "old 0\n\n"+w.first(t, 1)); status != 409 || out != "text/x.tlog.size 2\n" {
		t.Errorf("after a restart: %d %s", status, out)
	}
	consistency, err := w.tiles().Consistency(2, 4)
	if err != nil {
		t.Fatal(err)
	}
	good := proof.AddCheckpoint{Old: 2, Path: consistency, Checkpoint: []byte(w.first(t, 4))}
	fork := proof.AddCheckpoint{Old: 2, Path: consistency, Checkpoint: []byte(w.first(t, 3, w.leaves[0]))}
	if status, out := post(two, string(fork.Format())); status != 422 {
		t.Errorf("a fork: %d %s", status, out)
	}
	if status, out := post(two, string(good.Format())); status != 200 {
		t.Errorf("forward: %d %s", status, out)
	}
	two.Close()
	// A witness that cannot read its memory does not start.
	files, _ := filepath.Glob(filepath.Join(state, "*.checkpoint"))
	if len(files) != 1 {
		t.Fatalf("state: %v", files)
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openBook("w.example", private, keys.Logs, time.Now, state); err == nil {
		t.Error("it started without its memory")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ownKey(path); err == nil {
		t.Error("a key that others may read was taken")
	}
}
