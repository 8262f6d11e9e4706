package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/policy"
)

// Weigher computes what a proposed policy version would have changed for those
// who looked, and would change in the records as they stand. The draft runs in
// the sandbox: what leaves it is which parts open and close. One replica at a
// time works on a proposal; another goes on where it stops.
type Weigher struct {
	Office    *policy.Office
	Past      *audit.Past
	Pool      *pgxpool.Pool          // role kith_app: facts, without content
	Reference func(uuid.UUID) string // of a family, for the auditor alone
	Accesses  int                    // the last so many are replayed; 0 = 1 000 000, less than 0 = none
	Views     int                    // so many views of live records are weighed; 0 = 20 000, less than 0 = none
	Now       func() time.Time
	Random    io.Reader
	Log       *slog.Logger
}

const (
	weighAccesses = 1_000_000
	weighViews    = 20_000
	// saveEvery is how often it is kept how far the work is.
	saveEvery = 2 * time.Second
)

func (w *Weigher) accesses() int { return orDefault(w.Accesses, weighAccesses) }
func (w *Weigher) views() int    { return orDefault(w.Views, weighViews) }

func orDefault(n, standard int) int {
	if n == 0 {
		return standard
	}
	return max(n, 0)
}

// Run works on what was submitted, at every tick and whenever it is woken,
// until ctx ends.
func (w *Weigher) Run(ctx context.Context, tick <-chan time.Time, wake <-chan struct{}) {
	for {
		did, err := w.Next(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.LogAttrs(ctx, slog.LevelError, "the effect of a proposal could not be computed yet", slog.String("cause", err.Error()))
		}
		if did && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-wake:
		}
	}
}

// Next takes one proposal, or one draft that an officer asked about, on which
// nobody works, and computes its effect; false means that there was none.
func (w *Weigher) Next(ctx context.Context) (bool, error) {
	holder, err := uuid.NewRandomFromReader(w.Random)
	if err != nil {
		return false, fmt.Errorf("take a report to compute: %w", err)
	}
	work, err := w.Office.TakeWork(ctx, holder)
	if err != nil || work == nil {
		return false, err
	}
	effect, err := w.weigh(ctx, work)
	if errors.Is(err, policy.ErrSandboxLimit) { // once it may be the machine's fault, which was too busy; twice it is the draft's
		w.Log.LogAttrs(ctx, slog.LevelWarn, "a proposal was stopped while it was replayed, and is tried again", slog.String("of", work.Of.String()), slog.String("cause", err.Error()))
		effect, err = w.weigh(ctx, work)
	}
	var draft *policy.DraftError
	switch {
	case err == nil:
		err = work.Finish(ctx, effect)
	case errors.As(err, &draft), errors.Is(err, policy.ErrSandboxLimit):
		w.Log.LogAttrs(ctx, slog.LevelWarn, "a proposal was stopped while it was replayed", slog.String("of", work.Of.String()), slog.String("cause", err.Error()))
		err = work.Finish(ctx, policy.Effect{State: policy.EffectFailed, Why: err.Error()})
	case errors.Is(err, policy.ErrClosed): // it is another's by now
	default:
		err = errors.Join(err, work.Release(context.WithoutCancel(ctx)))
	}
	if errors.Is(err, policy.ErrClosed) {
		err = nil
	}
	return true, err
}

// weighed is how far the work is, as it is kept for whoever goes on.
type weighed struct {
	Tally *pastTally         `json:"tally,omitempty"`
	Past  *policy.PastEffect `json:"past,omitempty"` // once it is whole
}

