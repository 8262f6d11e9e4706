package web

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

type myFamiliesPage struct {
	Groups  []caseGroup
	More    bool
	Worker  bool
	Manager bool
	Drafts  []unfinished
	Notice  disclosure.Notice
}

// caseGroup is the cases with a meeting today, those that changed, or the rest.
type caseGroup struct {
	Title string
	Cases []caseCard
}

type unfinished struct {
	ID, Title string
	Kept      time.Time
}

type caseCard struct {
	disclosure.Case
	Title    string
	Children []childLine
	Status   []string // what children's social care says is open
	Today    []string
	New      []string // headings of what is new
	NewMore  int
	Doubted  []doubtLine
}

// doubtLine is an entry of the own agency that somebody says is wrong.
type doubtLine struct{ Text, Href string }

type childLine struct{ Name, Age string }

// myFamilies is the first page: the worker's open cases, one click from each record.
func (s *Server) myFamilies(w http.ResponseWriter, r *http.Request, v visit) error {
	if first := s.firstPage(v.by()); first != "" {
		http.Redirect(w, r, first, http.StatusSeeOther)
		return nil
	}
	desk, err := s.Door.Desk(r.Context())
	if err != nil {
		return err
	}
	page := myFamiliesPage{Worker: opensRecords(v.by()), Manager: manages(v.by()), Notice: desk.Notice}
	sh := sheet{Title: s.words.say("my-families.title"), Nav: "families"}
	if page.Worker {
		before, err := s.lastVisits(r.Context(), v)
		if err != nil {
			return err
		}
		list, err := s.Door.CaseloadSince(r.Context(), v.by(), before, v.request)
		if err != nil {
			return err
		}
		page.Groups = s.groupCases(list.Cases)
		page.More, sh.Receipt = list.More, list.Receipt
		drafts, err := s.SignIn.Drafts(r.Context(), v.by())
		if err != nil {
			return err
		}
		for _, d := range drafts {
			page.Drafts = append(page.Drafts, unfinished{d.ID.String(), d.Title, d.Kept})
		}
	}
	sh.Page = page
	return s.write(w, v, http.StatusOK, "myfamilies", sh)
}

// firstPage is where an officer begins; "" is the list of families.
func (s *Server) firstPage(p identity.Principal) string {
	switch {
	case opensRecords(p):
	case s.auditPages(p):
		return "/log"
	case s.policyPages(p):
		return "/policy"
	case s.Audit != nil && p.Has(roleSubjectAccess):
		return "/log/person"
	case s.Admin != nil && p.Has(roleAdmin):
		return "/admin"
	}
	return ""
}

func (s *Server) card(c disclosure.Case) caseCard {
	card := caseCard{Case: c}
	var names []string
	for _, k := range c.Children {
		names = append(names, k.Name)
		card.Children = append(card.Children, childLine{Name: k.Name, Age: s.words.ageOn(k.Born, s.Now())})
	}
	card.Title = s.words.familyName(names, c.Ref)
	s.tell(&card)
	return card
}

// newHeadings is how many headings of new entries stand on a card.
const newHeadings = 3

// groupCases puts the cases into the order of the day: what meets today, what
// changed, the rest.
func (s *Server) groupCases(cases []disclosure.Case) []caseGroup {
	groups := []caseGroup{{Title: s.words.say("my-families.today")}, {Title: s.words.say("my-families.changed")}, {Title: s.words.say("my-families.rest")}}
	for _, c := range cases {
		card := s.card(c)
		at := 2
		switch {
		case len(card.Today) > 0:
			at = 0
		case len(card.New)+len(card.Doubted) > 0:
			at = 1
		}
		groups[at].Cases = append(groups[at].Cases, card)
	}
	return slices.DeleteFunc(groups, func(g caseGroup) bool { return len(g.Cases) == 0 })
}

// tell fills in what the list says of a case beside its children.
func (s *Server) tell(card *caseCard) {
	day := s.Now().In(london()).Format(time.DateOnly)
	rec := &record{words: s.words}
	heading := func(e disclosure.CaseEntry) (string, map[string]any) {
		var content map[string]any
		if json.Unmarshal(e.Content, &content) != nil {
			content = nil
		}
		return rec.heading(policy.Section{Code: e.Section, Name: s.words.known("part."+e.Section, strings.ReplaceAll(e.Section, "-", " "))}, content), content
	}
	add := func(to *[]string, text string) {
		if text != "" && !slices.Contains(*to, text) {
			*to = append(*to, text)
		}
	}
	for _, e := range card.News.Status {
		_, content := heading(e)
		said := entryCard{content: content}
		if said.text("end") != "" || said.text("status") == "" {
			continue
		}
		text := upperFirst(said.text("status"))
		if review := said.text("review_date"); review >= day {
			text = s.words.say("my-families.review", text, longDay(review))
		}
		add(&card.Status, text)
		for _, field := range []string{"conference_date", "review_date"} {
			if said.text(field) == day {
				add(&card.Today, s.words.say("my-families."+field))
			}
		}
	}
	for _, e := range card.News.Today {
		text, _ := heading(e)
		add(&card.Today, text)
	}
	for _, e := range card.News.New {
		if len(card.New) == newHeadings {
			card.NewMore++
			continue
		}
		text, _ := heading(e)
		card.New = append(card.New, text)
	}
	for _, e := range card.News.Questioned {
		text, _ := heading(e)
		card.Doubted = append(card.Doubted, doubtLine{text, "/entries/" + e.ID.String() + "?family=" + card.Family.String()})
	}
}

