package proof

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Level says how much of an entry was released. The zero value is hidden; the
// numbers are those of the policy's levels.
type Level uint8

// The four levels, least first.
const (
	Hidden Level = iota
	Existence
	Summary
	Full
)

// String is the level's code.
func (l Level) String() string {
	switch l {
	case Existence:
		return "existence"
	case Summary:
		return "summary"
	case Full:
		return "full"
	}
	return "hidden"
}

// UnmarshalText reads a level's code; an unknown one is an error.
func (l *Level) UnmarshalText(text []byte) error {
	for c := Hidden; c <= Full; c++ {
		if c.String() == string(text) {
			*l = c
			return nil
		}
	}
	return fmt.Errorf("unknown level")
}

// EntryRef names one version of one entry.
type EntryRef struct {
	Entry   uuid.UUID
	Version int
}

// String is "ID/VERSION".
func (r EntryRef) String() string { return r.Entry.String() + "/" + strconv.Itoa(r.Version) }

// UnmarshalText reads "ID/VERSION".
func (r *EntryRef) UnmarshalText(text []byte) error {
	id, version, ok := strings.Cut(string(text), "/")
	if !ok {
		return fmt.Errorf("an entry is written ID/VERSION")
	}
	entry, err := uuid.Parse(id)
	if err != nil {
		return fmt.Errorf("entry id: %w", err)
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 {
		return fmt.Errorf("entry version is not a positive number")
	}
	*r = EntryRef{Entry: entry, Version: n}
	return nil
}

// Terms are entries that were released on the same terms.
type Terms struct {
	Clauses     []string   `json:"clauses"` // agreement clauses that allowed it
	Entries     []EntryRef `json:"entries"` // empty where only an agency's involvement was told
	Grant       string     `json:"grant"`
	Labels      []string   `json:"labels"` // obligations that travelled with it
	Level       Level      `json:"level"`
	Masked      []string   `json:"masked"` // fields withheld by the rule
	Owner       string     `json:"owner"`  // agency
	Part        string     `json:"part"`   // "full", "summary" or "" (no content)
	Section     string     `json:"section"`
	Sensitivity int        `json:"sensitivity"` // 1 ordinary … 4 legally restricted
}

func (e *enc) entry(r EntryRef) {
	e.uuid(r.Entry)
	e.b[len(e.b)-1] = '/' // instead of the closing quote
	e.b = strconv.AppendInt(e.b, int64(r.Version), 10)
	e.b = append(e.b, '"')
}

// size is about what terms take, so that encoding seldom has to move.
func size(list []Terms) int {
	n := 0
	for i := range list {
		n += 256 + 44*len(list[i].Entries)
	}
	return n
}

func (e *enc) terms(k string, list []Terms) {
	if len(list) == 0 {
		return
	}
	e.key(k)
	e.open('[')
	for i := range list {
		t := &list[i]
		if t.Level > Full {
			e.fail("%s: unknown level %d", k, t.Level)
		}
		e.sep()
		e.open('{')
		e.strs("clauses", t.Clauses)
		if len(t.Entries) > 0 {
			e.key("entries")
			e.open('[')
			for _, r := range t.Entries {
				e.sep()
				e.entry(r)
			}
			e.close(']')
		}
		e.str("grant", t.Grant)
		e.strs("labels", t.Labels)
		e.str("level", t.Level.String())
		e.strs("masked", t.Masked)
		e.str("owner", t.Owner)
		e.str("part", t.Part)
		e.str("section", t.Section)
		e.num("sensitivity", t.Sensitivity)
		e.close('}')
	}
	e.close(']')
}

// Principal is the verified caller.
type Principal struct {
	ACR     string    `json:"acr"`
	Client  string    `json:"client"`
	Issuer  string    `json:"issuer"`
	Name    string    `json:"name"`
	Roles   []string  `json:"roles"`
	Subject string    `json:"subject"`
	System  bool      `json:"system"`
	Worker  uuid.UUID `json:"worker"`
}

func (p *Principal) zero() bool {
	return p.ACR == "" && p.Client == "" && p.Issuer == "" && p.Name == "" && len(p.Roles) == 0 && p.Subject == "" && !p.System && p.Worker == uuid.Nil
}

// Label is what a search may find the caller by: a worker's name, or a
// client's id.
func (p *Principal) Label() string {
	if p.Name != "" {
		return p.Name
	}
	return p.Client
}

// Common is the payload part of the event as a whole.
type Common struct {
	Causes    []string          `json:"causes"`   // codes behind a refusal: for the auditor alone
	Children  []uuid.UUID       `json:"children"` // of a refused request those asked for, never those found
	Count     int               `json:"count"`    // entries released
	Declared  bool              `json:"declared"`
	Details   map[string]string `json:"details"` // specific to the kind
	Emergency bool              `json:"emergency"`
	Family    uuid.UUID         `json:"family"`
	Principal Principal         `json:"principal"`
	Purpose   string            `json:"purpose"`
	Reason    string            `json:"reason"`
	Refusal   string            `json:"refusal"`
	Released  []Terms           `json:"released"` // what is about nobody
	Request   string            `json:"request"`
	Search    map[string]string `json:"search"`
	V         int               `json:"v"` // written as 1
}

// Encode gives the canonical bytes.
func (c *Common) Encode() ([]byte, error) {
	e := enc{b: make([]byte, 0, 1024+len(c.Reason)+size(c.Released))}
	e.open('{')
	e.strs("causes", c.Causes)
	e.ids("children", c.Children)
	e.num("count", c.Count)
	e.flag("declared", c.Declared)
	e.pairs("details", c.Details)
	e.flag("emergency", c.Emergency)
	e.id("family", c.Family)
	if p := &c.Principal; !p.zero() {
		e.key("principal")
		e.open('{')
		e.str("acr", p.ACR)
		e.str("client", p.Client)
		e.str("issuer", p.Issuer)
		e.str("name", p.Name)
		e.strs("roles", p.Roles)
		e.str("subject", p.Subject)
		e.flag("system", p.System)
		e.id("worker", p.Worker)
		e.close('}')
	}
	e.str("purpose", c.Purpose)
	e.str("reason", c.Reason)
	e.str("refusal", c.Refusal)
	e.terms("released", c.Released)
	e.str("request", c.Request)
	e.pairs("search", c.Search)
	e.num("v", 1)
	e.close('}')
	return e.done()
}

// DecodeCommon reads a canonical common part. Errors: ErrVersion, ErrCanonical.
func DecodeCommon(data []byte) (Common, error) {
	r := reader{b: data}
	c := r.common()
	if r.done() && written(&c, data) {
		return c, nil
	}
	c = Common{}
	if err := decode(data, &c); err != nil {
		return Common{}, fmt.Errorf("common part: %w", err)
	}
	return c, nil
}

// Subject is the payload part of one person concerned.
type Subject struct {
	Person   uuid.UUID `json:"person"`
	Released []Terms   `json:"released"`
	V        int       `json:"v"` // written as 1
}

// Encode gives the canonical bytes.
func (s *Subject) Encode() ([]byte, error) {
	if s.Person == uuid.Nil {
		return nil, fmt.Errorf("subject part: a person must be given")
	}
	e := enc{b: make([]byte, 0, 64+size(s.Released))}
	e.open('{')
	e.id("person", s.Person)
	e.terms("released", s.Released)
	e.num("v", 1)
	e.close('}')
	return e.done()
}

// DecodeSubject reads a canonical subject part. Errors: ErrVersion, ErrCanonical.
func DecodeSubject(data []byte) (Subject, error) {
	r := reader{b: data}
	s := r.subject()
	if r.done() && written(&s, data) {
		return s, nil
	}
	s = Subject{}
	if err := decode(data, &s); err != nil {
		return Subject{}, fmt.Errorf("subject part: %w", err)
	}
	return s, nil
}
