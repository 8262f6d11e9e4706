package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Beyond the forty stories the borough is scaled by plain families of three or
// four people and ten to twelve entries, for measuring. They are copied in
// pieces, so that memory stays flat whatever their number.
const bulkPiece = 1000

// bulkTeamSize is how many families one bulk social worker holds.
const bulkTeamSize = 20

// BulkFamily is what a measurement needs to know of the n-th bulk family.
type BulkFamily struct {
	Family   uuid.UUID
	Child    uuid.UUID
	Worker   uuid.UUID // a social worker of CSC who works with the child
	MHWorker uuid.UUID // a practitioner of MH who works with the mother
}

// Bulk gives the n-th bulk family, from 0 to Families-StoryFamilies-1.
func Bulk(seed uint64, n int) BulkFamily {
	d := ids{seed}
	k := strconv.Itoa(n)
	return BulkFamily{Family: d.of("bulk", k), Child: d.of("bulk", k, "kid0"), Worker: d.of("worker", bulkSign("social-worker", n)), MHWorker: d.of("worker", bulkSign("mh-practitioner", n))}
}

func bulkSign(role string, n int) string {
	return fmt.Sprintf("bulk-%s-%05d", role, n/bulkTeamSize)
}

// BulkAccounts lists the workers of the bulk families.
func BulkAccounts(seed uint64, families int) []Account {
	d := ids{seed}
	var all []Account
	for n := 0; n < families-StoryFamilies; n += bulkTeamSize {
		for _, w := range []struct{ agency, role, name string }{{"CSC", "social-worker", "Social Worker"}, {"MH", "mh-practitioner", "Practitioner"}} {
			sign := bulkSign(w.role, n)
			all = append(all, Account{Sign: sign, Worker: d.of("worker", sign), Subject: d.of("subject", sign).String(), Name: fmt.Sprintf("Bulk %s %05d", w.name, n/bulkTeamSize),
				Agency: w.agency, Kind: w.agency, Roles: []string{w.role, "practitioner"}, employer: w.agency})
		}
	}
	return all
}

func (o Options) bulk(ctx context.Context, tx pgx.Tx, b *builder, res *Result) error {
	more := o.Families - StoryFamilies
	began := 0
	for began < more {
		piece := min(bulkPiece, more-began)
		for i := range piece {
			b.bulkFamily(began + i)
		}
		if err := copyRows(ctx, tx, b.rows, res); err != nil {
			return err
		}
		began += piece
		if o.Progress != nil {
			const width = 40
			full := width * began / more
			fmt.Fprintf(o.Progress, "\rfamilies [%-*s] %d of %d", width, "########################################"[:full], began, more)
			if began == more {
				fmt.Fprintln(o.Progress)
			}
		}
	}
	return nil
}

// bulkPerson is a member of a bulk family.
type bulkPerson struct {
	id, record  uuid.UUID
	given, last string
	born        time.Time
	child       bool
}

func (b *builder) bulkFamily(n int) {
	k := strconv.Itoa(n)
	r := b.source("bulk", k)
	f := b.of("bulk", k)
	b.rows.family.add(id(f), Partnership, b.ref(8, "bulk/"+k))
	last := surname(r)
	people := []bulkPerson{
		b.bulkMember(f, k, "mum", pickName(r, girls()), last, b.day(-365*(21+r.IntN(24))-r.IntN(365)), false),
		b.bulkMember(f, k, "dad", pickName(r, boys()), surname(r), b.day(-365*(22+r.IntN(26))-r.IntN(365)), false),
	}
	var kids []bulkPerson
	for i := range 1 + r.IntN(2) {
		names := girls()
		if r.IntN(2) == 0 {
			names = boys()
		}
		kids = append(kids, b.bulkMember(f, k, "kid"+strconv.Itoa(i), pickName(r, names), last, b.day(-30-r.IntN(365*16)), true))
	}
	people = append(people, kids...)
	mum, dad, kid := people[0], people[1], kids[0]
	for i, c := range kids {
		for _, a := range []bulkPerson{mum, dad} {
			b.rows.relationship.add(id(b.of("bulk", k, "parent", strconv.Itoa(i), a.given, a.born.String())), id(a.id), id(c.id), "parent", nil, true, nil, nil, "CSC", b.day(-100))
		}
		b.rows.episode.add(id(b.of("bulk", k, "episode", strconv.Itoa(i))), id(c.record), id(c.id), "child-in-need", nil, b.day(-40-r.IntN(200)), nil, "CSC", "B-EP-"+k+"-"+strconv.Itoa(i))
		b.bulkInvolve(k+"-"+strconv.Itoa(i), "CSC", b.of("worker", bulkSign("social-worker", n)), c)
	}
	b.bulkInvolve(k, "MH", b.of("worker", bulkSign("mh-practitioner", n)), mum)
	if n%4 == 0 {
		b.rows.harm.add(id(b.of("bulk", k, "harm")), id(dad.id), id(mum.id), b.day(-300), nil, "POL")
	}

	e := bulkTeller{b: b, k: k, r: r}
	for _, p := range people {
		c := body{"given_name": p.given, "family_name": p.last, "date_of_birth": p.born.Format(time.DateOnly), "language": "English", "nhs_number": b.nhsNumber("bulk", k, p.given, p.born.String())}
		if p.child {
			c["upn"] = b.upn("bulk", k, p.given, p.born.String())
		}
		e.put("CSC", "identity", 200, c, "", p)
	}
	postcode := fmt.Sprintf("NB%d %d%c%c", 1+r.IntN(9), r.IntN(10), 'A'+rune(r.IntN(26)), 'A'+rune(r.IntN(26)))
	e.put("CSC", "usual-address", 200, body{"address": fmt.Sprintf("%d %s", 1+r.IntN(140), pickName(r, streets())), "postcode": postcode, "safe_to_contact": true}, "", append([]bulkPerson{mum}, kids...)...)
	e.put("CSC", "care-status", 60, body{"status": "child in need", "start": b.day(-60).Format(time.DateOnly), "team": "Locality"}, "", kids...)
	e.put("CSC", "assessment-plan", 50, body{"kind": "assessment", "start": b.day(-90).Format(time.DateOnly), "outcome": "plan needed", "child_seen": true,
		"analysis": "Home visited four times, children seen alone twice. Evenings are the hard part of the day; mornings go well when somebody has slept."}, "", kids...)
	e.put("CSC", "childs-story", 20, body{"text": kid.given + " talks about school first, and about home when drawing.", "in_own_words": false}, kid.given+" is more at ease talking while drawing.", kid)
	e.put("MH", "mh-involvement", 80, body{"team": "Adult Community", "start": b.day(-80).Format(time.DateOnly), "engagement": "engaging in part"}, "", mum)
	e.put("MH", "mh-risk", 30, body{"risk_level": "moderate", "risk_to_child": "Withdrawn for two or three days at a time.", "relapse_signs": "Stops answering messages.", "crisis_plan": "Ring the team."}, "", mum)
	if n%2 == 0 {
		e.put("POL", "police-events", 70, body{"kind": "domestic incident", "summary": "Loud argument, no injuries.", "caller": "a neighbour", "outcome": "advice given"}, "", mum, dad)
	} else {
		e.put("SM", "sm-risk", 35, body{"pattern": "Alcohol at weekends.", "storage": "Locked.", "parenting": "Reliable on weekdays."}, "", dad)
	}
	e.put("SCH", "education", 15, body{"school": "Millbrook Primary School", "attendance": 80 + r.IntN(20), "concerns": "Tired on Mondays."}, "", kid)
}

