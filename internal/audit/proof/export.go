package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/google/uuid"
)

// An export is a file of JSON lines that an auditor checks without the hub: a
// first line (ExportHeader), one line for each leaf in the order of the log
// (ExportEntry) or for a run of leaves that are not shown (ExportSkip), one for
// each Certificate under which entries were dropped, and a last line
// (ExportEnd). Each line but the last ends with "sum", the SHA-256 of the
// line's bytes before it, so that a change is found in its own line; the last
// signs all the sums, so that a sum cannot be made to fit. After so many lines
// a mark (ExportMark) signs the sums so far: an export that was cut off goes on
// behind its last mark.

// ExportHeader is the first line of an export.
type ExportHeader struct {
	Export      int      `json:"kith_export"` // 1
	Checkpoint  string   `json:"checkpoint"`  // signed note
	LogKey      string   `json:"log_key"`
	ReplicaKeys []string `json:"replica_keys"`
	Scope       string   `json:"scope"` // "all", "agency CODE" or "own"
	// Made is when the export was begun.
	Made time.Time `json:"made,omitzero"`
	// First to End (not included) is the run of leaves asked for. In the scope
	// "all" every one of them has a line of its own.
	First int64 `json:"first"`
	End   int64 `json:"end"`
}

// ExportEntry is one leaf. Parts are given as far as the reader's scope allows
// their bytes; View is the event as that reader sees it.
type ExportEntry struct {
	Index       int64           `json:"index"`
	Leaf        Digest          `json:"leaf"` // as the tree has it
	Event       uuid.UUID       `json:"event"`
	Missing     bool            `json:"missing,omitempty"` // the database holds the leaf, and the event no more
	Dropped     uuid.UUID       `json:"dropped,omitzero"`  // by the certificate of this id, after its retention
	Header      json.RawMessage `json:"header,omitempty"`
	Commitments []byte          `json:"commitments,omitempty"`
	Signature   []byte          `json:"signature,omitempty"` // of the receipt
	Common      json.RawMessage `json:"common,omitempty"`
	CommonSalt  []byte          `json:"common_salt,omitempty"`
	Parts       []*ExportPart   `json:"parts,omitempty"`     // by subject; null is withheld or erased
	Erased      int             `json:"erased,omitempty"`    // parts that were erased
	NoCommon    bool            `json:"no_common,omitempty"` // the common part is one of them
	Copies      *Copies         `json:"copies,omitempty"`    // in the scope "all"
	Forged      bool            `json:"forged,omitempty"`    // the sequencer raised an alarm
	Differs     []string        `json:"differs,omitempty"`   // columns that do not say what header and payload say
	View        json.RawMessage `json:"view,omitempty"`
}

// ExportPart is a subject's part with its salt.
type ExportPart struct {
	Part json.RawMessage `json:"part"`
	Salt []byte          `json:"salt"`
}

// ExportSkip stands for leaves that are not shown: the roots of the perfect
// subtrees that cover them.
type ExportSkip struct {
	Skip   int64    `json:"skip"`
	Hashes []Digest `json:"hashes"`
}

// ExportEnd is the last line.
type ExportEnd struct {
	End EndOfExport `json:"end"`
}

// EndOfExport signs what stands before it.
type EndOfExport struct {
	Lines     int64  `json:"lines"`
	Digest    Digest `json:"digest"`
	Replica   string `json:"replica"`
	Signature []byte `json:"signature"`
}

// MarshalText is the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

const (
	exportDomain = "kith-export/1\n"
	sumKey       = `,"sum":"`
	sumSize      = len(sumKey) + 44 + len(`"}`)
)

// SignExport signs the digest of an export's sums.
func SignExport(key ed25519.PrivateKey, digest Digest) []byte {
	return ed25519.Sign(key, append([]byte(exportDomain), digest[:]...))
}

// SignedExport tells whether a replica signed the digest of an export.
func SignedExport(key Key, digest Digest, sig []byte) bool {
	return len(key.Public) == ed25519.PublicKeySize && ed25519.Verify(key.Public, append([]byte(exportDomain), digest[:]...), sig)
}

