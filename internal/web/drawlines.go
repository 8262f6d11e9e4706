package web

import "github.com/google/uuid"

// strokes are the lines between people: couples, descent, other links.
func (r *record) strokes(x map[uuid.UUID]int, y func(uuid.UUID) int) []stroke {
	var out []stroke
	half := figureSize / 2
	for i, u := range r.unions() {
		p := u.parents[0]
		from, down := x[p], y(p)+r.nameDepth(p)
		bar := y(p)
		if len(u.parents) > 1 {
			// One line joins the parents: at their sides where they stand next to each
			// other, else below whoever stands between. Several unions in a row hang
			// a little lower each, so that they can be told apart.
			q := u.parents[len(u.parents)-1]
			left, right := min(x[p], x[q]), max(x[p], x[q])
			together := r.together(p, q)
			line := stroke{X1: left + half, Y1: bar, X2: right - half, Y2: bar, Broken: together.Broken}
			if right-left > columnWidth || y(p) != y(q) {
				bar = max(y(p), y(q)) + half + 8 + 5*(i%3)
				line.X1, line.X2, line.Y1, line.Y2 = left, right, bar, bar
				out = append(out, stroke{X1: x[p], Y1: y(p) + half, X2: x[p], Y2: bar}, stroke{X1: x[q], Y1: y(q) + half, X2: x[q], Y2: bar})
			}
			if together.Differ {
				line.Word, line.WX, line.WY = r.words.say("drawing.differ"), left+half+2, bar-6
			}
			out = append(out, together.marks(left, right, bar)...)
			out = append(out, line)
			from, down = (left+right)/2, bar
		}
		// The names of the parents stand below them: the children's line passes
		// between them.
		if len(u.children) == 0 {
			continue
		}
		branch := y(u.children[0]) - half - 18 - 5*(i%3)
		out = append(out, stroke{X1: from, Y1: down, X2: from, Y2: branch})
		left, right := from, from
		for _, c := range u.children {
			left, right = min(left, x[c]), max(right, x[c])
			out = append(out, stroke{X1: x[c], Y1: branch, X2: x[c], Y2: y(c) - half})
		}
		out = append(out, stroke{X1: left, Y1: branch, X2: right, Y2: branch})
	}
	return append(out, r.dotted(x, y)...)
}

// dotted are the links that are no descent, each relation of a person with its
// word once, below the name. One that reaches past a generation goes down
// between the columns, so that it crosses nobody.
func (r *record) dotted(x map[uuid.UUID]int, y func(uuid.UUID) int) []stroke {
	var out []stroke
	said := map[string]bool{}
	half := figureSize / 2
	for _, l := range r.view.Links {
		if parental(l.Relation) {
			continue
		}
		from, to := x[l.From], x[l.To]
		start, end := y(l.From)+r.nameDepth(l.From), y(l.To)-half
		lines := []stroke{{X1: from, Y1: start, X2: to, Y2: end, Dotted: true}}
		if end-start > rowHeight {
			turn := end - 34
			lines = []stroke{{X1: from, Y1: start, X2: from, Y2: turn, Dotted: true}, {X1: from, Y1: turn, X2: to + 10, Y2: turn, Dotted: true},
				{X1: to + 10, Y1: turn, X2: to + 10, Y2: end, Dotted: true}}
		}
		if key := l.From.String() + l.Relation; !said[key] {
			said[key] = true
			lines[0].Word, lines[0].WX, lines[0].WY = l.Relation, from+8, start+14
		}
		out = append(out, lines...)
	}
	return out
}

// nameDepth is how far below the middle of a figure what is written there ends.
func (r *record) nameDepth(id uuid.UUID) int {
	if r.persons[id].Died != "" || r.persons[id].Expected != "" {
		return 64
	}
	return 48
}

// pair is how two adults' line is drawn.
type pair struct {
	Broken  bool // lived together
	Strokes int  // one apart, two divorced
	Differ  bool // accounts differ
	Year    string
}

// together reads what was told of a couple; where accounts differ the line
// stays plain and the words have both.
func (r *record) together(a, b uuid.UUID) pair {
	status, until, told := "", "", 0
	for _, c := range r.view.Couples {
		if c.A == a && c.B == b || c.A == b && c.B == a {
			if status != c.Status {
				told++
			}
			status, until = c.Status, c.Until
		}
	}
	p := pair{Broken: status == "together", Strokes: map[string]int{"separated": 1, "divorced": 2}[status]}
	if told > 1 {
		return pair{Differ: true}
	}
	if p.Strokes > 0 && len(until) > 4 {
		p.Year = until[:4]
	}
	return p
}

// marks are the strokes across a couple's line, with the year where it is known.
func (p pair) marks(left, right, bar int) []stroke {
	var out []stroke
	for i := range p.Strokes {
		at := (left*3+right)/4 + i*7
		out = append(out, stroke{X1: at - 4, Y1: bar + 9, X2: at + 4, Y2: bar - 9})
	}
	if p.Year != "" {
		out[0].Word, out[0].WX, out[0].WY = p.Year, (left*3+right)/4-12, bar-14
	}
	return out
}
