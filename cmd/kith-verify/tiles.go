package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// tilesIn reads C2SP tiles from a folder that holds "tile".
func tilesIn(dir string) proof.Tiles {
	return func(level int, n int64, width int) ([]byte, error) {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(proof.TilePath(level, n, width))))
		if errors.Is(err, os.ErrNotExist) && width < proof.TileWidth {
			data, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(proof.TilePath(level, n, proof.TileWidth))))
		}
		return data, err
	}
}

// receiptsInTiles looks for each receipt's leaf in the logs of a folder: the one
// whose checkpoint and tiles lie in it, and the older ones of a hub that was
// restored, which lie below logs. What one of them holds is taken off receipts.
// bad counts logs that do not give their own root: they hold nothing.
func receiptsInTiles(o options, receipts proof.Receipts, stdout io.Writer) (bad int, err error) {
	keys, independent, err := o.keys(o.tiles)
	if err != nil {
		return 0, err
	}
	older, err := filepath.Glob(filepath.Join(o.tiles, "logs", "*", "checkpoint"))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errUsage, err)
	}
	slices.Sort(older)
	seen := map[string]bool{}
	for _, path := range append([]string{filepath.Join(o.tiles, "checkpoint")}, older...) {
		cp, err := readCheckpoint(path, keys)
		if err != nil {
			return bad, err
		}
		if seen[cp.Origin] {
			return bad, fmt.Errorf("%s: another checkpoint of the log %s lies beside it", path, cp.Origin)
		}
		seen[cp.Origin] = true
		sayCheckpoint(stdout, cp)
		sayKey(stdout, independent, fingerprintOf(keys.For(cp.Origin), cp.Origin))
		held, err := heldBy(filepath.Dir(path), cp.Checkpoint, receipts)
		if errors.Is(err, errRoot) {
			fmt.Fprintf(stdout, "BAD: %v\n", err)
			bad++
			continue
		}
		if err != nil {
			return bad, fmt.Errorf("log %s: %w", cp.Origin, err)
		}
		maps.DeleteFunc(receipts, func(_ uuid.UUID, r proof.Receipt) bool { return held[r.Leaf] })
	}
	return bad, nil
}

// errRoot: the tiles are not those of the checkpoint.
var errRoot = errors.New("the tiles do not give the root that the checkpoint signs")

// heldBy gives the leaves of receipts that stand in the tiles of a folder, which
// must give the checkpoint's root. Error: errRoot.
func heldBy(dir string, cp proof.Checkpoint, receipts proof.Receipts) (map[proof.Digest]bool, error) {
	wanted := make(map[proof.Digest]bool, len(receipts))
	for _, r := range receipts {
		wanted[r.Leaf] = true
	}
	held := map[proof.Digest]bool{}
	var f proof.Frontier
	for n := int64(0); n*proof.TileWidth < cp.Size; n++ {
		width := int(min(proof.TileWidth, cp.Size-n*proof.TileWidth))
		tile, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(proof.TilePath(0, n, width))))
		if err != nil || len(tile) != width*len(proof.Digest{}) {
			return nil, fmt.Errorf("tile %s is missing or cut off", proof.TilePath(0, n, width))
		}
		for leaf := range slices.Chunk(tile, len(proof.Digest{})) {
			f.Append(proof.Digest(leaf))
			if wanted[proof.Digest(leaf)] {
				held[proof.Digest(leaf)] = true
			}
		}
	}
	if f.Root() != cp.Root {
		return nil, errRoot
	}
	return held, nil
}
