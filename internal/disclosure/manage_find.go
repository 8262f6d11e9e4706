package disclosure

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// Manages tells whether somebody allocates work in their agency.
func Manages(p identity.Principal) bool { return manages(p) }

// Restricts tells whether somebody closes people.
func Restricts(p identity.Principal) bool { return restricts(p) }

// Grants tells whether somebody may give grants of what their agency owns.
func Grants(p identity.Principal) bool { return manages(p) || p.Has(roleApprover) }

// InvolvementsOf lists, for a manager, the own agency's live work with some people.
func (d *Door) InvolvementsOf(ctx context.Context, p identity.Principal, request string, people []uuid.UUID) (List[family.Work], error) {
	e := eventOf(p, audit.KindInvolvement, request, "listed", "")
	if !manages(p) && !p.Has(rolePrivacyOfficer) {
		return List[family.Work]{}, d.deny(ctx, e, "role", "A manager of your agency lists its work; you can list your own.")
	}
	e.Subjects = people
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Work]{}, err
	}
	items, err := family.InvolvementsOf(ctx, d.Pool, p.Agency, people, d.Now(), ListLimit)
	return List[family.Work]{Items: items, Receipt: receipt}, err
}

// foundMost bounds a list of workers.
const foundMost = 30

// FindWorkers lists workers who may work for an agency today: of the own agency
// all whose name holds the text, of another only by two letters or more, since
// its list is nobody else's to read.
func (d *Door) FindWorkers(ctx context.Context, p identity.Principal, request, agency, name string) (List[identity.Worker], error) {
	e := eventOf(p, audit.KindWorker, request, "listed", "")
	e.Details["agency"] = agency
	if !Grants(p) && !p.Has(rolePrivacyOfficer) {
		return List[identity.Worker]{}, d.deny(ctx, e, "role", "A manager or privacy officer looks for workers.")
	}
	out := List[identity.Worker]{Items: []identity.Worker{}}
	name = strings.ToLower(strings.TrimSpace(name))
	if agency != p.Agency && len([]rune(name)) < 2 {
		return out, nil
	}
	var err error
	if out.Receipt, err = d.listed(ctx, e); err != nil {
		return out, err
	}
	all, err := d.directory(p).Workers(ctx, agency)
	if err != nil {
		return out, err
	}
	now := d.Now()
	for _, w := range all {
		over := w.Suspended || w.ActiveFrom.After(now) || w.ActiveUntil != nil && w.ActiveUntil.AddDate(0, 0, 1).Before(now)
		if !over && strings.Contains(strings.ToLower(w.Name), name) && len(out.Items) < foundMost {
			out.Items = append(out.Items, w)
		}
	}
	slices.SortFunc(out.Items, func(a, b identity.Worker) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