func (w *Weigher) weigh(ctx context.Context, work *policy.Work) (policy.Effect, error) {
	var at weighed
	if len(work.Progress) > 0 {
		if err := json.Unmarshal(work.Progress, &at); err != nil {
			at = weighed{} // from the beginning: it is only work
		}
	}
	before, after, err := versionsOf(work)
	if err != nil {
		return policy.Effect{}, err
	}
	player, err := w.Office.Sandbox.Play(ctx, work.Before, work.After)
	if err != nil {
		return policy.Effect{}, err
	}
	defer player.Close()
	asked := &asking{player: player, known: newKnown()}
	if at.Past == nil {
		if at.Past, err = w.replayPast(ctx, work, asked, at.Tally, before, after); err != nil {
			return policy.Effect{}, err
		}
		kept, err := json.Marshal(weighed{Past: at.Past})
		if err != nil {
			return policy.Effect{}, fmt.Errorf("keep the replay: %w", err)
		}
		if err := work.Save(ctx, policy.StageLive, 0, 0, kept); err != nil {
			return policy.Effect{}, err
		}
	}
	live, err := w.weighLive(ctx, work, asked, before, after)
	if err != nil {
		return policy.Effect{}, err
	}
	return policy.Effect{State: policy.EffectComplete, Done: int64(live.Looked), Total: int64(live.Looked), Past: at.Past, Live: &live}, nil
}

// versionsOf reads both versions' catalogues, for their words.
func versionsOf(work *policy.Work) (before, after *policy.Version, err error) {
	var out [2]*policy.Version
	for i, b := range []policy.Bundle{work.Before, work.After} {
		files, err := b.FS()
		if err != nil {
			return nil, nil, err
		}
		if out[i], err = policy.Load(files); err != nil {
			return nil, nil, &policy.DraftError{Text: err.Error()}
		}
	}
	return out[0], out[1], nil
}

// pastTally counts what a replay finds. It is kept with the work, so it holds
// which families a line speaks of: that leaves only as a number.
type pastTally struct {
	Mark     audit.PastMark         `json:"mark"`
	Past     policy.PastEffect      `json:"past"`
	Spent    time.Duration          `json:"spent"`
	Agencies map[string]*agencyPast `json:"agencies"`
	Lines    map[string]*pastLine   `json:"lines"`
}

type agencyPast struct{ Accesses, Opened, Closed int }

type pastLine struct {
	Line     policy.EffectLine  `json:"line"`
	Accesses int                `json:"accesses"`
	Families map[uuid.UUID]bool `json:"families"`
	Examples []policy.Example   `json:"examples"`
}

// mostLines bounds what a draft that flips everything can make of a report.
const mostLines = 20_000

