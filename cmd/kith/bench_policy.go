package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/demo"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/policies"
)

// policyChanges measures what officers wait for: the report of a change, its
// replay, its activation on every replica; and what a hostile draft costs those
// who read meanwhile.
func (b *bench) policyChanges(ctx context.Context, w *benchWorld) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, in which drafts are run: %w", err)
	}
	sandbox := policy.Sandbox{Command: []string{program, policy.SandboxCommand}}
	before, err := policy.Pack(policies.Default())
	if err != nil {
		return err
	}
	after := amended(before, "matrix/mh-involvement.yaml", "  - {to: POL, roles: [detective], purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}\n")
	for _, step := range []func() error{
		func() error { return b.enumeration(ctx, w, before, after) },
		func() error { // a change that concerns everybody: nobody's question is left out
			return b.coldReplay(ctx, w, sandbox, before, policy.Bundle{Format: before.Format, Engine: before.Engine, Files: withCatalogue(before)})
		},
		func() error { return b.keptReplay(ctx, w, sandbox) },
		func() error { return b.activations(ctx, w, before) },
		func() error { return b.hostile(ctx, w, sandbox, before) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("policy changes: %w", err)
		}
	}
	return nil
}

// amended copies a bundle with something added to one file.
func amended(b policy.Bundle, file, more string) policy.Bundle {
	b.Files = maps.Clone(b.Files)
	b.Files[file] = slices.Concat(b.Files[file], []byte(more))
	return b
}

func (b *bench) enumeration(ctx context.Context, w *benchWorld, before, after policy.Bundle) error {
	s := policy.Space{Date: time.Now().UTC().Format(time.DateOnly), Agencies: map[string]string{}, Entries: map[string][]string{}}
	rows, _ := w.floor.pool.Query(ctx, `SELECT code, kind FROM kith.agency WHERE partnership = $1`, demo.Partnership)
	var x, y string
	if _, err := pgx.ForEachRow(rows, []any{&x, &y}, func() error { s.Agencies[x] = y; return nil }); err != nil {
		return postgres.Redact(err)
	}
	began := time.Now()
	rows, _ = w.floor.pool.Query(ctx, `SELECT section, owner FROM kith.contributors()`)
	if _, err := pgx.ForEachRow(rows, []any{&x, &y}, func() error { s.Entries[x] = append(s.Entries[x], y); return nil }); err != nil {
		return postgres.Redact(err)
	}
	hops := time.Since(began)
	for what, changed := range map[string]policy.Bundle{"one row of the matrix changed": after, "a mark of the catalogue changed, so that everybody is asked everything": {
		Format: before.Format, Engine: before.Engine, Files: withCatalogue(before)}} {
		used := ownCPU()
		r, err := policy.Compare(ctx, before, changed, "CSC", s)
		if err != nil {
			return err
		}
		b.note("Enumeration of the default matrix, %s: %d answers of each version compared in %s (aim 2 s); the whole report with stories and tests of both in %s, of CPU %s.", what, r.Walked.Decisions, r.Walked.Took, r.Took,
			(ownCPU() - used).Round(10*time.Millisecond))
	}
	b.note("%d families: who contributes to what is known in %s, by an index.", w.families, hops.Round(10*time.Microsecond))
	return nil
}

// withCatalogue changes what all receivers share.
func withCatalogue(b policy.Bundle) map[string][]byte {
	files := maps.Clone(b.Files)
	const file = "sections/mh-risk.yaml"
	files[file] = []byte(strings.Replace(string(files[file]), "label: Risk to self, type: text}", "label: Risk to self, type: text, summary: true}", 1))
	return files
}

// coldReplay asks what was never asked before.
func (b *bench) coldReplay(ctx context.Context, w *benchWorld, sandbox policy.Sandbox, before, after policy.Bundle) error {
	player, err := sandbox.Play(ctx, before, after)
	if err != nil {
		return err
	}
	defer player.Close()
	var inputs []json.RawMessage
	for i := range w.readings[:min(len(w.readings), 1500)] {
		in, err := w.recorded(ctx, w.readings[i])
		if err != nil {
			return err
		}
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		inputs = append(inputs, raw)
	}
	began, used := time.Now(), withChildren()
	for some := range slices.Chunk(inputs, policy.PlayMost) {
		if _, err := player.Ask(some); err != nil {
			return err
		}
	}
	b.note("Replay, cold: %.0f questions a second, each decided by both versions in the sandbox, which gives way to everything else; callers whom a change cannot concern cost a tenth (%d different inputs, CPU %s ms each).", float64(len(inputs))/time.Since(began).Seconds(),
		len(inputs), millis((withChildren()-used)/time.Duration(len(inputs))))
	return nil
}

