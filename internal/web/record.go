package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// record turns a view into what pages show. It sees nothing but the view: every
// count, date and name on a page is computed from what this reader was released.
type record struct {
	view     disclosure.View
	version  *policy.Version
	agencies map[string]identity.Agency
	kind     string // of the reader's agency
	roles    []string
	words    words
	now      time.Time
	before   seen

	reader     uuid.UUID
	agency     string             // of the reader
	colleagues []family.Colleague // of that agency, where the page names who is involved

	cards   []entryCard // by section, in the view's order
	persons map[uuid.UUID]*person
	order   []uuid.UUID
}

// person is a released member as identity entries tell.
type person struct {
	ID       uuid.UUID
	Name     string
	Legal    string // where the name in use differs
	Born     string
	Expected string
	Died     string
	Sex      string
	Language string
	Needs    string
	NHS      string
	Child    bool // asked about
	Age      string
}

// entryCard is one released entry as pages show it.
type entryCard struct {
	ID        uuid.UUID
	Version   int
	Section   string
	Part      string // name of the part, in words
	Group     string
	Heading   string
	Day       string // of the event, else recorded
	When      string // as said, or the day in words
	Recorded  string
	Owner     string
	OwnerCode string
	Statement string // kind of statement, in words
	Subjects  []string
	People    []uuid.UUID
	Fields    []fieldLine
	Labels    []label
	Summary   bool
	By        string
	On        string
	OutOfDate string // day since which the shared summary is past its review
	Language  string
	Why       string
	New       bool
	Doubted   bool
	Href      string // of the part of the record where it stands whole
	Page      string // of the entry itself
	Concern   string // where one says that it is about the wrong person, or wrong
	Account   uuid.UUID
	content   map[string]any
}

// fieldLine is one field of an entry: text, a list, or a box that says why it
// is not shared.
type fieldLine struct {
	Name, Label, Text string
	List              []string
	Day               bool // a date
	Masked            bool
	Why               string
}

func newRecord(view disclosure.View, version *policy.Version, agencies map[string]identity.Agency, kind string, w words, now time.Time, before seen) *record {
	r := &record{view: view, version: version, agencies: agencies, kind: kind, words: w, now: now, before: before, persons: map[uuid.UUID]*person{}}
	r.readPersons()
	for _, s := range view.Sections {
		section, _ := version.Section(s.Section)
		for i := range s.Entries {
			r.cards = append(r.cards, r.card(section, s, &s.Entries[i]))
		}
	}
	r.tellApart()
	return r
}

func (r *record) readPersons() {
	for _, m := range r.view.Members {
		r.persons[m.ID] = &person{ID: m.ID, Name: m.Name, Child: slices.Contains(r.view.Children, m.ID)}
		r.order = append(r.order, m.ID)
	}
	for _, s := range r.view.Sections {
		if s.Section != "identity" {
			continue
		}
		for _, e := range s.Entries {
			if len(e.Subjects) != 1 || r.persons[e.Subjects[0]] == nil {
				continue
			}
			r.persons[e.Subjects[0]].read(e.Content)
		}
	}
	for _, p := range r.persons {
		p.Age = r.words.ageOn(p.Born, r.now)
		if p.Name == "" {
			p.Name = r.words.say("person.unnamed")
		}
	}
	// The children asked about, then the other children, then by age; the ids
	// are random and settle the rest.
	sort.SliceStable(r.order, func(i, j int) bool {
		a, b := r.persons[r.order[i]], r.persons[r.order[j]]
		if a.Child != b.Child {
			return a.Child
		}
		if a.born() != b.born() {
			if a.Child {
				return a.born() < b.born() // the eldest child first
			}
			return a.born() > b.born()
		}
		return a.ID.String() < b.ID.String()
	})
}

func (p *person) born() string {
	if p.Expected != "" {
		return p.Expected
	}
	return p.Born
}

func (p *person) read(body json.RawMessage) {
	var c struct {
		Given    string `json:"given_name"`
		Family   string `json:"family_name"`
		Known    string `json:"known_as"`
		Born     string `json:"date_of_birth"`
		Expected string `json:"expected_date"`
		Died     string `json:"date_of_death"`
		Sex      string `json:"sex"`
		Language string `json:"language"`
		Needs    string `json:"communication_needs"`
		NHS      string `json:"nhs_number"`
	}
	if json.Unmarshal(body, &c) != nil {
		return
	}
	keep := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	keep(&p.Born, c.Born)
	keep(&p.Expected, c.Expected)
	keep(&p.Died, c.Died)
	keep(&p.Sex, c.Sex)
	keep(&p.Language, c.Language)
	keep(&p.Needs, c.Needs)
	keep(&p.NHS, c.NHS)
	if c.Known != "" && c.Known != c.Given && p.Legal == "" {
		p.Legal = strings.TrimSpace(c.Given + " " + c.Family)
		p.Name = strings.TrimSpace(c.Known + " " + c.Family)
	}
}

func (r *record) name(id uuid.UUID) string {
	if p := r.persons[id]; p != nil {
		return p.Name
	}
	return ""
}

