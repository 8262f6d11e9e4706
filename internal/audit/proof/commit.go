package proof

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// SaltSize is the length of every salt in bytes.
const SaltSize = 32

const (
	commonDomain   = "kith-common/1\n"
	subjectDomain  = "kith-subject/1\n"
	inputDomain    = "kith-input/1\n"
	decisionDomain = "kith-decision/1\n"
)

// Errors of the checks.
var (
	ErrCommitment = errors.New("payload does not match its commitment")
	ErrInput      = errors.New("recorded input does not match the header")
)

func salted(domain string, salt, data []byte) Digest {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(salt)
	h.Write(data)
	var d Digest
	h.Sum(d[:0])
	return d
}

// CommitCommon is the commitment to an encoded common part. The salt has
// SaltSize bytes: a fixed length, so that no two pairs hash alike.
func CommitCommon(salt, part []byte) Digest { return salted(commonDomain, salt, part) }

// CommitSubject is the commitment to an encoded subject part.
func CommitSubject(salt, part []byte) Digest { return salted(subjectDomain, salt, part) }

// LeafData is what the tree's leaf is made of: the encoded header, a line feed
// and the commitments, common part first.
func LeafData(header, commitments []byte) []byte {
	data := make([]byte, 0, len(header)+1+len(commitments))
	data = append(data, header...)
	data = append(data, '\n')
	return append(data, commitments...)
}

// LeafHash is the RFC 6962 hash of the leaf.
func LeafHash(header, commitments []byte) Digest {
	return Digest(tlog.RecordHash(LeafData(header, commitments)))
}

// SealedInput is a recorded decision input with the digests that the header
// carries.
type SealedInput struct {
	Bytes    []byte // salt ‖ input, as stored
	Input    Digest
	Decision Digest // zero where there is no decision
}

// SealInput salts a decision input and the decision that followed from it. No
// input, nothing sealed.
func SealInput(salt, input, decision []byte) (SealedInput, error) {
	if len(input) == 0 {
		if len(decision) > 0 {
			return SealedInput{}, errors.New("a decision without its input cannot be replayed")
		}
		return SealedInput{}, nil
	}
	if len(salt) != SaltSize {
		return SealedInput{}, fmt.Errorf("salt has %d bytes", len(salt))
	}
	s := SealedInput{Bytes: make([]byte, 0, SaltSize+len(input)), Input: salted(inputDomain, salt, input)}
	s.Bytes = append(append(s.Bytes, salt...), input...)
	if len(decision) > 0 {
		s.Decision = salted(decisionDomain, salt, decision)
	}
	return s, nil
}

// OpenInput gives the recorded input back if it is the one that the header
// names. Error: ErrInput.
func OpenInput(sealed []byte, h Header) ([]byte, error) {
	if len(sealed) <= SaltSize || salted(inputDomain, sealed[:SaltSize], sealed[SaltSize:]) != h.Input {
		return nil, ErrInput
	}
	return sealed[SaltSize:], nil
}

// SameDecision says whether a decision, made again from the sealed input, is
// the one that the header names.
func SameDecision(sealed, decision []byte, h Header) bool {
	return len(sealed) > SaltSize && len(decision) > 0 && salted(decisionDomain, sealed[:SaltSize], decision) == h.Decision
}
