package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"time"
)

// SandboxCommand is the hidden subcommand that SandboxMain serves.
const SandboxCommand = "policy-sandbox"

// Limits of the child process.
const (
	sandboxMemory = 3 << 30 // address space: Go itself reserves more than 1 GiB
	sandboxWall   = 90 * time.Second
	sandboxOutput = 16 << 20
)

// Errors of the sandbox.
var (
	// ErrSandboxLimit: the draft used more memory, time or output than one may.
	ErrSandboxLimit = errors.New("the draft went beyond the limits of memory, time or output and was stopped")
	// ErrNoSandbox: there is no program to run drafts in; nothing is run.
	ErrNoSandbox = errors.New("no sandbox is configured")
)

// Sandbox runs drafts in a child process: user-edited Rego is code, and an
// evaluation that allocates without end would take the hub with it. The child
// has an empty environment, standard streams alone and no database. The zero
// value runs nothing.
type Sandbox struct {
	Command []string      // the program and its arguments: it must call SandboxMain
	Wall    time.Duration // 0 = 90 s
}

// job is what the child is asked. Before is empty where a draft is tested alone.
type job struct {
	Before *Bundle `json:"before,omitempty"`
	After  Bundle  `json:"after"`
	Author string  `json:"author,omitempty"`
	Space  Space   `json:"space"`
	Try    *trial  `json:"try,omitempty"`  // put questions to both, in place of a comparison
	Play   bool    `json:"play,omitempty"` // recorded questions follow
}

// verdict is what the child answers.
type verdict struct {
	Report *ChangeReport `json:"report,omitempty"`
	Check  *Checked      `json:"check,omitempty"`
	Tried  []Tried       `json:"tried,omitempty"`
	About  *concern      `json:"about,omitempty"` // of recorded questions: whom they can concern
	Error  string        `json:"error,omitempty"` // of the draft, in its author's words
}

// Checked is how a draft came out by itself.
type Checked struct {
	Problems []string `json:"problems"` // what is wrong or serves nobody
	Tests    Tests    `json:"tests"`
}

// DraftError says what is wrong with a draft, for its author.
type DraftError struct{ Text string }

func (e *DraftError) Error() string { return e.Text }

// Compare is the package's Compare in a child process. Errors: *DraftError,
// ErrSandboxLimit, ErrNoSandbox.
func (s Sandbox) Compare(ctx context.Context, before, after Bundle, author string, space Space) (ChangeReport, error) {
	v, err := s.run(ctx, job{Before: &before, After: after, Author: author, Space: space})
	if err != nil {
		return ChangeReport{}, err
	}
	if v.Report == nil {
		return ChangeReport{}, errors.New("the sandbox gave no report")
	}
	return *v.Report, nil
}

// Check lints a draft and runs its stories and tests. Errors as of Compare.
func (s Sandbox) Check(ctx context.Context, draft Bundle) (Checked, error) {
	v, err := s.run(ctx, job{After: draft})
	if err != nil {
		return Checked{}, err
	}
	if v.Check == nil {
		return Checked{}, errors.New("the sandbox gave no result")
	}
	return *v.Check, nil
}

func (s Sandbox) run(ctx context.Context, j job) (verdict, error) {
	if len(s.Command) == 0 {
		return verdict{}, ErrNoSandbox
	}
	wall := s.Wall
	if wall <= 0 {
		wall = sandboxWall
	}
	ctx, cancel := context.WithTimeout(ctx, wall)
	defer cancel()
	input, err := json.Marshal(j)
	if err != nil {
		return verdict{}, fmt.Errorf("encode the sandbox's work: %w", err)
	}
	cmd := s.command(ctx)
	cmd.Stdin = bytes.NewReader(input)
	out := &bounded{left: sandboxOutput, full: cancel}
	cmd.Stdout = out
	err = cmd.Run()
	if err != nil || out.over {
		var exit *exec.ExitError
		if ctx.Err() != nil || out.over || errors.As(err, &exit) {
			return verdict{}, fmt.Errorf("%w (%s)", ErrSandboxLimit, sandboxEnd(ctx, out, err))
		}
		return verdict{}, fmt.Errorf("run the sandbox: %w", err)
	}
	var v verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		return verdict{}, fmt.Errorf("read the sandbox's answer: %w", err)
	}
	if v.Error != "" {
		return verdict{}, &DraftError{Text: v.Error}
	}
	return v, nil
}

// command is the child, before it is given anything to do.
func (s Sandbox) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...)
	cmd.Env = []string{"PATH=", "GOMEMLIMIT=1GiB", "GOGC=400", "GOTRACEBACK=none"} // it collects seldom, and never lets the heap pass 1 GiB
	cmd.Dir = "/"
	cmd.Stderr = &bounded{left: 64 << 10, full: func() {}} // swallowed: it may repeat what the draft says
	cmd.WaitDelay = 2 * time.Second
	contain(cmd)
	return cmd
}

func sandboxEnd(ctx context.Context, out *bounded, err error) string {
	switch {
	case out.over:
		return "output"
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "time"
	}
	return fmt.Sprintf("memory, or a fault: %v", err)
}

// bounded keeps so many bytes and then calls full.
type bounded struct {
	bytes.Buffer
	left int
	over bool
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		if !b.over {
			b.over = true
			b.full()
		}
		return len(p), nil
	}
	b.left -= len(p)
	return b.Buffer.Write(p)
}

// SandboxMain is the child: it limits itself, reads one piece of work, does it
// and answers. The exit status is not 0 only where it could not answer.
func SandboxMain(ctx context.Context, in io.Reader, out io.Writer) int {
	if err := limitSelf(sandboxMemory); err != nil {
		return 3
	}
	var j job
	work := json.NewDecoder(in)
	if err := work.Decode(&j); err != nil {
		return 3
	}
	if j.Play && j.Before != nil {
		if err := j.play(ctx, work, out); err != nil {
			return 3
		}
		return 0
	}
	var v verdict
	if err := j.do(ctx, &v); err != nil {
		v = verdict{Error: err.Error()}
	}
	if err := json.NewEncoder(out).Encode(v); err != nil {
		return 3
	}
	return 0
}

func (j job) do(ctx context.Context, v *verdict) error {
	if j.Try != nil && j.Before != nil {
		tried, err := j.Try.put(ctx, *j.Before, j.After)
		v.Tried = tried
		return err
	}
	if j.Before != nil {
		report, err := Compare(ctx, *j.Before, j.After, j.Author, j.Space)
		v.Report = &report
		return err
	}
	files, err := j.After.FS()
	if err != nil {
		return err
	}
	checked, err := checkDraft(ctx, files, j.After)
	v.Check = &checked
	return err
}

// checkDraft lints and tests one draft. What does not load has no tests to run.
func checkDraft(ctx context.Context, files fs.FS, b Bundle) (Checked, error) {
	problems, err := Lint(files)
	if err != nil {
		return Checked{}, err
	}
	c := Checked{Problems: problems, Tests: Tests{Failures: []Failure{}}}
	if c.Problems == nil {
		c.Problems = []string{}
	}
	active, err := Activate(b, Options{Deadline: testDeadline})
	if err != nil {
		return c, nil // Lint has said why
	}
	c.Tests, err = testBundle(ctx, b, active)
	return c, err
}
