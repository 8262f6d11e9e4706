package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// storyDay is the day of a story that names none.
const storyDay = "2026-11-20"

// A story tells one family once, then who asks and what each may see; it reads
// like the agreement, and every version must keep its stories. It is a file in
// stories/, strict YAML:
//
//	title: police see treatment only as a shared summary
//	people:
//	  kim: {child: true, open: [section-47], near: {mum: parent, dad: {kind: household, from: 2026-01-01}}}
//	  mum: {harmed_by: [dad], born: 1990-05-02, agreed: agreed, informed: told}
//	  dad: {}
//	entries:
//	  relapse: {section: sm-risk, owner: SM, about: [mum]}
//	asks:
//	  - who: a detective in the strategy discussion
//	    agency: POL
//	    roles: [detective]
//	    purpose: CP
//	    mine: [kim]
//	    want: {relapse: summary}
//
// An entry that want does not name must be hidden. In place of want stands
// refused, with a refusal code.
type story struct {
	file       string
	Title      string                    `yaml:"title"`
	Shows      []string                  `yaml:"shows"`
	Date       string                    `yaml:"date"`     // default 2026-11-20
	Agencies   map[string]string         `yaml:"agencies"` // agency → kind, where the code is not the kind
	Agreements map[string]storyAgreement `yaml:"agreements"`
	People     map[string]storyPerson    `yaml:"people"`
	Entries    map[string]storyEntry     `yaml:"entries"`
	Asks       []storyAsk                `yaml:"asks"`
}

// storyAgreement is how the live state of an agreement differs from its text.
type storyAgreement struct {
	From    string            `yaml:"from"`
	Review  string            `yaml:"review"`
	End     string            `yaml:"end"`
	Parties map[string]string `yaml:"parties"`
}

// storyPerson is a person as the family's facts have them.
type storyPerson struct {
	Child     bool                  `yaml:"child"`
	Unborn    bool                  `yaml:"unborn"`
	Told      bool                  `yaml:"told"`
	Open      []string              `yaml:"open"`
	Rating    string                `yaml:"rating"`
	Protected string                `yaml:"protected"`
	Agreed    string                `yaml:"agreed"`   // agreed, declined, withdrawn or not-asked, for the purpose asked
	Informed  string                `yaml:"informed"` // told or not-told, for the purpose asked
	Born      string                `yaml:"born"`     // a day; without it the age is unknown
	HarmedBy  []string              `yaml:"harmed_by"`
	Near      map[string]storySpans `yaml:"near"`
	Parents   []string              `yaml:"parents"` // default: parents and carers on the day
}

// storySpans is written as a kind, as one span or as a list of spans.
type storySpans []Span

// UnmarshalYAML reads the three forms.
func (s *storySpans) UnmarshalYAML(node *yaml.Node) error {
	type span struct {
		Kind  string `yaml:"kind"`
		From  string `yaml:"from"`
		Until string `yaml:"until"`
	}
	var spans []span
	var err error
	switch node.Kind {
	case yaml.ScalarNode:
		spans = []span{{Kind: node.Value}}
	case yaml.MappingNode:
		spans = make([]span, 1)
		err = strictly(node, &spans[0])
	default:
		err = strictly(node, &spans)
	}
	if err != nil {
		return err
	}
	for _, one := range spans {
		if !slices.Contains([]string{"parent", "carer", "household", "contact"}, one.Kind) {
			return fmt.Errorf("line %d: near: unknown kind %q", node.Line, one.Kind)
		}
		*s = append(*s, Span(one))
	}
	return nil
}

// storyEntry is the facts of one entry; what is left out comes from its section.
type storyEntry struct {
	Section     string   `yaml:"section"`
	Owner       string   `yaml:"owner"`
	About       []string `yaml:"about"`
	Mentions    []string `yaml:"mentions"`
	Sensitivity int      `yaml:"sensitivity"` // default: the section's
	Source      string   `yaml:"source"`      // default: fact
	Handling    string   `yaml:"handling"`
	Existence   bool     `yaml:"existence"`
	Narrative   *bool    `yaml:"narrative"` // default: the section's
	Tagged      *bool    `yaml:"tagged"`    // default: true
	Contains    []string `yaml:"contains"`
	Flags       []string `yaml:"flags"`
	From        string   `yaml:"from"`
	Until       string   `yaml:"until"`
	Full        *bool    `yaml:"full"`    // default: true
	Summary     *bool    `yaml:"summary"` // default: true
	Schema      *string  `yaml:"schema"`  // default: the section's
	Fields      []string `yaml:"fields"`
}

