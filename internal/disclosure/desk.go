package disclosure

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"kith/internal/identity"
	"kith/internal/policy"
)

// Desk is the partnership's contact routes and the state of the feeds: the
// same for every family and every caller.
type Desk struct {
	Neutral  string            // contact desk of the partnership
	Contacts map[string]string // by agency code
	Notice   Notice
}

// NewDesk puts the notice together; agencies are those whose kind opens records.
func NewDesk(p identity.Partnership, agencies []identity.Agency) Desk {
	d := Desk{
		Neutral:  p.DeskName + ", " + p.DeskPhone,
		Contacts: map[string]string{},
		Notice: Notice{
			Text: noticeText, Call: Call{Mash: p.MashPhone, OutOfHours: p.OutOfHours},
			NotFeeding: []string{}, FeedingLate: []string{},
		},
	}
	for _, a := range agencies {
		if a.ContactName != "" {
			d.Contacts[a.Code] = a.Name + ", " + a.ContactName + ", " + a.ContactPhone
		} else if a.ContactPhone != "" {
			d.Contacts[a.Code] = a.Name + ", " + a.ContactPhone
		}
		switch a.Feed {
		case "none":
			d.Notice.NotFeeding = append(d.Notice.NotFeeding, a.Name)
		case "late":
			d.Notice.FeedingLate = append(d.Notice.FeedingLate, a.Name)
		}
	}
	sort.Strings(d.Notice.NotFeeding)
	sort.Strings(d.Notice.FeedingLate)
	return d
}

// deskLife is how long a desk is kept: phone numbers and the state of feeds
// may be that old, and nothing is decided by them.
const deskLife = 30 * time.Second

// Desks reads the desk and keeps it for a while. It is safe for concurrent use.
type Desks struct {
	Directory *identity.Directory
	Kinds     func(context.Context) (*policy.Version, error)
	Now       func() time.Time

	mu   sync.Mutex
	desk Desk
	read time.Time
}

// Desk gives the desk, at most half a minute old.
func (d *Desks) Desk(ctx context.Context) (Desk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.Now()
	if !d.read.IsZero() && now.Sub(d.read) < deskLife {
		return d.desk, nil
	}
	partnership, err := d.Directory.Partnership(ctx)
	if err != nil {
		return Desk{}, err
	}
	agencies, err := d.Directory.Agencies(ctx)
	if err != nil {
		return Desk{}, err
	}
	version, err := d.Kinds(ctx)
	if err != nil {
		return Desk{}, fmt.Errorf("kinds of agencies: %w", err)
	}
	taking := agencies[:0:0]
	for _, a := range agencies {
		ended := a.ActiveUntil != nil && a.ActiveUntil.Before(now.Truncate(24*time.Hour))
		if kind, ok := version.Kind(a.Kind); ok && kind.Records && !ended {
			taking = append(taking, a)
		}
	}
	d.desk, d.read = NewDesk(partnership, taking), now
	return d.desk, nil
}
