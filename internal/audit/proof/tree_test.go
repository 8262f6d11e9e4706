package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kith/internal/audit/proof"
)

func logKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) ed25519.PublicKey {
	p, _ := k.Public().(ed25519.PublicKey)
	return p
}

func mustLogKey(t testing.TB, origin string, k ed25519.PrivateKey) proof.NoteKey {
	t.Helper()
	key, err := proof.NewLogKey(origin, public(k))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// golden compares with a file that must stay readable for ever; a change of it
// is a change of the format.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("KITH_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs:\n%s", name, diff)
	}
}

// tree of n leaves "0", "1", … with its tiles.
func treeOf(t testing.TB, n int) (proof.Frontier, proof.Tiles, []proof.Digest) {
	t.Helper()
	var f proof.Frontier
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = all[x]
		}
		return out, nil
	})
	leaves := make([]proof.Digest, n)
	for i := range leaves {
		leaves[i] = proof.Leaf([]byte{byte(i), byte(i >> 8)})
		f.Append(leaves[i])
		h, err := tlog.StoredHashesForRecordHash(int64(i), tlog.Hash(leaves[i]), reader)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, h...)
	}
	return f, func(level int, tile int64, width int) ([]byte, error) {
		return tlog.ReadTileData(tlog.Tile{H: proof.TileHeight, L: level, N: tile, W: width}, reader)
	}, leaves
}

func TestCheckpointAndProofForms(t *testing.T) {
	t.Parallel()
	f, tiles, leaves := treeOf(t, 300)
	cp := proof.Checkpoint{Origin: "hub.example/log", Size: f.Size(), Root: f.Root()}
	signed, err := proof.SignCheckpoint(cp, logKey(1))
	if err != nil {
		t.Fatal(err)
	}
	witness, err := proof.NewWitnessKey("witness.example/w1", public(logKey(2)))
	if err != nil {
		t.Fatal(err)
	}
	line, err := proof.Cosign(cp.Text(), witness, logKey(2), time.Unix(1679315147, 0))
	if err != nil {
		t.Fatal(err)
	}
	whole := append(bytes.Clone(signed), line...)
	golden(t, "checkpoint.txt", whole)
	path, err := tiles.Inclusion(300, 257)
	if err != nil {
		t.Fatal(err)
	}
	p := proof.Inclusion{Extra: []byte("leaf data"), Index: 257, Path: path, Checkpoint: whole}
	golden(t, "proof.tlog-proof", p.Format())
	log := mustLogKey(t, "hub.example/log", logKey(1))
	keys := proof.KeyFile{Logs: []proof.NoteKey{log}, Witnesses: []proof.NoteKey{witness}}
	golden(t, "keys.txt", []byte(keys.String()))

	again, err := proof.ParseInclusion(p.Format())
	if err != nil {
		t.Fatal(err)
	}
	head, err := again.Verify(leaves[257], keys)
	if err != nil || head.Size != 300 || len(head.Witnesses) != 1 {
		t.Errorf("verify: %+v, %v", head, err)
	}
	if _, err := again.Verify(leaves[256], keys); !errors.Is(err, proof.ErrInclusion) {
		t.Errorf("another leaf: %v", err)
	}
	again.Index = 256
	if _, err := again.Verify(leaves[257], keys); !errors.Is(err, proof.ErrInclusion) {
		t.Errorf("another place: %v", err)
	}
	// x/mod's own verifier reads the log's line.
	v, err := note.NewVerifier(log.String())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := note.Open(whole, note.VerifierList(v)); err != nil || n.Text != cp.Text() || len(n.UnverifiedSigs) != 1 {
		t.Errorf("x/mod: %v", err)
	}
}

