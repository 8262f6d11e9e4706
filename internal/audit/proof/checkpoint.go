package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Errors of checkpoints.
var (
	ErrCheckpoint = errors.New("not a checkpoint")
	ErrUnsigned   = errors.New("checkpoint is not signed by a key that is trusted for its log")
)

// Checkpoint is the log's head: C2SP tlog-checkpoint, the text of a signed note.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Digest
}

// Text is the note's text.
func (c Checkpoint) Text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + base64.StdEncoding.EncodeToString(c.Root[:]) + "\n"
}

// ParseCheckpoint reads a note's text. Extension lines are allowed by the
// format and not understood here. Error: ErrCheckpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 || lines[0] == "" || len(text) > 4096 {
		return Checkpoint{}, ErrCheckpoint
	}
	size, err := parseSize(lines[1])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: size", ErrCheckpoint)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: root", ErrCheckpoint)
	}
	for rest := lines[3]; rest != ""; {
		line, after, ok := strings.Cut(rest, "\n")
		if !ok || line == "" {
			return Checkpoint{}, fmt.Errorf("%w: extension lines", ErrCheckpoint)
		}
		rest = after
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: root}, nil
}

// parseSize reads a decimal without sign or leading zeroes.
func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("not a size")
	}
	return n, nil
}

func parseHash(s string) (Digest, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, fmt.Errorf("not a hash")
	}
	return Digest(raw), nil
}

// Algorithms of C2SP signed notes.
const (
	algEd25519     = 0x01
	algCosignature = 0x04
)

// NoteKey is the public key of a log, or of a witness: a C2SP verifier key.
type NoteKey struct {
	Name    string
	Public  ed25519.PublicKey
	Witness bool // signs cosignature/v1, with a time
	Dates   Dates
}

// NewLogKey is a log's key; its name is the log's origin.
func NewLogKey(origin string, public ed25519.PublicKey) (NoteKey, error) {
	return newNoteKey(origin, public, false)
}

// NewWitnessKey is a witness's key.
func NewWitnessKey(name string, public ed25519.PublicKey) (NoteKey, error) {
	return newNoteKey(name, public, true)
}

func newNoteKey(name string, public ed25519.PublicKey, witness bool) (NoteKey, error) {
	if name == "" || strings.Contains(name, "+") || len(strings.Fields(name)) != 1 || strings.TrimSpace(name) != name || len(public) != ed25519.PublicKeySize {
		return NoteKey{}, fmt.Errorf("%w: name %q", ErrKey, name)
	}
	return NoteKey{Name: name, Public: public, Witness: witness}, nil
}

func (k NoteKey) algorithm() byte {
	if k.Witness {
		return algCosignature
	}
	return algEd25519
}

func (k NoteKey) hash() uint32 {
	h := sha256.New()
	h.Write([]byte(k.Name))
	h.Write([]byte{'\n', k.algorithm()})
	h.Write(k.Public)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// String is NAME+HASH+KEY; empty for the zero value.
func (k NoteKey) String() string {
	if len(k.Public) != ed25519.PublicKeySize {
		return ""
	}
	return fmt.Sprintf("%s+%08x+%s", k.Name, k.hash(), base64.StdEncoding.EncodeToString(append([]byte{k.algorithm()}, k.Public...)))
}

// Fingerprint is what two people read to each other over the telephone.
func (k NoteKey) Fingerprint() string {
	sum := sha256.Sum256(append([]byte{k.algorithm()}, k.Public...))
	text := fmt.Sprintf("%x", sum[:16])
	var groups []string
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, " ")
}

// ParseNoteKey reads NAME+HASH+KEY of a log or a witness. Error: ErrKey.
func ParseNoteKey(text string) (NoteKey, error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		return NoteKey{}, ErrKey
	}
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 && raw[0] != algCosignature {
		return NoteKey{}, fmt.Errorf("%w: neither a log's nor a witness's", ErrKey)
	}
	k, err := newNoteKey(parts[0], raw[1:], raw[0] == algCosignature)
	if err != nil {
		return NoteKey{}, err
	}
	if k.String() != text {
		return NoteKey{}, fmt.Errorf("%w: its hash is another's", ErrKey)
	}
	return k, nil
}

