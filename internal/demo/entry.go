package demo

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
)

// body is the content of an entry, field by field.
type body map[string]any

// item is one entry while it is being told.
type item struct {
	owner, section string
	about          []*person
	mentions       []*person
	from           int
	until          *int
	noDay          bool
	words          string
	source         string
	contains       []string
	untagged       bool
	flags          []string
	handling       string
	existence      bool
	onward         string
	eventOf        string
	author         string
	summary        string
	summaryDays    int
	summaryReview  int
	questioned     bool
	suppliedBy     string
	key            string
}

type opt func(*item)

func mentions(p ...*person) opt { return func(i *item) { i.mentions = append(i.mentions, p...) } }
func contains(s ...string) opt  { return func(i *item) { i.contains = append(i.contains, s...) } }
func untagged(i *item)          { i.untagged = true }
func flags(s ...string) opt     { return func(i *item) { i.flags = append(i.flags, s...) } }
func source(s string) opt       { return func(i *item) { i.source = s } }
func author(s string) opt       { return func(i *item) { i.author = s } }
func words(s string) opt        { return func(i *item) { i.words = s } }
func lasting(days int) opt      { return func(i *item) { n := i.from + days; i.until = &n } }
func eventOf(key string) opt    { return func(i *item) { i.eventOf = key } }
func onward(s string) opt       { return func(i *item) { i.onward = s; i.flags = append(i.flags, "onward") } }
func codeP(i *item)             { i.handling = "P" }
func questioned(i *item)        { i.questioned = true }
func named(key string) opt      { return func(i *item) { i.key = key } }
func undated(i *item)           { i.noDay = true }

// codeC marks police intelligence with conditions; shown: its existence may be known.
func codeC(shown bool) opt {
	return func(i *item) { i.handling, i.existence = "C", shown }
}

// shared gives a narrative entry its authored shared summary; without it the
// others learn only that there is something, and whom to ask.
func shared(s string) opt { return func(i *item) { i.summary = s } }

// sharedOld is a shared summary that is past its review.
func sharedOld(s string) opt {
	return func(i *item) { i.summary, i.summaryDays, i.summaryReview = s, -200, -20 }
}

// put adds one entry about people, dated so many days before today.
func (f *fam) put(owner, section string, daysAgo int, about []*person, content body, opts ...opt) uuid.UUID {
	it := item{owner: owner, section: section, about: about, from: -daysAgo, source: defaultSource(section), suppliedBy: owner}
	for _, o := range opts {
		o(&it)
	}
	return f.add(it, content)
}

func defaultSource(section string) string {
	switch section {
	case "mh-risk", "sm-risk", "da-risk", "assessment-plan", "group-supervision", "probation", "workbook", "case-summary", "mh-clinical":
		return "opinion"
	case "da-victim-safety", "childs-story":
		return "self-report"
	case "third-party":
		return "third-party"
	}
	return "fact"
}

func (f *fam) add(it item, content body) uuid.UUID {
	b := f.b
	s, ok := b.catalogue.Section(it.section)
	if !ok {
		b.fail("family %s: no section %q", f.key, it.section)
		return uuid.Nil
	}
	known := map[string]bool{}
	for _, fd := range s.Fields {
		known[fd.Name] = true
	}
	for name, v := range content {
		if !known[name] {
			b.fail("family %s: section %s has no field %q", f.key, it.section, name)
		}
		content[name] = f.fill(v)
	}
	f.entries++
	f.parts[it.owner+"/"+it.section] = true
	if it.key == "" {
		it.key = strconv.Itoa(f.entries) // the order of telling; a story's own entries are named where an id must last
	}
	path := []string{"entry", f.key, it.owner, it.section, it.key}
	entry := b.of(path...)
	b.rows.entry.add(id(entry), Partnership, it.owner, it.owner+"-EN-"+b.digits(9, path...))

	b.version++
	version := b.version
	full := b.content(content)
	b.keys(full, it.section, content)
	var summaryPart any
	var by, on, review any
	switch {
	case s.Narrative && it.summary != "":
		if it.summaryReview == 0 {
			it.summaryDays, it.summaryReview = min(it.from+1, 0), it.from+120
			if it.summaryReview < 10 {
				it.summaryReview = 30
			}
		}
		who := f.b.who(f.author(it)).Name
		reviewOn := b.day(it.summaryReview)
		part := body{"shared_summary": f.say(it.summary), "summary_by": who, "summary_review": reviewOn.Format(time.DateOnly)}
		for name := range part {
			if !known[name] {
				delete(part, name)
			}
		}
		summaryPart = b.content(part)
		by, on, review = who, b.day(it.summaryDays), reviewOn
	case !s.Narrative:
		part := body{}
		for _, name := range b.catalogue.SummaryFields(it.section) {
			if v, ok := content[name]; ok {
				part[name] = v
			}
		}
		if len(part) > 0 {
			summaryPart = b.content(part)
		}
	}

	var from, until any
	if !it.noDay {
		from = b.day(it.from)
		if it.until != nil {
			until = b.day(*it.until)
		}
	}
	var event any
	if it.eventOf != "" {
		event = id(b.of("event", f.key, it.eventOf))
	}
	w := b.who(f.author(it))
	contained := it.contains
	if it.untagged {
		contained = nil
	}
	b.rows.version.add(version, id(entry), it.owner, int32(1), true, it.section, s.Schema, it.suppliedBy, it.source, text(it.handling), it.existence,
		int16(s.Sensitivity), from, until, text(it.words), b.day(min(it.from+1, 0)), s.Narrative, !it.untagged, list(contained), list(it.flags),
		text(it.onward), full, summaryPart, by, on, review, event, id(w.Worker), w.Name, it.questioned)
	for _, p := range it.about {
		b.rows.subject.add(version, id(p.record(it.owner)), id(p.id), "about")
	}
	for _, p := range it.mentions {
		b.rows.subject.add(version, id(p.record(it.owner)), id(p.id), "mentions")
	}
	return entry
}

func (f *fam) author(it item) string {
	if it.author != "" {
		return it.author
	}
	return f.worker(it.owner)
}

func (b *builder) content(v body) int64 {
	raw, err := json.Marshal(v)
	if err != nil {
		b.fail("content: %w", err)
	}
	b.part++
	b.rows.content.add(b.part, raw)
	return b.part
}

// keys adds the search keys of a part of content.
func (b *builder) keys(part int64, section string, v body) {
	names, codes := family.SearchKeys(section, v)
	for _, k := range names {
		b.rows.searchName.add(part, k.Fields, k.Given, k.Family)
	}
	for _, k := range codes {
		b.rows.searchCode.add(part, k.Field, k.Value)
	}
	for _, value := range family.GuardedCodes(section, v) {
		b.rows.guarded.add(part, value)
	}
}

// fill fills the slots of every text in a value; {iso-12} in a date field is
// the ISO form.
func (f *fam) fill(v any) any {
	switch v := v.(type) {
	case string:
		if n, ok := strings.CutPrefix(v, "iso"); ok {
			if days, err := strconv.Atoi(n); err == nil {
				return f.b.day(days).Format(time.DateOnly)
			}
		}
		return f.say(v)
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = f.say(s)
		}
		return out
	}
	return v
}
