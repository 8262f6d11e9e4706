package audit_test

import (
	"testing"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// What a read of 36 entries about four people costs before it goes to the database.
func BenchmarkSeal(b *testing.B) {
	s, err := audit.NewRecorder(nil, newSigner(b))
	if err != nil {
		b.Fatal(err)
	}
	e := audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Agency: "NHFT", Purpose: "FS", Input: make([]byte, 2000), Decision: make([]byte, 500)}
	people := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	sections := []string{"identity", "family-links", "childs-story", "care-status", "mh-risk", "sm-risk", "da-risk", "education", "child-health"}
	for i := range 36 {
		r := released(sections[i%len(sections)], "CSC", proof.Full, 2, people[i%len(people)])
		r.Content = int64(i + 1)
		e.Released = append(e.Released, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Seal(e); err != nil {
			b.Fatal(err)
		}
	}
}
