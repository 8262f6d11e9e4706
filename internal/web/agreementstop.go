package web

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"kith/internal/agreement"
	"kith/internal/policy"
)

// askStop shows what would close, and for whom, before anybody stops anything.
func (s *Server) askStop(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.stopPage(w, r, v, http.StatusOK, agreementPage{})
}

func (s *Server) stopPage(w http.ResponseWriter, r *http.Request, v visit, status int, page agreementPage) error {
	version, live, text, err := s.agreementOf(r.Context(), r, v)
	if err != nil {
		return err
	}
	if !mayApprove(v) || !text.Party(v.by().Agency) {
		return &fault{status: http.StatusForbidden, key: "error.officer"}
	}
	if err := s.fillAgreement(r, v, &page, version, live, text); err != nil {
		return err
	}
	if !page.Stop {
		http.Redirect(w, r, "/agreements/"+live.ID, http.StatusSeeOther)
		return nil
	}
	if page.Affected, err = s.Door.AffectedBy(r.Context(), v.by(), version, text); err != nil {
		return err
	}
	page.Affected.Agencies = named(s.agencies(r.Context()), page.Affected.Agencies)
	page.Closes = s.closings(version, text, v.by().Kind)
	title := s.words.say("stop.title", page.Title)
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "agreementstop", sheet{Title: title, Page: page, Nav: "agreements"})
}

// closings lists what rests on the agreement and touches the agency: what others
// see of its own, and what it sees itself.
func (s *Server) closings(version *policy.Version, text agreement.Text, kind string) []closing {
	who := map[string][]string{}
	for _, r := range version.Matrix {
		id, _, _ := strings.Cut(r.Clause, " ")
		section, ok := version.Section(r.Section)
		if id != text.ID || !ok || r.To != kind && !slices.Contains(section.Owners, kind) {
			continue
		}
		name := s.kindName(version, r.To)
		if !slices.Contains(who[r.Section], name) {
			who[r.Section] = append(who[r.Section], name)
		}
	}
	var out []closing
	for _, section := range version.Sections {
		if names := who[section.Code]; len(names) > 0 {
			out = append(out, closing{Part: upperFirst(section.Name), Who: names})
		}
	}
	return out
}

// stopAgreement shows the reason and the effect once more, and then stops the
// reader's own agency's part, at once and on every replica.
func (s *Server) stopAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	q, typed, err := s.agreementForm(r, v)
	if err != nil {
		return err
	}
	if q.Reason == "" {
		return s.stopPage(w, r, v, http.StatusBadRequest, agreementPage{Typed: typed, Errors: []formError{{"reason", s.words.say("stop.error-reason")}}})
	}
	if r.PostForm.Get("step") != "confirmed" {
		return s.stopPage(w, r, v, http.StatusOK, agreementPage{Typed: typed, Confirm: true})
	}
	version, _, text, err := s.agreementOf(r.Context(), r, v)
	if err != nil {
		return err
	}
	if !mayApprove(v) || !text.Party(v.by().Agency) {
		return &fault{status: http.StatusForbidden, key: "error.officer"}
	}
	affected, err := s.Door.AffectedBy(r.Context(), v.by(), version, text)
	if err != nil {
		return err
	}
	q.Agency = ""
	q.Impact = map[string]string{"children": strconv.Itoa(affected.Children), "child_protection": strconv.Itoa(affected.Protection), "families": strconv.Itoa(affected.Families)}
	_, err = s.Agreements.Suspend(r.Context(), v.by(), q)
	wrong, status, err := s.agreementWrong(err, "reason")
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return s.stopPage(w, r, v, status, agreementPage{Typed: typed, Errors: wrong})
	}
	http.Redirect(w, r, "/agreements/"+chi.URLParam(r, "agreement")+"?done=stopped", http.StatusSeeOther)
	return nil
}
