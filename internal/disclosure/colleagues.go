package disclosure

import (
	"context"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// Colleagues tells who of the reader's own agency works with the people of a
// record that was just released, as far as the reader works with them too: who
// is involved is more than what entries name, since an allocation of this
// morning stands in none. It is the own agency's own work and part of the view
// that was logged; nothing of another agency is in it.
func (d *Door) Colleagues(ctx context.Context, p identity.Principal, v View) ([]family.Colleague, error) {
	people := make([]uuid.UUID, 0, len(v.Members))
	for _, m := range v.Members {
		people = append(people, m.ID)
	}
	return d.colleagues(ctx, p, people)
}

func (d *Door) colleagues(ctx context.Context, p identity.Principal, people []uuid.UUID) ([]family.Colleague, error) {
	if p.Worker == uuid.Nil || len(people) == 0 {
		return nil, nil
	}
	return family.Colleagues(ctx, d.Pool, family.Caller{Worker: p.Worker, Agency: p.Agency, Now: d.Now()}, people, ListLimit)
}

// workBeside is the list of colleagues for the other face, logged by itself.
func (d *Door) workBeside(ctx context.Context, p identity.Principal, e audit.Event, person uuid.UUID) (List[family.Work], error) {
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Work]{}, err
	}
	found, err := d.colleagues(ctx, p, []uuid.UUID{person})
	items := make([]family.Work, 0, len(found))
	for _, c := range found {
		items = append(items, c.Work)
	}
	return List[family.Work]{Items: items, Receipt: receipt}, err
}
