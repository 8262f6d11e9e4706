package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/disclosure"
	"kith/internal/identity"
)

type myFamiliesPage struct {
	Cases  []caseCard
	More   bool
	Worker bool
	Notice disclosure.Notice
}

type caseCard struct {
	disclosure.Case
	Title    string
	Children []childLine
}

type childLine struct{ Name, Age string }

// myFamilies is the first page: the worker's open cases, one click from each record.
func (s *Server) myFamilies(w http.ResponseWriter, r *http.Request, v visit) error {
	desk, err := s.Door.Desk(r.Context())
	if err != nil {
		return err
	}
	page := myFamiliesPage{Worker: opensRecords(v.by()), Notice: desk.Notice}
	sh := sheet{Title: s.words.say("my-families.title"), Nav: "families"}
	if page.Worker {
		list, err := s.Door.Caseload(r.Context(), v.by(), uuid.Nil, v.request)
		if err != nil {
			return err
		}
		for _, c := range list.Cases {
			page.Cases = append(page.Cases, s.card(c))
		}
		page.More, sh.Receipt = list.More, list.Receipt
	}
	sh.Page = page
	return s.write(w, v, http.StatusOK, "myfamilies", sh)
}

func (s *Server) card(c disclosure.Case) caseCard {
	card := caseCard{Case: c}
	var names []string
	for _, k := range c.Children {
		names = append(names, k.Name)
		card.Children = append(card.Children, childLine{Name: k.Name, Age: s.words.ageOn(k.Born, s.Now())})
	}
	card.Title = s.words.familyName(names, c.Ref)
	return card
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

// lastVisit finds what the reader was shown of this family before this sitting,
// from the reader's own events alone. The event of the present read is among
// them. It is no view of the log: nothing of it is shown.
func (s *Server) lastVisit(ctx context.Context, v visit, family uuid.UUID) (seen, error) {
	records, _, err := s.Log.List(ctx, audit.OwnScope(v.by().Worker), audit.Filter{
		Worker: v.by().Worker, Family: family, Kind: audit.KindRead, Outcome: audit.OutcomeReleased,
	}, audit.Page{Limit: 200})
	if err != nil {
		return seen{}, err
	}
	return visitBefore(records, s.Now()), nil
}

// visitBefore joins reads, newest first, into visits and gives the last one
// before the present: all of its pages count.
func visitBefore(records []audit.Record, now time.Time) seen {
	i, last := 0, now
	for ; i < len(records) && last.Sub(records[i].Occurred) < sitting; i++ {
		last = records[i].Occurred
	}
	if i == len(records) {
		return seen{}
	}
	before := seen{at: records[i].Occurred, entries: map[uuid.UUID]int{}}
	for last = before.at; i < len(records) && last.Sub(records[i].Occurred) < sitting; i++ {
		last = records[i].Occurred
		for _, released := range records[i].Released {
			for _, e := range released.Entries {
				before.entries[e.Entry] = max(before.entries[e.Entry], int(e.Version))
			}
		}
	}
	return before
}

type accessesPage struct {
	Rows []accessRow
	Next string
}

type accessRow struct {
	When              time.Time
	What              string
	Family            string
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
	for i := range records {
		rec := &records[i]
		row := accessRow{When: rec.Occurred, What: s.words.known("event."+string(rec.Kind), string(rec.Kind)),
			Outcome: s.words.known("outcome."+string(rec.Outcome), string(rec.Outcome)), Parts: rec.Count, Reason: rec.Reason, Reference: rec.ID.String()[:8]}
		if purpose, ok := version.Purpose(rec.Purpose); ok {
			row.Purpose = purpose.Name
		}
		if rec.Family != uuid.Nil && rec.Outcome == audit.OutcomeReleased {
			row.Family = rec.Family.String()
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