// names lists people who may be named; who may not leaves no gap.
func (r *record) names(ids []uuid.UUID) []string {
	var out []string
	for _, id := range r.order {
		if slices.Contains(ids, id) {
			out = append(out, r.name(id))
		}
	}
	return out
}

func (r *record) owner(code string) string {
	if a, ok := r.agencies[code]; ok {
		return a.Name
	}
	return code
}

func (r *record) card(section policy.Section, s disclosure.SectionView, e *disclosure.EntryView) entryCard {
	c := entryCard{
		ID: e.ID, Version: e.Version, Section: s.Section, Part: upperFirst(s.Name), Group: section.Group, Owner: r.owner(e.Owner), OwnerCode: e.Owner,
		Recorded: e.Dates.Recorded, Day: e.Dates.Event, Subjects: r.names(e.Subjects), People: e.Subjects, Why: r.why(e),
		Href:    "/families/" + r.view.Family.String() + "/parts/" + s.Section + "#entry-" + e.ID.String(),
		Page:    "/entries/" + e.ID.String() + "?family=" + r.view.Family.String(),
		Concern: "/entries/" + e.ID.String() + "/concern?family=" + r.view.Family.String(),
		Summary: e.Level == policy.Summary, By: e.SummaryBy, On: e.SummaryOn, Doubted: e.Questioned,
	}
	if c.Day == "" {
		c.Day = c.Recorded
	}
	c.When = longDay(c.Day)
	if e.Dates.EventUntil != "" && e.Dates.EventUntil != e.Dates.Event {
		c.When = r.words.say("entry.from-until", longDay(c.Day), longDay(e.Dates.EventUntil))
	}
	switch words := e.Dates.Words; {
	case words == "":
	case e.Dates.EventUntil != "" && e.Dates.EventUntil != e.Dates.Event:
		c.When = asSaid(words) // a month, a season or a year: its first and last day say no more
	case e.Dates.Event == "":
		c.When = words
	default:
		c.When = r.words.say("entry.when-words", c.When, strings.TrimSpace(strings.TrimPrefix(words, e.Dates.Event)))
	}
	if e.OutOfDate {
		c.OutOfDate = e.SummaryReview
	}
	if e.Language != "" && e.Language != "en" {
		c.Language = e.Language
	}
	if e.AccountOf != nil {
		c.Account = *e.AccountOf
	}
	if !r.before.at.IsZero() {
		was, read := r.before.entries[e.ID]
		c.New = !read || was < e.Version
	}
	if json.Unmarshal(e.Content, &c.content) != nil {
		c.content = nil
	}
	c.Statement = r.statement(e.Source, c.content)
	c.Fields = r.fields(section, c.content, e.Masked)
	c.Labels = r.labels(e)
	c.Heading = r.heading(section, c.content)
	return c
}

// why says what allowed an entry. A clause is named by its agreement's title:
// codes stand on the pages of the policy alone.
func (r *record) why(e *disclosure.EntryView) string {
	if e.Grant != "" || len(e.Clauses) == 0 {
		return e.Reason
	}
	var clauses []string
	for _, c := range e.Clauses {
		id, number, _ := strings.Cut(c, " cl. ")
		at := slices.IndexFunc(r.version.Agreements, func(a policy.AgreementText) bool { return a.ID == id })
		if at < 0 || number == "" {
			return e.Reason
		}
		clauses = append(clauses, r.words.say("entry.clause", r.version.Agreements[at].Title, number))
	}
	return r.words.say("entry.allowed", joinWords(clauses))
}

// asSaid writes a month as words; other words stay as they were said.
func asSaid(words string) string {
	if t, err := time.Parse("2006-01", words); err == nil {
		return t.Format("January 2006")
	}
	return words
}

func (r *record) statement(source string, content map[string]any) string {
	if own, _ := content["in_own_words"].(bool); own {
		return r.words.say("statement.own-words")
	}
	return r.words.known("statement."+source, source)
}

// fields shows the content in the catalogue's order, then what the catalogue
// does not know, then a box for each masked field: the box belongs to the rule
// and stands whether the field was filled or not.
func (r *record) fields(section policy.Section, content map[string]any, masked []string) []fieldLine {
	var out []fieldLine
	known := map[string]bool{"in_own_words": true, "summary_by": true, "summary_review": true}
	for _, f := range section.Fields {
		if slices.Contains(masked, f.Name) {
			out = append(out, fieldLine{Name: f.Name, Label: f.Label, Masked: true, Why: r.maskedBy(section.Code, f.Name)})
			known[f.Name] = true
			continue
		}
		v, ok := content[f.Name]
		if !ok || known[f.Name] {
			continue
		}
		known[f.Name] = true
		if line, ok := r.field(f, v); ok {
			out = append(out, line)
		}
	}
	var rest []string
	for name := range content {
		if !known[name] {
			rest = append(rest, name)
		}
	}
	sort.Strings(rest)
	for _, name := range rest {
		if line, ok := r.field(policy.Field{Name: name, Label: upperFirst(strings.ReplaceAll(name, "_", " "))}, content[name]); ok {
			out = append(out, line)
		}
	}
	return out
}

