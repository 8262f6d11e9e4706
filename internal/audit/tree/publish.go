package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// publish signs the head where it has grown, and gives it to the database, to
// the file and to the witnesses. A head that the file knows to be older or
// other than what was published shuts the gate and is not signed.
func (s *sequencer) publish(ctx context.Context) error {
	t := s.tree
	if s.head.Size == s.head.CheckpointSize {
		return s.alive(ctx)
	}
	old, had, err := t.readFile()
	if err != nil {
		return err
	}
	if had && old.Origin == s.head.Origin && (old.Size > s.head.Size || old.Size == s.head.Size && old.Root != s.head.Root) {
		t.gate.stop(ReasonRolledBack, rolledBack(s.head.checkpoint(), old))
		return fmt.Errorf("%w: %s", ErrStopped, rolledBack(s.head.checkpoint(), old))
	}
	cp := s.head.checkpoint()
	signed, err := t.sign(cp)
	if err != nil {
		return err
	}
	now := t.Now().UTC()
	if err := storeCheckpoint(ctx, s.conn, s.head.Number, cp.Size, signed, now); err != nil {
		return err
	}
	s.head.CheckpointSize = cp.Size
	if err := t.writeFile(signed); err != nil {
		return err
	}
	t.mu.Lock()
	t.seen = cp
	t.mu.Unlock()
	t.askLater(ctx, s.head.Number, cp, signed)
	return nil
}

func storeCheckpoint(ctx context.Context, q batcher, number int, size int64, signed []byte, now time.Time) error {
	b := &pgx.Batch{}
	// Never back: another replica may have published more in between.
	b.Queue(`UPDATE kith.log_head SET checkpoint = $1, checkpoint_size = $2, checkpoint_at = $3 WHERE number = $4 AND size >= $2 AND checkpoint_size <= $2`,
		signed, size, now, number)
	b.Queue(`INSERT INTO kith.log_checkpoint (number, hour, size, note) VALUES ($1, $2, $3, $4)
		ON CONFLICT (number, hour) DO UPDATE SET size = excluded.size, note = excluded.note WHERE log_checkpoint.size <= excluded.size`,
		number, now.Truncate(time.Hour), size, signed)
	if err := q.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store checkpoint: %w", postgres.Redact(err))
	}
	return nil
}

type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// readFile gives the checkpoint that this replica has published last. A file
// that is not signed by the log's key is an error: it is not a memory to trust.
func (t *Tree) readFile() (cp proof.Checkpoint, had bool, err error) {
	data, err := os.ReadFile(t.File)
	if errors.Is(err, fs.ErrNotExist) {
		return proof.Checkpoint{}, false, nil
	}
	if err != nil {
		return proof.Checkpoint{}, false, fmt.Errorf("read the published checkpoint: %w", err)
	}
	claimed, err := proof.PeekCheckpoint(data)
	if err != nil {
		return proof.Checkpoint{}, true, fmt.Errorf("published checkpoint %s: %w", t.File, err)
	}
	signed, err := proof.OpenCheckpoint(data, t.keys(claimed.Origin))
	if err != nil {
		return proof.Checkpoint{}, true, fmt.Errorf("published checkpoint %s: %w", t.File, err)
	}
	return signed.Checkpoint, true, nil
}

// writeFile replaces the published checkpoint in one step that survives a
// power cut.
func (t *Tree) writeFile(signed []byte) error {
	dir := filepath.Dir(t.File)
	f, err := os.CreateTemp(dir, ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	_, err = f.Write(signed)
	if err == nil {
		err = f.Chmod(0o644) // it is meant to be read
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), t.File)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	err = d.Sync()
	_ = d.Close()
	if err != nil {
		return fmt.Errorf("publish checkpoint: %w", err)
	}
	return nil
}

func rolledBack(now, then proof.Checkpoint) string {
	if now.Size < then.Size {
		return fmt.Sprintf("the log had %d entries, the database has %d: it was rolled back", then.Size, now.Size)
	}
	return fmt.Sprintf("the first %d entries are not those that were published", then.Size)
}
