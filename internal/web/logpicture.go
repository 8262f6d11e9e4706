package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"kith/internal/audit"
)

// picture is accesses over time: a row for each agency, a bar for each day, all
// on one scale. Whoever sees it sees each of its events in the list as well, so
// that no small number has to be kept out of it.
type picture struct {
	Width, Height int
	Rows          []pictureRow
	Ticks         []pictureTick
	Weekends      []pictureBand
	Desc          string
	Heads         []string // of the table: days, or weeks where there are many
	Table         []pictureLine
	Note          string // where some agencies share a row
}

type pictureRow struct {
	Name         string
	TextY, LineY int
	Bars         []pictureBar
}

type pictureBar struct {
	X, Width          int
	ShownY, Shown     int
	RefusedY, Refused int
	Diamond           string // points, where there was emergency access
	Number            string // at bars that matter
	NumberX, NumberY  int
	Beside            bool // the number stands beside the bar
}

type pictureTick struct {
	X     int
	Text  string
	Month string
}

type pictureBand struct{ X, Width int }

type pictureLine struct {
	Name  string
	Total int
	Cells []pictureCell
}

type pictureCell struct {
	Head, Text, Href, Which string
}

const (
	pictureDays    = audit.MaxDays
	pictureMost    = 12 // agencies with a row of their own
	pictureNames   = 190
	pictureLetters = 27
	pictureRoom    = 770 // for the days
	pictureRowH    = 46
	pictureBarH    = 28
	tableDays      = 21 // more are weeks
)

// tally is what one agency did on one day.
type tally struct{ shown, refused, emergency int }

func (t tally) total() int { return t.shown + t.refused }

func (t *tally) add(o tally) {
	t.shown, t.refused, t.emergency = t.shown+o.shown, t.refused+o.refused, t.emergency+o.emergency
}

// standsOut counts the accesses of the filter, says what stands out, and draws
// them. What the counts do not know is not drawn.
func (s *Server) standsOut(r *http.Request, v visit, f logFilter, say inWords, page *logPage) error {
	from, until, err := f.days(s.Now())
	if err != nil {
		return err
	}
	days := int(until.Sub(from).Hours()/24+.5) + 1
	page.Heading = s.words.count("log.heading-days", days)
	switch {
	case f.Worker != "" || f.About != "" || f.Part != "" || f.Only == "declared" || f.Only == onlyHours || f.What == logEverything:
		page.NoPicture = s.words.say("log.no-picture")
		return nil
	case days > pictureDays:
		page.NoPicture = s.words.say("log.no-picture-long", pictureDays)
		return nil
	}
	utc := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	counts, _, err := s.Audit.Reviews.Counts(r.Context(), v.by(), v.request, utc(from), utc(until))
	if err != nil {
		return s.reviewFault(err)
	}
	by := map[string][]tally{}
	for _, c := range counts {
		if f.Agency != "" && c.Agency != f.Agency || f.Purpose != "" && c.Purpose != f.Purpose || f.Outcome != "" && string(c.Outcome) != f.Outcome ||
			f.What != "" && string(c.Kind) != f.What || f.Only == "emergency" && !c.Emergency {
			continue
		}
		day := int(utc(c.Day).Sub(utc(from)).Hours() / 24)
		if day < 0 || day >= days {
			continue
		}
		if by[c.Agency] == nil {
			by[c.Agency] = make([]tally, days)
		}
		by[c.Agency][day].add(tallyOf(c))
	}
	s.tellStanding(by, from, days, say, page)
	if len(by) > 0 {
		page.Picture = s.draw(by, from, days, f, say)
	}
	return nil
}

func tallyOf(c audit.DayCount) tally {
	n := int(c.Count)
	t := tally{shown: n}
	switch c.Outcome {
	case audit.OutcomeDenied, audit.OutcomeNotFound, audit.OutcomeInvalid, audit.OutcomeFailed:
		t = tally{refused: n}
	}
	if c.Emergency {
		t.emergency = n
	}
	return t
}

