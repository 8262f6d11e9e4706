package demo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/policy"
)

// builder makes rows. It is used by one goroutine.
type builder struct {
	ids
	now       time.Time
	today     time.Time
	catalogue *policy.Version
	rows      *rowset
	part      int64 // last part number given out
	version   int64 // last entry version given out
	workers   map[string]Account
	refs      map[string]bool
	involved  map[uuid.UUID]bool
	n         int // families so far
	errs      []error
	families  []*fam
}

func newBuilder(seed uint64, now time.Time, catalogue *policy.Version) *builder {
	b := &builder{ids: ids{seed}, now: now.UTC().Truncate(time.Second), today: day(now), catalogue: catalogue, rows: newRowset(),
		workers: map[string]Account{}, refs: map[string]bool{}, involved: map[uuid.UUID]bool{}}
	for _, a := range Accounts(seed) {
		b.workers[a.Name] = a
		if a.Sign != "" {
			b.workers[a.Sign] = a
		}
	}
	return b
}

func (b *builder) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (b *builder) day(n int) time.Time { return b.today.AddDate(0, 0, n) }

func (b *builder) who(name string) Account {
	a, ok := b.workers[name]
	if !ok {
		b.fail("no worker %q", name)
	}
	return a
}

// fam is one family while it is being told.
type fam struct {
	b        *builder
	key      string
	id       uuid.UUID
	n        int
	r        *rand.Rand
	street   string
	postcode string
	people   map[string]*person
	order    []*person
	closed   map[string]string // agency → colleague who holds it instead of the demo name
	entries  int
	parts    map[string]bool // sections that are there, for tests
}

// person is somebody in the borough. One person may belong to two families.
type person struct {
	b           *builder
	key         string
	given, last string
	known       string
	sex         byte // 'f', 'm', 0 where not told
	born        time.Time
	expected    time.Time
	died        time.Time
	child       bool
	school      string
	id          uuid.UUID
	records     map[string]uuid.UUID
	path        string
	language    string
	nhs, upn    string
}

func (p *person) full() string { return p.given + " " + p.last }

func (p *person) age() int {
	years := p.b.today.Year() - p.born.Year()
	if p.b.today.YearDay() < p.born.YearDay() {
		years--
	}
	return years
}

// family begins a family. Its entries are told by the functions of layers*.go
// and stories*.go.
func (b *builder) family(key, street, postcode string) *fam {
	f := &fam{b: b, key: key, id: b.of("family", key), n: b.n, r: b.source("family", key), street: street, postcode: postcode,
		people: map[string]*person{}, closed: map[string]string{}, parts: map[string]bool{}}
	b.n++
	b.families = append(b.families, f)
	b.rows.family.add(id(f.id), Partnership, b.ref(5, key))
	b.rows.local.add("CSC", "CSC-FAM-"+b.digits(6, "local", key), id(f.id))
	return f
}

// ref draws a family's reference: random, so that it tells no order.
func (b *builder) ref(n int, key string) string {
	for try := 0; ; try++ {
		ref := "F-" + b.digits(n, "ref", key, strconv.Itoa(try))
		if !b.refs[ref] {
			b.refs[ref] = true
			return ref
		}
	}
}

// adult adds a grown-up; role is parent, carer, household or contact.
func (f *fam) adult(key, role, name string, sex byte, age int) *person {
	p := f.person(key, name, sex, f.b.today.AddDate(-age, 0, -17-(f.n*31+len(f.order)*53)%300))
	f.join(p, role)
	return p
}

// kid adds a born child. months is the age.
func (f *fam) kid(key, name string, sex byte, months int) *person {
	p := f.person(key, name, sex, f.b.today.AddDate(0, -months, -(f.n*7+len(f.order)*5)%27))
	p.child = true
	p.upn = f.b.upn(p.path)
	f.join(p, "child")
	return p
}

// unborn adds a child who is expected in so many days.
func (f *fam) unborn(key, last string, days int, told bool) *person {
	p := f.person(key, "Baby "+last, 0, time.Time{})
	p.given, p.last = "Baby", last
	p.expected = f.b.day(days)
	p.child, p.nhs = true, ""
	f.b.rows.person.rows[len(f.b.rows.person.rows)-1] = []any{id(p.id), Partnership, nil, when(p.expected), nil, told}
	f.join(p, "child")
	return p
}

func (f *fam) person(key, name string, sex byte, born time.Time) *person {
	given, last, ok := cutLast(name)
	if !ok {
		f.b.fail("family %s: %q has no family name", f.key, name)
	}
	path := f.key + "/" + key
	p := &person{b: f.b, key: key, given: given, last: last, sex: sex, born: born, id: f.b.of("person", path), path: path,
		records: map[string]uuid.UUID{}, nhs: f.b.nhsNumber(path), language: "English"}
	f.b.rows.person.add(id(p.id), Partnership, when(p.born), nil, nil, false)
	f.people[key] = p
	f.order = append(f.order, p)
	return p
}