// withChildren is the CPU time of this process and of the sandboxes beside it.
func withChildren() time.Duration { return treeCPU(os.Getpid()) }

// keptReplay fills the log with accesses, submits a change, and waits for the
// hub's own report on it.
func (b *bench) keptReplay(ctx context.Context, w *benchWorld, sandbox policy.Sandbox) error {
	a, err := account("ig-author-csc")
	if err != nil {
		return err
	}
	officer, err := w.signIn(ctx, a)
	if err != nil {
		return err
	}
	if _, err := w.processes().run(ctx, "reads", 8, b.long, func(ctx context.Context, caller, i int) error {
		r := w.pick(caller, i)
		_, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
		return err
	}); err != nil {
		return err
	}
	if err := w.atLeast(ctx, b.accesses); err != nil {
		return err
	}
	office := &policy.Office{Pool: w.hub.pools[0], Recorder: w.hub.recorder, Sandbox: sandbox, Partnership: demo.Partnership, Now: time.Now, Random: w.hub.config.Random}
	d, _, err := office.OpenDraft(ctx, officer, uuid.NewString(), policy.Digest{}, "measured")
	if err != nil {
		return err
	}
	for _, f := range d.Files {
		if f.Path == "stories/police-and-treatment.yaml" {
			f.Content = strings.Replace(f.Content, "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}", "want: {name: full, event: full, seen-by-nurse: summary}", 1)
		} else if f.Path == "matrix/mh-involvement.yaml" {
			f.Content += "  - {to: POL, roles: [detective], purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}\n"
		} else {
			continue
		}
		if d, _, err = office.Edit(ctx, officer, uuid.NewString(), d.ID, d.Revision, []policy.FileEdit{{Path: f.Path, Content: f.Content}}); err != nil {
			return err
		}
	}
	used := withChildren() + treeCPU(w.world.Server().Pid())
	s, _, err := office.Submit(ctx, officer, uuid.NewString(), d.ID, d.Revision, "measured", nil)
	if err != nil {
		return err
	}
	for s.Effect != nil && s.Effect.State == policy.EffectComputing {
		time.Sleep(200 * time.Millisecond)
		if s, err = office.Submission(ctx, officer, s.ID); err != nil {
			return err
		}
	}
	if s.Effect == nil || s.Effect.Past == nil {
		return fmt.Errorf("no report: %+v", s.Effect)
	}
	used = withChildren() + treeCPU(w.world.Server().Pid()) - used
	took, err := time.ParseDuration(s.Effect.Past.Took)
	if err != nil {
		return err
	}
	b.note("Replay of the last %d accesses, decisions kept: %.0f a second (aim 15000), %d different questions among them, %d lines; the live records, %d of %d families as %d workers see them, in %s; submission, report and replay took CPU %s of all processes.", s.Effect.Past.Accesses,
		float64(s.Effect.Past.Accesses)/took.Seconds(), s.Effect.Past.Distinct, len(s.Effect.Past.Lines), s.Effect.Live.Looked, s.Effect.Live.Families, s.Effect.Live.Workers, s.Effect.Live.Took, used.Round(10*time.Millisecond))
	_, err = office.Withdraw(ctx, officer, uuid.NewString(), s.ID, "measured")
	return err
}

