package family

import (
	"time"

	"github.com/google/uuid"
)

// Facts is what one family's record looks like without its content: enough to
// decide, too little to tell. It is read in one round trip and without a log
// row; the stamp that comes with it is asserted again when the access is
// logged, so a decision never rests on facts that have changed since.
type Facts struct {
	Family         uuid.UUID
	Ref            string // F-20417
	Partnership    string
	Stamp          int64
	AgreementStamp int64
	Policy         [32]byte // digest of the active policy version at that moment
	Found          bool     // false: no such family in this partnership

	People       []PersonFacts
	Near         []NearFacts
	Harm         []HarmFacts
	Couples      []CoupleFacts
	Episodes     []EpisodeFacts
	Involvements []InvolvementFacts // the caller's agency's live ones
	Told         []ToldFacts        // latest per person and agency, for the purpose asked
	Restricted   []uuid.UUID        // people whom a live restriction or exclusion closes to this caller
	Protected    []ProtectionFacts
	Grants       []GrantFacts // live, for this caller or the caller's agency
	Agreements   []AgreementFacts
	Entries      []EntryFacts      // latest versions about or mentioning a confirmed member
	Kinds        map[string]string // kind by agency code, for every owner in Entries

	Named      bool // the caller is on the staff register as a member of this family, or has declared a conflict
	FamilyTeam bool // the caller works in a team that holds an involvement of children's social care here
	Marac      bool // on the member list of a live MARAC case here
	Lead       bool // named lead of a live Operation Encompass event here
	Worker     WorkerFacts
}

// WorkerFacts is the caller's own standing at the moment of the facts.
type WorkerFacts struct {
	Stamp  int64
	Active bool
}

// PersonFacts is a confirmed member.
type PersonFacts struct {
	ID            uuid.UUID
	Roles         []string // confirmed membership roles, live today or past
	Child         bool     // live, confirmed membership as child
	Unborn        bool
	PregnancyTold bool
	Born, Died    *time.Time
}

// NearFacts says that Other is a parent, carer, household member or contact of
// Child for a time (from confirmed relationships, and memberships where no
// relationship says more).
type NearFacts struct {
	Child, Other uuid.UUID
	Kind         string // parent, carer, household, contact
	From, Until  *time.Time
}

// HarmFacts is an alleged harm that was not withdrawn.
type HarmFacts struct {
	By, To uuid.UUID
}

// CoupleFacts is how two members are, or were, together, as one agency says.
type CoupleFacts struct {
	A, B         uuid.UUID
	Status       string // married, together, separated, divorced; "" where nobody said
	Since, Until *time.Time
	Source       string // code of the agency
}

// EpisodeFacts is a child's open work, live today.
type EpisodeFacts struct {
	Person uuid.UUID
	Kind   string
	Rating string
}

// InvolvementFacts is a live involvement of the caller's agency.
type InvolvementFacts struct {
	Person uuid.UUID
	Mine   bool // by name, or through the caller's team or cover
	ByName bool
	Source string // feed, allocation, duty, cover, declared
}

// ToldFacts is the latest told-and-agreed of one agency about one person for the purpose asked.
type ToldFacts struct {
	Person uuid.UUID
	Agency string
	Agreed string
	Told   string
	At     *time.Time // day
	Review *time.Time
}

// ProtectionFacts says since when a person's address is protected.
type ProtectionFacts struct {
	Person uuid.UUID
	Since  time.Time
}

// GrantFacts is a live grant for this caller.
type GrantFacts struct {
	ID         uuid.UUID
	Person     uuid.UUID
	Section    string
	Level      string
	Giver      string // the agency that gave it
	GiverKind  string
	BreakGlass bool
	Approved   bool
}

// AgreementFacts is the live state of an agreement to which the caller's agency is party.
type AgreementFacts struct {
	ID                string
	From, Review, End time.Time
	Parties           map[string]string // agency code -> state
}

// EntryFacts is the latest version of one entry, without content.
type EntryFacts struct {
	Entry         uuid.UUID
	Version       int
	VersionID     int64
	Section       string
	Schema        string
	Owner         string
	SuppliedBy    string
	SourceKind    string
	Handling      string
	ExistenceOK   bool
	Sensitivity   int
	EventFrom     *time.Time
	EventUntil    *time.Time
	EventWords    string
	RecordedOn    time.Time
	Narrative     bool
	Tagged        bool
	Contains      []string
	Flags         []string
	OnwardLabel   string
	Language      string
	Held          string
	Fields        []string
	FullPart      int64 // 0 = none
	SummaryPart   int64 // 0 = none
	SummaryBy     string
	SummaryOn     *time.Time
	SummaryReview *time.Time
	EventOf       *uuid.UUID
	Questioned    bool
	Earlier       bool // not the latest version: only where an owner asked for them
	About         []uuid.UUID
	Mentions      []uuid.UUID
}

// Caller is who asks, as the facts need to know it.
type Caller struct {
	Worker  uuid.UUID // zero for a system
	Agency  string
	Roles   []string
	Teams   []string
	Purpose string // told-and-agreed is read for this purpose
	Now     time.Time
	Few     *Few // nil: every entry
}

// Few narrows the entries of a load to those that are asked for in any of these
// ways. Who is restricted or protected is known all the same for everybody whom
// such an entry names.
type Few struct {
	Sections []string
	Since    *time.Time // recorded or happening since that day, or questioned
	Entry    uuid.UUID
	Person   uuid.UUID
}
