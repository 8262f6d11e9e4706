package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"kith/internal/postgres/private"
)

const benchUsage = `usage: kith bench [flags]      what a read costs beside the least that it could cost

  --quick         one borough of 1000 families, two seconds a line
  --families LIST boroughs of these many families instead, such as 1000,20000,
                  or none, for the log alone
  --log N         events in the log that is searched (default 10000000, with
                  --quick 1000000, with --families 0: none)
  --accesses N    accesses in the log: those of the backlog, of the export and of
                  the replay of a change (default 1000000, with --quick 100000)
  --tree          what the log costs alone: the tree beside reads, a backlog,
                  proofs, an export and its check
  --policy        what officers wait for alone: the report of a change, its replay,
                  its activation
  --seconds N     how long each line is measured (default 5)
  --data DIR      where the boroughs lie, kept for the next run (default: a
                  temporary directory, removed at the end)
  --opa FILE      the OPA binary to compare with (default: opa beside this one)
  --profile FILE  write profiles of this process while Kith reads: of CPU, and
                  at the end of what was allocated since the start

Exit status: 0 measured, 1 something failed, 2 usage.
`

type benchOptions struct {
	quick         bool
	policy        bool // changes of the policy alone
	tree          bool // the log's tree and its export alone
	seconds       int
	data, opa     string
	profile       string
	sizes         []int // every line is measured
	searchedSizes []int // searches alone
	logEvents     int   // in the log that is searched; 0 = none
	accesses      int   // in the backlog, the export and the replay
	asked         []int // sizes in place of both
}

// take reads sizes separated by commas, or none.
func (o *benchOptions) take(list string) error {
	if o.asked = nil; list == "none" {
		o.asked = []int{}
		return nil
	}
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 100 {
			return errors.New("give numbers of families from 100, separated by commas")
		}
		o.asked = append(o.asked, n)
	}
	return nil
}

func benchCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := benchOptions{sizes: []int{1_000, 100_000}, searchedSizes: []int{10_000}}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&o.quick, "quick", false, "")
	flags.BoolVar(&o.policy, "policy", false, "")
	flags.BoolVar(&o.tree, "tree", false, "")
	flags.IntVar(&o.accesses, "accesses", 0, "")
	flags.IntVar(&o.seconds, "seconds", 0, "")
	flags.StringVar(&o.data, "data", "", "")
	flags.StringVar(&o.opa, "opa", "", "")
	flags.StringVar(&o.profile, "profile", "", "")
	flags.IntVar(&o.logEvents, "log", -1, "")
	flags.Func("families", "", o.take)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, benchUsage)
		return 0
	}
	if err != nil || flags.NArg() > 0 || o.seconds < 0 || o.accesses < 0 {
		fmt.Fprint(stderr, benchUsage)
		return 2
	}
	events := 10_000_000
	switch {
	case o.asked != nil:
		o.sizes, o.searchedSizes, events = o.asked, nil, 0
	case o.quick:
		o.sizes, o.searchedSizes, events = []int{1_000}, nil, 1_000_000
	}
	if o.tree || o.policy {
		o.searchedSizes, events = nil, 0
	}
	if o.tree && o.asked == nil {
		o.sizes = o.sizes[:1] // the log does not know how many families there are
	}
	if o.logEvents < 0 {
		o.logEvents = events
	}
	if o.accesses == 0 {
		o.accesses = 1_000_000
		if o.quick {
			o.accesses = 100_000
		}
	}
	if o.seconds == 0 {
		o.seconds = 5
		if o.quick {
			o.seconds = 2
		}
	}
	if err := runBench(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "kith bench: %v\n", err)
		return 1
	}
	return 0
}

// bench is one run.
type bench struct {
	benchOptions
	long   time.Duration
	log    *slog.Logger
	out    io.Writer
	stderr io.Writer
	dir    string
	lines  []measure
	notes  []string
}

