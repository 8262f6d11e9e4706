package tree

import "kith/internal/audit/proof"

// Tiler makes the hash tiles of leaves that go by, for who keeps them as files
// (C2SP tlog-tiles): the proofs of every entry of an export.
type Tiler struct {
	edge   edge
	leaves []proof.Digest
	write  func(path string, hashes []byte) error
}

// NewTiler hands each finished tile to write.
func NewTiler(write func(path string, hashes []byte) error) *Tiler { return &Tiler{write: write} }

// Append adds the next leaf.
func (t *Tiler) Append(leaf proof.Digest) error {
	t.leaves = append(t.leaves, leaf)
	if len(t.leaves) < proof.TileWidth {
		return nil
	}
	return t.flush(false)
}

// Close writes the partial tiles.
func (t *Tiler) Close() error { return t.flush(true) }

func (t *Tiler) flush(partial bool) error {
	for _, tile := range t.edge.append(t.leaves) {
		if width := len(tile.hashes) / len(proof.Digest{}); width == proof.TileWidth {
			if err := t.write(proof.TilePath(tile.level, tile.n, width), tile.hashes); err != nil {
				return err
			}
		}
	}
	t.leaves = t.leaves[:0]
	if !partial {
		return nil
	}
	for level, hashes := range t.edge.tiles {
		if width := len(hashes) / len(proof.Digest{}); width > 0 {
			n := t.edge.size >> (proof.TileHeight * (level + 1))
			if err := t.write(proof.TilePath(level, n, width), hashes); err != nil {
				return err
			}
		}
	}
	return nil
}
