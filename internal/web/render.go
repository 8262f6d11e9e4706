package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

//go:embed templates
var templateFiles embed.FS

// pages are the parsed templates by name: each a file of its own in the layout.
type pages map[string]*template.Template

// sheet is what every page has; Page is its own.
type sheet struct {
	Title   string // names a family by reference alone: titles stay in history
	Page    any
	Bar     *purposeBar // where data about people is shown
	Labels  []label     // that hold for the whole page
	Nav     string      // which of the main links is current
	Receipt string
	Rules   string // policy version's name
	Refresh string // an address elsewhere to which the browser goes by itself
	Bare    bool   // no navigation: sign-in and print

	// filled in by write
	Who     *who
	Ends    time.Time
	Request string
	Here    string // the address that was asked for, if it can be asked for again
	Demo    bool
	Warn    int64 // seconds until the session ends, for the script
}

// who is the person signed in, as the header says it.
type who struct {
	Name, Role, Agency string
	Worker             bool   // opens family records
	Policy             bool   // works on the sharing policy
	Manager            bool   // allocates work
	Steward            bool   // looks after which records are one person
	Audit              bool   // looks after the log
	Account            bool   // answers people who ask what was shared about them
	Admin              bool   // looks after the hub
	Queue              string // how many reviews wait, on pages about the log; "" none
	Both               bool   // works on the policy and looks after the log: one at a time
}

// purposeBar says for what, about whom and since when.
type purposeBar struct {
	Purpose  string
	Children []string
	Opened   time.Time
	Declared bool
	Change   string // address
}

func parsePages(w words, a assets, now func() time.Time) (pages, error) {
	funcs := template.FuncMap{
		"t": w.say, "n": w.count, "asset": a.url, "day": longDay, "short": func(d string) string { return shortDay(d, now()) },
		"clock": clockTime, "second": func(t time.Time) string { return t.In(london()).Format("15:04:05") }, "axis": axisOf, "shownday": shownDay, "stamp": func(t time.Time) string { return longDate(t) + ", " + clockTime(t) }, "tel": tel,
		"phones": phonesIn, "join": joinWords,
		"capital": upperFirst, "seq": func(n int) int { return n + 1 },
		"wrong": wrongAt, "args": func(v ...any) []any { return v }, "date": func(t time.Time) string { return t.In(london()).Format(time.DateOnly) },
	}
	base, err := template.New("layout.html").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", "templates/forms.html", "templates/policyparts.html", "templates/logparts.html")
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	all := pages{}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".html")
		if name == "layout" || name == "parts" || name == "forms" || name == "policyparts" || name == "logparts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, f)
		}
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

// write draws a page whole before the first byte leaves, so that an error
// cannot follow half a page.
func (s *Server) write(w http.ResponseWriter, v visit, status int, page string, sh sheet) error {
	sh.Demo, sh.Request, sh.Here = s.Demo, v.request, v.here
	if v.signedIn() && !sh.Bare {
		sh.Who = s.who(v.by())
		sh.Who.wear(sh.Nav)
		if page, ok := sh.Page.(interface{ queue() string }); ok {
			sh.Who.Queue = page.queue()
		}
		sh.Ends = v.session.Idle
		sh.Warn = int64(v.session.Idle.Sub(s.Now()).Seconds())
	}
	t := s.pages[page]
	if t == nil {
		return fmt.Errorf("no page %q", page)
	}
	var body bytes.Buffer
	if err := t.ExecuteTemplate(&body, "layout.html", sh); err != nil {
		return fmt.Errorf("draw page %s: %w", page, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // an answer that nobody reads any more is not our failure
	return nil
}

func (s *Server) who(p identity.Principal) *who {
	return &who{Name: p.WorkerName, Role: s.words.role(p.Roles), Agency: s.agencyName(p.Agency), Worker: opensRecords(p), Policy: s.policyPages(p), Manager: manages(p), Steward: disclosure.Steward(p),
		Audit: s.auditPages(p), Account: s.Audit != nil && p.Has(roleSubjectAccess), Admin: s.Admin != nil && p.Has(roleAdmin)}
}

// wear chooses between two hats by the page that is shown: the links of one are
// never among those of the other.
func (w *who) wear(nav string) {
	w.Both = w.Policy && w.Audit
	if !w.Both {
		return
	}
	switch nav {
	case "policy", "agreements", "rules", "try", "approvals", "documents":
		w.Audit = false
	default:
		w.Policy = false
	}
}

// opensRecords tells workers from officers: it chooses the links in the header
// and nothing else.
func opensRecords(p identity.Principal) bool {
	for _, r := range p.Roles {
		switch r {
		case "ig-author", "ig-approver", "privacy-officer", "auditor", "admin", "sar-officer", "match-steward", "broker", "system":
		default:
			return true
		}
	}
	return false
}

// label is a duty that travels with information.
type label struct {
	Mark string // two or three words in capitals
	Text string
	By   string // who set it
}