func runBench(ctx context.Context, o benchOptions, stdout, stderr io.Writer) error {
	dir, temporary, err := benchDir(o.data)
	if err != nil {
		return err
	}
	if temporary {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	b := &bench{benchOptions: o, long: time.Duration(o.seconds) * time.Second, out: stdout, stderr: stderr, dir: dir,
		log: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	b.heading()
	for _, size := range o.sizes {
		if err := b.at(ctx, size, temporary, b.everything); err != nil {
			return err
		}
	}
	for _, size := range o.searchedSizes {
		if err := b.at(ctx, size, temporary, b.searches); err != nil {
			return err
		}
	}
	if o.logEvents > 0 {
		if err := b.logSearches(ctx, o.logEvents, temporary); err != nil {
			return err
		}
	}
	b.print()
	return nil
}

// at runs measurements in a borough of one size.
func (b *bench) at(ctx context.Context, size int, temporary bool, measure func(context.Context, *benchWorld) error) error {
	dir := filepath.Join(b.dir, strconv.Itoa(size))
	fmt.Fprintf(b.stderr, "A borough of %d families.\n", size)
	began := time.Now()
	w, err := openBenchWorld(ctx, dir, size, b.accesses, b.log, b.stderr)
	if err != nil {
		return err
	}
	defer func() {
		w.close(context.WithoutCancel(ctx))
		if temporary {
			_ = private.Remove(context.WithoutCancel(ctx), filepath.Join(dir, "postgres"))
		}
	}()
	if w.world.Filled.Made {
		b.note("%d families, %d entries, %d rows copied in; database, schema, borough and hub were up in %s.", size, w.world.Filled.Entries, w.world.Filled.Rows, time.Since(began).Round(time.Second))
	}
	b.note("%d families: the hub itself starts in %s (connect, check the schema, compile the policy).", size, w.started.Round(time.Millisecond))
	if err := measure(ctx, w); err != nil {
		return fmt.Errorf("%d families: %w", size, err)
	}
	return nil
}

func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	fmt.Fprintf(b.stderr, "  "+format+"\n", args...)
}

func (b *bench) everything(ctx context.Context, w *benchWorld) error {
	if b.policy || b.tree {
		return b.some(ctx, w)
	}
	if err := b.reads(ctx, w); err != nil {
		return err
	}
	if err := b.decisions(ctx, w); err != nil {
		return err
	}
	if err := b.searches(ctx, w); err != nil {
		return err
	}
	if err := b.bulk(ctx, w); err != nil {
		return err
	}
	if err := b.replays(ctx, w); err != nil {
		return err
	}
	if w.families != b.sizes[0] {
		return nil // the log does not know how many families there are
	}
	if err := b.logs(ctx, w); err != nil {
		return err
	}
	return b.policyChanges(ctx, w)
}

// some measures the parts that were asked for alone.
func (b *bench) some(ctx context.Context, w *benchWorld) error {
	if b.tree {
		if err := b.logs(ctx, w); err != nil {
			return err
		}
	}
	if b.policy {
		return b.policyChanges(ctx, w)
	}
	return nil
}

// logs measures what the log costs: its tree, then its export.
func (b *bench) logs(ctx context.Context, w *benchWorld) error {
	if err := b.trees(ctx, w); err != nil {
		return err
	}
	return b.exports(ctx, w)
}

// reads measures floor, Kith and Kith over HTTP, side by side.
func (b *bench) reads(ctx context.Context, w *benchWorld) error {
	var kept lines
	kept.address = w.address
	variants := []struct {
		what string
		do   func(context.Context, int, int) error
	}{
		{"floor", func(ctx context.Context, caller, i int) error { return w.floor.read(ctx, *w.pick(caller, i)) }},
		{"Kith, each decision anew", func(ctx context.Context, caller, i int) error {
			r := w.pick(caller, i)
			_, err := w.cold.Read(ctx, r.caller, familyRequest(r.family))
			return err
		}},
		{"Kith, decisions kept", func(ctx context.Context, caller, i int) error {
			r := w.pick(caller, i)
			_, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
			return err
		}},
		{"Kith, facts in memory", func(ctx context.Context, caller, i int) error {
			r := w.pick(caller, i)
			_, err := w.memory.Read(ctx, r.caller, familyRequest(r.family))
			return err
		}},
		{"Kith over HTTP, kept", func(ctx context.Context, caller, i int) error {
			status, body, err := kept.ask(ctx, caller, w.pick(caller, i).request)
			if err == nil && status != 200 {
				err = fmt.Errorf("status %d: %s", status, body)
			}
			return err
		}},
	}
	// The hub behind HTTP keeps decisions of its own, and memory its facts: each
	// is met once first.
	for i := range w.readings {
		if _, err := w.memory.Read(ctx, w.readings[i].caller, familyRequest(w.readings[i].family)); err != nil {
			return fmt.Errorf("facts in memory: %w", err)
		}
		if status, body, err := kept.ask(ctx, 0, w.readings[i].request); err != nil || status != 200 {
			return fmt.Errorf("over HTTP: status %d: %s: %w", status, body, err)
		}
	}
	defer func() { _ = kept.close() }()
	for _, callers := range []int{1, 16} {
		for _, v := range variants {
			finish := func() {}
			if b.profile != "" && callers == 16 && strings.HasPrefix(v.what, "Kith") {
				var err error
				if finish, err = profileTo(b.profile + "-" + strings.NewReplacer(" ", "-", ",", "").Replace(v.what)); err != nil {
					return err
				}
			}
			m, err := w.processes().run(ctx, v.what, callers, b.long, v.do)
			finish()
			if err != nil {
				return err
			}
			b.add(w, m)
		}
	}
	return nil
}

func profileTo(file string) (finish func(), err error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
		if allocs, err := os.Create(file + "-allocs"); err == nil {
			_ = pprof.Lookup("allocs").WriteTo(allocs, 0)
			_ = allocs.Close()
		}
	}, nil
}

