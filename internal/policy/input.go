package policy

// Input is everything that one decision depends on: no clock, no network and
// no database is read while a policy is evaluated (design.md §4, faults.md §2).
// It is recorded with the access event, so it is compact and names nobody:
// people stand under short local names ("p1") that only the recorded facts
// resolve, and equal tuples are given once.
type Input struct {
	V          int                  `json:"v"`    // version of this shape; 1
	Date       string               `json:"date"` // the day of the request, YYYY-MM-DD, UTC; the only clock
	Caller     Caller               `json:"caller"`
	Request    Request              `json:"request"`
	Agreements map[string]Agreement `json:"agreements"` // live state by agreement id; an id that is missing here is not in force
	Parties    map[string]Party     `json:"parties"`    // owner agencies that appear in the tuples, by agency code
	People     map[string]Person    `json:"people"`     // everyone in the family's facts, by local name
	Grants     []Grant              `json:"grants,omitempty"`
	Tuples     []Tuple              `json:"tuples"` // distinct; Decision.Entries has the same order
}

// Caller is who asks, as far as a rule may know.
type Caller struct {
	Agency string   `json:"agency"` // agency code
	Kind   string   `json:"kind"`   // agency kind
	Roles  []string `json:"roles"`  // verified roles, professional and functional; empty means none
	Active bool     `json:"active"` // worker neither ended, suspended, dormant nor lapsed

	// Named says that the caller is named in this family: as a relative, a
	// subject, or with a declared conflict (the staff register). Never rule.
	Named bool `json:"named"`
	// FamilyTeam: the caller works in the team that holds this family's plan
	// (workbook and group supervision in full only for them).
	FamilyTeam bool `json:"family_team"`
	// Marac: the caller (or the caller's agency) is on the member list of a
	// live MARAC case of a child or adult of this family.
	Marac bool `json:"marac"`
	// Lead: the caller is the named lead for an Operation Encompass event of
	// this family that is still open.
	Lead bool `json:"lead"`
}

// Request is what was asked, for which children and why.
type Request struct {
	Purpose string `json:"purpose"`
	// Children the caller named (Kith-Children), as local names. Empty means
	// the default: the children with whom the caller works and who have the
	// open work that the purpose needs. It never means everybody.
	Children []string `json:"children"`
	Reason   bool     `json:"reason"` // a reason was given
}

// Agreement is the live state of one information sharing agreement.
type Agreement struct {
	From    string            `json:"from"`
	Review  string            `json:"review"`
	End     string            `json:"end"`     // the live end date (may have been extended), last day included
	Parties map[string]string `json:"parties"` // agency code -> "signed" | "unsigned" | "suspended" | "ended"
}

// Party is an agency that owns something here.
type Party struct {
	Kind string `json:"kind"`
}

// Person is one person of the family, in the eyes of this caller.
type Person struct {
	Child  bool `json:"child"`  // has a confirmed membership with role child
	Unborn bool `json:"unborn"` // expected, not born
	Told   bool `json:"told"`   // of the unborn: the pregnancy may be known (family told)
	Ours   bool `json:"ours"`   // the caller's agency has a live involvement with this person
	Mine   bool `json:"mine"`   // the caller personally (by name, team or cover) has a live involvement
	// Allocated: that involvement is a named allocation, not a team or a declaration.
	Allocated bool `json:"allocated"`
	// Declared: the only live involvement of the caller is a declared one (flagged, reviewed).
	Declared bool `json:"declared"`
	// Open work of this child: early-help, contact, child-in-need, section-47,
	// child-protection-plan, care, marac, encompass.
	Open []string `json:"open,omitempty"`
	// Rating of the open front-door contact: "", "green", "amber", "red".
	Rating string `json:"rating,omitempty"`
	// Restricted: a live restriction leaves this caller out, or a live
	// exclusion names this caller (per person; an empty list means nobody).
	Restricted bool `json:"restricted"`
	// Protected since: where this person has a protected address, the day since when ("" = none).
	Protected string `json:"protected,omitempty"`
	// Agreed: for this purpose, "agreed", "declined", "withdrawn", "not-asked" or "" (nothing recorded).
	Agreed string `json:"agreed,omitempty"`
	// Informed: for this purpose, "told", "not-told" (never recorded without why) or "" (nothing recorded).
	Informed string `json:"informed,omitempty"`
	// Age is the band of age on the day of the request (AgeBand), "" unknown.
	Age string `json:"age,omitempty"`
	// HarmedBy: local names of those alleged to have harmed this person (live or past, not withdrawn).
	HarmedBy []string `json:"harmed_by,omitempty"`
	// Near: for a child, the local names of its parents, carers, household
	// members and contacts, each with the time for which that held. Only
	// memberships and relationships that children's social care confirmed.
	Near map[string][]Span `json:"near,omitempty"`
	// Parents: for a child, local names of parents and carers now.
	Parents []string `json:"parents,omitempty"`
}

// Span is a time in days, both inclusive; "" is open.
type Span struct {
	Kind  string `json:"kind"` // parent, carer, household, contact
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
}

