package web

import (
	"net/http"
	"strings"

	"github.com/google/uuid"

	"kith/internal/disclosure"
)

type recordsPage struct {
	Person  string // empty: nobody was asked for yet
	Errors  []formError
	Typed   string
	Back    string
	Records []sentLine
}

type sentLine struct {
	ID, Reference, Agency, Local, Since, How string
}

// sentRecords shows which records of agencies are taken for one person, to those
// who look after that. A wrong one shows one person's life as another's.
func (s *Server) sentRecords(w http.ResponseWriter, r *http.Request, v visit) error {
	if !disclosure.Separates(v.by()) {
		return &fault{status: http.StatusForbidden, key: "error.records"}
	}
	q := r.URL.Query()
	page := recordsPage{Typed: strings.TrimSpace(q.Get("person"))}
	if of, err := uuid.Parse(q.Get("family")); err == nil && opensRecords(v.by()) {
		page.Back = "/families/" + of.String()
	}
	sh := sheet{Title: s.words.say("records.title"), Nav: "records"}
	person, err := uuid.Parse(page.Typed)
	if err != nil {
		status := http.StatusOK
		if page.Typed != "" {
			page.Errors = []formError{{"person", s.words.say("records.wrong")}}
			status, sh.Title = http.StatusBadRequest, s.words.say("form.error-title", sh.Title)
		}
		sh.Page = page
		return s.write(w, v, status, "sentrecords", sh)
	}
	list, err := s.Door.Records(r.Context(), v.by(), v.request, person)
	if err != nil {
		return refused(err)
	}
	page.Person = person.String()
	for _, x := range list.Items {
		line := sentLine{ID: x.ID.String(), Reference: x.ID.String()[:8], Agency: s.agencyName(x.Agency), Local: x.LocalID, Since: longDate(x.Since), How: s.words.say("records.matched")}
		if x.ByHand {
			line.How = s.words.say("records.by-hand")
		}
		page.Records = append(page.Records, line)
	}
	sh.Page, sh.Receipt = page, list.Receipt
	return s.write(w, v, http.StatusOK, "sentrecords", sh)
}

// separate takes one record apart from whom it was taken for, with a reason.
// Whoever was shown what came with it is told.
func (s *Server) separate(w http.ResponseWriter, r *http.Request, v visit) error {
	if !disclosure.Separates(v.by()) {
		return &fault{status: http.StatusForbidden, key: "error.records"}
	}
	return s.ending(w, r, v, "record", "separate", "/records", func(c disclosure.Change, id uuid.UUID, why string) (disclosure.Written, error) {
		return s.Door.Separate(r.Context(), v.by(), c, id, why)
	})
}