// storyAsk is one caller with one question, and what must come of it.
type storyAsk struct {
	Who        string                    `yaml:"who"`
	Agency     string                    `yaml:"agency"`
	Kind       string                    `yaml:"kind"` // default: the agency's
	Roles      []string                  `yaml:"roles"`
	Purpose    string                    `yaml:"purpose"`
	Children   []string                  `yaml:"children"`
	Reason     *bool                     `yaml:"reason"` // default: true
	Mine       []string                  `yaml:"mine"`
	Ours       []string                  `yaml:"ours"`
	Allocated  []string                  `yaml:"allocated"`
	Restricted []string                  `yaml:"restricted"`
	Is         []string                  `yaml:"is"` // named, family-team, marac, lead, inactive
	Grants     []storyGrant              `yaml:"grants"`
	People     map[string]personPatch    `yaml:"people"`
	Agreements map[string]storyAgreement `yaml:"agreements"`

	Want     map[string]string      `yaml:"want"`
	Detail   map[string]storyDetail `yaml:"detail"`
	Refused  string                 `yaml:"refused"`
	Alerts   []string               `yaml:"alerts"`
	Answered []string               `yaml:"answered"`
	Declared *bool                  `yaml:"declared"`
}

type storyGrant struct {
	ID         string `yaml:"id"`
	Section    string `yaml:"section"`
	Person     string `yaml:"person"`
	Level      string `yaml:"level"`
	Giver      string `yaml:"giver"` // the agency that gave it
	BreakGlass bool   `yaml:"break_glass"`
	Approved   bool   `yaml:"approved"`
}

// storyDetail is what else must hold of an entry; what is not given is not looked at.
type storyDetail struct {
	Part    *string  `yaml:"part"`
	Masked  []string `yaml:"masked"`
	Keep    []string `yaml:"keep"`
	Labels  []string `yaml:"labels"`
	Clauses []string `yaml:"clauses"`
	Grant   *string  `yaml:"grant"`
	Reasons []string `yaml:"reasons"` // these must be among them
	Named   *bool    `yaml:"named"`
}

// personPatch is what differs about a person in one question.
type personPatch struct{ node *yaml.Node }

// UnmarshalYAML checks the fields now and keeps them for the merge.
func (p *personPatch) UnmarshalYAML(node *yaml.Node) error {
	p.node = node
	return strictly(node, &storyPerson{})
}

// strictly decodes a node and refuses unknown fields, which Node.Decode lets pass.
func strictly(node *yaml.Node, into any) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	return nil
}

// loadStories reads the stories of a version. A folder without any is no
// error, a file that cannot be read is one for all.
func loadStories(fsys fs.FS) ([]story, error) {
	entries, err := fs.ReadDir(fsys, "stories")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stories: %w", err)
	}
	var stories []story
	var problems []error
	for _, entry := range entries {
		if path.Ext(entry.Name()) != ".yaml" {
			continue
		}
		s, err := loadStory(fsys, path.Join("stories", entry.Name()))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		stories = append(stories, s)
	}
	return stories, errors.Join(problems...)
}

func loadStory(fsys fs.FS, file string) (story, error) {
	text, err := fs.ReadFile(fsys, file)
	if err != nil {
		return story{}, fmt.Errorf("read story: %w", err)
	}
	s := story{file: file, Date: storyDay}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&s); err != nil {
		return story{}, fmt.Errorf("%s: %w", file, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return story{}, fmt.Errorf("%s: more than one document", file)
	}
	if strings.TrimSpace(s.Title) == "" || len(s.Asks) == 0 {
		return story{}, fmt.Errorf("%s: a story needs a title and somebody who asks", file)
	}
	return s, nil
}
