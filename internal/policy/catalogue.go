package policy

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// String gives the digest in lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero tells whether the version has no digest yet: it is still a draft in memory.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText gives the digest in lower-case hex.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a digest from hex.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("policy digest has %d characters, want %d", len(text), hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Section finds a section by its code.
func (v *Version) Section(code string) (Section, bool) {
	return find(v.Sections, func(s Section) bool { return s.Code == code })
}

// Purpose finds a purpose by its code.
func (v *Version) Purpose(code string) (Purpose, bool) {
	return find(v.Purposes, func(p Purpose) bool { return p.Code == code })
}

// Kind finds a kind of agency by its code.
func (v *Version) Kind(code string) (Kind, bool) {
	return find(v.Kinds, func(k Kind) bool { return k.Code == code })
}

// Role finds a role by its code.
func (v *Version) Role(code string) (Role, bool) {
	return find(v.Roles, func(r Role) bool { return r.Code == code })
}

// Agreement finds the text of an agreement by its id.
func (v *Version) Agreement(id string) (AgreementText, bool) {
	return find(v.Agreements, func(a AgreementText) bool { return a.ID == id })
}

// PurposesFor lists the purposes that a caller of this kind may state with
// these roles, in the version's order. It is what a face offers when a purpose
// is missing; the kernel decides by the same rule.
func (v *Version) PurposesFor(kind string, roles []string) []Purpose {
	k, ok := v.Kind(kind)
	if !ok || !k.Records {
		return nil
	}
	var acting []string
	for _, code := range roles {
		if r, ok := v.Role(code); ok && r.Records && slices.Contains(r.Kinds, kind) {
			acting = append(acting, code)
		}
	}
	var open []Purpose
	for _, p := range v.Purposes {
		if p.Relationship == NoRecords {
			continue
		}
		if slices.ContainsFunc(acting, func(role string) bool { return slices.Contains(p.Roles, role) }) {
			open = append(open, p)
		}
	}
	return open
}

// SummaryFields names the fields of a structured section that make its shared
// summary, for writing the summary part at contribution. It is empty for an
// unknown section and for a narrative one, whose summary is authored.
func (v *Version) SummaryFields(section string) []string {
	s, ok := v.Section(section)
	if !ok || s.Narrative {
		return nil
	}
	return s.names(func(f Field) bool { return f.Summary })
}

// names lists the fields that match, in the section's order.
func (s Section) names(match func(Field) bool) []string {
	var names []string
	for _, f := range s.Fields {
		if match(f) {
			names = append(names, f.Name)
		}
	}
	return names
}

// hostKind hosts the hub: children's social care. What no kind owns is its
// information, beside that of each agency that has entries there.
const hostKind = "CSC"

// OwningKinds are the kinds of agency whose information a section is.
func (s Section) OwningKinds() []string {
	if len(s.Owners) == 0 {
		return []string{hostKind}
	}
	return s.Owners
}

// Relationships that a purpose may ask for.
const (
	ByInvolvement = "involvement"
	ByMashRole    = "mash-role"
	ByMaracList   = "marac-list"
	ByNamedLead   = "named-lead"
	ByBreakGlass  = "break-glass"
	NoRecords     = "none-records" // opens no record through the family route
)

func find[T any](all []T, match func(T) bool) (T, bool) {
	if i := slices.IndexFunc(all, match); i >= 0 {
		return all[i], true
	}
	var none T
	return none, false
}