// also makes somebody of another family a member of this one too.
func (f *fam) also(key string, p *person, role string, main bool) {
	f.people[key] = p
	f.order = append(f.order, p)
	f.member(p, role, main, p.born, time.Time{})
}

func (f *fam) join(p *person, role string) {
	from := p.born
	if !p.child {
		from = time.Time{}
	}
	f.member(p, role, true, from, time.Time{})
}

func (f *fam) member(p *person, role string, main bool, from, until time.Time) {
	f.b.rows.membership.add(id(f.b.of("membership", f.key, p.path, role)), id(f.id), id(p.id), role, main, when(from), when(until),
		"CSC", "CSC", f.b.day(-200), nil)
	p.record("CSC")
}

// died marks a person as dead for so many days.
func (f *fam) died(p *person, days int) {
	p.died = f.b.day(-days)
	for _, row := range f.b.rows.person.rows {
		if row[0] == id(p.id) {
			row[4] = when(p.died)
		}
	}
}

// record gives the person as that agency sent them, making it at first use.
func (p *person) record(agency string) uuid.UUID {
	if r, ok := p.records[agency]; ok {
		return r
	}
	return p.b.sent(p, agency, p, "as first sent")
}

// sent makes a source record of one agency that is linked to a person; body is
// whom the agency thinks it is.
func (b *builder) sent(linked *person, agency string, body *person, reason string) uuid.UUID {
	r := b.of("record", agency, body.path)
	linked.records[agency] = r
	local := agency + "-" + b.digits(7, "record", agency, body.path)
	about := "adult"
	if body.child {
		about = "child"
	}
	sent := map[string]string{"local_id": local, "given_name": body.given, "family_name": body.last}
	if !body.born.IsZero() {
		sent["date_of_birth"] = body.born.Format(time.DateOnly)
	}
	raw, err := json.Marshal(sent)
	if err != nil {
		b.fail("record %s: %w", local, err)
	}
	at := b.day(-210).Add(3 * time.Hour)
	b.rows.record.add(id(r), Partnership, agency, local, about, int32(1))
	b.rows.recordVersion.add(id(r), int32(1), "application/json", raw, digest(raw), at)
	b.rows.link.add(id(b.of("link", agency, body.path)), id(r), id(linked.id), at, reason, nil, nil)
	return r
}

// tie records how two people belong together: parent of, household with, ….
func (f *fam) tie(from *person, kind string, to *person, how ...string) {
	f.tieFor(from, kind, to, time.Time{}, time.Time{}, how...)
}

// tieFor is tie for a time. how: a status, or "pr" for parental responsibility.
func (f *fam) tieFor(from *person, kind string, to *person, since, until time.Time, how ...string) {
	var status string
	pr := false
	for _, h := range how {
		if h == "pr" {
			pr = true
		} else {
			status = h
		}
	}
	f.b.rows.relationship.add(id(f.b.of("relationship", f.key, from.path, kind, to.path)), id(from.id), id(to.id), kind, text(status), pr,
		when(since), when(until), "CSC", f.b.day(-200))
}

// parents ties each adult to each child as a parent with responsibility.
func (f *fam) parents(adults []*person, kids ...*person) {
	for _, a := range adults {
		for _, k := range kids {
			f.tie(a, "parent", k, "pr")
		}
	}
}

// alleges records an alleged harm, by → to, as one agency reported it.
func (f *fam) alleges(source string, by, to *person, sinceDays int) {
	f.b.rows.harm.add(id(f.b.of("harm", f.key, by.path, to.path)), id(by.id), id(to.id), f.b.day(-sinceDays), nil, source)
}

// open begins a piece of open work for children. It returns the episodes' ids.
func (f *fam) open(kind string, days int, who ...*person) []uuid.UUID {
	return f.openRated(kind, "", days, who...)
}

func (f *fam) openRated(kind, rating string, days int, who ...*person) []uuid.UUID {
	return f.episode(kind, rating, f.b.day(-days), time.Time{}, who...)
}

func (f *fam) episode(kind, rating string, from, until time.Time, who ...*person) []uuid.UUID {
	var made []uuid.UUID
	for _, p := range who {
		e := f.b.of("episode", f.key, p.path, kind, from.Sub(f.b.today).String())
		source := "CSC"
		if kind == "marac" || kind == "encompass" {
			source = "POL"
		}
		f.b.rows.episode.add(id(e), id(p.record(source)), id(p.id), kind, text(rating), from, when(until), source,
			source+"-EP-"+f.b.digits(8, "episode", e.String()))
		made = append(made, e)
	}
	return made
}

