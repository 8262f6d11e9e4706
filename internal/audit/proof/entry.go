package proof

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
)

// ErrForm means that an entry's pieces do not fit one another.
var ErrForm = errors.New("entry is malformed")

// Entry is one event as the log stores it. A nil part is an erased one.
type Entry struct {
	Header       []byte
	Commitments  []byte // 32 bytes each, common part first
	Signature    []byte // of the receipt
	Common       []byte
	CommonSalt   []byte
	SubjectParts [][]byte
	SubjectSalts [][]byte
}

// Opened is what an entry says once it has been checked.
type Opened struct {
	Header   Header
	Common   *Common    // nil = erased
	Subjects []*Subject // nil = erased
	Receipt  Receipt
}

// Leaf is the hash of the entry's leaf.
func (e *Entry) Leaf() Digest { return LeafHash(e.Header, e.Commitments) }

// Open decodes the entry and checks that each part that is still there matches
// its commitment. It does not verify the receipt: do that with Receipt.Verify.
// Errors: ErrForm, ErrCommitment, ErrVersion, ErrCanonical.
func (e *Entry) Open() (Opened, error) {
	var o Opened
	var err error
	if o.Header, err = DecodeHeader(e.Header); err != nil {
		return Opened{}, err
	}
	if len(e.Commitments) != sha256.Size*(1+len(e.SubjectParts)) || len(e.SubjectParts) != len(e.SubjectSalts) || len(e.Signature) != ed25519.SignatureSize {
		return Opened{}, fmt.Errorf("%w: %d subject parts, %d bytes of commitments", ErrForm, len(e.SubjectParts), len(e.Commitments))
	}
	o.Receipt = Receipt{Event: o.Header.ID, Occurred: o.Header.Occurred, Leaf: e.Leaf(), Replica: o.Header.Replica}
	copy(o.Receipt.Signature[:], e.Signature)
	if present(e.Common, e.CommonSalt) {
		if len(e.CommonSalt) != SaltSize || CommitCommon(e.CommonSalt, e.Common) != Digest(e.Commitments[:sha256.Size]) {
			return Opened{}, fmt.Errorf("common part: %w", ErrCommitment)
		}
		c, err := DecodeCommon(e.Common)
		if err != nil {
			return Opened{}, err
		}
		o.Common = &c
	}
	o.Subjects = make([]*Subject, len(e.SubjectParts))
	for i, part := range e.SubjectParts {
		salt, want := e.SubjectSalts[i], e.Commitments[sha256.Size*(i+1):sha256.Size*(i+2)]
		if !present(part, salt) {
			continue
		}
		if len(salt) != SaltSize || CommitSubject(salt, part) != Digest(want) {
			return Opened{}, fmt.Errorf("subject part %d: %w", i, ErrCommitment)
		}
		s, err := DecodeSubject(part)
		if err != nil {
			return Opened{}, err
		}
		o.Subjects[i] = &s
	}
	return o, nil
}

// present: a part is erased only together with its salt.
func present(part, salt []byte) bool { return len(part) > 0 || len(salt) > 0 }
