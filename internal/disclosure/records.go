package disclosure

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// roleSteward looks after which records are one person.
const roleSteward = "match-steward"

const stewardShown = "A match steward, or a manager or privacy officer of the agency that sent a record, looks after who it is."

// separates tells who takes a wrong link back: a match steward any, and of the
// own agency's records those who answer for them.
func separates(p identity.Principal) (any, own bool) {
	any = p.Has(roleSteward)
	return any, any || manages(p) || p.Has(rolePrivacyOfficer)
}

// Steward tells whether somebody looks after which records are one person.
func Steward(p identity.Principal) bool { return p.Has(roleSteward) }

// Separates tells whether somebody may take a wrong link back, of some record.
func Separates(p identity.Principal) bool {
	_, some := separates(p)
	return some && p.Worker != uuid.Nil
}

// Records lists the records that are taken for one person: of the own agency
// with its own id and, for a match steward, those of agencies that may be named.
// That another service has sent one may be its secret, so that it is told of by
// a concern, and separates its own. Errors: *Denied.
func (d *Door) Records(ctx context.Context, p identity.Principal, request string, person uuid.UUID) (List[family.SentRecord], error) {
	e := eventOf(p, audit.KindLink, request, "listed", "")
	steward, may := separates(p)
	if !may {
		return List[family.SentRecord]{}, d.deny(ctx, e, "role", stewardShown)
	}
	e.Subjects = []uuid.UUID{person}
	named, err := d.nameable(ctx, p)
	if err != nil {
		return List[family.SentRecord]{}, err
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.SentRecord]{}, err
	}
	items, err := family.SentRecords(ctx, d.Pool, p.Partnership, person)
	items = slices.DeleteFunc(items, func(r family.SentRecord) bool {
		return r.Agency != p.Agency && (!steward || named(r.Agency) == "")
	})
	for i := range items {
		if items[i].Agency != p.Agency {
			items[i].LocalID = ""
		}
	}
	return page(items, receipt, func(r family.SentRecord) uuid.UUID { return r.ID }), err
}

// Separate takes a wrong link back: the record is again who it was before, or a
// person of its own, and whoever was shown what came with it as somebody else's
// is told. Errors: *Denied, ErrUnknown, *family.FieldError, ErrKeyReused.
func (d *Door) Separate(ctx context.Context, p identity.Principal, c Change, record uuid.UUID, reason string) (Written, error) {
	e := eventOf(p, audit.KindLink, c.RequestID, "separated", reason)
	steward, may := separates(p)
	if !may || p.Worker == uuid.Nil {
		return Written{}, d.deny(ctx, e, "role", stewardShown)
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		from, to, err := family.Separate(ctx, tx, sender(p, now), record, !steward, reason)
		event.Subjects, event.Details["record"] = []uuid.UUID{from, to}, record.String()
		return Written{ID: to}, err
	})
}
