package tree

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Check compares the database's head with this replica's file and with the
// witnesses, and shuts or opens the gate. An error means that it could not be
// compared; the gate stays as it was.
func (t *Tree) Check(ctx context.Context) error {
	old, had, err := t.readFile()
	if err != nil {
		t.gate.stop(ReasonRolledBack, "the published checkpoint cannot be read")
		return err
	}
	h, err := readHead(ctx, t.Pool)
	if errors.Is(err, ErrNoCheckpoint) {
		if had && old.Size > 0 {
			t.gate.stop(ReasonRolledBack, fmt.Sprintf("the log had %d entries, the database has none", old.Size))
			t.gate.open()
			return t.alarm(ctx, "log-rolled-back")
		}
		t.gate.open()
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := loadEdge(ctx, t.Pool, h); errors.Is(err, errBroken) || errors.Is(err, ErrNoTile) {
		t.gate.stop(ReasonBroken, "the stored tree does not give its own root")
		t.gate.open()
		return t.alarm(ctx, "log-broken")
	} else if err != nil {
		return err
	}
	why, err := t.compare(ctx, h, old, had)
	if err != nil {
		return err
	}
	if why == "" {
		why = t.compareWitnesses(ctx, h)
	}
	if why != "" {
		if !had {
			t.mu.Lock()
			t.found = h.checkpoint()
			t.mu.Unlock()
		}
		t.gate.stop(ReasonRolledBack, why)
		t.gate.open()
		return t.alarm(ctx, "log-rolled-back")
	}
	if !had && h.Size > 0 {
		// The first start on a new machine; or somebody took the memory away.
		if err := t.raise(ctx, t.Pool, "checkpoint-file-missing", nil); err != nil {
			return postgres.Redact(err)
		}
	}
	if err := t.remember(h, old, had); err != nil {
		return err
	}
	t.mu.Lock()
	t.found, t.longest = proof.Checkpoint{}, 0
	t.mu.Unlock()
	t.gate.clear(ReasonRolledBack, ReasonBroken)
	t.gate.open()
	t.alarmed.Store(false)
	return nil
}

// alarm is raised once for each time that the log is found wrong: it is looked
// at every second until it is right again.
func (t *Tree) alarm(ctx context.Context, kind string) error {
	if !t.alarmed.CompareAndSwap(false, true) {
		return nil
	}
	if err := t.raise(ctx, t.Pool, kind, nil); err != nil {
		t.alarmed.Store(false)
		return postgres.Redact(err)
	}
	return nil
}

// compare says in words what is wrong between head and file; empty is good.
func (t *Tree) compare(ctx context.Context, h head, old proof.Checkpoint, had bool) (string, error) {
	if !had || old.Size == 0 && old.Origin == h.Origin {
		return "", nil
	}
	if old.Origin != h.Origin {
		if t.number(old.Origin) == 0 || t.number(old.Origin) > h.Number {
			return fmt.Sprintf("the published checkpoint is of the log %q, the database holds %q", old.Origin, h.Origin), nil
		}
		asked, err := t.asked(ctx, t.Pool, old)
		if err != nil {
			return "", err
		}
		if len(asked) < officers {
			return fmt.Sprintf("the log %q was begun without two officers who name the last known head of %q", h.Origin, old.Origin), nil
		}
		return "", nil
	}
	if old.Size > h.Size {
		return rolledBack(h.checkpoint(), old), nil
	}
	root, err := tilesOf(ctx, t.Pool, h.Number).Root(old.Size)
	if errors.Is(err, ErrNoTile) {
		return "a tile of the log is missing", nil
	}
	if err != nil {
		return "", err
	}
	if root != old.Root {
		return rolledBack(h.checkpoint(), old), nil
	}
	return "", nil
}

// number of an origin of this hub; 0 for another's.
func (t *Tree) number(origin string) int {
	if origin == t.Origin {
		return 1
	}
	var n int
	if _, err := fmt.Sscanf(strings.TrimPrefix(origin, t.Origin+"/"), "%d", &n); err != nil || t.originName(n) != origin {
		return 0
	}
	return n
}

// remember takes over the database's signed checkpoint into the file, once it
// is known to continue what the file says.
func (t *Tree) remember(h head, old proof.Checkpoint, had bool) error {
	if len(h.Checkpoint) == 0 {
		return nil
	}
	signed, err := proof.OpenCheckpoint(h.Checkpoint, t.keys(h.Origin))
	if err != nil || signed.Origin != h.Origin || signed.Size > h.Size {
		return fmt.Errorf("stored checkpoint: %w", errors.Join(err, proof.ErrCheckpoint))
	}
	if had && old.Origin == signed.Origin && old.Size >= signed.Size {
		signed.Checkpoint = old
	} else if err := t.writeFile(h.Checkpoint); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen.Origin != signed.Origin || t.seen.Size < signed.Size {
		t.seen = signed.Checkpoint
	}
	return nil
}

// watch is what every replica does each round: it follows the head into its
// own file, and measures the lag.
func (t *Tree) watch(ctx context.Context) error {
	if t.gate.wrong() {
		return t.Check(ctx) // it may have been set right
	}
	h, err := readHead(ctx, t.Pool)
	if errors.Is(err, ErrNoCheckpoint) {
		return nil
	}
	if err != nil {
		return err
	}
	t.mu.Lock()
	seen := t.seen
	t.mu.Unlock()
	if h.Origin != seen.Origin && seen.Origin != "" || h.Size < seen.Size || h.CheckpointSize > seen.Size {
		if err := t.Check(ctx); err != nil {
			return err
		}
	}
	lag, err := t.measure(ctx, h)
	if err != nil {
		return err
	}
	t.lag.Store(int64(lag))
	if lag > t.StopLag {
		t.gate.stop(ReasonLag, fmt.Sprintf("the oldest event without a leaf is %s old", lag.Round(time.Minute)))
	} else {
		t.gate.clear(ReasonLag)
	}
	t.mu.Lock()
	since := t.Now().Sub(t.quorumAt)
	t.mu.Unlock()
	if t.Quorum > 0 && t.StopWithoutQuorum && since > t.QuorumWait {
		t.gate.stop(ReasonQuorum, fmt.Sprintf("no %d witnesses have cosigned for %s", t.Quorum, since.Round(time.Minute)))
	} else {
		t.gate.clear(ReasonQuorum)
	}
	return nil
}

// measure is the age of the oldest committed event without a leaf.
func (t *Tree) measure(ctx context.Context, h head) (time.Duration, error) {
	var recorded time.Time
	err := t.Pool.QueryRow(ctx, `
		SELECT e.recorded_at FROM kith.access_event e
		 WHERE e.xid >= $1::xid8 AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
		   AND `+noLeaf+`
		 ORDER BY e.xid LIMIT 1`, h.Scanned).Scan(&recorded)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure the log's lag: %w", postgres.Redact(err))
	}
	return max(0, t.Now().Sub(recorded)), nil
}
