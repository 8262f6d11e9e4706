package policy

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kith/internal/audit"
)

// The papers that are made from a version.
const (
	PaperProcessing = "processing"     // record of processing activities, UK GDPR art. 30
	PaperPrivacy    = "privacy-notice" // who we share with, for the notices of art. 13 and 14
	PaperUse        = "use"            // what the agreements open against what was used
)

// Paper is a document made from a policy version, for a person to read, print
// and sign. Every cell is plain text.
type Paper struct {
	Code    string      `json:"code"`
	Title   string      `json:"title"`
	Version string      `json:"version"` // name of the policy version
	Digest  Digest      `json:"digest"`  // of the policy version
	Made    time.Time   `json:"made"`
	Lead    []string    `json:"lead"` // paragraphs before the tables
	Parts   []PaperPart `json:"parts"`
}

// PaperPart is one table of a paper.
type PaperPart struct {
	Heading string     `json:"heading"`
	Lead    string     `json:"lead,omitempty"`
	Columns []string   `json:"columns"`
	Rows    [][]string `json:"rows"`
}

// PaperFacts are what a paper needs beside the version.
type PaperFacts struct {
	Now    time.Time
	Names  map[string]string // agencies by code: name and legal controller
	Stands func(agreement, agency string) string
	Keeps  []string // how long the hub keeps what, in words
}

func (f PaperFacts) name(agency string) string { return cmp.Or(f.Names[agency], agency) }

func (v *Version) paper(code, title string, f PaperFacts, lead ...string) Paper {
	return Paper{Code: code, Title: title, Version: v.Name, Digest: v.Digest, Made: f.Now.UTC(), Lead: lead, Parts: []PaperPart{}}
}

// rowPurposes are the purposes whose records a row opens: its own, and those
// that read its column.
func (v *Version) rowPurposes(r Row) []Purpose {
	var out []Purpose
	for _, p := range v.Purposes {
		if slices.Contains(r.Purposes, p.Code) || p.Letter != "" && slices.Contains(r.Purposes, p.Letter) {
			out = append(out, p)
		}
	}
	return out
}

// opens tells whether a row can give anything to anybody but the owner.
func (r Row) opens() bool {
	return r.Clause != "" && !slices.Contains([]string{"hidden", "own", "never"}, r.Level)
}

// cited splits a clause reference such as "isa-mash 3.1".
func (r Row) cited() (agreement, clause string) {
	agreement, clause, _ = strings.Cut(r.Clause, " ")
	return agreement, clause
}

func rowLevel(level string) string {
	switch level {
	case "grant":
		return "by a named grant only"
	case Full.String():
		return "in full"
	case Summary.String():
		return "the shared summary"
	case Existence.String():
		return "only that a service holds something, and whom to ask"
	}
	return level
}

func (v *Version) sectionName(code string) string {
	if s, ok := v.Section(code); ok {
		return s.Name
	}
	return code
}

func (v *Version) receiverName(to string, f PaperFacts) string {
	if k, ok := v.Kind(to); ok {
		return k.Name
	}
	return f.name(to)
}

