package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is that of C2SP tlog-tiles: a full tile has 256 hashes.
const TileHeight = 8

// TileWidth is how many hashes a full tile has.
const TileWidth = 1 << TileHeight

// Errors of the tree's proofs.
var (
	ErrInclusion   = errors.New("the log does not hold this entry at this place")
	ErrConsistency = errors.New("the newer log is not the older one with something added")
	ErrProof       = errors.New("not a tlog-proof")
)

// Frontier computes a tree's root while its leaves go by, in memory of a few
// hashes. The zero value is the empty tree.
type Frontier struct {
	size  int64
	stack []Digest // roots of the perfect subtrees on the left, largest first
}

// Size is the number of leaves so far.
func (f *Frontier) Size() int64 { return f.size }

// Append adds a leaf.
func (f *Frontier) Append(leaf Digest) { _ = f.AppendSubtree(0, leaf) }

// AppendSubtree adds a perfect subtree of 2^level leaves by its root. Error
// where the frontier is not at a multiple of that.
func (f *Frontier) AppendSubtree(level int, root Digest) error {
	if level < 0 || level > 62 || f.size&(1<<level-1) != 0 {
		return fmt.Errorf("a subtree of level %d does not begin at %d", level, f.size)
	}
	for n := f.size >> level; n&1 == 1; n >>= 1 {
		last := len(f.stack) - 1
		root = Digest(tlog.NodeHash(tlog.Hash(f.stack[last]), tlog.Hash(root)))
		f.stack = f.stack[:last]
	}
	f.stack = append(f.stack, root)
	f.size += 1 << level
	return nil
}

// Root is the RFC 6962 hash of the tree so far.
func (f *Frontier) Root() Digest {
	if len(f.stack) == 0 {
		empty, _ := tlog.TreeHash(0, nil) // the hash of nothing needs no reader
		return Digest(empty)
	}
	root := f.stack[len(f.stack)-1]
	for i := len(f.stack) - 2; i >= 0; i-- {
		root = Digest(tlog.NodeHash(tlog.Hash(f.stack[i]), tlog.Hash(root)))
	}
	return root
}

// Subtree is a perfect subtree: the N-th of 2^Level leaves.
type Subtree struct {
	Level int
	N     int64
}

// Cover splits the leaves from (included) to until (not) into the fewest
// perfect subtrees, left to right.
func Cover(from, until int64) []Subtree {
	var list []Subtree
	for from < until {
		level := bits.TrailingZeros64(uint64(from) | 1<<62)
		for int64(1)<<level > until-from {
			level--
		}
		list = append(list, Subtree{Level: level, N: from >> level})
		from += 1 << level
	}
	return list
}

// Tiles reads hash tiles: at least width hashes of the n-th tile of a level.
type Tiles func(level int, n int64, width int) ([]byte, error)

// reader makes tiles usable by the tlog package. It trusts them: who does not
// uses Inclusion's and Consistency's results against a signed root.
func (t Tiles) reader(size int64) tlog.HashReader {
	type key struct {
		level int
		n     int64
	}
	cache := map[key][]byte{}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			tile := tlog.TileForIndex(TileHeight, index)
			k := key{tile.L, tile.N}
			data, ok := cache[k]
			if !ok || len(data) < tile.W*tlog.HashSize {
				width := min(TileWidth, size>>(TileHeight*tile.L)-tile.N*TileWidth)
				var err error
				if data, err = t(tile.L, tile.N, int(width)); err != nil {
					return nil, fmt.Errorf("tile %d/%d: %w", tile.L, tile.N, err)
				}
				if len(data) < int(width)*tlog.HashSize {
					return nil, fmt.Errorf("tile %d/%d has %d bytes, %d hashes are needed", tile.L, tile.N, len(data), width)
				}
				cache[k] = data
			}
			h, err := tlog.HashFromTile(tile, data[:tile.W*tlog.HashSize], index)
			if err != nil {
				return nil, err
			}
			out[i] = h
		}
		return out, nil
	})
}

