package disclosure

import (
	"encoding/json"
	"sort"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// View is what one query released: what a face may show, and nothing else.
// Everything in it (members, holders, order, counts) is computed from what was
// released, so that a hidden entry changes no byte of it.
type View struct {
	Family   uuid.UUID     `json:"family"`
	Ref      string        `json:"ref"`
	Purpose  string        `json:"purpose"`
	Children []uuid.UUID   `json:"children"`
	Declared bool          `json:"declared"`
	Members  []Member      `json:"members"`
	Links    []Link        `json:"links"`
	Couples  []Couple      `json:"couples,omitempty"`
	Harm     []AllegedHarm `json:"alleged_harm,omitempty"`
	Told     []Told        `json:"told_and_agreed,omitempty"`
	Sections []SectionView `json:"sections"`
	Holders  []Holder      `json:"holders"`
	Notice   Notice        `json:"notice"`
	Policy   policy.Digest `json:"policy"`
	Receipt  string        `json:"receipt"`
}

// Member is somebody of the family, as far as released identity and family
// links tell.
type Member struct {
	ID    uuid.UUID `json:"id"`
	Name  string    `json:"name,omitempty"`
	Roles []string  `json:"roles,omitempty"`
}

// SectionView is one part of the record with its released entries.
type SectionView struct {
	Section string      `json:"section"`
	Name    string      `json:"name"`
	Entries []EntryView `json:"entries"`
}

// EntryView is one released entry. Dates are days (YYYY-MM-DD) or as said.
type EntryView struct {
	ID            uuid.UUID       `json:"id"`
	Version       int             `json:"version"`
	Owner         string          `json:"owner"`
	Level         policy.Level    `json:"level"`
	Source        string          `json:"source"`
	Dates         Dates           `json:"dates"`
	Subjects      []uuid.UUID     `json:"subjects"`
	Content       json.RawMessage `json:"content"`
	SummaryBy     string          `json:"summary_by,omitempty"`
	SummaryOn     string          `json:"summary_on,omitempty"`
	SummaryReview string          `json:"summary_review,omitempty"`
	OutOfDate     bool            `json:"out_of_date,omitempty"`
	Masked        []string        `json:"masked"`
	Clauses       []string        `json:"clauses"`
	Label         []string        `json:"label"`
	Onward        string          `json:"onward,omitempty"`
	Language      string          `json:"language,omitempty"`
	Grant         string          `json:"grant,omitempty"`
	Reason        string          `json:"reason"`
	AccountOf     *uuid.UUID      `json:"account_of,omitempty"`
	Questioned    bool            `json:"questioned,omitempty"`

	latest bool
	kept   *Kept // where the reader's agency owns it
}

// Dates of an entry: what it tells of, and when it was written down.
type Dates struct {
	Event      string `json:"event,omitempty"`
	EventUntil string `json:"event_until,omitempty"`
	Words      string `json:"words,omitempty"`
	Recorded   string `json:"recorded"`
}

// Holder is an agency that holds something that is not shown: by name where
// its kind is plain, else only a neutral way to ask.
type Holder struct {
	Contact string `json:"contact"`
	Agency  string `json:"agency,omitempty"`
}

// Notice stands on every answer: "not found" must never be read as "nothing known".
type Notice struct {
	Text        string   `json:"text"`
	Call        Call     `json:"call"`
	NotFeeding  []string `json:"not_feeding"`
	FeedingLate []string `json:"feeding_late"`
}

// Call is whom to ring.
type Call struct {
	Mash       string `json:"mash"`
	OutOfHours string `json:"out_of_hours"`
}

const noticeText = "This may not be all that is known. Not finding something here does not mean that nothing is known: call the MASH, or the out-of-hours team."

// shown is one released entry on its way into the view.
type shown struct {
	facts   *family.EntryFacts
	verdict *policy.Entry
	part    int64
}

// view puts released entries together. bodies holds the content by part, read
// after the access was logged.
func view(p identity.Principal, q question, f family.Facts, d policy.Decision, v *policy.Version, released []shown, bodies map[int64]json.RawMessage, desk Desk, now time.Time) View {
	out := View{
		Family: f.Family, Ref: f.Ref, Purpose: q.input.Request.Purpose, Declared: d.Declared,
		Children: q.ids(d.Children), Members: []Member{}, Sections: []SectionView{}, Holders: []Holder{},
	}
	bySection := map[string][]EntryView{}
	members := newMembers(f, q.ids(d.Children))
	var current []shown
	for _, s := range released {
		body := bodies[s.part]
		if body == nil {
			continue // the row policy of the database closed it: nothing is shown that was not opened
		}
		e := entryView(s, body, now)
		e.latest = !s.facts.Earlier
		if s.facts.Owner == p.Agency {
			e.kept = keptOf(s.facts)
		}
		bySection[s.facts.Section] = append(bySection[s.facts.Section], e)
		if s.facts.Earlier {
			continue // what was corrected names nobody and ties nobody
		}
		members.add(s.facts, body)
		current = append(current, s)
	}
	out.Members = members.list()
	out.Links = links(current, bodies, out.Members)
	out.Couples = couples(f, out.Links, out.Members)
	out.Harm = harms(f, current, out.Members)
	out.Told = told(p, f, v, current, out.Members)
	pairAccounts(bySection)
	for _, section := range v.Sections {
		entries := bySection[section.Code]
		if len(entries) == 0 {
			continue
		}
		sort.SliceStable(entries, func(i, j int) bool { return newer(entries[i], entries[j]) })
		out.Sections = append(out.Sections, SectionView{Section: section.Code, Name: section.Name, Entries: entries})
	}
	out.Holders = holders(q, f, d, desk)
	return out
}

func entryView(s shown, body json.RawMessage, now time.Time) EntryView {
	e := s.facts
	x := EntryView{
		ID: e.Entry, Version: e.Version, Owner: e.Owner, Level: s.verdict.Level, Source: e.SourceKind,
		Dates:    Dates{Event: dayOf(e.EventFrom), EventUntil: dayOf(e.EventUntil), Words: e.EventWords, Recorded: e.RecordedOn.Format(time.DateOnly)},
		Subjects: append([]uuid.UUID{}, e.About...), Content: body,
		Masked: list(s.verdict.Masked), Clauses: list(s.verdict.Clauses), Label: list(s.verdict.Labels),
		Language: e.Language, Grant: s.verdict.Grant, AccountOf: e.EventOf, Questioned: e.Questioned, Reason: why(s.verdict),
	}
	if len(x.Label) > 0 {
		x.Onward = e.OnwardLabel
	}
	if s.verdict.Part == "summary" {
		x.SummaryBy = e.SummaryBy
		x.SummaryOn = dayOf(e.SummaryOn)
		x.SummaryReview = dayOf(e.SummaryReview)
		x.OutOfDate = e.SummaryReview != nil && e.SummaryReview.Before(now.Truncate(24*time.Hour))
	}
	return x
}

// pairAccounts keeps the link between accounts of one event only where at
// least two of them were released: a lone "account 1" would tell of another.
func pairAccounts(bySection map[string][]EntryView) {
	count := map[uuid.UUID]int{}
	for _, entries := range bySection {
		for _, e := range entries {
			if e.AccountOf != nil {
				count[*e.AccountOf]++
			}
		}
	}
	for _, entries := range bySection {
		for i := range entries {
			if of := entries[i].AccountOf; of != nil && count[*of] < 2 {
				entries[i].AccountOf = nil
			}
		}
	}
}

// why says in one sentence what allowed this entry. Reasons are given only for
// what is shown.
func why(e *policy.Entry) string {
	switch {
	case e.Grant != "":
		return "Opened by a named grant."
	case len(e.Clauses) == 0:
		return "Your agency's own information."
	}
	return "Allowed by " + join(e.Clauses) + "."
}

func join(s []string) string {
	out := ""
	for i, v := range s {
		if i > 0 {
			out += ", "
		}
		out += v
	}
	return out
}

// newer orders a section: newest event first; what has no date stands last;
// ids, which are random, settle the rest.
func newer(a, b EntryView) bool {
	when := func(e EntryView) string {
		if e.Dates.Event != "" {
			return e.Dates.Event
		}
		return e.Dates.Recorded
	}
	if wa, wb := when(a), when(b); wa != wb {
		return wa > wb
	}
	return less(a.ID, b.ID)
}

// holders lists agencies that are known to hold something at level existence,
// once per agency, and nothing about what or whom. Lines for unnamed services
// are equal, so their order tells nothing.
func holders(q question, f family.Facts, d policy.Decision, desk Desk) []Holder {
	named := map[string]bool{}
	unnamed := map[string]bool{}
	for i := range f.Entries {
		verdict := &d.Entries[q.tuple[i]]
		if !verdict.Holder {
			continue
		}
		if verdict.Named {
			named[f.Entries[i].Owner] = true
		} else {
			unnamed[f.Entries[i].Owner] = true
		}
	}
	out := []Holder{}
	for _, agency := range keys(named) {
		contact := desk.Contacts[agency]
		if contact == "" {
			contact = desk.Neutral
		}
		out = append(out, Holder{Contact: contact, Agency: agency})
	}
	for range unnamed {
		out = append(out, Holder{Contact: "A partner service. " + desk.Neutral})
	}
	return out
}

// members collects who may be named.
type members struct {
	facts map[uuid.UUID]family.PersonFacts
	child map[uuid.UUID]bool
	seen  map[uuid.UUID]*Member
	tied  map[uuid.UUID]bool
}

func newMembers(f family.Facts, children []uuid.UUID) *members {
	m := &members{facts: map[uuid.UUID]family.PersonFacts{}, child: map[uuid.UUID]bool{}, seen: map[uuid.UUID]*Member{}, tied: map[uuid.UUID]bool{}}
	for _, p := range f.People {
		m.facts[p.ID] = p
	}
	for _, id := range children {
		m.child[id] = true
	}
	return m
}

// add takes what a released identity or family-links entry tells. A name comes
// only from released content; a role only where family links were released.
func (m *members) add(e *family.EntryFacts, body json.RawMessage) {
	if e.Section != "identity" && e.Section != "family-links" {
		return
	}
	for _, id := range e.About {
		person, known := m.facts[id]
		if !known {
			continue
		}
		x := m.seen[id]
		if x == nil {
			x = &Member{ID: id}
			m.seen[id] = x
		}
		switch e.Section {
		case "identity":
			if len(e.About) == 1 && x.Name == "" {
				x.Name = nameIn(body)
			}
		case "family-links":
			x.Roles = person.Roles
		}
	}
	if e.Section == "family-links" {
		// The adult whom the link ties to the child: who is already listed gets a
		// role, and nobody is listed for being mentioned.
		for _, id := range e.Mentions {
			m.tied[id] = true
		}
	}
}

func (m *members) list() []Member {
	out := make([]Member, 0, len(m.seen))
	for id, x := range m.seen {
		if m.tied[id] && x.Roles == nil {
			x.Roles = m.facts[id].Roles
		}
		out = append(out, *x)
	}
	sort.Slice(out, func(i, j int) bool {
		if a, b := m.child[out[i].ID], m.child[out[j].ID]; a != b {
			return a // the children first
		}
		return less(out[i].ID, out[j].ID)
	})
	return out
}

// nameIn reads the name in use out of a released identity entry.
func nameIn(body json.RawMessage) string {
	var name struct {
		Given   string `json:"given_name"`
		Family  string `json:"family_name"`
		KnownAs string `json:"known_as"`
	}
	if json.Unmarshal(body, &name) != nil {
		return ""
	}
	given := name.Given
	if given == "" {
		given = name.KnownAs
	}
	switch {
	case given == "":
		return name.Family
	case name.Family == "":
		return given
	}
	return given + " " + name.Family
}

// ids turns local names back.
func (q question) ids(names []string) []uuid.UUID {
	out := make([]uuid.UUID, 0, len(names))
	for _, n := range names {
		if id, ok := q.people[n]; ok {
			out = append(out, id)
		}
	}
	sort.Slice(out, func(i, j int) bool { return less(out[i], out[j]) })
	return out
}

func keys(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func dayOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.DateOnly)
}
