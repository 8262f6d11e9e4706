package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"kith/internal/identity"
)

// Question is who asks of a story's family, and for what: one that the story
// itself asks, or another.
type Question struct {
	Story   string   `json:"story"` // stories/police-and-treatment.yaml
	Who     string   `json:"who,omitempty"`
	Agency  string   `json:"agency"`
	Kind    string   `json:"kind"` // of the agency; "": its code
	Role    string   `json:"role"`
	Purpose string   `json:"purpose"`
	Mine    []string `json:"mine"` // people of the story with whom the asker works
	Is      []string `json:"is,omitempty"`
}

// Tried is one question put to two versions.
type Tried struct {
	Title    string       `json:"title"`
	Question Question     `json:"question"`
	Refused  [2]string    `json:"refused"` // before, after; "" = answered
	Entries  []TriedEntry `json:"entries"`
}

// TriedEntry is one entry of a story as each version shows it.
type TriedEntry struct {
	Name    string   `json:"name"`
	Section string   `json:"section"`
	Owner   string   `json:"owner"`
	About   []string `json:"about"`
	Before  Entry    `json:"before"`
	After   Entry    `json:"after"`
}

// Differs tells whether the two versions show it otherwise.
func (e TriedEntry) Differs() bool {
	return e.Before.Level != e.After.Level || !slices.Equal(e.Before.Masked, e.After.Masked) || !slices.Equal(e.Before.Labels, e.After.Labels)
}

// Differs tells whether anything of the answer differs.
func (t Tried) Differs() bool {
	return t.Refused[0] != t.Refused[1] || slices.ContainsFunc(t.Entries, TriedEntry.Differs)
}

// StoryLine is a story as somebody chooses it.
type StoryLine struct {
	File   string   `json:"file"`
	Title  string   `json:"title"`
	People []string `json:"people"`
	// Children are those of the people who are children of the family.
	Children []string   `json:"children"`
	Asks     []Question `json:"asks"`
}

// Stories lists the stories of a draft, by title. None of them is a real family.
func (d Draft) Stories() ([]StoryLine, error) {
	b, err := d.pack()
	if err != nil {
		return nil, err
	}
	return b.storyLines()
}

// Stories lists the stories of a stored version.
func (o *Office) Stories(ctx context.Context, p identity.Principal, digest Digest) ([]StoryLine, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	b, err := o.bundle(ctx, digest)
	if err != nil {
		return nil, err
	}
	return b.storyLines()
}

func (b Bundle) storyLines() ([]StoryLine, error) {
	files, err := b.FS()
	if err != nil {
		return nil, err
	}
	stories, err := loadStories(files)
	if err != nil {
		return nil, &DraftError{Text: err.Error()}
	}
	var out []StoryLine
	for _, s := range stories {
		line := StoryLine{File: s.file, Title: s.Title, People: sortedKeys(s.People)}
		for _, name := range line.People {
			if s.People[name].Child {
				line.Children = append(line.Children, name)
			}
		}
		for _, a := range s.Asks {
			line.Asks = append(line.Asks, a.question(s))
		}
		out = append(out, line)
	}
	return out, nil
}

func (a storyAsk) question(s story) Question {
	q := Question{Story: s.file, Who: a.Who, Agency: a.Agency, Kind: a.Kind, Purpose: a.Purpose, Mine: sortedSet(append(slices.Clone(a.Mine), a.Allocated...)), Is: a.Is}
	if q.Kind == "" {
		q.Kind = s.Agencies[a.Agency]
	}
	if len(a.Roles) > 0 {
		q.Role = a.Roles[0]
	}
	return q
}

// Try puts questions to the active version and to a draft, in the sandbox. No
// question at all puts every question of the draft's stories and gives those
// whose answers differ: the examples of a change. A zero draft is the active
// version itself. Errors: *DraftError, ErrSandboxLimit.
func (o *Office) Try(ctx context.Context, p identity.Principal, draft uuid.UUID, questions ...Question) ([]Tried, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	head, err := Head(ctx, o.Pool, o.Partnership)
	if err != nil {
		return nil, err
	}
	before, err := o.bundle(ctx, head)
	if err != nil {
		return nil, err
	}
	after := before
	if draft != uuid.Nil {
		d, err := o.Draft(ctx, p, draft)
		if err != nil {
			return nil, err
		}
		if after, err = d.pack(); err != nil {
			return nil, err
		}
	}
	kinds, err := o.kinds(ctx)
	if err != nil {
		return nil, err
	}
	questions = slices.Clone(questions)
	for i, q := range questions {
		if q.Kind == "" {
			questions[i].Kind = kinds[q.Agency]
		}
	}
	return o.Sandbox.Try(ctx, before, after, questions)
}

// Examples puts every question of a proposal's stories to both of its versions
// and gives those whose answers differ.
func (o *Office) Examples(ctx context.Context, p identity.Principal, before, after Digest) ([]Tried, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	a, err := o.bundle(ctx, before)
	if err != nil {
		return nil, err
	}
	b, err := o.bundle(ctx, after)
	if err != nil {
		return nil, err
	}
	return o.Sandbox.Try(ctx, a, b, nil)
}