// agencyName gives an agency's name as its own people write it.
func (s *Server) agencyName(code string) string {
	return s.agencies(context.Background())[code].Name
}

// agencies reads the directory's agencies by code; where that fails, codes stand
// in for names.
func (s *Server) agencies(ctx context.Context) map[string]identity.Agency {
	out := map[string]identity.Agency{}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	all, err := s.Directory.Agencies(ctx)
	if err != nil {
		s.Logger.Error("agencies", "cause", err)
	}
	for _, a := range all {
		out[a.Code] = a
	}
	return out
}

// sitting is how long a quiet must be for the next read to be another visit: a
// reload must not empty what is new.
const sitting = 4 * time.Hour

// seen is what an earlier visit released: entry → version.
type seen struct {
	at      time.Time
	entries map[uuid.UUID]int
}

// lastVisit finds what the reader was shown of this family before this sitting.
// The event of the present read is among the reader's own, and no part of it.
func (s *Server) lastVisit(ctx context.Context, v visit, family uuid.UUID) (seen, error) {
	visits, err := s.Log.LastVisits(ctx, v.by().Worker, family, s.Now(), sitting)
	if err != nil {
		return seen{}, err
	}
	last := visits[family]
	return seen{at: last.At, entries: last.Entries}, nil
}

// lastVisits finds the same for every family that the reader has opened.
func (s *Server) lastVisits(ctx context.Context, v visit) (map[uuid.UUID]disclosure.Seen, error) {
	visits, err := s.Log.LastVisits(ctx, v.by().Worker, uuid.Nil, s.Now(), sitting)
	if err != nil {
		return nil, err
	}
	out := make(map[uuid.UUID]disclosure.Seen, len(visits))
	for family, last := range visits {
		out[family] = disclosure.Seen{At: last.At, Entries: last.Entries}
	}
	return out, nil
}

type accessesPage struct {
	Rows []accessRow
	Next string
}

type accessRow struct {
	When              time.Time
	What              string
	Family            string
	FamilyRef         string
	Purpose           string
	Outcome           string
	Parts             int
	Reason, Reference string
}

// myAccesses shows people their own part of the log.
func (s *Server) myAccesses(w http.ResponseWriter, r *http.Request, v visit) error {
	p := v.by()
	receipt, err := s.Recorder.Append(r.Context(), audit.Event{
		Kind: audit.KindLogView, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Principal: principalOf(p), Request: v.request,
		Details: map[string]string{"scope": "own"},
	})
	if err != nil {
		return err
	}
	records, next, err := s.Log.List(r.Context(), audit.OwnScope(p.Worker), audit.Filter{Worker: p.Worker}, audit.Page{Limit: 50, After: r.URL.Query().Get("after")})
	if err != nil {
		return notShown(disclosure.Call{})
	}
	page := accessesPage{Next: next}
	version, err := s.Door.Version(r.Context(), p.Partnership)
	if err != nil {
		return err
	}
	refs := map[uuid.UUID]string{}
	if s.Audit != nil {
		if refs, err = s.Audit.Explain.FamilyRefs(r.Context(), p, audit.OwnScope(p.Worker), records); err != nil {
			return err
		}
	}
	for i := range records {
		rec := &records[i]
		row := accessRow{When: rec.Occurred, What: s.words.known("event."+string(rec.Kind), string(rec.Kind)),
			Outcome: s.words.known("outcome."+string(rec.Outcome), string(rec.Outcome)), Parts: rec.Count, Reason: rec.Reason, Reference: rec.ID.String()[:8]}
		if purpose, ok := version.Purpose(rec.Purpose); ok {
			row.Purpose = purpose.Name
		}
		if rec.Family != uuid.Nil && rec.Outcome == audit.OutcomeReleased {
			row.Family, row.FamilyRef = rec.Family.String(), cmp.Or(refs[rec.Family], row.Reference)
		}
		page.Rows = append(page.Rows, row)
	}
	return s.write(w, v, http.StatusOK, "accesses", sheet{Title: s.words.say("accesses.title"), Page: page, Nav: "accesses", Receipt: receipt.String()})
}

func principalOf(p identity.Principal) proof.Principal {
	return proof.Principal{
		ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: slices.Clone(p.Roles), Subject: p.Subject, Worker: p.Worker,
	}
}
