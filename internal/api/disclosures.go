package api

import (
	"context"
	"encoding/csv"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/policy"
)

// roleSubjectAccess answers people who ask what is held and was shared about them.
const roleSubjectAccess = "sar-officer"

// disclosureView is what one event released about one person.
type disclosureView struct {
	Event      uuid.UUID       `json:"event"`
	Kind       audit.Kind      `json:"kind"`
	OccurredAt time.Time       `json:"occurred_at"`
	To         principalView   `json:"to"`
	ActingFor  string          `json:"acting_for,omitempty"`
	Purpose    string          `json:"purpose"`
	Why        string          `json:"why"` // the purpose in words
	Declared   bool            `json:"declared,omitempty"`
	Emergency  bool            `json:"emergency,omitempty"`
	Released   []disclosedView `json:"released"`
	Erased     bool            `json:"erased,omitempty"`
}

// disclosedView is one part of the record: section and service in words beside
// their codes, where the reader may have them.
type disclosedView struct {
	SectionName string `json:"section_name"`
	releasedView
}

type accountView struct {
	Person      string           `json:"person"` // reference
	Disclosures []disclosureView `json:"disclosures"`
	Next        string           `json:"next,omitempty"`
	Receipt     string           `json:"receipt"`
}

// listDisclosures answers GET /v1/people/{person}/disclosures: everything that
// was released about somebody, newest first. Who asks for an id that is nobody's
// gets an account in which nothing stands.
func (s *Server) listDisclosures(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q := r.URL.Query()
	if _, err := s.officerOf(r, p, "", rolePrivacyOfficer, roleSubjectAccess); err != nil {
		return err
	}
	scope := audit.AuditorScope()
	if !p.Has(roleAuditor) {
		scope = audit.AgencyScope(p.Agency)
	}
	from, until, err := period(q.Get("from"), q.Get("until"))
	if err != nil {
		return err
	}
	page := audit.Page{Limit: audit.DefaultLimit, After: q.Get("cursor")}
	if v := q.Get("limit"); v != "" {
		page.Limit, _ = strconv.Atoi(v) // the spec has checked it
	}
	// The event is about the person, so that it stands in this account's own log;
	// a reference is resolved behind it.
	e := eventBy(r.Context(), p, audit.KindLogView, audit.OutcomeDone)
	e.Details = with(filterDetails(r), "what", "disclosures")
	person, err := parseID(chi.URLParam(r, "person"))
	if err == nil {
		e.Subjects = []uuid.UUID{person}
	} else {
		e.Details["person"] = chi.URLParam(r, "person")
	}
	receipt, err := s.Recorder.Append(r.Context(), e)
	if err != nil {
		return unavailable(err)
	}
	if person == uuid.Nil {
		if person, err = s.Log.Person(r.Context(), chi.URLParam(r, "person")); err != nil && !errors.Is(err, audit.ErrNotFound) {
			return unavailable(err)
		}
	}
	version, err := s.Door.Version(r.Context(), p.Partnership)
	if err != nil {
		return unavailable(err)
	}
	account := account{server: s, scope: scope, reference: s.Log.Reference(person), version: version}
	f := audit.Filter{From: from, Until: until, Subject: person, Outcome: audit.OutcomeReleased}
	if q.Get("format") == "csv" {
		w.Header().Set("Kith-Receipt", receipt.String())
		return account.csv(w, r, f)
	}
	answer := accountView{Person: account.reference, Receipt: receipt.String()}
	if answer.Disclosures, answer.Next, err = account.page(r.Context(), f, page); errors.Is(err, audit.ErrPage) {
		return badField("cursor", "must be the next of an earlier answer")
	} else if err != nil {
		return unavailable(err)
	}
	return writeJSON(w, answer.Receipt, answer)
}

// ExportAccount streams one person's account as a table, as the route does with
// format=csv, to a caller whom another face has signed in. The query is that route's.
func (s *Server) ExportAccount(w http.ResponseWriter, r *http.Request, p identity.Principal, request, person string) error {
	route := chi.NewRouteContext()
	route.URLParams.Add("person", person)
	ctx := context.WithValue(context.WithValue(r.Context(), requestIDKey{}, request), chi.RouteCtxKey, route)
	return s.listDisclosures(w, r.WithContext(ctx), p)
}