func (b *bench) add(w *benchWorld, m measure) {
	m.families = w.families
	b.lines = append(b.lines, m)
	fmt.Fprintf(b.stderr, "  %-34s %2d callers  %8.0f/s  CPU %s ms: own %s, PostgreSQL %s, server %s\n", m.what, m.callers, m.rate, millis(m.cpu()), millis(m.own), millis(m.database), millis(m.other))
}

func (b *bench) heading() {
	fmt.Fprintf(b.out, "kith bench: %s/%s, %d CPUs, %s; PostgreSQL durable (fsync, synchronous_commit on), all on one machine\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
}

// print writes the table. The ratio is CPU of the floor to CPU of the line:
// rates depend on who else uses the machine, CPU much less.
func (b *bench) print() {
	t := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "families\tcallers\twhat\trate/s\tp50 ms\tp99 ms\tallocs\tKiB\tCPU ms\town\tPostgreSQL\tOPA server\tof floor: CPU\trate\t")
	floors := map[[2]int]measure{}
	for _, m := range b.lines {
		if m.what == "floor" {
			floors[[2]int{m.families, m.callers}] = m
		}
		cpu, rate := "", ""
		if f, ok := floors[[2]int{m.families, m.callers}]; ok && (m.what == "floor" || strings.HasPrefix(m.what, "Kith")) {
			if m.cpu() > 0 {
				cpu = fmt.Sprintf("%.2f", float64(f.cpu())/float64(m.cpu()))
			}
			rate = fmt.Sprintf("%.2f", m.rate/f.rate)
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%.0f\t%s\t%s\t%.0f\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", m.families, m.callers, m.what, m.rate, millis(m.p50), millis(m.p99),
			m.allocs, m.bytes/1024, millis(m.cpu()), millis(m.own), millis(m.database), millis(m.other), cpu, rate)
	}
	_ = t.Flush()
	fmt.Fprintln(b.out)
	for _, n := range b.notes {
		fmt.Fprintln(b.out, n)
	}
}

func millis(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}
