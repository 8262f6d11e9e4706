package web

import (
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"
)

// drawing is the family as SVG: released members and links only. Its positions
// depend on nothing else, so that a hidden person moves nobody.
type drawing struct {
	Width, Height int
	Lines         []stroke
	Homes         []homeShape
	People        []figure
	Apart         bool // somebody stands apart, since no link was released
	Desc          string
}

type stroke struct {
	X1, Y1, X2, Y2 int
	Dotted         bool
	Broken         bool // lived together, not married
	Word           string
	WX, WY         int
}

type homeShape struct {
	X, Y, W, H int
	Name       string
}

// figure is one person: square male, circle female, diamond not recorded,
// triangle pregnancy; double outline for the children asked about; a cross for
// the dead.
type figure struct {
	X, Y              int
	Shape             string
	Double, Dead      bool
	Inside, Name, Sub string
	Anchor            string
}

// Sizes of the drawing, in CSS pixels at 1:1.
const (
	figureSize  = 40
	columnWidth = 132
	rowHeight   = 150
	margin      = 70
	apartFrom   = 45 // a home's shape keeps this far from the middle of whoever lives elsewhere
	drawMost    = 30 // more people than this are told in words alone
)

// generations gives each linked person a row: 0 for the youngest, upwards.
func (r *record) generations() map[uuid.UUID]int {
	row := map[uuid.UUID]int{}
	for range 6 { // a family has fewer generations than that
		for _, l := range r.view.Links {
			if _, ok := row[l.To]; !ok {
				row[l.To] = 0
			}
			if up := row[l.To] + steps(l.Relation); row[l.From] < up {
				row[l.From] = up
			}
		}
	}
	return row
}

// steps is how many rows above the child somebody stands.
func steps(relation string) int {
	relation = strings.ToLower(relation)
	switch {
	case strings.Contains(relation, "great-grand"):
		return 3
	case strings.Contains(relation, "grand"):
		return 2
	}
	return 1
}

// parental says whether a link is drawn as descent; others have a dotted line
// with their word.
func parental(relation string) bool {
	switch strings.ToLower(relation) {
	case "mother", "father", "parent":
		return true
	}
	return false
}

func (r *record) draw() *drawing {
	if len(r.order) == 0 || len(r.order) > drawMost {
		return nil
	}
	row := r.generations()
	top := 0
	for _, n := range row {
		top = max(top, n)
	}
	rows := make([][]uuid.UUID, top+1)
	d := &drawing{}
	var apart []uuid.UUID
	for _, id := range r.order {
		if n, ok := row[id]; ok {
			rows[n] = append(rows[n], id)
		} else {
			apart = append(apart, id)
		}
	}
	x := map[uuid.UUID]int{}
	for n := top; n >= 0; n-- {
		r.placeRow(rows, n, x)
	}
	r.betweenColumns(rows, x)
	// Who is not linked stands apart: the children with the children.
	for _, id := range apart {
		n := 0
		if !r.persons[id].Child && top > 0 {
			n = 1
		}
		row[id] = n
		rows[n] = append(rows[n], id)
		right := 0
		for _, other := range rows[n] {
			right = max(right, x[other])
		}
		if len(rows[n]) > 1 {
			right += columnWidth
		}
		x[id] = right
	}
	d.Apart = len(apart) > 0 && len(r.view.Links) > 0
	left, right := 0, 0
	for _, v := range x {
		left, right = min(left, v), max(right, v)
	}
	d.Width, d.Height = right-left+2*margin, (top+1)*rowHeight
	y := func(id uuid.UUID) int { return (top-row[id])*rowHeight + 55 }
	for id := range x {
		x[id] += margin - left
	}
	d.Lines = r.strokes(x, y)
	d.Homes = r.homeShapes(x, y)
	for _, id := range r.order {
		d.People = append(d.People, r.figure(id, x[id], y(id)))
	}
	d.Desc = r.words.count("drawing.desc", len(r.order))
	return d
}

