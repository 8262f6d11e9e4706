package policy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"
)

// Limits of a replay in the sandbox, beside those of every child.
const (
	playStep   = time.Minute // for what is asked at a time
	playAnswer = 8 << 20     // bytes that one answer may have
	// PlayMost is how many questions are put at a time.
	PlayMost = 128
)

// Player puts recorded questions to two versions, in a child process: what it
// is given comes in over the standard streams and leaves as flips alone. Close
// ends the child. It is for one caller at a time.
type Player struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	cancel context.CancelFunc
	ctx    context.Context
	step   time.Duration
	slow   atomic.Bool
	about  concern
}

// concern says for whom two versions can decide differently at all.
type concern struct {
	All bool     `json:"all,omitempty"`
	Who []string `json:"who,omitempty"` // agencies and kinds
}

// Concerns tells whether anything can be decided otherwise for the people of an
// agency: nobody else needs to be asked about.
func (p *Player) Concerns(agency, kind string) bool {
	return p.about.All || slices.Contains(p.about.Who, agency) || slices.Contains(p.about.Who, kind)
}

// Play starts a child that has both versions ready. Errors: *DraftError,
// ErrSandboxLimit, ErrNoSandbox.
func (s Sandbox) Play(ctx context.Context, before, after Bundle) (*Player, error) {
	if len(s.Command) == 0 {
		return nil, ErrNoSandbox
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Player{ctx: ctx, cancel: cancel, step: s.Wall}
	if p.step <= 0 {
		p.step = playStep
	}
	if err := p.start(s, job{Before: &before, After: after, Play: true}); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Player) start(s Sandbox, j job) error {
	p.cmd = s.command(p.ctx)
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("run the sandbox: %w", err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run the sandbox: %w", err)
	}
	p.out = bufio.NewReaderSize(out, 64<<10)
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("run the sandbox: %w", err)
	}
	var ready verdict
	if err := p.exchange(j, &ready); err != nil {
		return err
	}
	if ready.Error != "" {
		return &DraftError{Text: ready.Error}
	}
	if ready.About == nil {
		return errors.New("the sandbox does not say whom the draft concerns")
	}
	p.about = *ready.About
	return nil
}

// Ask gives the answers to at most PlayMost questions, in their order. After an
// error the player is of no more use. Error: ErrSandboxLimit.
func (p *Player) Ask(inputs []json.RawMessage) ([]Replayed, error) {
	if len(inputs) == 0 {
		return nil, nil
	}
	var answers []Replayed
	if err := p.exchange(inputs, &answers); err != nil {
		return nil, err
	}
	if len(answers) != len(inputs) {
		return nil, fmt.Errorf("%w (%d answers to %d questions)", ErrSandboxLimit, len(answers), len(inputs))
	}
	for i := range answers {
		if len(answers[i].Flips) > maxFlips {
			return nil, fmt.Errorf("%w (%d flips of one question)", ErrSandboxLimit, len(answers[i].Flips))
		}
	}
	return answers, nil
}

// maxFlips of one question: a family has not more parts and owners than that.
const maxFlips = 10_000

// exchange sends one line and reads one, within the limits of a step.
func (p *Player) exchange(ask, into any) error {
	watch := time.AfterFunc(p.step, func() { p.slow.Store(true); p.cancel() })
	defer watch.Stop()
	sent := make(chan error, 1)
	go func() { sent <- json.NewEncoder(p.in).Encode(ask) }()
	line, err := p.line()
	if err != nil {
		err = p.ended(err)
		p.cancel() // a child that neither reads nor answers must not hold the sender
		<-sent
		return err
	}
	if err := <-sent; err != nil {
		return p.ended(err)
	}
	if err := json.Unmarshal(line, into); err != nil {
		return fmt.Errorf("read the sandbox's answer: %w", err)
	}
	return nil
}

var errAnswerSize = errors.New("output")

func (p *Player) line() ([]byte, error) {
	var line []byte
	for {
		part, err := p.out.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > playAnswer:
			return nil, errAnswerSize
		case err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// ended says why the child is gone.
func (p *Player) ended(cause error) error {
	switch {
	case p.slow.Load():
		return fmt.Errorf("%w (time)", ErrSandboxLimit)
	case p.ctx.Err() != nil && !errors.Is(cause, errAnswerSize):
		return fmt.Errorf("replay: %w", p.ctx.Err())
	case errors.Is(cause, errAnswerSize):
		return fmt.Errorf("%w (output)", ErrSandboxLimit)
	}
	p.cancel()
	_ = p.cmd.Wait() // for what the system says of its end
	return fmt.Errorf("%w (memory, or a fault: %v, %s)", ErrSandboxLimit, cause, p.cmd.ProcessState)
}

// Close ends the child.
func (p *Player) Close() {
	if p.in != nil {
		_ = p.in.Close()
	}
	p.cancel()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Wait() // it was killed, or has ended
	}
}

// play is the child's side: it answers each line until there are no more.
func (j job) play(ctx context.Context, questions *json.Decoder, out io.Writer) error {
	answers := json.NewEncoder(out)
	var versions [2]*Active
	for i, b := range []Bundle{*j.Before, j.After} {
		var err error
		if versions[i], err = Activate(b, Options{Deadline: replayDeadline}); err != nil {
			return answers.Encode(verdict{Error: err.Error()})
		}
	}
	r := newReplayer(versions[0], versions[1])
	if err := answers.Encode(verdict{About: &concern{All: r.differ.global, Who: sortedKeys(r.differ.changed)}}); err != nil {
		return err
	}
	for {
		var inputs []json.RawMessage
		if err := questions.Decode(&inputs); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		found, err := r.replay(ctx, inputs)
		if err != nil {
			return err
		}
		if err := answers.Encode(found); err != nil {
			return err
		}
	}
}
