package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// Signer seals events for one replica of one hub. All fields are needed.
type Signer struct {
	Partnership string
	Replica     string             // name, [a-z0-9-]; part of the key's id
	Key         ed25519.PrivateKey // the replica's own; not in the database
	Now         func() time.Time
	Random      io.Reader // of cryptographic quality
}

// Check reports what is missing; a hub without a complete signer must not start.
func (s *Signer) Check() error {
	if s.Partnership == "" || s.Now == nil || s.Random == nil {
		return errors.New("signer: partnership, clock and randomness must be given")
	}
	if len(s.Key) != ed25519.PrivateKeySize {
		return errors.New("signer: no receipt key")
	}
	_, err := s.publicKey()
	return err
}

func (s *Signer) publicKey() (proof.Key, error) {
	public, _ := s.Key.Public().(ed25519.PublicKey)
	return proof.NewKey(s.Replica, public)
}

// PublicKey is what verifies this replica's receipts.
func (s *Signer) PublicKey() (proof.Key, error) {
	if err := s.Check(); err != nil {
		return proof.Key{}, err
	}
	return s.publicKey()
}

// Row is a sealed event that is not in the log yet. It prints as its id.
type Row struct {
	entry    proof.Entry
	receipt  proof.Receipt
	class    string
	header   proof.Header
	common   proof.Common
	subjects []uuid.UUID
	input    []byte
	released []int64
	owners   []string
	top      proof.Level
}

// ID is the event's id, by which sealed content knows its receipt.
func (r *Row) ID() uuid.UUID { return r.header.ID }

// Format prints the id alone.
func (r *Row) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "audit.Row "+r.header.ID.String())
}

// LogValue keeps the payload out of log lines.
func (r *Row) LogValue() slog.Value { return slog.StringValue(r.header.ID.String()) }

// Receipt says that an event is durably in the log. Only this package makes
// one that is Committed, and only after COMMIT was acknowledged.
type Receipt struct{ signed proof.Receipt }

// Committed is false for the zero value.
func (r Receipt) Committed() bool { return r.signed.Event != uuid.Nil }

// Event is the id of the event that was committed.
func (r Receipt) Event() uuid.UUID { return r.signed.Event }

// String is the signed receipt as answers carry it.
func (r Receipt) String() string { return r.signed.String() }

// Seal computes everything that the log holds of the event: id, time, salts,
// commitments, leaf and signature. Error: ErrEvent.
func (s *Signer) Seal(e Event) (*Row, error) {
	key, err := s.PublicKey()
	if err != nil {
		return nil, err
	}
	return s.seal(e, key.ID())
}

func (s *Signer) seal(e Event, replica string) (*Row, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	nobody, subjects := e.split()

	// One read: id, a salt for the input, one for the common part, one for each subject.
	random := make([]byte, 16+proof.SaltSize*(2+len(subjects)))
	if _, err := io.ReadFull(s.Random, random); err != nil {
		return nil, fmt.Errorf("seal event: randomness: %w", err)
	}
	salt := func(i int) []byte {
		return random[16+i*proof.SaltSize : 16+(i+1)*proof.SaltSize : 16+(i+1)*proof.SaltSize]
	}
	id := uuid.UUID(random[:16])
	id[6] = id[6]&0x0f | 0x40 // RFC 9562, version 4
	id[8] = id[8]&0x3f | 0x80

	sealed, err := proof.SealInput(salt(0), e.Input, e.Decision)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	row := &Row{
		class: e.Kind.class(),
		header: proof.Header{
			ID: id, Kind: string(e.Kind), Outcome: string(e.Outcome), Occurred: s.Now().UTC().Truncate(time.Microsecond),
			Agency: e.Agency, ActingFor: e.ActingFor, Partnership: s.Partnership, Replica: replica,
			Policy: e.Policy, Input: sealed.Input, Decision: sealed.Decision,
		},
		common: proof.Common{
			Causes: e.Causes, Children: e.Children, Count: e.count(), Declared: e.Declared, Details: e.Details,
			Emergency: e.Emergency, Family: e.Family, Principal: e.Principal, Purpose: e.Purpose, Reason: e.Reason,
			Refusal: e.Refusal, Released: nobody, Request: e.Request, Search: e.Search,
		},
		input: sealed.Bytes,
	}
	if err := row.encode(subjects, salt); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEvent, err)
	}
	row.collect(e.Released)
	leaf := row.entry.Leaf()
	row.receipt = proof.SignReceipt(s.Key, replica, id, row.header.Occurred, leaf)
	row.entry.Signature = row.receipt.Signature[:]
	return row, nil
}

func (r *Row) encode(subjects []proof.Subject, salt func(int) []byte) error {
	var err error
	if r.entry.Header, err = r.header.Encode(); err != nil {
		return err
	}
	if r.entry.Common, err = r.common.Encode(); err != nil {
		return err
	}
	r.entry.CommonSalt = salt(1)
	first := proof.CommitCommon(r.entry.CommonSalt, r.entry.Common)
	r.entry.Commitments = append(make([]byte, 0, len(first)*(1+len(subjects))), first[:]...)
	r.subjects = make([]uuid.UUID, len(subjects))
	r.entry.SubjectParts = make([][]byte, len(subjects))
	r.entry.SubjectSalts = make([][]byte, len(subjects))
	for i := range subjects {
		part, err := subjects[i].Encode()
		if err != nil {
			return err
		}
		c := proof.CommitSubject(salt(2+i), part)
		r.subjects[i], r.entry.SubjectParts[i], r.entry.SubjectSalts[i] = subjects[i].Person, part, salt(2+i)
		r.entry.Commitments = append(r.entry.Commitments, c[:]...)
	}
	return nil
}

// collect fills the search copies that follow from what was released.
func (r *Row) collect(released []Release) {
	r.released = make([]int64, 0, len(released))
	r.owners = []string{}
	for i := range released {
		rel := &released[i]
		if rel.Content > 0 {
			r.released = append(r.released, rel.Content)
		}
		if rel.Terms.Owner != "" && !slices.Contains(r.owners, rel.Terms.Owner) {
			r.owners = append(r.owners, rel.Terms.Owner)
		}
		r.top = max(r.top, rel.Terms.Level)
	}
	slices.Sort(r.released)
	r.released = slices.Compact(r.released)
	slices.Sort(r.owners)
}

// count is the number of different entries released.
func (e *Event) count() int {
	seen := make(map[uuid.UUID]bool, len(e.Released))
	for i := range e.Released {
		if id := e.Released[i].Entry.Entry; id != uuid.Nil {
			seen[id] = true
		}
	}
	return len(seen)
}
