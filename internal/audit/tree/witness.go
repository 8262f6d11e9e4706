package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Witness is a partner's server that cosigns checkpoints (C2SP tlog-witness).
type Witness struct {
	URL string // submission prefix
	Key string // verifier key, NAME+HASH+KEY
}

func (w Witness) key() (proof.NoteKey, error) {
	k, err := proof.ParseNoteKey(w.Key)
	if err == nil && !k.Witness {
		err = errors.New("it is a log's key, not a witness's")
	}
	return k, err
}

// errAhead: a witness has cosigned a longer log than ours.
var errAhead = errors.New("the witness has seen a longer log")

// errForked: a witness holds another history.
var errForked = errors.New("the witness has seen another log of this name")

// askLater collects cosignatures beside the sequencer: a slow witness must not
// hold up the log. One question is under way at a time.
func (t *Tree) askLater(ctx context.Context, number int, cp proof.Checkpoint, signed []byte) {
	if len(t.Witnesses) == 0 || !t.asking.CompareAndSwap(false, true) {
		return
	}
	t.background.Go(func() {
		defer t.asking.Store(false)
		if err := t.ask(ctx, number, cp, signed); err != nil {
			t.report(ctx, "not every witness has cosigned", err)
		}
	})
}

func (t *Tree) ask(ctx context.Context, number int, cp proof.Checkpoint, signed []byte) error {
	lines := make([][]byte, len(t.Witnesses))
	errs := make([]error, len(t.Witnesses))
	var wg sync.WaitGroup
	for i, w := range t.Witnesses {
		wg.Go(func() { lines[i], errs[i] = t.cosign(ctx, w, number, cp, signed) })
	}
	wg.Wait()
	t.noteAnswers(errs)
	whole, count := bytes.Clone(signed), 0
	for i := range lines {
		if errs[i] == nil {
			whole, count = append(whole, lines[i]...), count+1
		}
	}
	if count > 0 {
		if err := storeCheckpoint(ctx, t.Pool, number, cp.Size, whole, t.Now().UTC()); err != nil {
			errs = append(errs, err)
		}
	}
	if count >= t.Quorum {
		t.mu.Lock()
		t.quorumAt = t.Now()
		t.mu.Unlock()
	}
	for _, err := range errs {
		if errors.Is(err, errForked) || errors.Is(err, errAhead) {
			errs = append(errs, postgres.Redact(t.raise(ctx, t.Pool, "witness-disagrees", nil)))
			break
		}
	}
	return errors.Join(errs...)
}

// Answered is what a witness said when it was asked last.
type Answered struct {
	Name   string
	At     time.Time // zero: this replica has not asked it
	Signed bool
	// Disagrees: it holds another or a longer log of this name. Else one that has
	// not signed was not reached, or gave no good signature.
	Disagrees bool
}

// Answers tell how each witness answered this replica, in the order of the
// configuration. Only the replica that gives the places asks.
func (t *Tree) Answers() []Answered {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]Answered, len(t.Witnesses))
	for i, w := range t.Witnesses {
		out[i] = t.answered[w.URL]
		if key, err := w.key(); err == nil {
			out[i].Name = key.Name
		}
	}
	return out
}

// noteAnswers keeps how the witnesses answered; errs is in their order.
func (t *Tree) noteAnswers(errs []error) {
	at := t.Now().UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.Witnesses {
		t.answered[w.URL] = Answered{At: at, Signed: errs[i] == nil, Disagrees: errors.Is(errs[i], errForked) || errors.Is(errs[i], errAhead)}
	}
}