func TestCheckpointsOfOthersAreRefused(t *testing.T) {
	t.Parallel()
	cp := proof.Checkpoint{Origin: "hub.example/log", Size: 3}
	signed, err := proof.SignCheckpoint(cp, logKey(1))
	if err != nil {
		t.Fatal(err)
	}
	good := mustLogKey(t, "hub.example/log", logKey(1))
	other := mustLogKey(t, "other.example/log", logKey(1))
	witness, _ := proof.NewWitnessKey("hub.example/log", public(logKey(1)))
	// A note whose text names another log than the key that signed it.
	crossed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "other.example/log", Size: 3}, logKey(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		msg  []byte
		keys []proof.NoteKey
		want error
	}{
		"good":                 {signed, []proof.NoteKey{good}, nil},
		"no key":               {signed, nil, proof.ErrUnsigned},
		"another key":          {signed, []proof.NoteKey{mustLogKey(t, "hub.example/log", logKey(3))}, proof.ErrUnsigned},
		"a witness's key":      {signed, []proof.NoteKey{witness}, proof.ErrUnsigned},
		"another origin":       {signed, []proof.NoteKey{other}, proof.ErrUnsigned},
		"crossed":              {crossed, []proof.NoteKey{good}, proof.ErrUnsigned},
		"one digit changed":    {bytes.Replace(signed, []byte("\n3\n"), []byte("\n4\n"), 1), []proof.NoteKey{good}, proof.ErrUnsigned},
		"leading zero":         {bytes.Replace(signed, []byte("\n3\n"), []byte("\n03\n"), 1), []proof.NoteKey{good}, proof.ErrUnsigned},
		"no signature at all":  {[]byte(cp.Text() + "\n"), []proof.NoteKey{good}, proof.ErrCheckpoint},
		"nothing":              {nil, []proof.NoteKey{good}, proof.ErrCheckpoint},
		"a very long one":      {bytes.Repeat([]byte("a"), 1<<20), []proof.NoteKey{good}, proof.ErrCheckpoint},
		"same key given twice": {signed, []proof.NoteKey{good, good}, nil},
	} {
		if _, err := proof.OpenCheckpoint(c.msg, c.keys); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A resumed log keeps its key under a longer name, and only such a one.
	keys := proof.KeyFile{Logs: []proof.NoteKey{good}}
	for origin, want := range map[string]bool{"hub.example/log/2": true, "hub.example/log/11": true, "hub.example/log/1": false, "hub.example/log/02": false,
		"hub.example/log/x": false, "hub.example/log2": false, "hub.example/log/2/2": false} {
		signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 3}, logKey(1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Open(signed); (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestCoverAndFrontier(t *testing.T) {
	t.Parallel()
	f, tiles, leaves := treeOf(t, 300)
	for _, from := range []int64{0, 1, 3, 64, 255, 256, 299, 300} {
		for _, until := range []int64{0, 1, 5, 256, 257, 300} {
			if until < from {
				continue
			}
			var g proof.Frontier
			for _, l := range leaves[:from] {
				g.Append(l)
			}
			for _, s := range proof.Cover(from, until) {
				h, err := tiles.Hash(300, s)
				if err != nil {
					t.Fatal(err)
				}
				if err := g.AppendSubtree(s.Level, h); err != nil {
					t.Fatalf("%d to %d: %v", from, until, err)
				}
			}
			for _, l := range leaves[until:] {
				g.Append(l)
			}
			if g.Root() != f.Root() || g.Size() != 300 {
				t.Errorf("skipping %d to %d gives another root", from, until)
			}
		}
	}
	var g proof.Frontier
	g.Append(leaves[0])
	if err := g.AppendSubtree(1, leaves[1]); err == nil {
		t.Error("a subtree was taken at a place where none can begin")
	}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	_, tiles, _ := treeOf(t, 300)
	at := func(n int64) proof.Checkpoint {
		root, err := tiles.Root(n)
		if err != nil {
			t.Fatal(err)
		}
		return proof.Checkpoint{Origin: "o", Size: n, Root: root}
	}
	for _, c := range [][2]int64{{0, 300}, {1, 300}, {255, 256}, {256, 257}, {299, 300}, {300, 300}} {
		path, err := tiles.Consistency(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.CheckConsistency(at(c[0]), at(c[1]), path); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		wrong := at(c[0])
		wrong.Root[0] ^= 1
		if err := proof.CheckConsistency(wrong, at(c[1]), path); c[0] > 0 && !errors.Is(err, proof.ErrConsistency) {
			t.Errorf("%v with another root: %v", c, err)
		}
	}
	if err := proof.CheckConsistency(at(300), at(299), nil); !errors.Is(err, proof.ErrConsistency) {
		t.Errorf("a shorter log: %v", err)
	}
	other := at(300)
	other.Origin = "p"
	if err := proof.CheckConsistency(at(300), other, nil); !errors.Is(err, proof.ErrConsistency) {
		t.Errorf("another log: %v", err)
	}
}

func TestWitnessAnswers(t *testing.T) {
	t.Parallel()
	_, tiles, _ := treeOf(t, 300)
	signed := func(origin string, n int64, key ed25519.PrivateKey, change ...func(*proof.Checkpoint)) []byte {
		root, err := tiles.Root(n)
		if err != nil {
			t.Fatal(err)
		}
		cp := proof.Checkpoint{Origin: origin, Size: n, Root: root}
		for _, f := range change {
			f(&cp)
		}
		s, err := proof.SignCheckpoint(cp, key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ask := func(old int64, n int64, s []byte) []byte {
		var path []proof.Digest
		if old < n {
			var err error
			if path, err = tiles.Consistency(old, n); err != nil {
				t.Fatal(err)
			}
		}
		a := proof.AddCheckpoint{Old: old, Path: path, Checkpoint: s}
		return a.Format()
	}
	const origin = "hub.example/log"
	var saved []byte
	failing := false
	w, err := proof.NewWitness("w.example", logKey(2), []proof.NoteKey{mustLogKey(t, origin, logKey(1))}, func() time.Time { return time.Unix(1679315147, 0) },
		func(_ string, s []byte) error {
			if failing {
				return errors.New("disk full")
			}
			saved = s
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	fork := func(cp *proof.Checkpoint) { cp.Root[0] ^= 1 }
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		text   string
	}{
		{"nonsense", []byte("hello"), 400, ""},
		{"no old size", []byte("5\n\n" + string(signed(origin, 5, logKey(1)))), 400, ""},
		{"leading zero", []byte("old 00\n\n" + string(signed(origin, 5, logKey(1)))), 400, ""},
		{"64 hashes", []byte("old 0\n" + strings.Repeat("PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n", 64) + "\n" + string(signed(origin, 5, logKey(1)))), 400, ""},
		{"unknown log", ask(0, 5, signed("other.example/log", 5, logKey(1))), 404, ""},
		{"another's key", ask(0, 5, signed(origin, 5, logKey(3))), 403, ""},
		{"old greater than new", ask(6, 5, signed(origin, 5, logKey(1))), 400, ""},
		{"first, from something", ask(3, 5, signed(origin, 5, logKey(1))), 409, "0\n"},
		{"first", ask(0, 5, signed(origin, 5, logKey(1))), 200, "— w.example "},
		{"the same again", ask(5, 5, signed(origin, 5, logKey(1))), 200, "— w.example "},
		{"same size, another root", ask(5, 5, signed(origin, 5, logKey(1), fork)), 409, ""},
		{"stale", ask(0, 9, signed(origin, 9, logKey(1))), 409, "5\n"},
		{"a fork", ask(5, 9, signed(origin, 9, logKey(1), fork)), 422, ""},
		{"no proof", ask(5, 5, signed(origin, 9, logKey(1))), 422, ""},
		{"forward", ask(5, 300, signed(origin, 300, logKey(1))), 200, "— w.example "},
		{"back", ask(5, 9, signed(origin, 9, logKey(1))), 409, "300\n"},
	} {
		a := w.Add(c.body)
		if a.Status != c.status || !strings.HasPrefix(a.Body, c.text) {
			t.Errorf("%s: %d %q, want %d %q", c.name, a.Status, a.Body, c.status, c.text)
		}
		if strings.HasSuffix(c.text, "\n") && a.Type != "text/x.tlog.size" {
			t.Errorf("%s: media type %s", c.name, a.Type)
		}
	}
	// What it has cosigned it remembers after a restart.
	again, err := proof.NewWitness("w.example", logKey(2), []proof.NoteKey{mustLogKey(t, origin, logKey(1))}, time.Now, func(string, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Restore(saved); err != nil {
		t.Fatal(err)
	}
	if a := again.Add(ask(0, 9, signed(origin, 9, logKey(1)))); a.Status != 409 || a.Body != "300\n" {
		t.Errorf("after a restart: %d %q", a.Status, a.Body)
	}
	failing = true
	if a := w.Add(ask(300, 300, signed(origin, 300, logKey(1)))); a.Status != 500 {
		t.Errorf("what is not saved was cosigned: %d %q", a.Status, a.Body)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	log := mustLogKey(t, "hub.example/log", logKey(1)).String()
	w, _ := proof.NewWitnessKey("w.example", public(logKey(2)))
	r, _ := proof.NewKey("hub-1", public(logKey(3)))
	good, err := proof.ParseKeyFile([]byte("# from the owner\n\n" + log + "\nwitness " + w.String() + "  # police\nreplica " + r.String() + "\n"))
	if err != nil || len(good.Logs) != 1 || len(good.Witnesses) != 1 || len(good.Replicas) != 1 {
		t.Errorf("%+v, %v", good, err)
	}
	for _, bad := range []string{"", "# nothing\n", "log " + w.String(), "witness " + log, "friend " + log, "log " + log + " x", log[:len(log)-4], strings.Replace(log, "hub", "hob", 1)} {
		if _, err := proof.ParseKeyFile([]byte(bad)); !errors.Is(err, proof.ErrKey) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTilePaths(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][3]int64{"tile/0/000": {0, 0, 256}, "tile/1/x001/x234/067": {1, 1234067, 256}, "tile/0/x001/234.p/5": {0, 1234, 5}} {
		level, n, width, err := proof.ParseTilePath(path)
		if err != nil || [3]int64{int64(level), n, int64(width)} != want || proof.TilePath(level, n, width) != path {
			t.Errorf("%s: %d %d %d, %v", path, level, n, width, err)
		}
	}
	for _, bad := range []string{"tile/0/0", "tile/00/000", "tile/0/000.p/256", "tile/0/000.p/0", "tile/-1/000", "tile/0/../000", "tile/data/000", "0/000", ""} {
		if _, _, _, err := proof.ParseTilePath(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzOpenCheckpoint(f *testing.F) {
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "hub.example/log", Size: 3}, logKey(1))
	if err != nil {
		f.Fatal(err)
	}
	key := mustLogKey(f, "hub.example/log", logKey(1))
	f.Add(signed)
	f.Add([]byte("a\n1\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\n— a AAAA\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		cp, err := proof.OpenCheckpoint(msg, []proof.NoteKey{key})
		if err == nil && (cp.Size != 3 || cp.Origin != "hub.example/log") {
			t.Errorf("opened %+v, which nobody signed", cp)
		}
		if c, err := proof.ParseCheckpoint(string(msg)); err == nil && !strings.HasPrefix(string(msg), c.Text()) {
			t.Errorf("read %+v from another spelling", c)
		}
	})
}

func FuzzParseProof(f *testing.F) {
	p := proof.Inclusion{Extra: []byte("x"), Index: 3, Path: make([]proof.Digest, 2), Checkpoint: []byte("a\n")}
	f.Add(p.Format())
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"))
	a := proof.AddCheckpoint{Old: 3, Path: make([]proof.Digest, 2), Checkpoint: []byte("a\n")}
	f.Add(a.Format())
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := proof.ParseInclusion(data); err == nil && !bytes.Equal(p.Format(), data) && len(p.Extra) > 0 {
			t.Errorf("two spellings of one proof: %q", data)
		}
		if a, err := proof.ParseAddCheckpoint(data); err == nil && !bytes.Equal(a.Format(), data) {
			t.Errorf("two spellings of one request: %q", data)
		}
	})
}

func FuzzVerifyExport(f *testing.F) {
	var out bytes.Buffer
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "hub.example/log", Root: (&proof.Frontier{}).Root()}, logKey(1))
	if err != nil {
		f.Fatal(err)
	}
	key := mustLogKey(f, "hub.example/log", logKey(1))
	replica, _ := proof.NewKey("hub-1", public(logKey(3)))
	w, err := proof.NewExportWriter(&out, proof.ExportHeader{Checkpoint: string(signed), LogKey: key.String(), ReplicaKeys: []string{replica.String()}, Scope: "all"}, proof.ExportMark{Number: 1},
		func(d proof.Digest) (string, []byte) { return replica.ID(), proof.SignExport(logKey(3), d) })
	if err != nil {
		f.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	honest := bytes.Clone(out.Bytes())
	f.Add(honest)
	f.Add([]byte(`{"kith_export":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := proof.VerifyExport(bytes.NewReader(data), proof.VerifyOptions{Keys: proof.KeyFile{Logs: []proof.NoteKey{key}, Replicas: []proof.Key{replica}}})
		if err == nil && r.Good() && !bytes.Equal(bytes.TrimSpace(data), bytes.TrimSpace(honest)) {
			t.Errorf("good, but not what was signed: %q", data)
		}
	})
}
