package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Digest is a SHA-256 digest; the zero value means none.
type Digest [sha256.Size]byte

// String is the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// UnmarshalText reads hexadecimal of exactly 32 bytes.
func (d *Digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a digest has %d hexadecimal digits", 2*len(d))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Header is the part of an event that everybody may see for ever. It names no
// person.
type Header struct {
	ActingFor   string    `json:"acting_for"`
	Agency      string    `json:"agency"`
	Decision    Digest    `json:"decision"` // salted, see SealInput
	ID          uuid.UUID `json:"id"`
	Input       Digest    `json:"input"` // salted, see SealInput
	Kind        string    `json:"kind"`
	Occurred    time.Time `json:"occurred"` // whole microseconds
	Outcome     string    `json:"outcome"`
	Partnership string    `json:"partnership"`
	Policy      Digest    `json:"policy"`
	Replica     string    `json:"replica"` // id of the key that signs the receipt
	V           int       `json:"v"`       // written as 1
}

// Encode gives the canonical bytes.
func (h *Header) Encode() ([]byte, error) {
	for _, f := range []struct{ name, value string }{
		{"kind", h.Kind}, {"outcome", h.Outcome}, {"partnership", h.Partnership},
	} {
		if !plainKey(f.value) {
			return nil, fmt.Errorf("header: %s %q is not lower-case ASCII", f.name, f.value)
		}
	}
	if h.ID == uuid.Nil || h.Occurred.IsZero() || h.Replica == "" {
		return nil, fmt.Errorf("header: id, time and replica must be given")
	}
	e := enc{b: make([]byte, 0, 512)}
	e.open('{')
	e.str("acting_for", h.ActingFor)
	e.str("agency", h.Agency)
	e.digest("decision", h.Decision)
	e.id("id", h.ID)
	e.digest("input", h.Input)
	e.str("kind", h.Kind)
	e.time("occurred", h.Occurred)
	e.str("outcome", h.Outcome)
	e.str("partnership", h.Partnership)
	e.digest("policy", h.Policy)
	e.str("replica", h.Replica)
	e.num("v", 1)
	e.close('}')
	return e.done()
}

// DecodeHeader reads a canonical header. Errors: ErrVersion, ErrCanonical.
func DecodeHeader(data []byte) (Header, error) {
	r := reader{b: data}
	h := r.header()
	if r.done() && written(&h, data) {
		return h, nil
	}
	h = Header{}
	if err := decode(data, &h); err != nil {
		return Header{}, fmt.Errorf("header: %w", err)
	}
	return h, nil
}