// tellStanding writes the heading and the sentences under it.
func (s *Server) tellStanding(by map[string][]tally, from time.Time, days int, say inWords, page *logPage) {
	var all tally
	perDay := make([]int, days)
	type place struct {
		agency string
		day, n int
	}
	var worst place
	for _, agency := range sortedAgencies(by) {
		for day, t := range by[agency] {
			all.add(t)
			perDay[day] += t.total()
			if t.refused > worst.n {
				worst = place{agency, day, t.refused}
			}
		}
	}
	page.Heading = s.words.say("log.heading", s.words.count("log.accesses", all.total()), s.words.count("log.agencies", len(by)), s.words.count("log.days", days))
	if all.total() == 0 {
		return
	}
	day := func(i int) string { return from.AddDate(0, 0, i).Format("Monday 2 January") }
	if days > 1 {
		page.Standing = append(page.Standing, s.words.say("log.most", day(slices.Index(perDay, slices.Max(perDay)))))
	}
	switch {
	case all.refused > 1 && worst.n == all.refused:
		page.Standing = append(page.Standing, s.words.say("log.refused-all", all.refused, say.agency(worst.agency), day(worst.day)))
	case all.refused > 0:
		page.Standing = append(page.Standing, s.words.count("log.refused", all.refused, worst.n, say.agency(worst.agency), day(worst.day)))
	default:
		page.Standing = append(page.Standing, s.words.say("log.refused-none"))
	}
	if all.emergency > 0 {
		page.Standing = append(page.Standing, s.words.count("log.emergency", all.emergency))
	}
}

// sortedAgencies are those with the most accesses first.
func sortedAgencies(by map[string][]tally) []string {
	sum := map[string]int{}
	list := make([]string, 0, len(by))
	for agency, days := range by {
		list = append(list, agency)
		for _, t := range days {
			sum[agency] += t.total()
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		if sum[a] != sum[b] {
			return sum[b] - sum[a]
		}
		return strings.Compare(a, b)
	})
	return list
}

func (s *Server) draw(by map[string][]tally, from time.Time, days int, f logFilter, say inWords) *picture {
	cell := min(48, pictureRoom/days)
	p := &picture{Width: pictureNames + days*cell + 12}
	agencies := sortedAgencies(by)
	rows, names := make([][]tally, 0, len(agencies)), make([]string, 0, len(agencies))
	for i, agency := range agencies {
		if i >= pictureMost && len(agencies) > pictureMost+1 {
			rest := make([]tally, days)
			for _, other := range agencies[i:] {
				for day, t := range by[other] {
					rest[day].add(t)
				}
			}
			rows, names = append(rows, rest), append(names, s.words.say("picture.others", len(agencies)-i))
			p.Note = s.words.say("picture.others-note")
			break
		}
		rows, names = append(rows, by[agency]), append(names, say.short(agency, agencies))
	}
	most := 1
	for _, row := range rows {
		for _, t := range row {
			most = max(most, t.total())
		}
	}
	for i, row := range rows {
		p.Rows = append(p.Rows, pictureRowOf(names[i], row, i, cell, most))
	}
	p.Height = len(rows)*pictureRowH + 50
	p.ticks(from, days, cell)
	p.Desc = s.words.say("picture.desc", joinWords(names), from.Format("2 January"), from.AddDate(0, 0, days-1).Format("2 January 2006"))
	s.pictureTable(p, by, agencies, from, days, f, say)
	return p
}

// short is an agency's kind in words, where no other agency in the picture is
// of that kind, else its name.
func (w inWords) short(code string, among []string) string {
	kind := w.agencies[code].Kind
	for _, other := range among {
		if other != code && w.agencies[other].Kind == kind {
			return w.agency(code)
		}
	}
	if _, ok := w.version.Kind(kind); !ok {
		return w.agency(code)
	}
	return w.s.kindName(w.version, kind)
}