func (r *record) field(f policy.Field, v any) (fieldLine, bool) {
	line := fieldLine{Name: f.Name, Label: f.Label}
	switch v := v.(type) {
	case string:
		line.Text = v
		if f.Type == "date" {
			line.Text, line.Day = longDay(v), true
		}
		if f.Name == "nhs_number" && len(v) == 10 {
			line.Text = v[:3] + " " + v[3:6] + " " + v[6:]
		}
		return line, v != ""
	case bool:
		line.Text = r.words.say("no")
		if v {
			line.Text = r.words.say("yes")
		}
		return line, true
	case float64:
		line.Text = strconv.FormatFloat(v, 'f', -1, 64)
		return line, true
	case []any:
		for _, x := range v {
			if s := fmt.Sprint(x); s != "" {
				line.List = append(line.List, s)
			}
		}
		return line, len(line.List) > 0
	}
	return line, false
}

// maskedBy gives the rule's own reason, where its row says one.
func (r *record) maskedBy(section, field string) string {
	for _, row := range r.version.Matrix {
		if row.Section == section && row.To == r.kind && row.Why != "" && slices.Contains(row.Masks, field) {
			return row.Why
		}
	}
	return r.words.known("masked."+section+"."+field, r.words.say("masked.rule"))
}

func (r *record) labels(e *disclosure.EntryView) []label {
	var out []label
	for _, code := range e.Label {
		l := label{Mark: r.words.known("label."+code+".mark", strings.ToUpper(strings.ReplaceAll(code, "-", " "))), Text: r.words.known("label."+code+".text", ""), By: r.words.say("label.by", r.owner(e.Owner), longDay(e.Dates.Recorded))}
		if code == "onward" && e.Onward != "" {
			l.Text = e.Onward
		}
		out = append(out, l)
	}
	return out
}

var slotPattern = regexp.MustCompile(`\{([a-z_]+)\}`)

// heading says what an entry is in words: by the pattern for its section where
// all its fields are there, else by the section's name.
func (r *record) heading(section policy.Section, content map[string]any) string {
	whole := true
	for _, key := range []string{"heading." + section.Code, "heading." + section.Code + ".short"} {
		pattern, ok := r.words[key]
		if !ok {
			continue
		}
		whole = true
		text := slotPattern.ReplaceAllStringFunc(pattern, func(slot string) string {
			v, there := content[slot[1:len(slot)-1]]
			s, isText := v.(string)
			if n, isNumber := v.(float64); isNumber {
				s, isText = strconv.FormatFloat(n, 'f', -1, 64), true
			}
			whole = whole && there && isText && s != ""
			return s
		})
		if whole {
			return upperFirst(text)
		}
	}
	if brought, _ := content["was_not_brought"].(bool); brought {
		return r.words.say("heading.was-not-brought")
	}
	return upperFirst(section.Name)
}

// tellApart makes headings unique among the cards: a list of equal headings
// can't be told apart by ear.
func (r *record) tellApart() {
	count := map[string]int{}
	for i := range r.cards {
		c := &r.cards[i]
		key := c.When + c.Heading
		if count[key]++; count[key] > 1 {
			c.Heading = r.words.say("entry.again", c.Heading, count[key])
		}
	}
}

func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// of gives the cards of some sections, newest first.
func (r *record) of(sections ...string) []entryCard {
	var out []entryCard
	for _, c := range r.cards {
		if slices.Contains(sections, c.Section) {
			out = append(out, c)
		}
	}
	newestFirst(out)
	return out
}

func newestFirst(cards []entryCard) {
	sort.SliceStable(cards, func(i, j int) bool {
		if cards[i].Day != cards[j].Day {
			return cards[i].Day > cards[j].Day
		}
		return cards[i].ID.String() < cards[j].ID.String()
	})
}

// text reads a text field of a card.
func (c entryCard) text(field string) string {
	s, _ := c.content[field].(string)
	return s
}

// Anchor is where the entry stands in a page.
func (c entryCard) Anchor() string { return "entry-" + c.ID.String() }

// gistMost is how many texts of an entry stand in the time line.
const gistMost = 2

// Gist is what the time line shows of an entry: its longest texts in their
// order, and every box that says what is kept back.
func (c entryCard) Gist() []fieldLine {
	long := make([]int, 0, len(c.Fields))
	for i, f := range c.Fields {
		if !f.Masked && !f.Day && f.Text != "" && !strings.Contains(strings.ToLower(c.Heading), strings.ToLower(f.Text)) {
			long = append(long, i)
		}
	}
	sort.SliceStable(long, func(i, j int) bool { return len(c.Fields[long[i]].Text) > len(c.Fields[long[j]].Text) })
	long = long[:min(len(long), gistMost)]
	var out []fieldLine
	for i, f := range c.Fields {
		if f.Masked || slices.Contains(long, i) {
			out = append(out, f)
		}
	}
	return out
}
