package tree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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
	Made        time.Time     // when it is begun
	first, end  int64         // the run itself, where it is known; end 0 is not
	// After is the mark behind which an export that was cut off goes on; all
	// that was asked for then is in the mark. The caller has verified it.
	After *proof.ExportMark
	// Sign signs marks and the end of the file with a replica's key.
	Sign proof.SignDigest
	// View is an event as its reader sees it, as JSON.
	View func(*audit.Record) ([]byte, error)
}

// Exported is an export that came to its end.
type Exported struct {
	Number     int
	First, End int64 // the run of leaves that was asked for
	Digest     proof.Digest
}

// Export writes the leaves under the newest checkpoint, in flat memory. Leaves
// that the scope does not show, and those outside the run, are stood for by
// the hashes that cover them, so that the reader can compute the root.
func (r *Reader) Export(ctx context.Context, log *audit.Log, x Export, w io.Writer) (Exported, error) {
	e, err := r.begin(ctx, x, w)
	if err != nil {
		return Exported{}, err
	}
	if err := e.skip(e.first); err != nil {
		return Exported{}, err
	}
	if from := max(e.first, e.next); from < e.end {
		if err := log.Walk(ctx, x.Scope, e.number, from, e.end, e.leaf); err != nil {
			return Exported{}, err
		}
	}
	if e.all {
		if err := e.holes(e.end); err != nil {
			return Exported{}, err
		}
	}
	if err := e.skip(e.size); err != nil {
		return Exported{}, err
	}
	done := Exported{Number: e.number, First: e.first, End: e.end}
	done.Digest, err = e.out.Close()
	return done, err
}

// begin writes the first line, or goes on behind a mark.
func (r *Reader) begin(ctx context.Context, x Export, w io.Writer) (*exporter, error) {
	e := &exporter{ctx: ctx, pool: r.pool, view: x.View, all: x.Scope.Name() == "all", certified: map[uuid.UUID]bool{}}
	var err error
	if m := x.After; m != nil {
		if m.Scope != x.Scope.Name() {
			return nil, fmt.Errorf("%w: it was for the scope %q", proof.ErrMark, m.Scope)
		}
		e.number, e.size, e.first, e.end, e.next, e.from, e.made = m.Number, m.Size, m.First, m.End, m.Next, m.Next, m.Made
		e.tiles = tilesOf(ctx, r.pool, e.number)
		e.out, err = proof.ResumeExport(w, *m, x.Sign)
		return e, err
	}
	h, err := r.numbered(ctx, x.Number)
	if err != nil {
		return nil, err
	}
	if e.first, e.end, err = r.run(ctx, h, x); err != nil {
		return nil, err
	}
	e.number, e.size, e.made = h.Number, h.CheckpointSize, x.Made.UTC().Truncate(time.Second)
	e.tiles = tilesOf(ctx, r.pool, e.number)
	x.Log.Name = h.Origin
	head := proof.ExportHeader{Checkpoint: string(h.Checkpoint), LogKey: x.Log.String(), Scope: x.Scope.Name(), First: e.first, End: e.end, Made: e.made}
	for _, k := range x.Replicas {
		head.ReplicaKeys = append(head.ReplicaKeys, k.String())
	}
	e.out, err = proof.NewExportWriter(w, head, proof.ExportMark{Number: e.number, Size: e.size}, x.Sign)
	return e, err
}

