package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// familyPage is the whole record in the order of the first four minutes: may I
// tell anyone, where are the children, what is new, whom do I ring; then the
// child's story first. A block with nothing in it is not drawn.
type familyPage struct {
	Family   string
	Name     string
	Status   []statusLine
	Children []childNow
	Risk     []riskLine
	News     news
	Ring     []contact
	Involved []involved
	All      int // rows of who is involved
	Holders  []holding
	Notice   disclosure.Notice
	Stories  []storyCard
	Drawing  *drawing
	Words    []homeWords
	Persons  []personWords
	Couples  []coupleLine
	Harm     []linkWords
	Told     []toldLine
	Manages  bool
	Trio     []vulnerability
	Line     timeline
	Parts    []partRow
	Checks   *checkTable
}

type statusLine struct{ Text, Children, Since, Review, Source string }

// family shows one family's record.
func (s *Server) family(w http.ResponseWriter, r *http.Request, v visit) error {
	rec, choice, done, err := s.record(w, r, v)
	if err != nil || done {
		return err
	}
	if err := s.involve(r, v, rec); err != nil {
		return err
	}
	page := rec.familyPage(s.Checklist, lineFilter(r.URL.Query()))
	page.Manages = manages(v.by())
	return s.write(w, v, http.StatusOK, "family", s.sheetOf(rec, choice, page))
}

// record reads a family and makes it ready to be shown.
func (s *Server) record(w http.ResponseWriter, r *http.Request, v visit) (*record, identity.Choice, bool, error) {
	view, choice, done, err := s.readFamily(w, r, v)
	if err != nil || done {
		return nil, choice, done, err
	}
	version, err := s.Door.VersionAt(r.Context(), view.Policy)
	if err != nil {
		return nil, choice, false, err
	}
	before, err := s.lastVisit(r.Context(), v, view.Family)
	if err != nil {
		return nil, choice, false, err
	}
	return newRecord(view, version, s.agencies(r.Context()), v.by().Kind, s.words, s.Now(), before), choice, false, nil
}

// involve adds who else of the reader's agency works with the family.
func (s *Server) involve(r *http.Request, v visit, rec *record) error {
	var err error
	rec.reader, rec.agency = v.by().Worker, v.by().Agency
	rec.colleagues, err = s.Door.Colleagues(r.Context(), v.by(), rec.view)
	return err
}

// sheetOf is what every page about a family carries.
func (s *Server) sheetOf(rec *record, choice identity.Choice, page any) sheet {
	purpose := rec.view.Purpose
	if p, ok := rec.version.Purpose(purpose); ok {
		purpose = p.Name
	}
	return sheet{
		Title: s.words.say("family.title", rec.view.Ref), Page: page, Nav: "families", Receipt: rec.view.Receipt, Rules: rec.version.Name,
		Labels: rec.topLabels(),
		Bar: &purposeBar{Purpose: purpose, Children: rec.names(rec.view.Children), Opened: choice.At, Declared: rec.view.Declared,
			Change: "/families/" + rec.view.Family.String() + "/purpose"},
	}
}

// topLabels are the duties that hold for the whole page: at most three, since
// staff stop reading many; all stand at their entries too.
func (r *record) topLabels() []label {
	var out []label
	seen := map[string]bool{}
	for _, c := range r.cards {
		for _, l := range c.Labels {
			if l.Mark != r.words.say("label.do-not-inform.mark") || seen[l.Mark+l.By] || len(out) == 3 {
				continue
			}
			seen[l.Mark+l.By] = true
			out = append(out, l)
		}
	}
	return out
}