// verifier makes a key usable by the note package.
type verifier struct{ key NoteKey }

func (v verifier) Name() string    { return v.key.Name }
func (v verifier) KeyHash() uint32 { return v.key.hash() }
func (v verifier) Verify(msg, sig []byte) bool {
	if !v.key.Witness {
		return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key.Public, msg, sig)
	}
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(v.key.Public, cosigned(binary.BigEndian.Uint64(sig), msg), sig[8:])
}

// cosigned is the message of a cosignature/v1.
func cosigned(when uint64, text []byte) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", when), text...)
}

type signer struct {
	verifier
	private ed25519.PrivateKey
	when    time.Time // of a cosignature
}

func (s signer) Sign(msg []byte) ([]byte, error) {
	if !s.key.Witness {
		return ed25519.Sign(s.private, msg), nil
	}
	when := uint64(max(0, s.when.Unix()))
	return append(binary.BigEndian.AppendUint64(nil, when), ed25519.Sign(s.private, cosigned(when, msg))...), nil
}

// SignCheckpoint gives the signed note. A key's name is the origin. Several
// keys sign while one takes over from another.
func SignCheckpoint(c Checkpoint, private ...ed25519.PrivateKey) ([]byte, error) {
	signers := make([]note.Signer, 0, len(private))
	for _, p := range private {
		public, _ := p.Public().(ed25519.PublicKey)
		key, err := NewLogKey(c.Origin, public)
		if err != nil {
			return nil, fmt.Errorf("sign checkpoint: %w", err)
		}
		signers = append(signers, signer{verifier: verifier{key}, private: p})
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("sign checkpoint: %w", ErrKey)
	}
	return note.Sign(&note.Note{Text: c.Text()}, signers...)
}

// Cosign gives a witness's signature line for a checkpoint's text.
func Cosign(text string, witness NoteKey, private ed25519.PrivateKey, now time.Time) ([]byte, error) {
	whole, err := note.Sign(&note.Note{Text: text}, signer{verifier: verifier{witness}, private: private, when: now})
	if err != nil {
		return nil, fmt.Errorf("cosign checkpoint: %w", err)
	}
	return whole[len(text)+1:], nil
}

// Signed is a checkpoint whose signature was verified.
type Signed struct {
	Checkpoint
	Text      string
	By        []NoteKey // the log's keys that signed it
	Witnesses []string  // names of the witnesses that cosigned it
}

// OpenCheckpoint verifies a signed note: at least one of the given keys of its
// own origin must have signed it. Errors: ErrCheckpoint, ErrUnsigned.
func OpenCheckpoint(msg []byte, keys []NoteKey) (Signed, error) {
	if len(msg) > 64<<10 {
		return Signed{}, fmt.Errorf("%w: too long", ErrCheckpoint)
	}
	list := make([]note.Verifier, 0, len(keys))
	seen := make(map[string]bool, len(keys))
	for _, k := range keys {
		if text := k.String(); text != "" && !seen[text] {
			seen[text] = true
			list = append(list, verifier{k})
		}
	}
	n, err := note.Open(msg, note.VerifierList(list...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified), errors.As(err, &invalid):
		return Signed{}, ErrUnsigned
	case err != nil:
		return Signed{}, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{Checkpoint: c, Text: n.Text}
	for _, sig := range n.Sigs {
		for _, k := range keys {
			if k.Name != sig.Name || k.hash() != sig.Hash {
				continue
			}
			if k.Witness {
				s.Witnesses = append(s.Witnesses, k.Name)
			} else if k.Name == c.Origin {
				s.By = append(s.By, k)
			}
		}
	}
	if len(s.By) == 0 {
		return Signed{}, ErrUnsigned
	}
	return s, nil
}

// PeekCheckpoint reads a signed note without verifying it, to learn whose it
// claims to be. Error: ErrCheckpoint.
func PeekCheckpoint(msg []byte) (Checkpoint, error) {
	text, _, ok := strings.Cut(string(msg), "\n\n")
	if !ok {
		return Checkpoint{}, ErrCheckpoint
	}
	return ParseCheckpoint(text + "\n")
}