// Root is the root of the first size leaves.
func (t Tiles) Root(size int64) (Digest, error) {
	h, err := tlog.TreeHash(size, t.reader(size))
	return Digest(h), err
}

// Hash is the root of a perfect subtree of a tree with size leaves.
func (t Tiles) Hash(size int64, s Subtree) (Digest, error) {
	h, err := t.reader(size).ReadHashes([]int64{tlog.StoredHashIndex(s.Level, s.N)})
	if err != nil {
		return Digest{}, err
	}
	return Digest(h[0]), nil
}

// Inclusion proves the leaf at index in the tree of size leaves.
func (t Tiles) Inclusion(size, index int64) ([]Digest, error) {
	if index < 0 || index >= size {
		return nil, ErrInclusion
	}
	p, err := tlog.ProveRecord(size, index, t.reader(size))
	if err != nil {
		return nil, err
	}
	return digests(p), nil
}

// Consistency proves that the tree of size leaves begins with that of old.
func (t Tiles) Consistency(old, size int64) ([]Digest, error) {
	if old == 0 || old == size {
		return nil, nil
	}
	p, err := tlog.ProveTree(size, old, t.reader(size))
	if err != nil {
		return nil, err
	}
	return digests(p), nil
}

func digests[T ~[]tlog.Hash](hashes T) []Digest {
	out := make([]Digest, len(hashes))
	for i, h := range hashes {
		out[i] = Digest(h)
	}
	return out
}

func hashes(list []Digest) []tlog.Hash {
	out := make([]tlog.Hash, len(list))
	for i, d := range list {
		out[i] = tlog.Hash(d)
	}
	return out
}

// CheckInclusion verifies that head holds leaf at index. Error: ErrInclusion.
func CheckInclusion(head Checkpoint, index int64, leaf Digest, path []Digest) error {
	if index < 0 || index >= head.Size {
		return fmt.Errorf("%w: the log has %d entries", ErrInclusion, head.Size)
	}
	if err := tlog.CheckRecord(hashes(path), head.Size, tlog.Hash(head.Root), index, tlog.Hash(leaf)); err != nil {
		return ErrInclusion
	}
	return nil
}

// CheckConsistency verifies that the newer head is the older with leaves
// added. Error: ErrConsistency.
func CheckConsistency(old, newer Checkpoint, path []Digest) error {
	switch {
	case old.Origin != newer.Origin:
		return fmt.Errorf("%w: they are of different logs", ErrConsistency)
	case old.Size > newer.Size:
		return fmt.Errorf("%w: it has %d entries, the older %d", ErrConsistency, newer.Size, old.Size)
	case old.Size == newer.Size:
		if old.Root != newer.Root || len(path) > 0 {
			return fmt.Errorf("%w: two roots for %d entries", ErrConsistency, old.Size)
		}
		return nil
	case old.Size == 0:
		if len(path) > 0 {
			return fmt.Errorf("%w: a proof from nothing is empty", ErrConsistency)
		}
		return nil
	}
	if err := tlog.CheckTree(hashes(path), newer.Size, tlog.Hash(newer.Root), old.Size, tlog.Hash(old.Root)); err != nil {
		return ErrConsistency
	}
	return nil
}

// Inclusion is a C2SP tlog-proof: one entry's place in the log, with the
// checkpoint that it is proved against.
type Inclusion struct {
	Extra      []byte // Kith's proofs carry the leaf's data here
	Index      int64
	Path       []Digest
	Checkpoint []byte // signed note
}

const proofWord = "c2sp.org/tlog-proof@v1\n"

