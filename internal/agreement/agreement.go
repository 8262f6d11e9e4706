// Package agreement hides the live state of information sharing agreements:
// who signed, who stopped its part, and until when each holds. The text (its
// parties, purposes and clauses) belongs to a policy version; the state belongs
// to nobody's version and acts at once.
package agreement

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Text is an information sharing agreement as agreed. Days are YYYY-MM-DD.
// Sign-off, suspension and an extended end are live facts, not text.
type Text struct {
	ID        string   `yaml:"id"` // isa-family-safeguarding
	Title     string   `yaml:"title"`
	Purposes  []string `yaml:"purposes"`
	Parties   []Party  `yaml:"parties"`
	Clauses   []Clause `yaml:"clauses"`
	From      string   `yaml:"from"`
	Review    string   `yaml:"review"`
	End       string   `yaml:"end"`
	DPIA      string   `yaml:"dpia"`
	Contact   string   `yaml:"contact"`
	Retention string   `yaml:"retention"`
	Onward    string   `yaml:"onward"`
}

// Party is one party of an agreement.
type Party struct {
	Agency    string `yaml:"agency"` // agency code
	Role      string `yaml:"role"`   // controller, joint, processor
	DPO       string `yaml:"dpo"`
	Signatory string `yaml:"signatory"`
}

// Clause is one clause that matrix rows cite.
type Clause struct {
	No   string `yaml:"no"` // 4.2
	Text string `yaml:"text"`
}

// Party tells whether an agency is a party, by its code.
func (t Text) Party(agency string) bool {
	return slices.ContainsFunc(t.Parties, func(p Party) bool { return p.Agency == agency })
}

// State of one party's part. The zero value is not in force.
type State string

// The states. Only Signed opens anything.
const (
	Unsigned  State = "unsigned"
	Signed    State = "signed"
	Suspended State = "suspended"
	Ended     State = "ended"
)

// Enter gives an agreement and its parties their live rows, where they have
// none yet. A new party starts unsigned: nothing opens until it signs. What is
// there already is left alone.
func Enter(ctx context.Context, tx pgx.Tx, partnership string, text Text) error {
	days := make([]time.Time, 3)
	for i, d := range []string{text.From, text.Review, text.End} {
		at, err := time.Parse(time.DateOnly, d)
		if err != nil {
			return fmt.Errorf("agreement %s: dates are written YYYY-MM-DD", text.ID)
		}
		days[i] = at
	}
	if _, err := tx.Exec(ctx, `
INSERT INTO kith.agreement (id, partnership, starts_on, review_on, ends_on) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (id) DO NOTHING`, text.ID, partnership, days[0], days[1], days[2]); err != nil {
		return fmt.Errorf("enter agreement %s: %w", text.ID, postgres.Redact(err))
	}
	for _, p := range text.Parties {
		if _, err := tx.Exec(ctx, `
INSERT INTO kith.agreement_party (agreement, agency, state) SELECT $1, code, 'unsigned' FROM kith.agency WHERE code = $2
ON CONFLICT (agreement, agency) DO NOTHING`, text.ID, p.Agency); err != nil {
			return fmt.Errorf("enter party %s of agreement %s: %w", p.Agency, text.ID, postgres.Redact(err))
		}
	}
	return nil
}