// sits puts an agency, and a worker of it, on an episode's list.
func (f *fam) sits(episodes []uuid.UUID, agency, worker string) {
	for _, e := range episodes {
		var w uuid.UUID
		if worker != "" {
			w = f.b.who(worker).Worker
		}
		f.b.rows.episodeMember.add(id(f.b.of("seat", e.String(), agency, worker)), id(e), agency, id(w))
	}
}

// worker says who of an agency works with this family.
func (f *fam) worker(agency string) string {
	if c := f.closed[agency]; c != "" {
		return c
	}
	switch agency {
	case "CSC":
		return "social-worker"
	case "MH":
		return "mh-practitioner"
	case "SM":
		return "sm-practitioner"
	case "DV":
		return "idva"
	case "DP":
		return "perpetrator-practitioner"
	case "POL":
		return "detective"
	case "HV":
		return "health-visitor"
	case "SCH":
		return "safeguarding-lead"
	case "SCH2":
		return "safeguarding-lead-2"
	case "PRB":
		return "probation-officer"
	case "HOU":
		return "housing-officer"
	}
	f.b.fail("family %s: nobody works for %s", f.key, agency)
	return ""
}

// involve records that a worker works with a person, as the agency's feed says.
func (f *fam) involve(agency, worker string, days int, who ...*person) {
	w := f.b.who(worker)
	for _, p := range who {
		f.involvement(agency, w.Worker, "", "feed", "", f.b.day(-days).Add(9*time.Hour), time.Time{}, p)
	}
}

// team records that a team holds the case.
func (f *fam) team(agency, team string, days int, who ...*person) {
	for _, p := range who {
		f.involvement(agency, uuid.Nil, team, "feed", "", f.b.day(-days).Add(9*time.Hour), time.Time{}, p)
	}
}

func (f *fam) involvement(agency string, worker uuid.UUID, team, source, reason string, from, until time.Time, p *person) {
	i := f.b.of("involvement", f.key, agency, p.path, worker.String(), team, source)
	if f.b.involved[i] {
		return // two layers say so; the first has the longer history
	}
	f.b.involved[i] = true
	var by uuid.UUID
	if source == "allocation" || source == "cover" {
		by = f.b.who("team-manager").Worker
	}
	if source == "declared" {
		by = worker
	}
	f.b.rows.involvement.add(id(i), id(p.record(agency)), id(p.id), agency, id(worker), text(team), "", source, reason, id(by), from, when(until),
		agency+"-IN-"+f.b.digits(9, "involvement", i.String()))
}

// told records what was told to, and agreed by, people for one purpose.
func (f *fam) told(purpose, agency, agreed, told, why string, days int, who ...*person) {
	w := f.b.who(f.worker(agency))
	for _, p := range who {
		f.b.rows.told.add(id(f.b.of("told", f.key, p.path, purpose, agency, strconv.Itoa(days))), id(p.record(agency)), id(p.id), purpose, agency,
			agreed, told, f.say(why), id(w.Worker), w.Name, f.b.day(-days), f.b.day(180-days))
	}
}

var slot = regexp.MustCompile(`\{([^{}]+)\}`)

// say fills the slots of a text: {mum} {mum.full} {mum.he} {mum.his} {mum.him}
// (with a capital: {mum.He}), {@detective} a worker's name, {d-12} a day
// relative to today in words, {street} the family's street.
func (f *fam) say(s string) string {
	return slot.ReplaceAllStringFunc(s, func(m string) string {
		in := m[1 : len(m)-1]
		if in == "street" {
			return f.street
		}
		if strings.HasPrefix(in, "@") {
			return f.b.who(in[1:]).Name
		}
		if n, err := strconv.Atoi(strings.TrimPrefix(in, "d")); err == nil && in[0] == 'd' {
			return f.b.day(n).Format("2 January 2006")
		}
		key, form, _ := strings.Cut(in, ".")
		p, ok := f.people[key]
		if !ok {
			f.b.fail("family %s: nobody is called %q", f.key, key)
			return m
		}
		return p.form(form)
	})
}

func (p *person) form(form string) string {
	words := map[byte][3]string{'f': {"she", "her", "her"}, 'm': {"he", "his", "him"}, 0: {"they", "their", "them"}}[p.sex]
	switch form {
	case "":
		return p.given
	case "full":
		return p.full()
	case "last":
		return p.last
	case "he":
		return words[0]
	case "his":
		return words[1]
	case "him":
		return words[2]
	case "He":
		return strings.ToUpper(words[0][:1]) + words[0][1:]
	case "His":
		return strings.ToUpper(words[1][:1]) + words[1][1:]
	}
	p.b.fail("person %s: no form %q", p.path, form)
	return p.given
}

func cutLast(name string) (given, last string, ok bool) {
	i := strings.LastIndexByte(name, ' ')
	if i <= 0 || i == len(name)-1 {
		return "", "", false
	}
	return name[:i], strings.ReplaceAll(name[i+1:], "_", " "), true
}
