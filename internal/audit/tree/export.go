package tree

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Export is what one export holds.
type Export struct {
	Scope audit.Scope
	// From and Until narrow it by time: the run of leaves from the first event
	// at or after From to the last before Until. Zero is open.
	From, Until time.Time
	Number      int // of the log, where it was resumed; 0 is the present one
	Replicas    []proof.Key
	Log         proof.NoteKey // with any name
	// Sign signs the end of the file with a replica's key.
	Sign func(proof.Digest) (replica string, signature []byte)
	// View is an event as its reader sees it, as JSON.
	View func(*audit.Record) ([]byte, error)
}

// Export writes the leaves under the newest checkpoint, in flat memory. Leaves
// that the scope does not show, and those outside the run, are stood for by
// the hashes that cover them, so that the reader can compute the root.
func (r *Reader) Export(ctx context.Context, log *audit.Log, x Export, w io.Writer) error {
	h, err := r.numbered(ctx, x.Number)
	if err != nil {
		return err
	}
	first, end, err := r.run(ctx, h, x)
	if err != nil {
		return err
	}
	x.Log.Name = h.Origin
	head := proof.ExportHeader{Checkpoint: string(h.Checkpoint), LogKey: x.Log.String(), Scope: x.Scope.Name(), First: first, End: end}
	for _, k := range x.Replicas {
		head.ReplicaKeys = append(head.ReplicaKeys, k.String())
	}
	out, err := proof.NewExportWriter(w, head)
	if err != nil {
		return err
	}
	e := &exporter{out: out, size: h.CheckpointSize, number: h.Number, tiles: tilesOf(ctx, r.pool, h.Number), view: x.View, all: x.Scope.Name() == "all"}
	if err := e.skip(first); err != nil {
		return err
	}
	if err := log.Walk(ctx, x.Scope, h.Number, first, end, e.leaf); err != nil {
		return err
	}
	if e.all {
		if err := e.holes(end); err != nil {
			return err
		}
	}
	if err := e.skip(h.CheckpointSize); err != nil {
		return err
	}
	return out.Close(x.Sign)
}

func (r *Reader) numbered(ctx context.Context, number int) (head, error) {
	h, err := readHead(ctx, r.pool)
	if err != nil {
		return head{}, err
	}
	if number > 0 && number != h.Number {
		err := r.pool.QueryRow(ctx, `SELECT number, origin, checkpoint, checkpoint_size FROM kith.log_head WHERE number = $1`, number).
			Scan(&h.Number, &h.Origin, &h.Checkpoint, &h.CheckpointSize)
		if err != nil {
			return head{}, fmt.Errorf("read log %d: %w", number, postgres.Redact(err))
		}
	}
	if len(h.Checkpoint) == 0 {
		return head{}, ErrNoCheckpoint
	}
	return h, nil
}

// run is the run of leaves of a time range.
func (r *Reader) run(ctx context.Context, h head, x Export) (first, end int64, err error) {
	if x.From.IsZero() && x.Until.IsZero() {
		return 0, h.CheckpointSize, nil
	}
	from, until := x.From, x.Until
	if until.IsZero() {
		until = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	err = r.pool.QueryRow(ctx, `
		SELECT coalesce(min(index), $4), least($4, coalesce(max(index) + 1, $4)) FROM kith.log_leaf
		 WHERE number = $1 AND occurred_at >= $2 AND occurred_at < $3 AND index < $4`, h.Number, from, until, h.CheckpointSize).Scan(&first, &end)
	if err != nil {
		return 0, 0, fmt.Errorf("find the leaves of a time: %w", postgres.Redact(err))
	}
	return first, end, nil
}

// exporter writes leaves and the hashes between them.
type exporter struct {
	out    *proof.ExportWriter
	tiles  proof.Tiles
	number int
	size   int64
	next   int64
	all    bool
	view   func(*audit.Record) ([]byte, error)

	tile  []byte // level 0, the one that next lies in
	tileN int64
}

// hash of a leaf as the tiles have it: not as the leaves' own table says.
func (e *exporter) hash(index int64) (proof.Digest, error) {
	n := index / proof.TileWidth
	if e.tile == nil || n != e.tileN {
		var err error
		if e.tile, err = e.tiles(0, n, int(min(proof.TileWidth, e.size-n*proof.TileWidth))); err != nil {
			return proof.Digest{}, err
		}
		e.tileN = n
	}
	at := int(index%proof.TileWidth) * tlog.HashSize
	return proof.Digest(e.tile[at : at+tlog.HashSize]), nil
}

// skip covers the leaves up to index (not included).
func (e *exporter) skip(until int64) error {
	if until <= e.next {
		return nil
	}
	s := proof.ExportSkip{Skip: until - e.next}
	for _, sub := range proof.Cover(e.next, until) {
		h, err := e.tiles.Hash(e.size, sub)
		if err != nil {
			return err
		}
		s.Hashes = append(s.Hashes, h)
	}
	e.next = until
	return e.out.Skip(s)
}

// holes names the leaves whose rows are gone from the leaves' own table.
func (e *exporter) holes(until int64) error {
	for ; e.next < until; e.next++ {
		h, err := e.hash(e.next)
		if err != nil {
			return err
		}
		if err := e.out.Entry(&proof.ExportEntry{Index: e.next, Leaf: h, Missing: true}); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) leaf(l *audit.Leaf) error {
	if !l.Shown {
		return nil // the next skip covers it
	}
	fill := e.skip
	if e.all {
		fill = e.holes
	}
	if err := fill(l.Index); err != nil {
		return err
	}
	h, err := e.hash(l.Index)
	if err != nil {
		return err
	}
	line := proof.ExportEntry{Index: l.Index, Leaf: h, Event: l.Event, Missing: l.Missing, Forged: l.Forged}
	if !l.Missing {
		line.Commitments, line.Signature = l.Entry.Commitments, l.Entry.Signature
		if json.Valid(l.Entry.Header) { // else its leaf will tell
			line.Header = l.Entry.Header
		}
		line.Common, line.CommonSalt, line.Erased, line.Differs = l.Entry.Common, l.Entry.CommonSalt, l.Erased, l.Differs
		if line.View, err = e.view(&l.Record); err != nil {
			return err
		}
	}
	e.next = l.Index + 1
	return e.out.Entry(&line)
}
