package proof

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Witness decides what a partner's witness cosigns (C2SP tlog-witness): for
// each log one history that only grows. It knows no network and no disk; the
// server around it carries bytes in and out. It is safe for concurrent use.
type Witness struct {
	key     NoteKey
	private ed25519.PrivateKey
	logs    []NoteKey
	now     func() time.Time
	save    func(origin string, signed []byte) error

	mu   sync.Mutex
	held map[string]Checkpoint // newest cosigned, by origin
}

// NewWitness cosigns for the logs of the given keys. save must have made a
// checkpoint durable when it returns: what was cosigned is never forgotten.
func NewWitness(name string, private ed25519.PrivateKey, logs []NoteKey, now func() time.Time, save func(origin string, signed []byte) error) (*Witness, error) {
	public, _ := private.Public().(ed25519.PublicKey)
	key, err := NewWitnessKey(name, public)
	if err != nil {
		return nil, err
	}
	for _, k := range logs {
		if k.Witness || k.String() == "" {
			return nil, fmt.Errorf("%w: %q is not a log's", ErrKey, k.Name)
		}
	}
	if len(logs) == 0 || now == nil || save == nil {
		return nil, errors.New("witness: logs, clock and memory must be given")
	}
	return &Witness{key: key, private: private, logs: logs, now: now, save: save, held: map[string]Checkpoint{}}, nil
}

// Key verifies this witness's cosignatures.
func (w *Witness) Key() NoteKey { return w.key }

// Restore takes over what was saved before.
func (w *Witness) Restore(signed []byte) error {
	cp, err := OpenCheckpoint(signed, w.logs)
	if err != nil {
		return fmt.Errorf("restore witness: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held[cp.Origin] = cp.Checkpoint
	return nil
}

// Answer is what a witness says to one request.
type Answer struct {
	Status int    // of HTTP
	Type   string // media type
	Body   string
}

func refuse(status int, why string) Answer {
	return Answer{Status: status, Type: "text/plain; charset=utf-8", Body: why + "\n"}
}

// Add answers one add-checkpoint: 200 with the cosignature, 400 malformed, 403
// not signed by the log, 404 an unknown log, 409 another size or another root
// was cosigned, 422 not a continuation, 500 not saved.
func (w *Witness) Add(body []byte) Answer {
	req, err := ParseAddCheckpoint(body)
	if err != nil {
		return refuse(400, err.Error())
	}
	claimed, err := PeekCheckpoint(req.Checkpoint)
	if err != nil {
		return refuse(400, "not a checkpoint")
	}
	var keys []NoteKey
	for _, k := range w.logs {
		if k.Name == claimed.Origin {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return refuse(404, "this log is not known here")
	}
	signed, err := OpenCheckpoint(req.Checkpoint, keys)
	if errors.Is(err, ErrUnsigned) {
		return refuse(403, "no key of this log has signed it")
	}
	if err != nil {
		return refuse(400, "not a checkpoint")
	}
	if req.Old > signed.Size {
		return refuse(400, "the old size is greater than the checkpoint's")
	}

	w.mu.Lock()
	defer w.mu.Unlock()
	held, known := w.held[signed.Origin]
	if !known {
		held = Checkpoint{Origin: signed.Origin, Root: (&Frontier{}).Root()}
	}
	if req.Old != held.Size {
		return Answer{Status: 409, Type: "text/x.tlog.size", Body: fmt.Sprintf("%d\n", held.Size)}
	}
	if held.Size == signed.Size && held.Root != signed.Root {
		return refuse(409, "another root was cosigned for this size")
	}
	if err := CheckConsistency(held, signed.Checkpoint, req.Path); err != nil {
		return refuse(422, err.Error())
	}
	line, err := Cosign(signed.Text, w.key, w.private, w.now())
	if err != nil {
		return refuse(500, "not cosigned")
	}
	if err := w.save(signed.Origin, req.Checkpoint); err != nil {
		return refuse(500, "not saved, so not cosigned")
	}
	w.held[signed.Origin] = signed.Checkpoint
	return Answer{Status: 200, Type: "text/plain; charset=utf-8", Body: string(line)}
}
