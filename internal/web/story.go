package web

import (
	"slices"

	"github.com/google/uuid"
)

// storyCard is one child's story: own words first, then what was seen.
type storyCard struct {
	Name, Age, Anchor string
	Own               []entryCard // the child's own words
	Told              []entryCard // seen by others, and shared summaries
	New               bool
}

// storyMost is how many of each stand on the family page; the part has them all.
const storyMost = 2

// stories puts the child's story first, a card for each child asked about of
// whom a story was released.
func (r *record) stories() []storyCard {
	var out []storyCard
	for _, id := range r.order {
		p := r.persons[id]
		if !p.Child {
			continue
		}
		s := storyCard{Name: p.Name, Age: p.Age, Anchor: "story-" + id.String()}
		for _, c := range about(r.of("childs-story"), id) {
			own, _ := c.content["in_own_words"].(bool)
			switch {
			case own && len(s.Own) < storyMost:
				s.Own = append(s.Own, c)
			case !own && len(s.Told) < storyMost:
				s.Told = append(s.Told, c)
			default:
				continue
			}
			s.New = s.New || c.New
		}
		if len(s.Own)+len(s.Told) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// Quote is the text of a story, whole or as its shared summary.
func (c entryCard) Quote() string {
	if t := c.text("text"); t != "" {
		return t
	}
	return c.text("shared_summary")
}

// vulnerability is one of the three at a glance: in words, from what this
// reader was released; no score and no colour.
type vulnerability struct {
	Name     string
	Last     string
	Day      string
	Source   string
	Anchor   string
	Entries  int
	Services int
	Nothing  bool
}

// trio says which parts of the record tell of which vulnerability.
func trio() []struct {
	key      string
	sections []string
} {
	return []struct {
		key      string
		sections []string
	}{
		{"trio.da", []string{"da-risk", "da-victim-safety", "da-perpetrator-work", "marac", "police-events"}},
		{"trio.sm", []string{"sm-involvement", "sm-risk", "sm-clinical"}},
		{"trio.mh", []string{"mh-involvement", "mh-risk", "mh-clinical"}},
	}
}

// vulnerabilities draws the three boxes, or none where nothing was released for
// any of them.
func (r *record) vulnerabilities() []vulnerability {
	var out []vulnerability
	any := false
	for _, t := range trio() {
		v := vulnerability{Name: r.words.say(t.key)}
		cards := r.of(t.sections...)
		var owners []string
		for _, c := range cards {
			if !slices.Contains(owners, c.Owner) {
				owners = append(owners, c.Owner)
			}
		}
		v.Entries, v.Services, v.Nothing = len(cards), len(owners), len(cards) == 0
		if len(cards) > 0 {
			any = true
			c := cards[0]
			v.Last, v.Day, v.Source, v.Anchor = c.gist(), c.Recorded, c.Owner, c.Anchor()
		}
		out = append(out, v)
	}
	if !any {
		return nil
	}
	return out
}

// gist is an entry in one sentence: its first text, else its heading.
func (c entryCard) gist() string {
	for _, f := range c.Fields {
		if !f.Masked && len(f.Text) > 20 {
			return c.Heading + ": " + f.Text
		}
	}
	return c.Heading
}

// ChecklistItem is one thing that each child's record must hold up to date: an
// entry in a part, not older than so many days. The first two of the
// "Wandsworth 5" are shipped; a partnership adds its own.
type ChecklistItem struct {
	Name    string
	Section string
	Days    int
}

// ChronologySection stands for the chronology of all agencies, which no part of
// the record holds alone: any dated entry about the child counts.
const ChronologySection = "*"

// DefaultChecklist is items 1 and 2.
func DefaultChecklist() []ChecklistItem {
	return []ChecklistItem{{"Case summary", "case-summary", 90}, {"Chronology", ChronologySection, 30}}
}

type checkTable struct {
	Children []string
	Rows     []checkRow
}

type checkRow struct {
	Name  string
	Cells []checkCell
}

type checkCell struct {
	Child string
	State string // current, old, nothing
	Day   string
}

// checklist shows, child by child, what is up to date, old or not there. Not
// there means that nothing was shared with this reader.
func (r *record) checklist(items []ChecklistItem) *checkTable {
	t := &checkTable{}
	var kids []uuid.UUID
	for _, id := range r.order {
		if r.persons[id].Child {
			kids = append(kids, id)
			t.Children = append(t.Children, r.name(id))
		}
	}
	any := false
	for _, item := range items {
		row := checkRow{Name: item.Name}
		for _, id := range kids {
			cell := checkCell{Child: r.name(id), State: "nothing"}
			cards := r.of(item.Section)
			if item.Section == ChronologySection {
				cards = r.dated()
			}
			for _, c := range about(cards, id) {
				any = true
				if c.Recorded > cell.Day {
					cell.Day = c.Recorded
				}
			}
			if cell.Day != "" {
				cell.State = "current"
				if cell.Day < r.now.AddDate(0, 0, -item.Days).Format("2006-01-02") {
					cell.State = "old"
				}
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	if !any {
		return nil
	}
	return t
}
