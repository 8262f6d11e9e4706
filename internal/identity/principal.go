package identity

import (
	"log/slog"
	"slices"

	"github.com/google/uuid"
)

// Principal is a verified caller. The zero value is nobody: no agency, no role.
type Principal struct {
	Partnership string
	Issuer      string // as in the token, byte for byte
	Subject     string // stable for life within the issuer

	Worker      uuid.UUID // zero for a system
	WorkerName  string
	WorkerStamp int64 // the directory's stamp when this was read; a read of records asserts it again
	Employer    string

	Agency     string // for whom the caller speaks in this request; policy judges this one
	Kind       string // kind of Agency
	HomeAgency string // whom the directory lists the worker under
	// ActingFor is Agency where an agency's acceptance by name, and not the
	// employment, lets the worker speak for it; else it is empty.
	ActingFor string

	Roles  []string // sorted, without repeats; empty means nobody
	Teams  []string // live teams in Agency, cover included
	Client string   // the software that carries the token
	ACR    string   // how the sign-in was done, as the issuer says
	System bool     // a case system, not a person
}

// RoleSystem is the role of a case system: it contributes and reads no record.
const RoleSystem = "system"

// Has says whether the principal holds the role.
func (p Principal) Has(role string) bool { return slices.Contains(p.Roles, role) }

// String names no person: a principal may end in an error or a log line.
func (p Principal) String() string { return "principal" }

// GoString is String for %#v.
func (p Principal) GoString() string { return p.String() }

// LogValue gives what an operator needs and no personal data.
func (p Principal) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("agency", p.Agency),
		slog.Bool("system", p.System),
	)
}
