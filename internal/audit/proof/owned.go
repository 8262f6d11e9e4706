package proof

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
)

// OwnedReader opens entries for a count of how one agency's information was
// used: the same record is opened over and over, so its parts are the same
// bytes, and those are decoded once. It is for one goroutine.
type OwnedReader struct {
	owner string
	named []byte
	parts map[string]*Subject
}

// ownedParts is how many decoded parts are kept: the rest are decoded again.
const ownedParts = 2_000

// ReadOwned reads what one agency owns.
func ReadOwned(owner string) *OwnedReader {
	// Codes of agencies need no escapes, so a part that speaks of one has these bytes.
	return &OwnedReader{owner: owner, named: []byte(`"owner":"` + owner + `"`), parts: map[string]*Subject{}}
}

// Open gives an entry's common part and the parts that speak of what the agency
// owns, each checked against its commitment, without the terms of what others
// own. Header and signature are not looked at and need not be given; that a
// part is in the canonical form is for Entry.Open to say. What it gives is not
// to be changed. Errors: as Entry.Open.
func (x *OwnedReader) Open(e *Entry) (Opened, error) {
	if len(e.Commitments) != sha256.Size*(1+len(e.SubjectParts)) || len(e.SubjectParts) != len(e.SubjectSalts) {
		return Opened{}, fmt.Errorf("%w: %d subject parts, %d bytes of commitments", ErrForm, len(e.SubjectParts), len(e.Commitments))
	}
	var o Opened
	if present(e.Common, e.CommonSalt) {
		if len(e.CommonSalt) != SaltSize || CommitCommon(e.CommonSalt, e.Common) != Digest(e.Commitments[:sha256.Size]) {
			return Opened{}, fmt.Errorf("common part: %w", ErrCommitment)
		}
		r := reader{b: e.Common}
		c := r.common()
		if !r.done() {
			var err error
			if c, err = DecodeCommon(e.Common); err != nil {
				return Opened{}, err
			}
		}
		c.Released = slices.DeleteFunc(c.Released, x.others)
		o.Common = &c
	}
	for i, part := range e.SubjectParts {
		if !bytes.Contains(part, x.named) {
			continue
		}
		salt, want := e.SubjectSalts[i], e.Commitments[sha256.Size*(i+1):sha256.Size*(i+2)]
		if len(salt) != SaltSize || CommitSubject(salt, part) != Digest(want) {
			return Opened{}, fmt.Errorf("subject part %d: %w", i, ErrCommitment)
		}
		s, err := x.subject(part)
		if err != nil {
			return Opened{}, err
		}
		o.Subjects = append(o.Subjects, s)
	}
	return o, nil
}

func (x *OwnedReader) subject(part []byte) (*Subject, error) {
	if s := x.parts[string(part)]; s != nil {
		return s, nil
	}
	r := reader{b: part}
	s := r.subject()
	if !r.done() {
		var err error
		if s, err = DecodeSubject(part); err != nil {
			return nil, err
		}
	}
	s.Released = slices.DeleteFunc(s.Released, x.others)
	if len(x.parts) < ownedParts {
		x.parts[string(part)] = &s
	}
	return &s, nil
}

func (x *OwnedReader) others(t Terms) bool { return t.Owner != x.owner }
