package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kith/internal/audit/proof"
)

// A hub that was restored has two logs: its first two entries stand in the older
// one, the other two in the newer one, and each receipt is found in either.
func TestReceiptsOfAHubThatWasRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := func(name, origin string, leaves []proof.Digest) {
		var f proof.Frontier
		var tile strings.Builder
		for _, l := range leaves {
			f.Append(l)
			tile.Write(l[:])
		}
		cp, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: f.Size(), Root: f.Root()}, w.log)
		if err != nil {
			t.Fatal(err)
		}
		w.write(t, name+"/checkpoint", string(cp))
		w.write(t, name+"/"+proof.TilePath(0, 0, len(leaves)), tile.String())
	}
	older := func(name string, leaves []proof.Digest) { log(name+"/logs/1", origin, leaves) }
	newer := func(name string, leaves []proof.Digest) { log(name, origin+"/2", leaves) }
	newer("both", w.leaves[2:])
	older("both", w.leaves[:2])
	newer("without", w.leaves[2:])
	newer("short", w.leaves[3:])
	older("short", w.leaves[:2])
	newer("changed", w.leaves[2:])
	older("changed", w.leaves[:2])
	w.write(t, "changed/logs/1/"+proof.TilePath(0, 0, 2), string(w.leaves[0][:])+string(w.leaves[0][:]))
	newer("twice", w.leaves[2:])
	log("twice/logs/1", origin+"/2", w.leaves[:2])
	// And by two exports, of which each holds a part.
	events, err := os.ReadFile(filepath.Join(w.dir, "export/events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "shorter", string(events[:strings.LastIndexByte(strings.TrimSpace(string(events)), '\n')+1]))
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"receipts @receipts --key @trusted --tiles @both", 0, "4 receipts of 4 events, 0 bad"},
		{"receipts @receipts --key @trusted --tiles @both", 0, "log " + origin + ": 2 entries"},
		{"receipts @receipts --key @trusted --tiles @both", 0, "log " + origin + "/2: 2 entries"},
		{"receipts @receipts --key @trusted --tiles @without", 1, "4 receipts of 4 events, 2 bad"},
		{"receipts @receipts --key @trusted --tiles @short", 1, "4 receipts of 4 events, 1 bad"},
		{"receipts @receipts --key @trusted --tiles @changed", 1, "do not give the root"},
		{"receipts @receipts --key @trusted --tiles @twice", 1, "another checkpoint of the log"},
		{"receipts @receipts --key @trusted --tiles @without --export @export", 0, "0 bad"},
		{"receipts @receipts --key @trusted --export @export --export @export", 0, "0 bad"},
		{"receipts @receipts --key @trusted --export @export --export @shorter", 1, "1 bad"},
		{"receipts @receipts --key @other-log --tiles @both", 2, "no such file"},
	} {
		status, out := w.run(c.args)
		if status != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", c.args, status, c.status, c.says, out)
		}
	}
}