// Format gives the text form.
func (p *Inclusion) Format() []byte {
	out := []byte(proofWord)
	if len(p.Extra) > 0 {
		out = append(out, "extra "+base64.StdEncoding.EncodeToString(p.Extra)+"\n"...)
	}
	out = append(out, "index "+strconv.FormatInt(p.Index, 10)+"\n"...)
	for _, h := range p.Path {
		out = append(out, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
	}
	return append(append(out, '\n'), p.Checkpoint...)
}

// ParseInclusion reads the text form. It does not verify. Error: ErrProof.
func ParseInclusion(data []byte) (Inclusion, error) {
	rest, ok := strings.CutPrefix(string(data), proofWord)
	head, checkpoint, found := strings.Cut(rest, "\n\n")
	if !ok || !found || len(data) > 1<<20 {
		return Inclusion{}, ErrProof
	}
	p := Inclusion{Checkpoint: []byte(checkpoint)}
	lines := strings.Split(head, "\n")
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		raw, err := base64.StdEncoding.Strict().DecodeString(extra)
		if err != nil {
			return Inclusion{}, fmt.Errorf("%w: extra", ErrProof)
		}
		p.Extra, lines = raw, lines[1:]
	}
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "index ") || len(lines) > 64 {
		return Inclusion{}, fmt.Errorf("%w: index", ErrProof)
	}
	var err error
	if p.Index, err = parseSize(strings.TrimPrefix(lines[0], "index ")); err != nil {
		return Inclusion{}, fmt.Errorf("%w: index", ErrProof)
	}
	for _, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return Inclusion{}, fmt.Errorf("%w: hash", ErrProof)
		}
		p.Path = append(p.Path, h)
	}
	return p, nil
}

// Verify checks the checkpoint's signature and that it holds leaf. Errors:
// ErrCheckpoint, ErrUnsigned, ErrInclusion.
func (p *Inclusion) Verify(leaf Digest, keys KeyFile) (Signed, error) {
	head, err := keys.Open(p.Checkpoint)
	if err != nil {
		return Signed{}, err
	}
	return head, CheckInclusion(head.Checkpoint, p.Index, leaf, p.Path)
}

// Leaf is the hash of a leaf's data.
func Leaf(data []byte) Digest { return Digest(tlog.RecordHash(data)) }

// AddCheckpoint is the body of a C2SP tlog-witness add-checkpoint request.
type AddCheckpoint struct {
	Old        int64
	Path       []Digest // consistency from Old to the checkpoint
	Checkpoint []byte   // signed note
}

// Format gives the request's body.
func (a *AddCheckpoint) Format() []byte {
	out := []byte("old " + strconv.FormatInt(a.Old, 10) + "\n")
	for _, h := range a.Path {
		out = append(out, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
	}
	return append(append(out, '\n'), a.Checkpoint...)
}

// ParseAddCheckpoint reads a request's body.
func ParseAddCheckpoint(body []byte) (AddCheckpoint, error) {
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	if !ok {
		return AddCheckpoint{}, errors.New("no empty line before the checkpoint")
	}
	lines := strings.Split(head, "\n")
	number, ok := strings.CutPrefix(lines[0], "old ")
	if !ok || len(lines) > 64 {
		return AddCheckpoint{}, errors.New("no old size, or too many hashes")
	}
	a := AddCheckpoint{Checkpoint: []byte(checkpoint)}
	var err error
	if a.Old, err = parseSize(number); err != nil {
		return AddCheckpoint{}, err
	}
	for _, line := range lines[1:] {
		h, err := parseHash(line)
		if err != nil {
			return AddCheckpoint{}, err
		}
		a.Path = append(a.Path, h)
	}
	return a, nil
}

// TilePath is where a static reader finds a tile: tile/LEVEL/N[.p/WIDTH].
func TilePath(level int, n int64, width int) string {
	path := tlog.Tile{H: TileHeight, L: level, N: n, W: width}.Path()
	return "tile/" + strings.TrimPrefix(path, fmt.Sprintf("tile/%d/", TileHeight))
}

// ParseTilePath reads what TilePath writes and nothing else.
func ParseTilePath(path string) (level int, n int64, width int, err error) {
	t, err := tlog.ParseTilePath(fmt.Sprintf("tile/%d/", TileHeight) + strings.TrimPrefix(path, "tile/"))
	if err != nil || t.L < 0 || TilePath(t.L, t.N, t.W) != path {
		return 0, 0, 0, errors.New("not the path of a tile")
	}
	return t.L, t.N, t.W, nil
}