// Try is Office.Try for two versions at hand.
func (s Sandbox) Try(ctx context.Context, before, after Bundle, questions []Question) ([]Tried, error) {
	v, err := s.run(ctx, job{Before: &before, After: after, Try: &trial{Questions: questions}})
	if err != nil {
		return nil, err
	}
	return v.Tried, nil
}

// trial is the sandbox's work for Try.
type trial struct {
	Questions []Question `json:"questions"`
}

// mostExamples bounds what one page can hold.
const mostExamples = 40

func (t trial) put(ctx context.Context, before, after Bundle) ([]Tried, error) {
	old, err := Activate(before, Options{Deadline: testDeadline})
	if err != nil {
		return nil, fmt.Errorf("version before: %w", err)
	}
	fresh, err := Activate(after, Options{Deadline: testDeadline})
	if err != nil {
		return nil, err
	}
	files, err := after.FS()
	if err != nil {
		return nil, err
	}
	stories, err := loadStories(files)
	if err != nil {
		return nil, err
	}
	var out []Tried
	for i, q := range t.Questions {
		if err := q.check(fresh.version, stories); err != nil {
			return nil, fmt.Errorf("question %d: %w", i+1, err)
		}
	}
	for _, s := range stories {
		if len(t.Questions) == 0 {
			for _, ask := range s.Asks {
				got, err := s.compare(ctx, ask, old, fresh)
				if err != nil {
					return nil, err
				}
				if got.Differs() && len(out) < mostExamples {
					out = append(out, got)
				}
			}
			continue
		}
		for _, q := range t.Questions {
			if q.Story != s.file {
				continue
			}
			got, err := s.compare(ctx, s.asked(q), old, fresh)
			if err != nil {
				return nil, err
			}
			out = append(out, got)
		}
	}
	return out, nil
}

// check names what nobody knows of a question.
func (q Question) check(v *Version, stories []story) error {
	at := slices.IndexFunc(stories, func(s story) bool { return s.file == q.Story })
	if at < 0 {
		return fmt.Errorf("story: unknown story %q", q.Story)
	}
	s := stories[at]
	if _, own := s.own(q); own {
		return nil
	}
	kind := cmp.Or(q.Kind, s.Agencies[q.Agency], q.Agency)
	if _, ok := v.Kind(kind); !ok {
		return fmt.Errorf("agency: unknown agency %q", q.Agency)
	}
	if _, ok := v.Role(q.Role); !ok {
		return fmt.Errorf("role: unknown role %q", q.Role)
	}
	if _, ok := v.Purpose(q.Purpose); !ok {
		return fmt.Errorf("purpose: unknown purpose %q", q.Purpose)
	}
	for _, name := range q.Mine {
		if _, ok := s.People[name]; !ok {
			return fmt.Errorf("mine: nobody of the story is %q", name)
		}
	}
	return nil
}

// own is the story's own ask, with all its facts, where the question is one of
// those.
func (s story) own(q Question) (storyAsk, bool) {
	for _, a := range s.Asks {
		own := a.question(s)
		if own.Agency == q.Agency && own.Role == q.Role && own.Purpose == q.Purpose && slices.Equal(own.Mine, sortedSet(q.Mine)) && slices.Equal(sortedSet(own.Is), sortedSet(q.Is)) {
			return a, true
		}
	}
	return storyAsk{}, false
}

// asked is what a question asks of the story.
func (s story) asked(q Question) storyAsk {
	if a, own := s.own(q); own {
		return a
	}
	return storyAsk{Who: q.Who, Agency: q.Agency, Kind: q.Kind, Roles: []string{q.Role}, Purpose: q.Purpose, Mine: q.Mine, Is: q.Is}
}

func (s story) compare(ctx context.Context, ask storyAsk, before, after *Active) (Tried, error) {
	t := Tried{Title: s.Title, Question: ask.question(s), Entries: []TriedEntry{}}
	var names []string
	for i, a := range []*Active{before, after} {
		in, entries, problems := s.input(a.version, ask)
		if len(problems) > 0 && i == 1 {
			return t, fmt.Errorf("%s: %s", s.file, problems[0])
		}
		names = entries
		d, err := a.Decide(ctx, in)
		if err != nil {
			return t, fmt.Errorf("%s: %w", s.file, errors.Join(err))
		}
		t.Refused[i] = d.Refusal
		for j, name := range names {
			if i == 0 {
				e := s.Entries[name]
				t.Entries = append(t.Entries, TriedEntry{Name: name, Section: e.Section, Owner: e.Owner, About: e.About})
			}
			if d.Allow && j < len(d.Entries) {
				if i == 0 {
					t.Entries[j].Before = d.Entries[j]
				} else {
					t.Entries[j].After = d.Entries[j]
				}
			}
		}
	}
	return t, nil
}