func (r *Reader) numbered(ctx context.Context, number int) (head, error) {
	h, err := readHead(ctx, r.pool)
	if err != nil {
		return head{}, err
	}
	if number > 0 && number != h.Number {
		err := r.pool.QueryRow(ctx, `SELECT number, origin, checkpoint, checkpoint_size FROM kith.log_head WHERE number = $1`, number).
			Scan(&h.Number, &h.Origin, &h.Checkpoint, &h.CheckpointSize)
		if errors.Is(err, pgx.ErrNoRows) {
			return head{}, fmt.Errorf("log %d: %w", number, ErrNoCheckpoint)
		}
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
	if x.end > 0 {
		return x.first, min(x.end, h.CheckpointSize), nil
	}
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
	ctx    context.Context // of the one export that it is made for
	pool   querier
	out    *proof.ExportWriter
	tiles  proof.Tiles
	number int
	size   int64
	first  int64 // the run that was asked for
	end    int64
	next   int64
	from   int64 // where this stream goes on; 0 at the start
	made   time.Time
	all    bool
	view   func(*audit.Record) ([]byte, error)
	// certified are the certificates that the file holds already.
	certified map[uuid.UUID]bool

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
	return e.out.Skip(s, until)
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
	if l.Dropped != nil {
		line.Dropped = l.Dropped.Disposal.ID
		if err := e.certify(l.Dropped); err != nil {
			return err
		}
	} else if !l.Missing {
		line.Commitments, line.Signature = l.Entry.Commitments, l.Entry.Signature
		if json.Valid(l.Entry.Header) { // else its leaf will tell
			line.Header = l.Entry.Header
		}
		line.Common, line.CommonSalt, line.Erased, line.Differs = l.Entry.Common, l.Entry.CommonSalt, l.Erased, l.Differs
		line.NoCommon, line.Copies = l.NoCommon, l.Copies
		if line.View, err = e.view(&l.Record); err != nil {
			return err
		}
	}
	e.next = l.Index + 1
	return e.out.Entry(&line)
}

// certify writes the certificate of a drop before the first entry that it
// speaks for. Behind a mark that entry may have gone out already.
func (e *exporter) certify(d *audit.DroppedUnder) error {
	id := d.Disposal.ID
	if e.certified[id] {
		return nil
	}
	e.certified[id] = true
	if e.from > 0 && d.Disposal.Made.Before(e.made) {
		if out, err := e.certifiedBefore(&d.Disposal); err != nil || out {
			return err
		}
	}
	return e.out.Certificate(d.Certificate)
}

// certifiedBefore tells whether a leaf that was dropped under a certificate
// stands between the export's beginning and the mark.
func (e *exporter) certifiedBefore(d *proof.Disposal) (bool, error) {
	for i := range d.Logs {
		run := &d.Logs[i]
		if run.Number != e.number {
			continue
		}
		rows, err := e.pool.Query(e.ctx, `SELECT index FROM kith.log_leaf WHERE number = $1 AND index >= $2 AND index < $3 AND retention = $4 AND to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM') = $5 ORDER BY index`,
			e.number, max(e.first, run.First), e.from, d.Class, d.Month)
		if err != nil {
			return false, fmt.Errorf("find what was dropped: %w", postgres.Redact(err))
		}
		defer rows.Close()
		for rows.Next() {
			var index int64
			if err := rows.Scan(&index); err != nil {
				return false, fmt.Errorf("find what was dropped: %w", postgres.Redact(err))
			}
			if run.Covers(index) {
				return true, nil
			}
		}
		if err := rows.Err(); err != nil {
			return false, fmt.Errorf("find what was dropped: %w", postgres.Redact(err))
		}
	}
	return false, nil
}

// Verify re-reads a run of leaves as an auditor's export would, and gives the
// first thing that is wrong in it. Keys are those of the log and its replicas.
func (r *Reader) Verify(ctx context.Context, log *audit.Log, keys proof.KeyFile, sign proof.SignDigest, number int, first, end int64) error {
	h, err := r.numbered(ctx, number)
	if err != nil {
		return err
	}
	file, out := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, err := r.Export(ctx, log, Export{Scope: audit.AuditorScope(), Number: number, first: first, end: end, Replicas: keys.Replicas, Log: keys.Logs[0], Sign: sign,
			View: func(*audit.Record) ([]byte, error) { return []byte("{}"), nil }}, out)
		_ = out.CloseWithError(err)
	}()
	report, err := proof.VerifyExport(file, proof.VerifyOptions{Keys: keys})
	_ = file.Close() // lets the writer end
	<-written
	switch {
	case err != nil:
		return fmt.Errorf("verify %s: %w", h.Origin, err)
	case !report.Good():
		return fmt.Errorf("verify %s: %s", h.Origin, report.First[0])
	}
	return nil
}
