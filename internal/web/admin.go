package web

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
)

// Admin is what the administrator's page stands on: how this replica is, and
// nobody's name.
type Admin struct {
	Replica string
	Issuers []identity.IssuerConfig
	Checks  []Check                      // as readiness asks them
	Policy  func() policy.FollowerStatus // of this replica
	Keeper  *audit.Keeper                // nil: nothing is erased, held or dropped here
	Outbox  *outbox.Box
	Reviews *disclosure.Reviews
}

// Check tests one thing that the hub needs. A warning is something to mend
// soon; an error is something that keeps this replica from serving.
type Check struct {
	Name string
	Test func(context.Context) (warning string, err error)
}

type adminPage struct {
	Replica  string
	Ready    bool
	Checks   []checkLine
	Version  string // digest in force here
	Head     string // where another is in force in the database
	Broken   string
	Behind   string
	Issuers  []issuerLine
	Agencies []agencyLine
	Alerts   []alertLine
	Due      []monthLine // months that are past their retention
	Kept     []keptLine
	Keeper   bool
	Messages []messageLine
}

type checkLine struct{ Name, Class, Said string }

type issuerLine struct {
	URL      string
	Agencies string
	Systems  int
	Sign     string // algorithms
}

type agencyLine struct {
	Code, Name, Kind, Feed string
	Last                   string
	Active                 string
	Ended, Late            bool
}

type monthLine struct {
	Class, Month, On   string
	Events, Held, Stay int64
	Exported           bool
}

type keptLine struct{ Class, Kept, Next string }

type messageLine struct {
	When, What, To, Reference, Due string
	State                          string // sent, waiting, given up, nobody takes it
	Class                          string
}

// adminRoutes is the administrator's page, with what stands on it.
func (s *Server) adminRoutes() {
	s.mux.Get("/admin", s.only(s.showAdmin, roleAdmin))
	s.mux.Get("/admin/alerts/{alert}", s.only(s.settleAlert(s.Admin.Reviews, "/admin"), roleAdmin))
	s.mux.Post("/admin/alerts/{alert}", s.only(s.settleAlert(s.Admin.Reviews, "/admin"), roleAdmin))
}

// showAdmin is the hub's machinery. It holds no record and nobody's name.
func (s *Server) showAdmin(w http.ResponseWriter, r *http.Request, v visit) error {
	a := s.Admin
	page := adminPage{Replica: a.Replica, Ready: true}
	for _, c := range a.Checks {
		line := checkLine{Name: s.words.known("admin.check."+c.Name, c.Name), Class: logWhole, Said: s.words.say("admin.check-good")}
		warning, err := c.Test(r.Context())
		switch {
		case err != nil:
			// What is wrong in detail stands in the log of this replica; here it may name an address.
			s.Logger.Warn("check", "name", c.Name, "cause", err.Error())
			line.Class, line.Said, page.Ready = logBroken, s.words.say("admin.check-bad"), false
		case warning != "":
			line.Class, line.Said = logLate, upperFirst(warning)
		}
		page.Checks = append(page.Checks, line)
	}
	s.adminPolicy(&page)
	s.adminIssuers(&page, s.agencies(r.Context()))
	if err := s.adminAgencies(r.Context(), &page); err != nil {
		return err
	}
	if err := s.adminRetention(r.Context(), &page); err != nil {
		return err
	}
	sh := sheet{Title: s.words.say("admin.title"), Nav: "admin"}
	list, err := a.Reviews.Alerts(r.Context(), v.by(), v.request, audit.AlertFilter{Standing: true}, audit.Page{Limit: 50})
	if err != nil {
		return s.reviewFault(err)
	}
	page.Alerts, sh.Receipt = s.alertLines(list.Alerts, "/admin"), list.Receipt
	if a.Outbox != nil {
		if _, err := s.looked(r, v, map[string]string{"what": "outbox"}); err != nil {
			return err
		}
		messages, err := a.Outbox.List(r.Context(), "", uuid.Nil, 30)
		if err != nil {
			return err
		}
		page.Messages = s.messageLines(messages, s.agencies(r.Context()))
	}
	sh.Page = page
	return s.write(w, v, http.StatusOK, "admin", sh)
}

func (s *Server) adminPolicy(page *adminPage) {
	if s.Admin.Policy == nil {
		return
	}
	st := s.Admin.Policy()
	if !st.Good.IsZero() {
		page.Version = st.Good.String()
	}
	if !st.Head.IsZero() && st.Head != st.Good {
		page.Head = st.Head.String()
	}
	if !st.Broken.IsZero() {
		page.Broken = st.Broken.String()
	}
	if st.Behind > 0 {
		page.Behind = st.Behind.Round(time.Second).String()
	}
}