func (r *record) familyPage(checks []ChecklistItem, f filter) familyPage {
	page := familyPage{Family: r.view.Family.String(), Name: r.familyName(), Notice: r.view.Notice, Holders: r.holdings()}
	page.Status = r.status()
	page.Children = r.childrenNow()
	page.Risk = r.risks()
	page.Involved = r.involved()
	page.Ring, page.All = ring(page.Involved), len(page.Involved)+len(page.Holders)
	page.Stories = r.stories()
	page.Drawing = r.draw()
	page.Words, page.Persons, page.Couples = r.homes(), r.personWords(), r.coupleWords()
	for _, h := range r.view.Harm {
		page.Harm = append(page.Harm, r.harmLine(h))
	}
	for _, t := range r.toldLines() {
		page.Told = append(page.Told, t.toldLine)
	}
	page.Trio = r.vulnerabilities()
	page.Line = r.timeline(f)
	page.Parts = r.parts()
	page.Checks = r.checklist(checks)
	page.News = r.news()
	return page
}

func (r *record) familyName() string {
	return r.words.familyName(r.names(r.view.Children), r.view.Ref)
}

// status is the open work as children's social care tells it.
func (r *record) status() []statusLine {
	var out []statusLine
	for _, c := range r.of("care-status") {
		if c.text("end") != "" || c.text("status") == "" {
			continue
		}
		out = append(out, statusLine{Text: upperFirst(c.text("status")), Children: joinWords(c.Subjects), Since: longDay(c.text("start")), Review: longDay(c.text("review_date")), Source: c.Owner})
	}
	return out
}

type partPage struct {
	Family, Name, Part string
	Entries            []entryCard
	Notice             disclosure.Notice
}

// part shows one part of the record. A part with nothing in it, one that is
// hidden and one that does not exist are the same page.
func (s *Server) part(w http.ResponseWriter, r *http.Request, v visit) error {
	rec, choice, done, err := s.record(w, r, v)
	if err != nil || done {
		return err
	}
	code := chi.URLParam(r, "part")
	page := partPage{Family: rec.view.Family.String(), Name: rec.familyName(), Entries: rec.of(code), Notice: rec.view.Notice}
	page.Part = s.words.say("part.unnamed")
	if section, ok := rec.version.Section(code); ok && len(page.Entries) > 0 {
		page.Part = upperFirst(section.Name)
	}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.words.say("part.title", page.Part, rec.view.Ref)
	return s.write(w, v, http.StatusOK, "part", sh)
}

type partRow struct {
	Code, Name, See, From, Changed string
	Summary                        bool
	OutOfDate                      string
	Masked                         []string
	Entries                        int
	New                            bool
}

// parts lists the parts of the record of which something was released.
func (r *record) parts() []partRow {
	var out []partRow
	for _, s := range r.view.Sections {
		row := partRow{Code: s.Section, Name: upperFirst(s.Name)}
		var owners []string
		full, summary := 0, 0
		by := ""
		for _, c := range r.of(s.Section) {
			row.Entries++
			row.New = row.New || c.New
			if !slices.Contains(owners, c.Owner) {
				owners = append(owners, c.Owner)
			}
			if c.Recorded > row.Changed {
				row.Changed = c.Recorded
			}
			if c.Summary {
				summary++
				if by == "" && c.By != "" {
					by = r.words.say("parts.summary-by", c.By, longDay(c.On))
				}
				if c.OutOfDate > row.OutOfDate {
					row.OutOfDate = c.OutOfDate
				}
			} else {
				full++
			}
			for _, f := range c.Fields {
				if f.Masked && !slices.Contains(row.Masked, f.Label) {
					row.Masked = append(row.Masked, f.Label)
				}
			}
		}
		slices.Sort(owners)
		row.From = joinWords(owners)
		switch {
		case summary == 0:
			row.See = r.words.say("parts.full")
		case full == 0 && by != "":
			row.See = by
		case full == 0:
			row.See = r.words.say("parts.summary")
		default:
			row.See = r.words.say("parts.mixed")
		}
		if len(row.Masked) > 0 {
			row.See = r.words.say("parts.masked", row.See, strings.ToLower(joinWords(row.Masked)))
		}
		out = append(out, row)
	}
	return out
}

// sectionsAbout lists entries about one person.
func about(cards []entryCard, id uuid.UUID) []entryCard {
	var out []entryCard
	for _, c := range cards {
		if slices.Contains(c.People, id) {
			out = append(out, c)
		}
	}
	return out
}