// activations makes new versions active under three replicas, told and untold.
func (b *bench) activations(ctx context.Context, w *benchWorld, base policy.Bundle) error {
	hubs := []*hub{w.hub}
	for _, name := range []string{"bench-2", "bench-3"} {
		c := w.hub.config
		c.Replica, c.Tree, c.Connections = name, treeConfig{}, 4
		h, err := openHub(ctx, c)
		if err != nil {
			return err
		}
		defer h.close()
		hubs = append(hubs, h)
	}
	var digests []policy.Digest
	round := func() (time.Duration, error) {
		v := amended(base, "README.md", fmt.Sprintf("measured %d\n", len(digests)))
		digest := v.Digest()
		if err := postgres.InTx(ctx, w.floor.pool, func(tx pgx.Tx) error { _, err := policy.Publish(ctx, tx, demo.Partnership, v); return err }); err != nil {
			return 0, err
		}
		began := time.Now()
		for _, h := range hubs {
			for h.follower.Status().Good != digest {
				if time.Since(began) > time.Minute {
					return 0, errors.New("a replica does not find out")
				}
				time.Sleep(time.Millisecond)
			}
		}
		digests = append(digests, digest)
		return time.Since(began), nil
	}
	for _, how := range []struct {
		words, sql string
		times      int
	}{{"told at once (aim p99 0.5 s)", `ALTER TABLE kith.policy_head ENABLE TRIGGER policy_head_told`, 20}, {"told nothing (aim p99 3 s)", `ALTER TABLE kith.policy_head DISABLE TRIGGER policy_head_told`, 8}} {
		if _, err := w.floor.pool.Exec(ctx, how.sql); err != nil {
			return postgres.Redact(err)
		}
		var took []time.Duration
		for range how.times {
			t, err := round()
			if err != nil {
				return err
			}
			took = append(took, t)
		}
		slices.Sort(took)
		b.note("Activation on three replicas, %s: after the commit all three decide by it in p50 %s, p99 %s (%d new versions, each compiled three times).", how.words,
			took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
	}
	if _, err := w.floor.pool.Exec(ctx, `ALTER TABLE kith.policy_head ENABLE TRIGGER policy_head_told`); err != nil {
		return postgres.Redact(err)
	}
	return b.storedVersions(ctx, w, digests[:20])
}

// storedVersions tells what compiled versions cost in memory.
func (b *bench) storedVersions(ctx context.Context, w *benchWorld, digests []policy.Digest) error {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	before := heap()
	versions := policy.NewVersions(w.floor.pool, policy.Options{Deadline: benchDeadline}, len(digests))
	for _, d := range digests {
		if _, err := versions.At(ctx, d); err != nil {
			return err
		}
	}
	took := heap() - before
	runtime.KeepAlive(versions)
	b.note("Memory of %d stored versions, compiled and ready: %.1f MB; a hub keeps 4.", len(digests), took)
	return nil
}

// hostile reads while a draft that takes all it can get is checked.
func (b *bench) hostile(ctx context.Context, w *benchWorld, sandbox policy.Sandbox, base policy.Bundle) error {
	const greedy = `# METADATA
# title: it looks at everything again and again, and keeps it all
package local.greedy

lower contains {"entry": i, "level": "hidden"} if {
	some i, _ in input.tuples
	all := [[a, b, c, d, e, f, g, h] |
		some a in input.tuples
		some b in input.tuples
		some c in input.tuples
		some d in input.tuples
		some e in input.tuples
		some f in input.tuples
		some g in input.tuples
		some h in input.tuples
	]
	count(all) == 7
}
`
	draft := amended(base, "local/greedy.rego", greedy)
	read := func(ctx context.Context, caller, i int) error {
		r := w.pick(caller, i)
		_, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
		return err
	}
	quiet, err := w.processes().run(ctx, "reads, nothing else running", 4, b.long, read)
	if err != nil {
		return err
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	hostile, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		for {
			_, err := sandbox.Check(hostile, draft)
			if hostile.Err() != nil || err != nil && !errors.Is(err, policy.ErrSandboxLimit) {
				ended <- err
				return
			}
		}
	}()
	loud, err := w.processes().run(ctx, "reads beside a hostile draft", 4, b.long, read)
	stop()
	<-ended
	if err != nil {
		return err
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.add(w, quiet)
	b.add(w, loud)
	b.note("A hostile draft in the sandbox: p99 of reads %s beside it, %s without; the hub's heap %.1f MB after it, %.1f MB before.", loud.p99.Round(10*time.Microsecond), quiet.p99.Round(10*time.Microsecond),
		float64(after.HeapAlloc)/(1<<20), float64(before.HeapAlloc)/(1<<20))
	return nil
}
