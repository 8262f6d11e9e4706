package web

import (
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/google/uuid"
)

// contact is somebody to ring.
type contact struct{ Name, Work, Line string }

// involved is one service that works with the family, or one of its people.
type involved struct {
	Who, Role, Agency, For, Reach, Since, Heard string
	You                                         bool
	team                                        bool   // of the reader's agency: no person
	code                                        string // of the agency
	people                                      []uuid.UUID
	first                                       int
}

// workerFields says where entries name who works with somebody.
func workerFields() []struct{ section, worker, reach, since string } {
	return []struct{ section, worker, reach, since string }{
		{"care-status", "key_worker", "key_worker_contact", "start"},
		{"mh-involvement", "worker", "contact", "start"},
		{"sm-involvement", "worker", "contact", "start"},
		{"probation", "offender_manager", "", ""},
		{"education", "dsl_contact", "", ""},
	}
}

// involved lists who works with whom: the workers whom released entries name,
// each service of which anything was released, and the reader's own colleagues.
func (r *record) involved() []involved {
	heard := map[string]string{}
	forWhom := map[string][]uuid.UUID{}
	var owners []string
	for _, c := range r.cards {
		if !slices.Contains(owners, c.OwnerCode) {
			owners = append(owners, c.OwnerCode)
		}
		heard[c.OwnerCode] = max(heard[c.OwnerCode], c.Recorded)
		for _, id := range c.People {
			if !slices.Contains(forWhom[c.OwnerCode], id) {
				forWhom[c.OwnerCode] = append(forWhom[c.OwnerCode], id)
			}
		}
	}
	slices.Sort(owners)
	var out []involved
	for i, owner := range owners {
		row := involved{Agency: r.owner(owner), code: owner, people: forWhom[owner], Reach: r.desk(owner), Heard: heard[owner], first: i + 1}
		if owner == "CSC" {
			row.first = 0
		}
		for _, f := range workerFields() {
			for _, c := range r.of(f.section) {
				if c.OwnerCode != owner || c.text(f.worker) == "" || c.text("end") != "" || row.Who != "" {
					continue
				}
				row.Who, row.people, row.Since = c.text(f.worker), c.People, c.text(f.since)
				if f.reach != "" && c.text(f.reach) != "" {
					row.Reach = c.text(f.reach)
				}
			}
		}
		if row.Who == row.Agency || strings.HasPrefix(row.Who, row.Agency) {
			row.Who = ""
		}
		out = append(out, row)
	}
	out = r.withColleagues(out, heard)
	for i := range out {
		out[i].For = joinWords(r.names(out[i].people))
	}
	sort.SliceStable(out, func(i, j int) bool {
		if (out[i].Who != "") != (out[j].Who != "") {
			return out[i].Who != ""
		}
		return out[i].first < out[j].first
	})
	return out
}

// withColleagues adds who of the reader's own agency works with somebody here
// today. Whom an entry names already gets the role and the earlier day.
func (r *record) withColleagues(rows []involved, heard map[string]string) []involved {
	for _, c := range r.colleagues {
		if c.Person == uuid.Nil || r.persons[c.Person] == nil {
			continue
		}
		who := c.Name
		if who == "" {
			who = r.words.say("work.team", c.Team)
		}
		at := slices.IndexFunc(rows, func(x involved) bool { return x.code == r.agency && x.Who == who })
		if at < 0 {
			// A service without a name gives its place to the first of its people.
			at = slices.IndexFunc(rows, func(x involved) bool { return x.code == r.agency && x.Who == "" })
			if at < 0 {
				first := 0
				if r.agency != "CSC" {
					first = len(rows) + 1
				}
				rows = append(rows, involved{code: r.agency, Agency: r.owner(r.agency), Reach: r.desk(r.agency), Heard: heard[r.agency], first: first})
				at = len(rows) - 1
			}
			rows[at].Who, rows[at].people = who, nil
		}
		row := &rows[at]
		row.Role = r.words.role(c.Roles)
		row.You = c.Worker != nil && *c.Worker == r.reader
		row.team = c.Worker == nil
		if !slices.Contains(row.people, c.Person) {
			row.people = append(slices.Clone(row.people), c.Person)
		}
		if since := c.From.In(london()).Format(time.DateOnly); row.Since == "" || since < row.Since {
			row.Since = since
		}
	}
	return rows
}

// desk is how an agency is reached.
func (r *record) desk(agency string) string {
	if a := r.agencies[agency]; a.ContactPhone != "" {
		return strings.TrimPrefix(a.ContactName+", "+a.ContactPhone, ", ")
	}
	return ""
}

// ring picks three others whom one can reach.
func ring(all []involved) []contact {
	var out []contact
	for _, i := range all {
		if i.Reach == "" || i.You || i.team || len(out) == 3 {
			continue
		}
		c := contact{Name: i.Who, Work: i.Agency, Line: i.Reach}
		if c.Name == "" {
			c.Name, c.Work = i.Agency, ""
		}
		out = append(out, c)
	}
	return out
}

// holding is a service that holds something which is not shown: by name where
// its kind is plain.
type holding struct{ Who, Reach string }

func (r *record) holdings() []holding {
	var out []holding
	for _, h := range r.view.Holders {
		x := holding{Who: r.words.say("involved.holder"), Reach: h.Contact}
		if h.Agency != "" {
			x.Who = r.words.say("involved.holder-named", r.owner(h.Agency))
			x.Reach = strings.TrimPrefix(x.Reach, r.owner(h.Agency)+", ")
		}
		x.Reach = strings.TrimPrefix(x.Reach, r.words.say("involved.holder")+". ")
		out = append(out, x)
	}
	return out
}
