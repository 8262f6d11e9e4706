package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/tree"
	"kith/internal/postgres"
)

// exports measures an export of the whole log, its check by kith-verify in a
// process of its own, and what an event takes on the disk.
func (b *bench) exports(ctx context.Context, w *benchWorld) error {
	if err := b.stored(ctx, w); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "export-")
	if err != nil {
		return fmt.Errorf("folder of the export: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "events.ndjson")
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	c := w.hub.config
	log, err := audit.NewLog(w.floor.pool, c.Identity.Partnership, c.ReferenceKey)
	if err != nil {
		return err
	}
	own, err := w.hub.recorder.ReceiptKey()
	if err != nil {
		return err
	}
	keys, err := c.Tree.keyList(own, time.Now())
	if err != nil {
		return err
	}
	finish := func() {}
	if b.profile != "" {
		if finish, err = profileTo(b.profile + "-export"); err != nil {
			return err
		}
	}
	used, began := w.processes().spent(), time.Now()
	done, err := tree.NewReader(w.floor.pool).Export(ctx, log, tree.Export{
		Scope: audit.AuditorScope(), Replicas: keys.Replicas, Log: keys.Logs[0], Made: began, Sign: w.hub.recorder.SignExport,
		View: func(*audit.Record) ([]byte, error) { return []byte("{}"), nil },
	}, out)
	took, now := time.Since(began), w.processes().spent()
	finish()
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	size, err := out.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	entries := float64(done.End - done.First)
	b.note("%d families: an export of %.0f entries took %s: %.0f entries a second, %.0f bytes each (CPU each: own %.3f ms, PostgreSQL %.3f ms).", w.families, entries, took.Round(time.Millisecond), entries/took.Seconds(), float64(size)/entries,
		millisEach(now.own-used.own, int(entries)), millisEach(now.database-used.database, int(entries)))
	if err := os.WriteFile(filepath.Join(dir, "keys"), []byte(keys.String()), 0o600); err != nil {
		return err
	}
	return b.verify(ctx, w, file, filepath.Join(dir, "keys"), entries)
}

func (b *bench) verify(ctx context.Context, w *benchWorld, file, keys string, entries float64) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	program = filepath.Join(filepath.Dir(program), "kith-verify")
	if _, err := os.Stat(program); err != nil {
		b.note("No time for kith-verify: it does not lie beside this program.")
		return nil
	}
	for _, fast := range []bool{false, true} {
		args := []string{"export", file, "--key", keys}
		what := "with all signatures"
		if fast {
			args, what = append(args, "--fast"), "without the receipts' signatures (--fast)"
		}
		cmd := exec.CommandContext(ctx, program, args...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		began := time.Now()
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("run kith-verify: %w", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		peak, err := int64(0), error(nil)
		for waiting := true; waiting; {
			select {
			case err = <-ended:
				waiting = false
			case <-time.After(20 * time.Millisecond):
				peak = max(peak, peakMemory(cmd.Process.Pid))
			}
		}
		took := time.Since(began)
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return fmt.Errorf("kith-verify found the bench's own log bad: %.600s", strings.TrimSpace(out.String()))
		}
		if err != nil {
			return fmt.Errorf("run kith-verify: %w", err)
		}
		b.note("%d families: kith-verify export of %.0f entries %s: %.1f s, %d MB of memory at most, %.2f ms of CPU a thousand.", w.families, entries, what, took.Seconds(), peak>>20,
			float64(cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())/float64(time.Millisecond)/entries*1000)
	}
	return nil
}

// stored tells what an event takes: its row with indexes, its leaf, its share
// of the tiles.
func (b *bench) stored(ctx context.Context, w *benchWorld) error {
	var events, rows, leaves, tiles float64
	err := w.floor.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM kith.access_event),
		       (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('kith.access_event') WHERE isleaf),
		       pg_total_relation_size('kith.log_leaf'), pg_total_relation_size('kith.log_tile')`).Scan(&events, &rows, &leaves, &tiles)
	if err != nil {
		return fmt.Errorf("measure what is stored: %w", postgres.Redact(err))
	}
	b.note("%d families: %.0f events take %.0f bytes each in the database: the row with its indexes %.0f, the leaf %.0f, the tiles %.0f.", w.families, events, (rows+leaves+tiles)/events, rows/events, leaves/events, tiles/events)
	return nil
}