// account lists what was released about one person to one reader.
type account struct {
	server    *Server
	scope     audit.Scope
	reference string
	version   *policy.Version // for words
}

// page is one page. It may be short, or empty, and still have a next one: an
// event of the agency's own people may have released nothing about this person.
func (a *account) page(ctx context.Context, f audit.Filter, p audit.Page) ([]disclosureView, string, error) {
	records, next, err := a.server.Log.List(ctx, a.scope, f, p)
	list := make([]disclosureView, 0, len(records))
	for i := range records {
		if d, ok := a.of(&records[i]); ok {
			list = append(list, d)
		}
	}
	return list, next, err
}

// of cuts an event down to what it released about this person.
func (a *account) of(r *audit.Record) (disclosureView, bool) {
	about := *r
	about.Released = r.About(a.reference)
	event := eventOf(&about)
	d := disclosureView{Event: r.ID, Kind: r.Kind, OccurredAt: r.Occurred.UTC(), To: event.Principal, ActingFor: r.ActingFor, Purpose: r.Purpose, Why: r.Purpose,
		Declared: r.Declared, Emergency: r.Emergency, Erased: r.Erased}
	if purpose, ok := a.version.Purpose(r.Purpose); ok {
		d.Why = purpose.Name
	}
	for _, x := range event.Released {
		name := "legally restricted"
		if x.Section != audit.LegallyRestricted {
			name = x.Section
			if section, ok := a.version.Section(x.Section); ok {
				name = section.Name
			}
		}
		d.Released = append(d.Released, disclosedView{SectionName: name, releasedView: x})
	}
	return d, len(d.Released) > 0
}

func accountHead() []string {
	return []string{"event", "occurred_at", "kind", "agency", "acting_for", "roles", "worker", "name", "purpose", "why", "declared", "emergency",
		"section", "owner", "level", "part", "clauses", "masked", "labels", "grant", "entries"}
}

// csv streams the account, one row for what was released on the same terms, as
// RFC 4180 in UTF-8 that a spreadsheet reads as text. What goes wrong once the
// first byte has left cuts the answer off.
func (a *account) csv(w http.ResponseWriter, r *http.Request, f audit.Filter) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="disclosures.csv"`)
	started := &startedWriter{w: w}
	out := csv.NewWriter(started)
	out.UseCRLF = true
	err := out.Write(accountHead())
	if err == nil {
		err = a.server.eachRecord(r.Context(), a.scope, f, "", func(rec *audit.Record) error {
			d, ok := a.of(rec)
			if !ok {
				return nil
			}
			for i := range d.Released {
				if err := out.Write(accountRow(&d, &d.Released[i])); err != nil {
					return err
				}
			}
			return nil
		})
	}
	out.Flush()
	if err = errors.Join(err, out.Error()); err == nil {
		return nil
	}
	if !started.started {
		return unavailable(err)
	}
	a.server.Logger.ErrorContext(r.Context(), "account cut off", "request", requestID(r.Context()), "cause", err.Error())
	panic(http.ErrAbortHandler)
}

func accountRow(d *disclosureView, x *disclosedView) []string {
	worker := ""
	if d.To.Worker != nil {
		worker = d.To.Worker.String()
	}
	row := []string{d.Event.String(), stamp(d.OccurredAt), string(d.Kind), d.To.Agency, d.ActingFor, strings.Join(d.To.Roles, " "), worker, d.To.Name, d.Purpose, d.Why,
		strconv.FormatBool(d.Declared), strconv.FormatBool(d.Emergency), x.SectionName, x.Owner, x.Level, x.Part, strings.Join(x.Clauses, "; "),
		strings.Join(x.Masked, " "), strings.Join(x.Labels, " "), x.Grant, strings.Join(x.Entries, " ")}
	for i := range row {
		row[i] = audit.Cell(row[i])
	}
	return row
}