func pictureRowOf(name string, row []tally, at, cell, most int) pictureRow {
	if letters := []rune(name); len(letters) > pictureLetters {
		name = strings.TrimSpace(string(letters[:pictureLetters-1])) + "…" // the table has it whole
	}
	out := pictureRow{Name: name, LineY: (at+1)*pictureRowH - 4}
	out.TextY = out.LineY - 8
	top := 0
	for _, t := range row {
		top = max(top, t.total())
	}
	height := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(2, n*pictureBarH/most)
	}
	for day, t := range row {
		if t.total() == 0 && t.emergency == 0 {
			continue
		}
		b := pictureBar{X: pictureNames + day*cell + cell/5, Width: max(2, cell*3/5), Shown: height(t.shown), Refused: height(t.refused)}
		b.ShownY = out.LineY - b.Shown
		b.RefusedY = b.ShownY - b.Refused
		middle, y := b.X+b.Width/2, b.RefusedY-4
		if t.emergency > 0 {
			c := y - 5
			b.Diamond = points(middle, c-6, middle+6, c, middle, c+6, middle-6, c)
		}
		if cell >= 18 && (t.total() == top && t.total() > 1 || t.total()*3 >= most*2) {
			b.Number, b.NumberX, b.NumberY = strconv.Itoa(t.total()), middle, y
			if b.Beside = t.emergency > 0; b.Beside {
				b.NumberX, b.NumberY = b.X+b.Width+3, min(out.LineY-3, b.RefusedY+11)
			}
		}
		out.Bars = append(out.Bars, b)
	}
	return out
}

func points(xy ...int) string {
	var out []string
	for i := 0; i+1 < len(xy); i += 2 {
		out = append(out, strconv.Itoa(xy[i])+","+strconv.Itoa(xy[i+1]))
	}
	return strings.Join(out, " ")
}

// ticks names the days under the bars, and greys the weekends behind them.
func (p *picture) ticks(from time.Time, days, cell int) {
	for i := range days {
		d := from.AddDate(0, 0, i)
		x := pictureNames + i*cell
		if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday {
			p.Weekends = append(p.Weekends, pictureBand{x, cell})
		}
		if cell < 18 && d.Weekday() != time.Monday {
			continue
		}
		tick := pictureTick{X: x + cell/2, Text: strconv.Itoa(d.Day())}
		if len(p.Ticks) == 0 || d.Day() == 1 || cell < 18 && d.Day() < 8 {
			tick.Month = d.Format("Jan")
		}
		p.Ticks = append(p.Ticks, tick)
	}
}

// pictureTable is the same in a table, whose numbers lead to the list.
func (s *Server) pictureTable(p *picture, by map[string][]tally, agencies []string, from time.Time, days int, f logFilter, say inWords) {
	step := 1
	if days > tableDays {
		step = 7
	}
	for i := 0; i < days; i += step {
		head := from.AddDate(0, 0, i).Format("2 Jan")
		if step > 1 {
			head = s.words.say("picture.week", head)
		}
		p.Heads = append(p.Heads, head)
	}
	for _, agency := range agencies {
		line := pictureLine{Name: say.agency(agency)}
		for i := 0; i < days; i += step {
			var t tally
			for _, x := range by[agency][i:min(days, i+step)] {
				t.add(x)
			}
			line.Total += t.total()
			c := pictureCell{Head: p.Heads[i/step]}
			if t.total() > 0 {
				last := from.AddDate(0, 0, min(days, i+step)-1)
				c.Text = strconv.Itoa(t.total())
				c.Href = f.address("agency", agency, "from", from.AddDate(0, 0, i).Format(time.DateOnly), "until", last.Format(time.DateOnly)) + "#latest"
				c.Which = s.words.say("picture.cell", line.Name, c.Head)
				if t.refused > 0 {
					c.Which += " " + s.words.count("picture.refused", t.refused)
				}
				if t.emergency > 0 {
					c.Which += " " + s.words.count("log.emergency", t.emergency)
				}
			}
			line.Cells = append(line.Cells, c)
		}
		p.Table = append(p.Table, line)
	}
}

// axisOf is where the rows of a picture of this height end, or how far below that.
func axisOf(height int, below ...int) int {
	at := height - 46
	for _, n := range below {
		at += n
	}
	return at
}