// union is children of the same parents.
type union struct{ parents, children []uuid.UUID }

func (r *record) unions() []union {
	var out []union
	for _, id := range r.order {
		var parents []uuid.UUID
		for _, l := range r.view.Links {
			if l.To == id && parental(l.Relation) && !slices.Contains(parents, l.From) {
				parents = append(parents, l.From)
			}
		}
		if len(parents) == 0 {
			continue
		}
		sort.Slice(parents, func(i, j int) bool { return r.rank(parents[i]) < r.rank(parents[j]) })
		at := slices.IndexFunc(out, func(u union) bool { return slices.Equal(u.parents, parents) })
		if at < 0 {
			out = append(out, union{parents: parents})
			at = len(out) - 1
		}
		out[at].children = append(out[at].children, id)
	}
	return out
}

// rank puts men left of women, as the drawing's readers expect, then by id.
func (r *record) rank(id uuid.UUID) string {
	return map[string]string{"male": "0", "": "1", "female": "2"}[r.persons[id].Sex] + id.String()
}

// placeRow gives x to one row: parents beside each other, a parent of two
// unions between the two others, children below their parents.
func (r *record) placeRow(rows [][]uuid.UUID, n int, x map[uuid.UUID]int) {
	var line []uuid.UUID
	add := func(at int, id uuid.UUID) {
		if slices.Contains(rows[n], id) && !slices.Contains(line, id) {
			line = slices.Insert(line, at, id)
		}
	}
	unions := r.unions()
	for _, u := range unions {
		for _, p := range u.parents {
			at := len(line)
			for _, q := range u.parents {
				if i := slices.Index(line, q); i == 0 && len(line) > 1 {
					at = 0
				} else if i >= 0 {
					at = i + 1
				}
			}
			add(at, p)
		}
	}
	// Children stand below their own parents, the eldest left.
	for _, u := range unions {
		kids := slices.Clone(u.children)
		sort.SliceStable(kids, func(i, j int) bool { return r.persons[kids[i]].born() < r.persons[kids[j]].born() })
		for _, k := range kids {
			add(len(line), k)
		}
	}
	for _, id := range rows[n] {
		add(len(line), id)
	}
	want := func(id uuid.UUID) (int, bool) {
		for _, u := range unions {
			at := slices.Index(u.children, id)
			if at < 0 {
				continue
			}
			sum, count := 0, 0
			for _, p := range u.parents {
				if v, ok := x[p]; ok {
					sum, count = sum+v, count+1
				}
			}
			if count > 0 {
				return sum/count - (len(u.children)-1)*columnWidth/2, true
			}
		}
		return 0, false
	}
	next := -1 << 30
	for i, id := range line {
		at := i * columnWidth
		if v, ok := want(id); ok {
			at = v
		}
		x[id] = max(at, next)
		next = x[id] + columnWidth
	}
}

// betweenColumns moves a row in which nobody is drawn as a parent or a child by
// half a column: its dotted lines then pass between those below.
func (r *record) betweenColumns(rows [][]uuid.UUID, x map[uuid.UUID]int) {
	var drawn []uuid.UUID
	for _, u := range r.unions() {
		drawn = append(append(drawn, u.parents...), u.children...)
	}
	for n := 2; n < len(rows); n++ {
		if slices.ContainsFunc(rows[n], func(id uuid.UUID) bool { return slices.Contains(drawn, id) }) {
			continue
		}
		for _, id := range rows[n] {
			x[id] += columnWidth / 2
		}
	}
}