// ProcessingRecord is the record of processing activities (UK GDPR art. 30(1)):
// for each purpose its controllers, lawful bases, whose data, which data, to
// whom, how long.
func (v *Version) ProcessingRecord(f PaperFacts) Paper {
	p := v.paper(PaperProcessing, "Record of processing activities", f,
		"UK GDPR article 30(1). One table a purpose of the active sharing policy; what is listed is what the policy can open, never more.",
		"People concerned: children, their parents and carers, household members and other adults near them, and the workers who work with them.",
		"Transfers outside the United Kingdom: none by Kith.",
		"Security: each part of a record is opened by a decision of this policy and a log row that is committed before the part is read; the log is append-only and verifiable.")
	for _, purpose := range v.Purposes {
		part := PaperPart{Heading: upperFirst(purpose.Name) + " (" + purpose.Code + ")", Columns: []string{"What", "Details"}}
		add := func(what, details string) {
			if details != "" {
				part.Rows = append(part.Rows, []string{what, details})
			}
		}
		add("Lawful bases", strings.Join(purpose.Basis, "; "))
		var agreements, controllers, contacts []string
		for _, a := range v.Agreements {
			if !slices.Contains(a.Purposes, purpose.Code) {
				continue
			}
			agreements = append(agreements, fmt.Sprintf("%s, from %s to %s (%s; kept: %s)", a.Title, day(a.From), day(a.End), a.DPIA, a.Retention))
			for _, party := range a.Parties {
				controllers = append(controllers, f.name(party.Agency)+" ("+partyRole(party.Role)+")")
				contacts = append(contacts, f.name(party.Agency)+": "+party.DPO)
			}
		}
		add("Agreements, impact assessments and retention", strings.Join(agreements, "; "))
		add("Controllers", strings.Join(distinct(controllers), "; "))
		add("Data protection officers", strings.Join(distinct(contacts), "; "))
		data, recipients := map[string][]string{}, map[string][]string{}
		for _, r := range v.Matrix {
			if !r.opens() || !slices.ContainsFunc(v.rowPurposes(r), func(x Purpose) bool { return x.Code == purpose.Code }) {
				continue
			}
			s, _ := v.Section(r.Section)
			data[s.Group] = append(data[s.Group], s.Name)
			recipients[v.receiverName(r.To, f)] = append(recipients[v.receiverName(r.To, f)], s.Name)
		}
		for _, group := range sortedKeys(data) {
			add("Data: "+group, strings.Join(distinct(data[group]), ", "))
		}
		for _, to := range sortedKeys(recipients) {
			add("Recipient: "+to, strings.Join(distinct(recipients[to]), ", "))
		}
		if len(data) == 0 {
			add("Data", "Opens no part of a family's record.")
		}
		p.Parts = append(p.Parts, part)
	}
	if len(f.Keeps) > 0 {
		part := PaperPart{Heading: "How long the hub keeps its log", Columns: []string{"What is kept"}}
		for _, k := range f.Keeps {
			part.Rows = append(part.Rows, []string{k})
		}
		p.Parts = append(p.Parts, part)
	}
	return p
}

// PrivacyNotice says in plain words who receives what from whom, for what.
func (v *Version) PrivacyNotice(f PaperFacts) Paper {
	p := v.paper(PaperPrivacy, "Who we share information with", f,
		"Services that help the same family share what each needs to know. This page says which services may receive which information, for what and under which agreement. No service sees everything.",
		"Some information is never shared this way, whatever the reason: what the law keeps apart, such as certain health information, and where somebody lives whose address is protected.")
	type key struct{ to, level, agreement string }
	what := map[key]map[string][]string{} // section → purposes
	for _, r := range v.Matrix {
		if !r.opens() {
			continue
		}
		agreement, _ := r.cited()
		k := key{r.To, r.Level, agreement}
		if what[k] == nil {
			what[k] = map[string][]string{}
		}
		for _, x := range v.rowPurposes(r) {
			what[k][r.Section] = append(what[k][r.Section], x.Name)
		}
	}
	var receivers []string
	for k := range what {
		receivers = append(receivers, k.to)
	}
	for _, to := range distinct(receivers) {
		part := PaperPart{Heading: upperFirst(v.receiverName(to, f)), Lead: "May receive:", Columns: []string{"What", "How much", "From", "For", "Under"}}
		type terms struct{ level, from, purposes, agreement string }
		shared := map[terms][]string{} // sections that are shared on the same terms stand in one row
		for k, sections := range what {
			if k.to != to {
				continue
			}
			a, _ := v.Agreement(k.agreement)
			for code, purposes := range sections {
				s, _ := v.Section(code)
				var from []string
				for _, kind := range s.OwningKinds() {
					if owner, ok := v.Kind(kind); ok && kind != to {
						from = append(from, owner.Name)
					}
				}
				if len(s.Owners) == 0 {
					from = append(from, "whoever recorded it")
				}
				if len(from) == 0 {
					continue // its own information
				}
				row := terms{rowLevel(k.level), joined(from), joined(distinct(purposes)), cmp.Or(a.Title, k.agreement)}
				shared[row] = append(shared[row], upperFirst(s.Name))
			}
		}
		for row, sections := range shared {
			part.Rows = append(part.Rows, []string{strings.Join(distinct(sections), "; "), row.level, row.from, row.purposes, row.agreement})
		}
		slices.SortFunc(part.Rows, slices.Compare)
		if len(part.Rows) > 0 {
			p.Parts = append(p.Parts, part)
		}
	}
	return p
}