// replayPast puts the last accesses to both versions, the newest first.
func (w *Weigher) replayPast(ctx context.Context, work *policy.Work, asked *asking, t *pastTally, before, after *policy.Version) (*policy.PastEffect, error) {
	if t == nil {
		t = &pastTally{Agencies: map[string]*agencyPast{}, Lines: map[string]*pastLine{}}
	}
	total, err := w.Past.Accesses(ctx, w.accesses())
	if err != nil {
		return nil, err
	}
	began := w.Now()
	spent, distinct, saved := t.Spent, t.Past.Distinct, time.Time{}
	var queue []pending
	flush := func() error {
		if err := asked.put(); err != nil {
			return err
		}
		for i := range queue {
			t.add(&queue[i], w.Reference)
		}
		queue = queue[:0]
		return nil
	}
	const page = 1000
	for t.Past.Accesses < total {
		looked := 0
		mark, err := w.Past.Each(ctx, t.Mark, min(page, total-t.Past.Accesses), func(r *audit.Recorded) error {
			looked++
			x, err := t.take(r, asked)
			if err != nil || x == nil {
				return err
			}
			queue = append(queue, *x)
			if asked.full() {
				return flush()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if err := flush(); err != nil {
			return nil, err
		}
		if looked == 0 {
			break // the log's retention was quicker
		}
		t.Mark, t.Spent, t.Past.Distinct = mark, spent+w.Now().Sub(began), distinct+asked.asked
		if now := w.Now(); now.Sub(saved) >= saveEvery {
			saved = now
			kept, err := json.Marshal(weighed{Tally: t})
			if err != nil {
				return nil, fmt.Errorf("keep the replay: %w", err)
			}
			if err := work.Save(ctx, policy.StagePast, int64(t.Past.Accesses), int64(total), kept); err != nil {
				return nil, err
			}
		}
	}
	return t.result(before, after), nil
}

// pending is an access whose answers are being asked for.
type pending struct {
	event, family uuid.UUID
	agency        string
	answers       []*answerTo
}

// take counts an access and asks for what it was decided from.
func (t *pastTally) take(r *audit.Recorded, asked *asking) (*pending, error) {
	p := &t.Past
	p.Accesses++
	if p.To == nil {
		newest := r.Occurred
		p.To = &newest
	}
	oldest := r.Occurred
	p.From = &oldest
	switch r.State() {
	case audit.PastNone:
		p.Nothing++
		return nil, nil
	case audit.PastErased:
		p.Erased++
		return nil, nil
	}
	inputs, err := r.Inputs()
	if err != nil {
		p.Damaged++
		return nil, nil
	}
	x := &pending{event: r.Event, family: r.Family, agency: r.Agency}
	for _, in := range inputs {
		x.answers = append(x.answers, asked.ask(in))
	}
	return x, nil
}

// add counts what came of an access.
func (t *pastTally) add(x *pending, reference func(uuid.UUID) string) {
	var opened, closed, late bool
	counted := map[string]bool{}
	for _, a := range x.answers {
		if a.Bad {
			t.Past.Damaged++
			return
		}
		late = late || a.Late
	}
	t.Past.Replayed++
	if late {
		t.Past.Late++
	}
	for _, a := range x.answers {
		for _, f := range a.Flips {
			opened, closed = opened || f.Gain, closed || !f.Gain
			line := policy.EffectLine{Gain: f.Gain, Agency: x.agency, Section: f.Section, Owner: f.Owner, Before: f.Before, After: f.After}
			key := lineKey(line)
			if counted[key] {
				continue
			}
			counted[key] = true
			l := t.Lines[key]
			if l == nil {
				if len(t.Lines) >= mostLines {
					continue
				}
				l = &pastLine{Line: line, Families: map[uuid.UUID]bool{}}
				t.Lines[key] = l
			}
			l.Accesses++
			if x.family == uuid.Nil || l.Families[x.family] {
				continue
			}
			l.Families[x.family] = true
			if len(l.Examples) < 3 {
				l.Examples = append(l.Examples, policy.Example{Event: x.event, Family: reference(x.family)})
			}
		}
	}
	a := t.Agencies[x.agency]
	if a == nil {
		a = &agencyPast{}
		t.Agencies[x.agency] = a
	}
	a.Accesses++
	if opened {
		a.Opened++
	}
	if closed {
		a.Closed++
	}
}

func lineKey(l policy.EffectLine) string {
	return strings.Join([]string{fmt.Sprint(l.Gain), l.Agency, l.Role, l.Section, l.Owner, l.Before, l.After}, "\x00")
}

// result tells the counts as far as they may be told.
func (t *pastTally) result(before, after *policy.Version) *policy.PastEffect {
	out := t.Past
	out.Agencies, out.Lines = []policy.AgencyPast{}, []policy.EffectLine{}
	for agency, a := range t.Agencies {
		out.Agencies = append(out.Agencies, policy.AgencyPast{Agency: agency, Accesses: policy.CountOf(a.Accesses), Opened: policy.CountOf(a.Opened), Closed: policy.CountOf(a.Closed)})
	}
	slices.SortFunc(out.Agencies, func(a, b policy.AgencyPast) int { return strings.Compare(a.Agency, b.Agency) })
	for _, l := range t.Lines {
		line := l.Line
		accesses := policy.CountOf(l.Accesses)
		line.Accesses, line.Families = &accesses, policy.CountOf(len(l.Families))
		if len(l.Families) >= policy.Few {
			line.Examples = l.Examples
		}
		line.Words = line.InWords(before, after)
		out.Lines = append(out.Lines, line)
	}
	sortLines(out.Lines)
	out.Took = t.Spent.Round(time.Millisecond).String()
	return &out
}

func sortLines(lines []policy.EffectLine) {
	slices.SortFunc(lines, func(a, b policy.EffectLine) int {
		if a.Gain != b.Gain {
			if a.Gain {
				return -1
			}
			return 1
		}
		return strings.Compare(lineKey(a), lineKey(b))
	})
}