func (b *builder) bulkMember(f uuid.UUID, k, key, given, last string, born time.Time, child bool) bulkPerson {
	p := bulkPerson{id: b.of("bulk", k, key), record: b.of("bulk", k, key, "record"), given: given, last: last, born: born, child: child}
	local := "B-" + k + "-" + key
	about, role := "adult", "parent"
	if child {
		about, role = "child", "child"
	}
	raw, err := json.Marshal(map[string]string{"local_id": local, "given_name": given, "family_name": last, "date_of_birth": born.Format(time.DateOnly)})
	if err != nil {
		b.fail("bulk record: %w", err)
	}
	at := b.day(-200)
	b.rows.person.add(id(p.id), Partnership, born, nil, nil, false)
	b.rows.record.add(id(p.record), Partnership, "CSC", local, about, int32(1))
	b.rows.recordVersion.add(id(p.record), int32(1), "application/json", raw, digest(raw), at)
	b.rows.link.add(id(b.of("bulk", k, key, "link")), id(p.record), id(p.id), at, "as first sent", nil, nil)
	b.rows.membership.add(id(b.of("bulk", k, key, "membership")), id(f), id(p.id), role, true, nil, nil, "CSC", "CSC", at, nil)
	return p
}

func (b *builder) bulkInvolve(key, agency string, worker uuid.UUID, p bulkPerson) {
	b.rows.involvement.add(id(b.of("bulk-involvement", key, agency)), nil, id(p.id), agency, id(worker), nil, "", "feed", "", nil, b.day(-60), nil, "B-IN-"+agency+"-"+key)
}

// bulkTeller adds the entries of one bulk family.
type bulkTeller struct {
	b *builder
	k string
	r *rand.Rand
	n int
}

func (e *bulkTeller) put(owner, section string, daysAgo int, content body, summary string, about ...bulkPerson) {
	b := e.b
	s, ok := b.catalogue.Section(section)
	if !ok {
		b.fail("bulk: no section %q", section)
		return
	}
	e.n++
	entry := b.of("bulk", e.k, "entry", strconv.Itoa(e.n))
	b.version++
	full := b.content(content)
	b.keys(full, section, content)
	var part, by, on, review any
	switch {
	case s.Narrative && summary != "":
		part = b.content(body{"shared_summary": summary})
		by, on, review = "Bulk Social Worker", b.day(-daysAgo+1), b.day(60)
	case !s.Narrative:
		short := body{}
		for _, f := range s.Fields {
			if v, ok := content[f.Name]; ok && f.Summary {
				short[f.Name] = v
			}
		}
		if len(short) > 0 {
			part = b.content(short)
		}
	}
	b.rows.entry.add(id(entry), Partnership, owner, "B-EN-"+e.k+"-"+strconv.Itoa(e.n))
	b.rows.version.add(b.version, id(entry), owner, int32(1), true, section, s.Schema, owner, defaultSource(section), nil, false, int16(s.Sensitivity),
		b.day(-daysAgo), nil, nil, b.day(-daysAgo+1), s.Narrative, true, []string{}, []string{}, nil, full, part, by, on, review, nil, nil, "", false)
	for _, p := range about {
		b.rows.subject.add(b.version, nil, id(p.id), "about")
	}
}