// Used is how often something was released: under one clause, of one section,
// to one agency, for one purpose.
type Used struct {
	Clause  string // "isa-mash 3.1"
	Section string
	Agency  string // that received it
	Kind    string // of that agency
	Purpose string
	Times   int64
	Last    time.Time // day of the newest
}

// smallCount: fewer than this about people is not said exactly.
const smallCount = 5

func times(n int64) string {
	switch {
	case n == 0:
		return "never"
	case n < smallCount:
		return "fewer than " + strconv.Itoa(smallCount)
	}
	return strconv.FormatInt(n, 10)
}

// AgreementUse sets what the agreements open against what was used since a day:
// rows of the matrix that nobody used, and how often each clause carried a
// release.
func (v *Version) AgreementUse(f PaperFacts, since time.Time, uses []Used) Paper {
	p := v.paper(PaperUse, "What the agreements open, and what was used", f,
		fmt.Sprintf("Releases from %s to %s, as the access log has them. A row that nobody needs is one to take out at the next review; counts under %d are not said exactly.",
			since.Format("2 January 2006"), f.Now.UTC().Format("2 January 2006"), smallCount))
	unused := PaperPart{Heading: "Rows that nobody used", Columns: []string{"Part of the record", "Receiver", "Level", "For", "Clause"}}
	used := PaperPart{Heading: "Rows that were used", Columns: []string{"Part of the record", "Receiver", "Level", "For", "Clause", "Times", "Last"}}
	for _, r := range v.Matrix {
		if !r.opens() {
			continue
		}
		purposes := v.rowPurposes(r)
		var n int64
		var last time.Time
		for _, u := range uses {
			if u.Section == r.Section && u.Clause == r.Clause && (u.Kind == r.To || u.Agency == r.To) && slices.ContainsFunc(purposes, func(x Purpose) bool { return x.Code == u.Purpose }) {
				n += u.Times
				if u.Last.After(last) {
					last = u.Last
				}
			}
		}
		var names []string
		for _, x := range purposes {
			names = append(names, x.Name)
		}
		row := []string{v.sectionName(r.Section), v.receiverName(r.To, f), rowLevel(r.Level), joined(names), r.Clause}
		if n == 0 {
			unused.Rows = append(unused.Rows, row)
		} else {
			used.Rows = append(used.Rows, append(row, times(n), last.Format("2 January 2006")))
		}
	}
	clauses := PaperPart{Heading: "Releases under each clause", Columns: []string{"Agreement", "Clause", "What it says", "Times"}}
	for _, a := range v.Agreements {
		for _, c := range a.Clauses {
			var n int64
			for _, u := range uses {
				if u.Clause == a.ID+" "+c.No {
					n += u.Times
				}
			}
			clauses.Rows = append(clauses.Rows, []string{a.Title, c.No, c.Text, times(n)})
		}
	}
	p.Parts = append(p.Parts, unused, used, clauses)
	return p
}

