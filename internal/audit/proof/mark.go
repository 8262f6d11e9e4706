package proof

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ErrMark means that no export of this hub goes on there.
var ErrMark = errors.New("not a mark in an export of this hub")

// ExportMark is where an export can go on. A replica signs it, so that whoever
// brings one back cannot make the hub sign a file that the hub did not write.
type ExportMark struct {
	Lines  int64  `json:"lines"`  // before this one
	Next   int64  `json:"next"`   // index of the leaf that follows
	Digest Digest `json:"digest"` // of the sums so far; the sums behind it begin with it
	// Number and Size say which log, and how long it was; the rest repeats the
	// export's first line.
	Number    int       `json:"number"`
	Size      int64     `json:"size"`
	First     int64     `json:"first"`
	End       int64     `json:"end"`
	Scope     string    `json:"scope"`
	Made      time.Time `json:"made"`
	Replica   string    `json:"replica"`
	Signature []byte    `json:"signature"`
}

type markLine struct {
	Mark ExportMark `json:"mark"`
}

const markDomain = "kith-export-mark/1\n"

// sum is what is signed of it.
func (m ExportMark) sum() Digest {
	m.Replica, m.Signature = "", nil
	data, _ := json.Marshal(m) // numbers, texts and a time: it cannot fail
	return sha256.Sum256(append([]byte(markDomain), data...))
}

// Verify checks the signature of the mark. Error: ErrMark.
func (m ExportMark) Verify(keys Keys) error {
	if !SignedExport(keys[m.Replica], m.sum(), m.Signature) {
		return fmt.Errorf("%w: its signature does not verify", ErrMark)
	}
	return nil
}

// Cursor is the mark as a hub takes it back.
func (m ExportMark) Cursor() string {
	data, _ := json.Marshal(m)
	return base64.RawURLEncoding.EncodeToString(data)
}

// ParseMark reads a cursor. Error: ErrMark.
func ParseMark(cursor string) (ExportMark, error) {
	var m ExportMark
	data, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(data) > 4096 {
		return m, ErrMark
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil || m.Lines < 1 || m.Next < m.First || m.Next > m.Size || len(m.Signature) != ed25519.SignatureSize {
		return ExportMark{}, ErrMark
	}
	return m, nil
}

// MarkOf reads a line of an export; ok is false where it is no mark.
func MarkOf(line []byte) (m ExportMark, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"mark":`)) {
		return m, false
	}
	if _, good := checkSum(bytes.TrimSuffix(line, []byte("\n"))); !good {
		return m, false
	}
	var x markLine
	err := json.Unmarshal(line, &x)
	return x.Mark, err == nil
}
