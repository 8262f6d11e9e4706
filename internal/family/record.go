package family

import (
	"github.com/google/uuid"
)

// Record is one thing that an agency contributes: exactly one of the pointers
// is set. It is the native form (a line of NDJSON); the census and the daily
// payload are turned into the same. Records of one submission are taken in
// order; each stands or falls by itself.
type Record struct {
	Line         int                 `json:"-"` // where it stood, for the report
	Where        string              `json:"-"` // "child RND0002…": said instead of a line where that helps
	Person       *PersonRecord       `json:"person,omitempty"`
	Membership   *MembershipRecord   `json:"membership,omitempty"`
	Relationship *RelationshipRecord `json:"relationship,omitempty"`
	Harm         *HarmRecord         `json:"alleged_harm,omitempty"`
	Episode      *EpisodeRecord      `json:"episode,omitempty"`
	Involvement  *InvolvementRecord  `json:"involvement,omitempty"`
	Told         *ToldRecord         `json:"told_and_agreed,omitempty"`
	Entry        *EntryRecord        `json:"entry,omitempty"`
	Worker       *WorkerFeed         `json:"worker,omitempty"`
	Purge        *PurgeRecord        `json:"-"` // of the daily payload
	Warnings     []string            `json:"-"` // implausible but taken, said on the report line
}

// PersonRecord is a person as the agency holds them. LocalID is the agency's own.
//
// An adult is on the hub only through a child with open work, so an adult who
// is new comes with Member (or, in one group of records, with a membership or
// a relationship); alone the adult is refused and nothing is kept.
type PersonRecord struct {
	LocalID  string `json:"local_id"`
	About    string `json:"about"` // child, adult
	Born     string `json:"born,omitempty"`
	Expected string `json:"expected,omitempty"`
	Died     string `json:"died,omitempty"`
	// Member puts the person into a family in the same step.
	Member *PersonMembership `json:"member,omitempty"`
	// Raw is the person as sent, kept byte for byte; MediaType says what it is.
	Raw       []byte `json:"-"`
	MediaType string `json:"-"`
}

// PersonMembership is a MembershipRecord of the person beside whom it stands.
type PersonMembership struct {
	Family string `json:"family"`
	Role   string `json:"role"`
	From   string `json:"from,omitempty"`
	Until  string `json:"until,omitempty"`
}

// MembershipRecord puts a person into a family. Family is the agency's own
// name for it; it opens records only when children's social care sends or confirms it.
type MembershipRecord struct {
	Family string `json:"family"`
	Person string `json:"person"` // local id
	Role   string `json:"role"`
	From   string `json:"from,omitempty"`
	Until  string `json:"until,omitempty"`
}

// RelationshipRecord ties two people of the same sender.
type RelationshipRecord struct {
	From           string `json:"from"`
	To             string `json:"to"`
	Kind           string `json:"kind"`
	Status         string `json:"status,omitempty"`
	Responsibility bool   `json:"parental_responsibility,omitempty"`
	Since          string `json:"since,omitempty"`
	Until          string `json:"until,omitempty"`
}

// HarmRecord is an allegation of harm by one person to another.
type HarmRecord struct {
	By    string `json:"by"`
	To    string `json:"to"`
	Since string `json:"since,omitempty"`
	Until string `json:"until,omitempty"`
}

// EpisodeRecord is open work of a child.
type EpisodeRecord struct {
	LocalID string `json:"local_id"`
	Person  string `json:"person"`
	Kind    string `json:"kind"`
	Rating  string `json:"rating,omitempty"`
	From    string `json:"from"`
	Until   string `json:"until,omitempty"`
}

// InvolvementRecord is who works with a person, from the agency's own system.
type InvolvementRecord struct {
	LocalID string `json:"local_id"`
	Person  string `json:"person"`
	Worker  string `json:"worker,omitempty"` // case-system id of the worker, "scheme:value"
	Team    string `json:"team,omitempty"`
	Role    string `json:"role,omitempty"`
	From    string `json:"from"`
	Until   string `json:"until,omitempty"`
}

// ToldRecord is what was told to, and agreed by, a person.
type ToldRecord struct {
	Person  string `json:"person"`
	Purpose string `json:"purpose"`
	Agreed  string `json:"agreed"`
	Told    string `json:"told"`
	Why     string `json:"why,omitempty"`
	At      string `json:"at"`
	Review  string `json:"review,omitempty"`
}

// EntryRecord is one entry. The sender owns it.
type EntryRecord struct {
	LocalID     string         `json:"local_id"`
	Section     string         `json:"section"`
	Schema      string         `json:"schema,omitempty"`
	Source      string         `json:"source"` // fact, allegation, opinion, self-report, third-party
	About       []string       `json:"about"`
	Mentions    []string       `json:"mentions,omitempty"`
	Handling    string         `json:"handling,omitempty"`
	Existence   bool           `json:"existence_may_be_shown,omitempty"`
	Sensitivity int            `json:"sensitivity,omitempty"` // 0 = the section's
	Event       string         `json:"event,omitempty"`       // a day, "2024-06", or words: "summer 2024"
	EventUntil  string         `json:"event_until,omitempty"`
	Recorded    string         `json:"recorded,omitempty"`
	Contains    []string       `json:"contains"` // absent (null) = not tagged; [] = repeats nothing
	Flags       []string       `json:"flags,omitempty"`
	Onward      string         `json:"onward_label,omitempty"`
	Language    string         `json:"language,omitempty"`
	Content     map[string]any `json:"content,omitempty"`
	Summary     *SharedSummary `json:"summary,omitempty"`
	Purge       bool           `json:"purge,omitempty"`
	Author      uuid.UUID      `json:"-"`
}

// SharedSummary is the authored text that other agencies get of a narrative section.
type SharedSummary struct {
	Text   string `json:"text"`
	By     string `json:"by"`
	On     string `json:"on"`
	Review string `json:"review,omitempty"`
}