// AgreementPaper is an agreement as the document that its parties sign. Its
// last table shows how each part stands.
func (v *Version) AgreementPaper(id string, f PaperFacts) (Paper, bool) {
	a, ok := v.Agreement(id)
	if !ok {
		return Paper{}, false
	}
	p := v.paper(a.ID, a.Title, f, fmt.Sprintf("In force from %s to %s, to be reviewed by %s. Digest of this text: %s. Who signs names this digest.", day(a.From), day(a.End), day(a.Review), a.Digest()))
	terms := PaperPart{Heading: "Terms", Columns: []string{"What", "Details"}, Rows: [][]string{
		{"Impact assessment", a.DPIA}, {"Contact", a.Contact}, {"Retention", a.Retention}, {"Passing on", a.Onward},
	}}
	purposes := PaperPart{Heading: "Purposes and lawful bases", Columns: []string{"Purpose", "Lawful bases"}}
	for _, code := range a.Purposes {
		x, _ := v.Purpose(code)
		purposes.Rows = append(purposes.Rows, []string{upperFirst(cmp.Or(x.Name, code)), strings.Join(x.Basis, "; ")})
	}
	clauses := PaperPart{Heading: "Clauses", Columns: []string{"Clause", "What it says"}}
	for _, c := range a.Clauses {
		clauses.Rows = append(clauses.Rows, []string{c.No, c.Text})
	}
	opened := PaperPart{Heading: "What each party receives", Columns: []string{"Receiver", "Part of the record", "How much", "For", "Without", "Only where", "Clause"}}
	for _, r := range v.Matrix {
		agreement, clause := r.cited()
		if agreement != id || !r.opens() {
			continue
		}
		var names, only []string
		for _, x := range v.rowPurposes(r) {
			names = append(names, x.Name)
		}
		for _, c := range r.Conditions {
			only = append(only, meaning(c))
		}
		opened.Rows = append(opened.Rows, []string{upperFirst(v.receiverName(r.To, f)), v.sectionName(r.Section), rowLevel(r.Level), joined(names), strings.Join(r.Masks, ", "), strings.Join(only, "; "), clause})
	}
	slices.SortStableFunc(opened.Rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	parties := PaperPart{Heading: "Parties and signatures", Columns: []string{"Party", "Role", "Data protection officer", "Signs for it", "Stands today"}}
	for _, x := range a.Parties {
		stands := ""
		if f.Stands != nil {
			stands = f.Stands(id, x.Agency)
		}
		parties.Rows = append(parties.Rows, []string{f.name(x.Agency), partyRole(x.Role), x.DPO, x.Signatory, stands})
	}
	p.Parts = append(p.Parts, terms, purposes, clauses, opened, parties)
	return p, true
}

func partyRole(role string) string {
	switch role {
	case "joint":
		return "joint controller"
	default:
		return role
	}
}

// day writes YYYY-MM-DD as the UK does.
func day(text string) string {
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return text
	}
	return at.Format("2 January 2006")
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// CSV writes the paper as one table: heading, then the columns of each part,
// then its rows (RFC 4180; no cell is a formula).
func (p Paper) CSV() ([]byte, error) {
	var out bytes.Buffer
	c := csv.NewWriter(&out)
	c.UseCRLF = true
	width := 1
	for _, part := range p.Parts {
		width = max(width, len(part.Columns))
	}
	write := func(row []string) error {
		row = append([]string{}, row...)
		for i := range row {
			row[i] = audit.Cell(row[i])
		}
		for len(row) < width+1 { // every record has as many fields
			row = append(row, "")
		}
		return c.Write(row)
	}
	head := [][]string{{p.Title}, {"Policy version", p.Version}, {"Digest", p.Digest.String()}, {"Made", p.Made.UTC().Format(time.RFC3339)}}
	for _, row := range head {
		if err := write(row); err != nil {
			return nil, err
		}
	}
	for _, part := range p.Parts {
		for i, row := range append([][]string{part.Columns}, part.Rows...) {
			first := part.Heading
			if i == 0 {
				first = "Part"
			}
			if err := write(append([]string{first}, row...)); err != nil {
				return nil, err
			}
		}
	}
	c.Flush()
	return out.Bytes(), c.Error()
}