// ExportWriter writes an export line by line.
type ExportWriter struct {
	w     io.Writer
	buf   bytes.Buffer
	sums  hash.Hash
	lines int64
	mark  ExportMark // what every mark says of the export
	sign  SignDigest
}

// SignDigest gives the id of a replica's key and its signature; see SignExport.
type SignDigest func(Digest) (replica string, signature []byte)

// markEvery is how many lines may be lost when an export is cut off.
const markEvery = 1024

// NewExportWriter begins an export. m says of which log and how long it was,
// sign signs its marks and its end.
func NewExportWriter(w io.Writer, h ExportHeader, m ExportMark, sign SignDigest) (*ExportWriter, error) {
	h.Export = 1
	m.First, m.End, m.Scope, m.Made = h.First, h.End, h.Scope, h.Made
	e := &ExportWriter{w: w, sums: sha256.New(), mark: m, sign: sign}
	return e, e.line(h)
}

// ResumeExport goes on behind a mark: what it writes belongs behind that
// mark's line. The caller has verified the mark.
func ResumeExport(w io.Writer, m ExportMark, sign SignDigest) (*ExportWriter, error) {
	e := &ExportWriter{w: io.Discard, sums: sha256.New(), mark: m, sign: sign, lines: m.Lines}
	e.sums.Write(m.Digest[:])
	err := e.line(markLine{m})
	e.w = w
	return e, err
}

// Entry writes one leaf's line. next is the leaf that will follow.
func (e *ExportWriter) Entry(x *ExportEntry) error {
	if err := e.line(x); err != nil {
		return err
	}
	return e.marked(x.Index + 1)
}

// Skip writes a run of leaves that are not shown, up to the leaf next.
func (e *ExportWriter) Skip(x ExportSkip, next int64) error {
	if x.Skip == 0 {
		return nil
	}
	if err := e.line(x); err != nil {
		return err
	}
	return e.marked(next)
}

// Certificate writes the certificate that entries behind it refer to.
func (e *ExportWriter) Certificate(c Certificate) error { return e.line(c) }

func (e *ExportWriter) marked(next int64) error {
	if e.lines-e.mark.Lines < markEvery {
		return nil
	}
	m := &e.mark
	m.Lines, m.Next = e.lines, next
	e.sums.Sum(m.Digest[:0])
	m.Replica, m.Signature = e.sign(m.sum())
	e.sums.Reset()
	e.sums.Write(m.Digest[:])
	return e.line(markLine{*m})
}

func (e *ExportWriter) line(v any) error {
	e.buf.Reset()
	enc := json.NewEncoder(&e.buf)
	enc.SetEscapeHTML(false) // headers and parts must keep their bytes
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	e.buf.Truncate(e.buf.Len() - len("}\n"))
	sum := sha256.Sum256(e.buf.Bytes())
	e.sums.Write(sum[:])
	e.buf.WriteString(sumKey + base64.StdEncoding.EncodeToString(sum[:]) + "\"}\n")
	e.lines++
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
}

// Close writes the last line and gives the digest that it signs.
func (e *ExportWriter) Close() (Digest, error) {
	var end ExportEnd
	end.End.Lines = e.lines
	e.sums.Sum(end.End.Digest[:0])
	end.End.Replica, end.End.Signature = e.sign(end.End.Digest)
	data, err := json.Marshal(end)
	if err != nil {
		return Digest{}, fmt.Errorf("write export: %w", err)
	}
	if _, err := e.w.Write(append(data, '\n')); err != nil {
		return Digest{}, fmt.Errorf("write export: %w", err)
	}
	return end.End.Digest, nil
}

// checkSum splits a line from its sum. ok is false where they do not fit.
func checkSum(line []byte) (sum Digest, ok bool) {
	if len(line) < sumSize || !bytes.HasSuffix(line, []byte(`"}`)) || !bytes.HasPrefix(line[len(line)-sumSize:], []byte(sumKey)) {
		return Digest{}, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(line[len(line)-sumSize+len(sumKey) : len(line)-2]))
	if err != nil || len(raw) != sha256.Size {
		return Digest{}, false
	}
	return Digest(raw), sha256.Sum256(line[:len(line)-sumSize]) == [32]byte(raw)
}

// ErrExport: the file is not an export at all.
var ErrExport = errors.New("not an export of an access log")
