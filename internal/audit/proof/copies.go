package proof

import (
	"time"

	"github.com/google/uuid"
)

// Copies are the columns by which the hub finds an event: copies of what header
// and common part say. Who changes one hides an event from a search, and no
// hash tells; so an export of the whole log holds them, and they are compared.
type Copies struct {
	Occurred    time.Time `json:"occurred_at"`
	Recorded    time.Time `json:"recorded_at"`
	Kind        string    `json:"kind"`
	Outcome     string    `json:"outcome"`
	Agency      string    `json:"agency,omitempty"`
	ActingFor   string    `json:"acting_for,omitempty"`
	Partnership string    `json:"partnership"`
	Replica     string    `json:"replica"`
	Worker      uuid.UUID `json:"worker,omitzero"`
	Principal   string    `json:"principal,omitempty"`
	Purpose     string    `json:"purpose,omitempty"`
	Family      uuid.UUID `json:"family,omitzero"`
	Declared    bool      `json:"declared,omitempty"`
	Emergency   bool      `json:"emergency,omitempty"`
	Request     string    `json:"request_id,omitempty"`
}

// maxHeld is how long a row may take from the hub's clock to the database's.
const maxHeld = 30 * time.Second

// DiffersFromHeader names the columns that do not say what the header says.
func (c *Copies) DiffersFromHeader(h *Header) (bad []string) {
	for _, x := range []struct {
		name string
		good bool
	}{
		{"occurred_at", c.Occurred.Equal(h.Occurred)},
		{"recorded_at", c.Recorded.Sub(h.Occurred).Abs() < maxHeld},
		{"kind", c.Kind == h.Kind},
		{"outcome", c.Outcome == h.Outcome},
		{"agency", c.Agency == h.Agency},
		{"acting_for", c.ActingFor == h.ActingFor},
		{"partnership", c.Partnership == h.Partnership},
		{"replica", c.Replica == h.Replica},
	} {
		if !x.good {
			bad = append(bad, x.name)
		}
	}
	return bad
}

// DiffersFromCommon names the columns that do not say what the common part
// says. A common part that was erased (nil) leaves nothing behind in them.
func (c *Copies) DiffersFromCommon(p *Common) (bad []string) {
	if p == nil {
		p = &Common{}
	}
	for _, x := range []struct {
		name string
		good bool
	}{
		{"worker", c.Worker == p.Principal.Worker},
		{"principal", c.Principal == p.Principal.Label()},
		{"purpose", c.Purpose == p.Purpose},
		{"family", c.Family == p.Family},
		{"declared", c.Declared == p.Declared},
		{"emergency", c.Emergency == p.Emergency},
		{"request_id", c.Request == p.Request},
	} {
		if !x.good {
			bad = append(bad, x.name)
		}
	}
	return bad
}
