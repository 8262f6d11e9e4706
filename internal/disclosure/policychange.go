package disclosure

import (
	"context"
	"fmt"

	"kith/internal/agreement"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// Affected is whom it hits when an agency stops its part of an agreement, as
// counts alone: nobody is named to an officer who opens no records. Counts
// below five are given as 4, with Few set.
type Affected struct {
	Children   int      `json:"children"`         // with open work for a purpose of the agreement
	Protection int      `json:"child_protection"` // of these, with a section 47 enquiry or a child protection plan
	Families   int      `json:"families"`
	Few        bool     `json:"fewer_than_five"` // some count is below five and given as 4
	Agencies   []string `json:"agencies"`        // parties that work with these families and lose what the agency shares
}

// AffectedBy counts the children with open work whose families the agency works
// with, under the purposes of an agreement.
func (d *Door) AffectedBy(ctx context.Context, p identity.Principal, v *policy.Version, text agreement.Text) (Affected, error) {
	var work []string
	for _, code := range text.Purposes {
		if x, ok := v.Purpose(code); ok {
			work = append(work, x.OpenWork...)
		}
	}
	var parties []string
	for _, x := range text.Parties {
		if x.Agency != p.Agency {
			parties = append(parties, x.Agency)
		}
	}
	var a Affected
	err := d.Pool.QueryRow(ctx, `
WITH working AS (
  SELECT DISTINCT m.family FROM membership m JOIN involvement i ON i.person = m.person
   WHERE i.agency = $1 AND i.valid_from <= now() AND (i.valid_until IS NULL OR i.valid_until > now()) AND m.confirmed_by IS NOT NULL
), child AS (
  SELECT m.person, m.family, bool_or(e.kind IN ('section-47', 'child-protection-plan')) AS protection
    FROM working w JOIN membership m ON m.family = w.family AND m.role = 'child' AND m.confirmed_by IS NOT NULL
    JOIN episode e ON e.person = m.person AND NOT e.withdrawn AND e.kind = ANY ($2) AND e.valid_from <= current_date AND (e.valid_until IS NULL OR e.valid_until >= current_date)
   GROUP BY m.person, m.family
)
SELECT count(DISTINCT person), count(DISTINCT person) FILTER (WHERE protection), count(DISTINCT family),
       coalesce((SELECT array_agg(DISTINCT i.agency ORDER BY i.agency) FROM child c JOIN membership m ON m.family = c.family JOIN involvement i ON i.person = m.person
                  WHERE i.agency = ANY ($3) AND i.valid_from <= now() AND (i.valid_until IS NULL OR i.valid_until > now())), '{}')
  FROM child`, p.Agency, work, parties).Scan(&a.Children, &a.Protection, &a.Families, &a.Agencies)
	if err != nil {
		return Affected{}, fmt.Errorf("count whom agreement %s reaches: %w", text.ID, postgres.Redact(err))
	}
	for _, n := range []*int{&a.Children, &a.Protection, &a.Families} {
		if *n > 0 && *n < 5 {
			*n, a.Few = 4, true
		}
	}
	return a, nil
}