func (s *Server) adminIssuers(page *adminPage, known map[string]identity.Agency) {
	for i := range s.Admin.Issuers {
		x := &s.Admin.Issuers[i]
		line := issuerLine{URL: x.URL, Systems: len(x.Systems), Sign: strings.Join(x.Algorithms, ", ")}
		var agencies []string
		for _, b := range x.Agencies {
			if name := named(known, []string{b.Agency})[0] + " (" + b.Agency + ")"; !slices.Contains(agencies, name) {
				agencies = append(agencies, name)
			}
		}
		line.Agencies = strings.Join(agencies, "; ")
		page.Issuers = append(page.Issuers, line)
	}
}

// adminAgencies leaves the contacts out: they may be people.
func (s *Server) adminAgencies(ctx context.Context, page *adminPage) error {
	all, err := s.Directory.Agencies(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		line := agencyLine{Code: a.Code, Name: a.Name, Kind: s.words.known("kind."+a.Kind, a.Kind), Late: a.Feed == "late", Feed: s.words.known("admin.feed."+a.Feed, a.Feed), Active: longDate(a.ActiveFrom)}
		if a.FeedLast != nil {
			line.Last = logTime(*a.FeedLast, s.Now())
		}
		if a.ActiveUntil != nil {
			line.Active = s.words.say("admin.active", longDate(a.ActiveFrom), longDate(*a.ActiveUntil))
			line.Ended = a.ActiveUntil.AddDate(0, 0, 1).Before(s.Now())
		}
		page.Agencies = append(page.Agencies, line)
	}
	return nil
}

func (s *Server) adminRetention(ctx context.Context, page *adminPage) error {
	k := s.Admin.Keeper
	if k == nil {
		return nil
	}
	page.Keeper = true
	months, err := k.Months(ctx)
	if err != nil {
		return err
	}
	next := map[string]audit.Month{} // of each class, what is due next
	for _, m := range months {
		if m.Due.IsZero() {
			continue
		}
		if m.Due.After(s.Now()) {
			if n, ok := next[m.Class]; !ok || m.Due.Before(n.Due) {
				next[m.Class] = m
			}
			continue
		}
		page.Due = append(page.Due, monthLine{Class: s.words.known("admin.class."+m.Class, m.Class), Month: m.Month.Format("January 2006"), Events: m.Events, Held: m.Held, Stay: m.Record, Exported: m.Exported, On: longDate(m.Due)})
	}
	for class, n := range k.Periods {
		line := keptLine{Class: s.words.known("admin.class."+class, class), Kept: s.words.say("admin.for-ever")}
		if n > 0 {
			line.Kept = s.words.count("age.months", n)
		}
		if m, ok := next[class]; ok {
			line.Next = s.words.say("admin.next-due", m.Month.Format("January 2006"), longDate(m.Due))
		}
		page.Kept = append(page.Kept, line)
	}
	slices.SortFunc(page.Kept, func(a, b keptLine) int { return strings.Compare(a.Class, b.Class) })
	return nil
}

func (s *Server) messageLines(list []outbox.Message, agencies map[string]identity.Agency) []messageLine {
	var out []messageLine
	for _, m := range list {
		line := messageLine{When: logTime(m.MadeAt, s.Now()), What: s.words.known("outbox."+string(m.Kind), string(m.Kind)), Reference: m.Reference, Due: m.Due,
			To: named(agencies, []string{m.Agency})[0] + ", " + s.words.known("role."+m.Role, m.Role)}
		line.Class, line.State = logWhole, s.words.say("outbox.sent")
		if len(m.Deliveries) == 0 {
			line.Class, line.State = logLate, s.words.say("outbox.nobody")
		}
		for _, d := range m.Deliveries {
			switch {
			case d.DeliveredAt != nil:
			case d.GivenUpAt != nil:
				line.Class, line.State = logBroken, s.words.say("outbox.given-up")
			default:
				if line.Class == logWhole {
					line.Class, line.State = logLate, s.words.say("outbox.waiting")
				}
			}
		}
		// The same word to several offices at once is one line.
		if n := len(out) - 1; n >= 0 && out[n].sameBut(line) {
			out[n].To += "; " + line.To
			continue
		}
		out = append(out, line)
	}
	return out
}

// sameBut tells whether two messages differ in their receivers alone.
func (m messageLine) sameBut(other messageLine) bool {
	other.To, other.When = m.To, m.When
	return m == other
}
