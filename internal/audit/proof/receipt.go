package proof

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

// Errors of keys and receipts.
var (
	ErrReceipt   = errors.New("not a receipt")
	ErrSignature = errors.New("receipt signature does not verify")
	ErrKey       = errors.New("not a receipt key")
	ErrDates     = errors.New("signed by a key that was not in use then")
)

// Key is a replica's public key. The zero value verifies nothing.
type Key struct {
	Name   string // of the replica
	Public ed25519.PublicKey
	Dates  Dates
}

var (
	keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	keyID   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}\+[0-9a-f]{8}$`)
)

// NewKey checks name (lower-case letters, digits, hyphens, 40 at most) and key.
func NewKey(name string, public ed25519.PublicKey) (Key, error) {
	if !keyName.MatchString(name) || len(public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("%w: replica %q", ErrKey, name)
	}
	return Key{Name: name, Public: public}, nil
}

// String is the C2SP verifier key, NAME+HASH+KEY; empty for the zero value.
func (k Key) String() string {
	text, err := note.NewEd25519VerifierKey(k.Name, k.Public)
	if err != nil {
		return ""
	}
	return text
}

// ID is NAME+HASH, which events and receipts carry; empty for the zero value.
func (k Key) ID() string {
	// The base64 of the key may itself hold a '+': only the first two count.
	if parts := strings.SplitN(k.String(), "+", 3); len(parts) == 3 {
		return parts[0] + "+" + parts[1]
	}
	return ""
}

// ParseKey reads a C2SP verifier key. Error: ErrKey.
func ParseKey(text string) (Key, error) {
	if _, err := note.NewVerifier(text); err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	parts := strings.SplitN(text, "+", 3) // NewVerifier has checked form and hash
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(raw) != 1+ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("%w: not Ed25519", ErrKey)
	}
	k, err := NewKey(parts[0], raw[1:])
	if err != nil {
		return Key{}, err
	}
	if k.String() != text {
		return Key{}, fmt.Errorf("%w: not the canonical form", ErrKey)
	}
	return k, nil
}

// Keys are the known replicas' keys by id.
type Keys map[string]Key

// NewKeys indexes keys by id.
func NewKeys(list ...Key) Keys {
	keys := make(Keys, len(list))
	for _, k := range list {
		keys[k.ID()] = k
	}
	return keys
}

// Receipt promises that an event is, or will be, in the log. The zero value is
// no receipt.
type Receipt struct {
	Event     uuid.UUID
	Occurred  time.Time
	Leaf      Digest
	Replica   string // key id
	Signature [ed25519.SignatureSize]byte
}

const (
	receiptDomain = "kith-receipt/1\n"
	receiptWord   = "kith-receipt-1"
)

func (r *Receipt) message() []byte {
	m := make([]byte, 0, len(receiptDomain)+16+len(r.Leaf)+8)
	m = append(m, receiptDomain...)
	m = append(m, r.Event[:]...)
	m = append(m, r.Leaf[:]...)
	return binary.BigEndian.AppendUint64(m, uint64(r.Occurred.UnixMicro()))
}

// SignReceipt signs for an event whose leaf is known. replica is the id of the
// key's public half.
func SignReceipt(key ed25519.PrivateKey, replica string, event uuid.UUID, occurred time.Time, leaf Digest) Receipt {
	r := Receipt{Event: event, Occurred: occurred, Leaf: leaf, Replica: replica}
	copy(r.Signature[:], ed25519.Sign(key, r.message()))
	return r
}

// Verify checks the signature by the key that the receipt names. Errors:
// ErrKey where the key is not known, ErrSignature, ErrDates where the key has
// dates and the receipt is outside them.
func (r *Receipt) Verify(keys Keys) error {
	k, ok := keys[r.Replica]
	if !ok || len(k.Public) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: %q is not known", ErrKey, r.Replica)
	}
	if !ed25519.Verify(k.Public, r.message(), r.Signature[:]) {
		return ErrSignature
	}
	return r.within(k)
}

// within: the key that has signed was in use then. Error: ErrDates.
func (r *Receipt) within(k Key) error {
	if !k.Dates.Hold(r.Occurred) {
		return fmt.Errorf("receipt of %s: %w", r.Occurred.UTC().Format(time.RFC3339), ErrDates)
	}
	return nil
}

// String is the receipt as JSON fields and headers carry it, all on one line:
//
//	kith-receipt-1.EVENT.MICROSECONDS.LEAF.REPLICA.SIGNATURE
//
// EVENT is the UUID, MICROSECONDS the time since 1970, LEAF and SIGNATURE are
// base64url without padding. The zero value gives "".
func (r Receipt) String() string {
	if r.Event == uuid.Nil {
		return ""
	}
	return strings.Join([]string{
		receiptWord, r.Event.String(), strconv.FormatInt(r.Occurred.UnixMicro(), 10),
		base64.RawURLEncoding.EncodeToString(r.Leaf[:]), r.Replica, base64.RawURLEncoding.EncodeToString(r.Signature[:]),
	}, ".")
}

// ParseReceipt reads what String writes and nothing else. It does not verify.
// Error: ErrReceipt.
func ParseReceipt(text string) (Receipt, error) {
	parts := strings.Split(text, ".")
	if len(text) > 400 || len(parts) != 6 || parts[0] != receiptWord || !keyID.MatchString(parts[4]) {
		return Receipt{}, ErrReceipt
	}
	event, err := uuid.Parse(parts[1])
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: event id", ErrReceipt)
	}
	micros, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: time", ErrReceipt)
	}
	r := Receipt{Event: event, Occurred: time.UnixMicro(micros).UTC(), Replica: parts[4]}
	leaf, err := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if err != nil || len(leaf) != len(r.Leaf) {
		return Receipt{}, fmt.Errorf("%w: leaf hash", ErrReceipt)
	}
	signature, err := base64.RawURLEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(signature) != len(r.Signature) {
		return Receipt{}, fmt.Errorf("%w: signature", ErrReceipt)
	}
	copy(r.Leaf[:], leaf)
	copy(r.Signature[:], signature)
	if r.String() != text { // one spelling only
		return Receipt{}, ErrReceipt
	}
	return r, nil
}
