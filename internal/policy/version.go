package policy

import "kith/internal/agreement"

// Version is everything that can change a decision (design.md §4): the
// catalogue (kinds, roles, purposes, sections), the agreements, the sharing
// matrix, local rules, tests and stories, the kernel's modules and the
// engine's version. It is immutable once it has a digest.
//
// On disk (policies/default) it is a folder:
//
//	version.yaml          name, partnership, note
//	kinds.yaml roles.yaml purposes.yaml
//	sections/<code>.yaml  one Section a file
//	agreements/<id>.yaml  one AgreementText a file
//	matrix/<section>.yaml the rows of that section
//	local/*.rego          local rules with their tests (may be absent)
//	stories/*.yaml        stories in plain words
//
// A Version is loaded strictly: an unknown field, kind, role, purpose, section,
// level, mask or condition is an error that names file, row and column.
type Version struct {
	Name        string
	Partnership string
	Note        string
	Kinds       []Kind
	Roles       []Role
	Purposes    []Purpose
	Sections    []Section
	Agreements  []AgreementText
	Matrix      []Row
	Digest      Digest // over all files, the kernel's modules and the engine's version
}

// Digest names a policy version: SHA-256, hex in text.
type Digest [32]byte

// Kind is a kind of agency.
type Kind struct {
	Code  string `yaml:"code"`  // MH
	Name  string `yaml:"name"`  // mental health trust
	Plain bool   `yaml:"plain"` // the agency may be named where only its existence is known (CSC, SCH, HV, HOU)
	// Wall: "always" (perpetrator programme), "by-client" (walled where its
	// only clients in the family are alleged abusers) or "never".
	Wall string `yaml:"wall"`
	// Involvement is the section whose level says whether a reader may know
	// that an agency of this kind is involved at all; "" = anyone may know.
	Involvement string `yaml:"involvement"`
	Records     bool   `yaml:"records"` // may open records at all (false: HUB)
	// KnowsUnborn: may know of an unborn child before the family was told (false: HOU, SCH).
	KnowsUnborn bool `yaml:"knows_unborn"`
}

// Role is a role that a verified token, or an acceptance, can give.
type Role struct {
	Code  string   `yaml:"code"` // mh-practitioner
	Name  string   `yaml:"name"`
	Kinds []string `yaml:"kinds"` // kinds that may hold it; empty means nobody
	// Records: may open family records (practitioner, manager and the professional roles).
	Records bool `yaml:"records"`
	Mash    bool `yaml:"mash"` // a MASH role: FD gives it the relationship
}

// Purpose is why a record is opened.
type Purpose struct {
	Code  string   `yaml:"code"` // FS
	Name  string   `yaml:"name"` // in words, for pages
	Basis []string `yaml:"basis"`
	// Letter names the purpose whose matrix rows hold ("CN" for FS); "" = its own.
	Letter string `yaml:"letter"`
	// OpenWork: at least one of these must be open for a child; empty = none needed.
	OpenWork []string `yaml:"open_work"`
	// Declared: without open work it is allowed, flagged and needs a reason; else refused.
	Declared bool     `yaml:"declared"`
	Roles    []string `yaml:"roles"` // roles that may state it; empty means nobody
	// Reason: "unless-allocated" (required unless the caller is the allocated worker), "always" or "no".
	Reason string `yaml:"reason"`
	// Relationship: "involvement", "mash-role", "marac-list", "named-lead", "break-glass" or "none-records" (AU, SR: no record through the family route).
	Relationship string `yaml:"relationship"`
	Consent      bool   `yaml:"consent"` // without the family's agreement only identity and holders (EH)
	// Inside is the letter for MASH roles where the child's contact is rated
	// amber or red ("CN" for FD): what the MASH sees inside its ring.
	Inside string `yaml:"inside"`
	// HidesClinical: sections marked clinical are hidden where they are about an adult (LC).
	HidesClinical bool `yaml:"hides_clinical"`
	// Clause carries a release that no matrix row carries: emergency access,
	// and a named grant beyond a cell ("isa-overarching 2.1").
	Clause string `yaml:"clause"`
}

// Section is a part of the record.
type Section struct {
	Code        string   `yaml:"code"`
	Name        string   `yaml:"name"`
	Group       string   `yaml:"group"` // heading on pages: child, family, health, …
	Sensitivity int      `yaml:"sensitivity"`
	Owners      []string `yaml:"owners"`    // kinds that usually own it (the O cells); empty: CSC and whoever has entries
	Narrative   bool     `yaml:"narrative"` // entries are free text with an authored shared summary
	// Never: X for every kind but the owner: no existence, no break-glass.
	Never bool `yaml:"never"`
	// Walled: hidden from the walled when about, or mentioning, the harmed person or the children with them.
	Walled bool    `yaml:"walled"`
	Adult  bool    `yaml:"clinical"` // a clinical row of parents: hidden under LC when about an adult
	Fields []Field `yaml:"fields"`
	Schema string  `yaml:"schema"` // "mh-risk/1"
}

// Field is one field of a section's content.
type Field struct {
	Name    string `yaml:"name"`
	Label   string `yaml:"label"`
	Type    string `yaml:"type"`    // text, date, code, bool, number, list
	Summary bool   `yaml:"summary"` // part of the shared summary of a structured section
	Place   bool   `yaml:"place"`   // tells where a person can be found: withheld where an address is protected, and from the walled
	Number  bool   `yaml:"number"`  // an official number (NHS number, UPN): withheld from DP
}

// AgreementText, PartyText and Clause are the text of an agreement.
type (
	AgreementText = agreement.Text
	PartyText     = agreement.Party
	Clause        = agreement.Clause
)

// Row is one row of the sharing matrix: the only thing that can allow.
type Row struct {
	Section  string   `yaml:"-"`        // from the file's head
	To       string   `yaml:"to"`       // receiving kind, or agency code
	Roles    []string `yaml:"roles"`    // empty = every role of that kind that may open records and state the purpose
	Purposes []string `yaml:"purposes"` // EH, FD, CN, FS, CP, LC, MR, OE
	// Level: full, summary, existence, hidden, grant (only by a named grant), own, never.
	Level      string   `yaml:"level"`
	Masks      []string `yaml:"masks"`      // fields withheld
	Conditions []string `yaml:"conditions"` // closed list: Conditions()
	Clause     string   `yaml:"clause"`     // "isa-family-safeguarding 4.2"; not for hidden, own and never
	From       string   `yaml:"from"`
	Until      string   `yaml:"until"`
	Why        string   `yaml:"why"`
}