// homeShapes draws a home around those who live there, where nobody else would
// come to stand inside it; the words name every home.
func (r *record) homeShapes(x map[uuid.UUID]int, y func(uuid.UUID) int) []homeShape {
	var out []homeShape
	for _, h := range r.homes() {
		if len(h.ids) < 2 {
			continue
		}
		s := homeShape{X: 1 << 30, Y: 1 << 30, Name: h.Short}
		right, bottom := 0, 0
		for _, id := range h.ids {
			s.X, s.Y = min(s.X, x[id]-60), min(s.Y, y(id)-46)
			right, bottom = max(right, x[id]+60), max(bottom, y(id)+78)
		}
		s.W, s.H = right-s.X, bottom-s.Y
		inside := false
		for id, px := range x {
			inside = inside || !slices.Contains(h.ids, id) && px+apartFrom > s.X && px-apartFrom < right && y(id) > s.Y && y(id) < bottom
		}
		if !inside {
			out = append(out, s)
		}
	}
	return out
}

func (r *record) figure(id uuid.UUID, x, y int) figure {
	p := r.persons[id]
	f := figure{X: x, Y: y, Shape: "diamond", Double: p.Child, Name: p.Name, Anchor: "person-" + id.String()}
	switch {
	case p.Expected != "":
		f.Shape, f.Sub = "triangle", r.words.say("drawing.due", longDay(p.Expected))
	case p.Sex == "male":
		f.Shape = "square"
	case p.Sex == "female":
		f.Shape = "circle"
	}
	if p.Died != "" {
		f.Dead, f.Sub = true, r.words.say("drawing.died", p.Died[:min(4, len(p.Died))])
	} else {
		f.Inside, _, _ = strings.Cut(p.Age, " ")
		if strings.Contains(p.Age, "month") {
			f.Inside += "m"
		}
	}
	return f
}

// homeWords is one home in words.
type homeWords struct {
	Name, Short string
	People      []string
	Source      string
	Since       string
	ids         []uuid.UUID
}

// homes reads who lives where from released addresses.
func (r *record) homes() []homeWords {
	var out []homeWords
	for _, c := range r.of("usual-address") {
		address := c.text("address")
		if address == "" || c.text("until") != "" {
			continue
		}
		at := slices.IndexFunc(out, func(h homeWords) bool { return h.Name == address })
		if at < 0 {
			short, _, _ := strings.Cut(address, ",")
			out = append(out, homeWords{Name: address, Short: short, Source: c.Owner, Since: longDay(c.text("from"))})
			at = len(out) - 1
		}
		for _, id := range r.order {
			if slices.Contains(c.People, id) && !slices.Contains(out[at].ids, id) {
				out[at].ids = append(out[at].ids, id)
				out[at].People = append(out[at].People, r.name(id))
			}
		}
	}
	return out
}

// personWords is one person in words: what the drawing says, and more.
type personWords struct {
	Name, Legal, Age, Born, Expected, Died, Anchor string
	Language, Needs, NHS                           string
	Child                                          bool
	Page                                           string // of the person
	Links                                          []linkWords
}

type linkWords struct{ Text, Note, Source, Href string }

func (r *record) personWords() []personWords {
	var out []personWords
	for _, id := range r.order {
		p := r.persons[id]
		w := personWords{Name: p.Name, Legal: p.Legal, Age: p.Age, Born: longDay(p.Born), Expected: longDay(p.Expected), Died: longDay(p.Died), Anchor: "person-" + id.String(), Child: p.Child, Needs: p.Needs,
			Page: "/people/" + id.String() + "?family=" + r.view.Family.String()}
		if p.Language != "" && p.Language != "English" {
			w.Language = p.Language
		}
		if len(p.NHS) == 10 {
			w.NHS = p.NHS[:3] + " " + p.NHS[3:6] + " " + p.NHS[6:]
		}
		for _, l := range r.view.Links {
			if l.To != id {
				continue
			}
			text := r.words.say("link.is", upperFirst(l.Relation), r.name(l.From))
			switch {
			case l.Responsibility && l.Household:
				text = r.words.say("link.both", text)
			case l.Responsibility:
				text = r.words.say("link.responsibility", text)
			case l.Household:
				text = r.words.say("link.household", text)
			}
			w.Links = append(w.Links, linkWords{Text: text, Note: l.Note, Source: r.owner(l.Owner)})
		}
		out = append(out, w)
	}
	return out
}