// Grant is a live, named, time-limited exception for this caller.
type Grant struct {
	ID         string `json:"id"`
	Section    string `json:"section,omitempty"` // "" only for break-glass
	Person     string `json:"person"`            // local name
	Level      string `json:"level"`
	Giver      string `json:"giver,omitempty"`      // code of the agency that gave it, and its kind:
	GiverKind  string `json:"giver_kind,omitempty"` // it opens what that agency has a say over
	BreakGlass bool   `json:"break_glass,omitempty"`
	Approved   bool   `json:"approved,omitempty"` // second approval (break-glass on a G cell)
}

// Tuple is what a rule may know of one entry. Entries with equal tuples get
// one decision.
type Tuple struct {
	Section     string   `json:"section"`
	Owner       string   `json:"owner"` // agency code; its kind stands in Parties
	Sensitivity int      `json:"sensitivity"`
	Source      string   `json:"source"`              // fact, allegation, opinion, self-report, third-party
	Handling    string   `json:"handling,omitempty"`  // police handling code: "", "P", "C"
	Existence   bool     `json:"existence,omitempty"` // code C: police marked that its existence may be shown
	About       []string `json:"about"`
	Mentions    []string `json:"mentions,omitempty"`
	Narrative   bool     `json:"narrative,omitempty"` // free text
	Tagged      bool     `json:"tagged,omitempty"`    // the text was tagged: Contains is complete, even if empty
	Contains    []string `json:"contains,omitempty"`  // sections whose information the text repeats
	// Flags that bind: "do-not-inform", "onward", "court", "legal", "new-name"
	// (tells a name taken since the harm), "places" (tells where somebody can
	// be found), "encompass" (the one Operation Encompass event).
	Flags []string `json:"flags,omitempty"`
	From  string   `json:"from,omitempty"`  // event day, "" unknown
	Until string   `json:"until,omitempty"` // last event day
	// Full and Summary: which parts exist (a shared summary may be missing).
	Full    bool `json:"full"`
	Summary bool `json:"summary"`
	// Schema of the fields, "section/1"; Fields are the field names present
	// when the schema is unknown to the sender's catalogue, else empty.
	Schema string   `json:"schema,omitempty"`
	Fields []string `json:"fields,omitempty"`
}

// Level says how much of an entry is shown. The zero value is hidden.
type Level uint8

// The four levels, least first.
const (
	Hidden Level = iota
	Existence
	Summary
	Full
)

// Decision is the answer to one Input. The zero value shows nothing.
type Decision struct {
	Allow   bool     `json:"allow"`
	Refusal string   `json:"refusal,omitempty"` // why the whole request is refused: a Refusal… code
	Reasons []string `json:"reasons,omitempty"` // reason codes behind the refusal, for the log alone
	Alerts  []string `json:"alerts,omitempty"`  // alerts to raise, such as "named-worker"
	// Children for whom the answer is given (local names).
	Children []string `json:"children,omitempty"`
	// Declared: allowed without the open work that the purpose needs, flagged for review.
	Declared bool `json:"declared,omitempty"`
	// NeedsReason: this caller must give a reason for this purpose (and none was given).
	NeedsReason bool    `json:"needs_reason,omitempty"`
	Entries     []Entry `json:"entries,omitempty"` // same order as Input.Tuples
}

// Entry is the decision on one tuple.
type Entry struct {
	Level Level `json:"level"`
	// Part to release: "full", "summary" or "" (nothing).
	Part    string   `json:"part,omitempty"`
	Masked  []string `json:"masked,omitempty"`  // fields that the rule withholds, whether filled or not
	Keep    []string `json:"keep,omitempty"`    // when not empty: the only fields that may leave (schema unknown to the policy)
	Clauses []string `json:"clauses,omitempty"` // "agreement-id cl. 4.2" that allowed it; empty for the own agency's data ("own")
	Grant   string   `json:"grant,omitempty"`
	Labels  []string `json:"labels,omitempty"`  // obligations that travel with it: "do-not-inform", "onward", …
	Reasons []string `json:"reasons,omitempty"` // codes of what lowered or hid it, in order
	// Holder: this entry makes its owner one of the holders (level existence).
	Holder bool `json:"holder,omitempty"`
	// Named: the holder's agency may be named (a plain kind).
	Named bool `json:"named,omitempty"`
}

// Refusal codes. A face turns RefusalNotFound into the same 404 as an unknown
// family; the others depend on the caller alone, never on the family.
const (
	RefusalNotFound    = "not-found"    // anything that depends on the family's facts
	RefusalNoAgreement = "no-agreement" // the caller's agency is party to no live agreement for this purpose
	RefusalRole        = "role"         // no role of the caller may use this purpose
	RefusalPurpose     = "purpose"      // missing or unknown purpose
	RefusalEmergency   = "emergency"    // VI without a live break-glass grant
	RefusalReason      = "reason"       // a reason is required
	RefusalError       = "policy-error" // evaluation failed: deny
)
