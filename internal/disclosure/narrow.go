package disclosure

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
)

// Only narrows a read to what a page needs: what is not asked for is not
// decided, not released and not in the log as read. Who people are comes along
// always, since nothing can be shown without names.
type Only struct {
	Page     string    // what it was read for, in the log's details
	Entry    uuid.UUID // one entry, and its earlier versions where the caller's agency owns it
	Person   uuid.UUID // all that is about one person
	Sections []string  // whole parts
}

// sectionsOfNames are read with everything: members are listed from them.
func sectionsOfNames() []string { return []string{"identity", "family-links"} }

// details say in the log that it was not the whole record.
func (o *Only) details() map[string]string {
	if o == nil {
		return nil
	}
	return map[string]string{"only": o.Page}
}

// facts gives a family's facts for a read: the kept ones, which others share,
// or where kept is nil those of this moment.
func (d *Door) facts(ctx context.Context, of uuid.UUID, c family.Caller, only *Only, kept *family.Facts) (family.Facts, error) {
	var facts family.Facts
	if kept != nil {
		facts = *kept
	} else {
		var err error
		if facts, err = d.Kept.Load(ctx, d.Pool, of, c); err != nil {
			return family.Facts{}, fmt.Errorf("load facts: %w", err)
		}
	}
	if only == nil {
		return facts, nil
	}
	if only.Entry != uuid.Nil {
		if err := facts.AddEarlier(ctx, d.Pool, c, only.Entry); err != nil {
			return family.Facts{}, err
		}
	}
	return facts, nil
}

// Kept is what an entry's owner sees of how it is kept, so that a correction
// starts from it.
type Kept struct {
	Mentions  []uuid.UUID
	Tagged    bool
	Contains  []string
	Flags     []string
	Handling  string
	Existence bool
	Onward    string
	Narrative bool
}

func keptOf(e *family.EntryFacts) *Kept {
	return &Kept{
		Mentions: slices.Clone(e.Mentions), Tagged: e.Tagged, Contains: slices.Clone(e.Contains), Flags: slices.Clone(e.Flags),
		Handling: e.Handling, Existence: e.ExistenceOK, Onward: e.OnwardLabel, Narrative: e.Narrative,
	}
}

// Page is one entry with its versions, newest first, and what names its people.
type Page struct {
	View
	Entry   EntryView
	Section string
	Earlier []EntryView           // to the owner alone
	History []family.VersionFacts // to the owner alone
	Kept    *Kept                 // to the owner alone
}

// ReadEntry reads one entry. An entry that is not shown is a *Refusal like a
// family that there is not.
func (d *Door) ReadEntry(ctx context.Context, p identity.Principal, req Request, entry uuid.UUID) (Page, error) {
	req.Only = &Only{Page: "entry", Entry: entry}
	view, err := d.Read(ctx, p, req)
	if err != nil {
		return Page{}, err
	}
	page := Page{View: view}
	for i := range view.Sections {
		s := &view.Sections[i]
		kept := s.Entries[:0:0]
		for _, e := range s.Entries {
			if e.ID != entry || e.latest {
				kept = append(kept, e)
			}
			switch {
			case e.ID != entry:
			case e.latest:
				page.Entry, page.Section, page.Kept = e, s.Section, e.kept
			default:
				page.Earlier = append(page.Earlier, e)
			}
		}
		s.Entries = kept
	}
	if page.Section == "" {
		return Page{}, &Refusal{Code: RefusedNotFound, Call: view.Notice.Call, Receipt: view.Receipt}
	}
	slices.SortFunc(page.Earlier, func(a, b EntryView) int { return b.Version - a.Version })
	if page.Entry.Owner == p.Agency {
		if page.History, err = family.History(ctx, d.Pool, entry, p.Agency); err != nil {
			return Page{}, err
		}
	}
	return page, nil
}
