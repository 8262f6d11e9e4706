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
	"strings"

	"github.com/google/uuid"
)

// An export is a file of JSON lines that an auditor checks without the hub: a
// first line (ExportHeader), one line for each leaf in the order of the log
// (ExportEntry) or for a run of leaves that are not shown (ExportSkip), and a
// last line (ExportEnd). Each line but the last ends with "sum", the SHA-256 of
// the line's bytes before it, so that a change is found in its own line; the
// last signs all the sums, so that a sum cannot be made to fit.

// ExportHeader is the first line of an export.
type ExportHeader struct {
	Export      int      `json:"kith_export"` // 1
	Checkpoint  string   `json:"checkpoint"`  // signed note
	LogKey      string   `json:"log_key"`
	ReplicaKeys []string `json:"replica_keys"`
	Scope       string   `json:"scope"` // "all", "agency CODE" or "own"
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
	Header      json.RawMessage `json:"header,omitempty"`
	Commitments []byte          `json:"commitments,omitempty"`
	Signature   []byte          `json:"signature,omitempty"` // of the receipt
	Common      json.RawMessage `json:"common,omitempty"`
	CommonSalt  []byte          `json:"common_salt,omitempty"`
	Parts       []*ExportPart   `json:"parts,omitempty"`   // by subject; null is withheld or erased
	Erased      int             `json:"erased,omitempty"`  // parts that were erased
	Forged      bool            `json:"forged,omitempty"`  // the sequencer raised an alarm
	Differs     []string        `json:"differs,omitempty"` // columns that do not say what header and payload say
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
	End struct {
		Lines     int64  `json:"lines"` // before this one
		Digest    Digest `json:"digest"`
		Replica   string `json:"replica"`
		Signature []byte `json:"signature"`
	} `json:"end"`
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

func checkExport(key Key, digest Digest, sig []byte) bool {
	return len(key.Public) == ed25519.PublicKeySize && ed25519.Verify(key.Public, append([]byte(exportDomain), digest[:]...), sig)
}

// ExportWriter writes an export line by line.
type ExportWriter struct {
	w     io.Writer
	buf   bytes.Buffer
	sums  hash.Hash
	lines int64
}

// NewExportWriter begins an export.
func NewExportWriter(w io.Writer, h ExportHeader) (*ExportWriter, error) {
	h.Export = 1
	e := &ExportWriter{w: w, sums: sha256.New()}
	return e, e.line(h)
}

// Entry writes one leaf's line.
func (e *ExportWriter) Entry(x *ExportEntry) error { return e.line(x) }

// Skip writes a run of leaves that are not shown.
func (e *ExportWriter) Skip(x ExportSkip) error {
	if x.Skip == 0 {
		return nil
	}
	return e.line(x)
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

// Close writes the last line. sign gives the id of a replica's key and its
// signature; see SignExport.
func (e *ExportWriter) Close(sign func(Digest) (replica string, signature []byte)) error {
	var end ExportEnd
	end.End.Lines = e.lines
	e.sums.Sum(end.End.Digest[:0])
	end.End.Replica, end.End.Signature = sign(end.End.Digest)
	data, err := json.Marshal(end)
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	if _, err := e.w.Write(append(data, '\n')); err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	return nil
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

// KeyFile is what an auditor trusts: a file with one key a line, each after
// the word log, replica or witness. Empty lines and lines with # are comments.
type KeyFile struct {
	Logs      []NoteKey
	Replicas  []Key
	Witnesses []NoteKey
}

// For gives the keys that may stand on a checkpoint of a log. A log that was
// resumed after a restore is called ORIGIN/2, ORIGIN/3 … and keeps its key, so
// who trusts the key under ORIGIN trusts it under those names.
func (k *KeyFile) For(origin string) []NoteKey {
	var list []NoteKey
	for _, key := range k.Logs {
		if number, ok := strings.CutPrefix(origin, key.Name+"/"); ok {
			if n, err := parseSize(number); err == nil && n > 1 {
				key.Name = origin
			}
		}
		list = append(list, key)
	}
	return append(list, k.Witnesses...)
}

// Open verifies a signed checkpoint by these keys. Errors: as OpenCheckpoint.
func (k *KeyFile) Open(signed []byte) (Signed, error) {
	claimed, err := PeekCheckpoint(signed)
	if err != nil {
		return Signed{}, err
	}
	return OpenCheckpoint(signed, k.For(claimed.Origin))
}

// String is the file.
func (k *KeyFile) String() string {
	var b strings.Builder
	for _, x := range k.Logs {
		b.WriteString("log " + x.String() + "\n")
	}
	for _, x := range k.Replicas {
		b.WriteString("replica " + x.String() + "\n")
	}
	for _, x := range k.Witnesses {
		b.WriteString("witness " + x.String() + "\n")
	}
	return b.String()
}

// ParseKeyFile reads a key file. A bare key is a log's or a witness's. Error: ErrKey.
func ParseKeyFile(data []byte) (KeyFile, error) {
	var k KeyFile
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		word, text := "", fields[0]
		if len(fields) == 2 {
			word, text = fields[0], fields[1]
		}
		var err error
		switch {
		case len(fields) > 2:
			err = ErrKey
		case word == "replica":
			var key Key
			if key, err = ParseKey(text); err == nil {
				k.Replicas = append(k.Replicas, key)
			}
		case word == "" || word == "log" || word == "witness":
			var key NoteKey
			key, err = ParseNoteKey(text)
			switch {
			case err != nil:
			case key.Witness != (word == "witness") && word != "":
				err = fmt.Errorf("%w: it is not a %s's", ErrKey, word)
			case key.Witness:
				k.Witnesses = append(k.Witnesses, key)
			default:
				k.Logs = append(k.Logs, key)
			}
		default:
			err = fmt.Errorf("%w: unknown word %q", ErrKey, word)
		}
		if err != nil {
			return KeyFile{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(k.Logs)+len(k.Replicas)+len(k.Witnesses) == 0 {
		return KeyFile{}, fmt.Errorf("%w: the file holds none", ErrKey)
	}
	return k, nil
}

// ErrExport: the file is not an export at all.
var ErrExport = errors.New("not an export of an access log")
