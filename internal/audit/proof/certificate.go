package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ErrCertificate means that a certificate does not say what was signed.
var ErrCertificate = errors.New("not a certificate of this hub")

// Officer is who disposed of something, in person.
type Officer struct {
	Worker uuid.UUID `json:"worker"`
	Name   string    `json:"name"`
	Agency string    `json:"agency"`
}

// Disposal is what a certificate says: which part of the log was erased,
// dropped or held, when, by whom, under which rule. It names nobody but the
// officers; people stand by reference.
type Disposal struct {
	V      int       `json:"kith_certificate"` // 1
	ID     uuid.UUID `json:"id"`
	Kind   string    `json:"kind"` // erasure, hold, lift, drop
	Made   time.Time `json:"made"`
	Log    string    `json:"log,omitempty"` // origin of the log that its event is in
	By     []Officer `json:"by"`
	Rule   string    `json:"rule"`
	Reason string    `json:"reason"`
	Of     string    `json:"of,omitempty"` // what a hold covers, or whom an erasure concerned
	// Events were erased or dropped, Parts of their payload; Held were left as
	// they were, because a legal hold covers them, Record because a record that
	// they protect still stands.
	Events int64 `json:"events"`
	Parts  int64 `json:"parts,omitempty"`
	Held   int64 `json:"held,omitempty"`
	Record int64 `json:"record,omitempty"`
	// Digest of what was erased, or of the leaves of what was dropped.
	Digest Digest `json:"digest"`
	// Of a drop: one month of one retention class, its leaves in each log, and
	// the digests of the exports that hold it.
	Class   string   `json:"class,omitempty"`
	Month   string   `json:"month,omitempty"` // 2019-03
	Logs    []Drop   `json:"logs,omitempty"`
	Exports []Digest `json:"exports,omitempty"`
}

// Drop is what was dropped of one log: Count leaves from First on and before
// End. Carried are the runs of that month's leaves that stayed.
type Drop struct {
	Log     string     `json:"log"` // its origin
	Number  int        `json:"number"`
	First   int64      `json:"first"`
	End     int64      `json:"end"`
	Count   int64      `json:"count"`
	Digest  Digest     `json:"digest"` // see LeafList
	Carried [][2]int64 `json:"carried,omitempty"`
}

// Covers tells whether a leaf may have been dropped under this certificate.
func (d *Drop) Covers(index int64) bool {
	if index < d.First || index >= d.End {
		return false
	}
	_, carried := slices.BinarySearchFunc(d.Carried, index, func(run [2]int64, i int64) int {
		switch {
		case run[1] <= i:
			return -1
		case run[0] > i:
			return 1
		}
		return 0
	})
	return !carried
}

// Carry adds a leaf, greater than those before, to the runs that stayed.
func (d *Drop) Carry(index int64) {
	if n := len(d.Carried); n > 0 && d.Carried[n-1][1] == index {
		d.Carried[n-1][1]++
		return
	}
	d.Carried = append(d.Carried, [2]int64{index, index + 1})
}

// LeafList is the digest of leaves in their order. The zero value is ready.
type LeafList struct {
	sum   hash.Hash
	count int64
}

// Add adds the next leaf.
func (l *LeafList) Add(index int64, leaf Digest, event uuid.UUID) {
	if l.sum == nil {
		l.sum = sha256.New()
	}
	line := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(leaf)+len(event)), uint64(index))
	line = append(append(line, leaf[:]...), event[:]...)
	l.sum.Write(line)
	l.count++
}

// Count is how many were added.
func (l *LeafList) Count() int64 { return l.count }

// Digest of those that were added; of none it is the zero value.
func (l *LeafList) Digest() Digest {
	var d Digest
	if l.sum != nil {
		l.sum.Sum(d[:0])
	}
	return d
}

// Certificate is a disposal as it was signed, with the event that accounts for
// it. Its JSON form is what an export holds and what officers are given.
type Certificate struct {
	Body      json.RawMessage `json:"certificate"`
	Event     uuid.UUID       `json:"event"`
	Replica   string          `json:"replica"`
	Signature []byte          `json:"signature"`
}

const certificateDomain = "kith-certificate/1\n"

func (c *Certificate) message() []byte {
	m := append([]byte(certificateDomain), c.Event[:]...)
	return append(m, c.Body...)
}

// EncodeDisposal gives the bytes that are signed and whose digest the event
// carries.
func EncodeDisposal(d Disposal) ([]byte, error) {
	d.V, d.Made = 1, d.Made.UTC().Truncate(time.Microsecond)
	body, err := json.Marshal(d) // escaped: put into any other JSON these bytes stay as they are
	if err != nil {
		return nil, fmt.Errorf("encode certificate: %w", err)
	}
	return body, nil
}

// SignCertificate signs with a replica's key, whose id is given.
func SignCertificate(key ed25519.PrivateKey, replica string, event uuid.UUID, body []byte) Certificate {
	c := Certificate{Body: body, Event: event, Replica: replica}
	c.Signature = ed25519.Sign(key, c.message())
	return c
}

// Sum is the digest by which the event names the certificate.
func (c *Certificate) Sum() Digest { return sha256.Sum256(c.Body) }

// Open verifies and reads it. Errors: ErrCertificate, ErrKey where the key is
// not known.
func (c *Certificate) Open(keys Keys) (Disposal, error) {
	k, ok := keys[c.Replica]
	if !ok || len(k.Public) != ed25519.PublicKeySize {
		return Disposal{}, fmt.Errorf("%w: %q is not known", ErrKey, c.Replica)
	}
	if !ed25519.Verify(k.Public, c.message(), c.Signature) {
		return Disposal{}, fmt.Errorf("%w: its signature does not verify", ErrCertificate)
	}
	return c.Read()
}

// Read reads it without verifying: for who keeps it.
func (c *Certificate) Read() (Disposal, error) {
	var d Disposal
	if err := json.Unmarshal(c.Body, &d); err != nil || d.V != 1 || d.ID == uuid.Nil {
		return Disposal{}, ErrCertificate
	}
	return d, nil
}