// cosign asks one witness and gives its good signature line.
func (t *Tree) cosign(ctx context.Context, w Witness, number int, cp proof.Checkpoint, signed []byte) ([]byte, error) {
	key, err := w.key()
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	old := t.witnessed[w.URL+"\n"+cp.Origin]
	t.mu.Unlock()
	for range 2 {
		if old > cp.Size {
			return nil, fmt.Errorf("%s: %w: %d entries", w.URL, errAhead, old)
		}
		path, err := tilesOf(ctx, t.Pool, number).Consistency(old, cp.Size)
		if err != nil {
			return nil, err
		}
		status, size, body, err := t.submit(ctx, w, proof.AddCheckpoint{Old: old, Path: path, Checkpoint: signed})
		if err != nil {
			return nil, err
		}
		switch {
		case status == http.StatusOK:
			lines, err := cosignature(key, cp, signed, body, t.Key(cp.Origin))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", w.URL, err)
			}
			t.mu.Lock()
			t.witnessed[w.URL+"\n"+cp.Origin] = cp.Size
			t.mu.Unlock()
			return lines, nil
		case status == http.StatusConflict && size >= 0 && size != old:
			old = size
		case status == http.StatusConflict, status == http.StatusUnprocessableEntity:
			return nil, fmt.Errorf("%s: %w (status %d)", w.URL, errForked, status)
		default:
			return nil, fmt.Errorf("%s: status %d", w.URL, status)
		}
	}
	return nil, fmt.Errorf("%s: it keeps naming other sizes", w.URL)
}

// cosignature keeps of an answer what this witness's key signed.
func cosignature(key proof.NoteKey, cp proof.Checkpoint, signed, body []byte, log proof.NoteKey) ([]byte, error) {
	for line := range bytes.Lines(body) {
		if !bytes.HasPrefix(line, []byte("— "+key.Name+" ")) || !bytes.HasSuffix(line, []byte("\n")) {
			continue
		}
		opened, err := proof.OpenCheckpoint(append(bytes.Clone(signed), line...), []proof.NoteKey{log, key})
		if err == nil && len(opened.Witnesses) == 1 && opened.Checkpoint == cp {
			return line, nil
		}
	}
	return nil, errors.New("the answer holds no signature of this witness")
}

// submit posts one add-checkpoint. size is what a 409 names, else -1.
func (t *Tree) submit(ctx context.Context, w Witness, a proof.AddCheckpoint) (status int, size int64, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(w.URL, "/")+"/add-checkpoint", bytes.NewReader(a.Format()))
	if err != nil {
		return 0, -1, nil, fmt.Errorf("%s: %w", w.URL, err)
	}
	res, err := t.Client.Do(req)
	if err != nil {
		return 0, -1, nil, fmt.Errorf("%s: %w", w.URL, err)
	}
	defer func() { _ = res.Body.Close() }()
	if body, err = io.ReadAll(io.LimitReader(res.Body, 64<<10)); err != nil {
		return 0, -1, nil, fmt.Errorf("%s: %w", w.URL, err)
	}
	size = -1
	if res.StatusCode == http.StatusConflict && res.Header.Get("Content-Type") == "text/x.tlog.size" {
		if n, err := strconv.ParseInt(strings.TrimSuffix(string(body), "\n"), 10, 64); err == nil && n >= 0 {
			size = n
		}
	}
	return res.StatusCode, size, body, nil
}

// compareWitnesses asks the witnesses how long the log was. One of them may
// lie, so it takes the quorum (at least one) to stop the reads; any of them
// raises an alarm.
func (t *Tree) compareWitnesses(ctx context.Context, h head) string {
	if len(t.Witnesses) == 0 || h.CheckpointSize == 0 {
		return ""
	}
	ahead := make([]int64, len(t.Witnesses))
	var wg sync.WaitGroup
	for i, w := range t.Witnesses {
		wg.Go(func() {
			// A size that nobody has yields the size that the witness has.
			status, size, _, err := t.submit(ctx, w, proof.AddCheckpoint{Checkpoint: h.Checkpoint})
			if err != nil {
				t.report(ctx, "a witness was not reached", err)
				return
			}
			if status == http.StatusConflict && size > h.Size {
				ahead[i] = size
			}
		})
	}
	wg.Wait()
	count := 0
	for _, size := range ahead {
		if size > 0 {
			count++
		}
	}
	if count == 0 {
		return ""
	}
	if count < max(1, t.Quorum) {
		if err := t.raise(ctx, t.Pool, "witness-disagrees", nil); err != nil {
			t.report(ctx, "alarm not raised", postgres.Redact(err))
		}
		return ""
	}
	t.mu.Lock()
	t.longest = slices.Max(ahead)
	t.mu.Unlock()
	return fmt.Sprintf("%d of %d witnesses have cosigned a longer log than the database's %d entries", count, len(t.Witnesses), h.Size)
}
