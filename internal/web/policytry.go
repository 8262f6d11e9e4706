package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"kith/internal/policy"
)

// tryPage is one question put to a story's family, under the version in force
// and under a draft. Real families are never asked about here.
type tryPage struct {
	Drafts, Stories, Agencies []pick
	Roles, Purposes, People   []pick
	Asks                      []pick // the story's own questions
	Asked                     bool
	Draft                     string
	Title                     string
	Result                    *exampleLine
	Same                      bool
	All                       []triedLine
	Changed                   []triedLine
	Shown                     [2]int // entries today, and in the draft
	Problems                  []string
	No                        int
}

func (s *Server) try(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	id, err := draftOf(r)
	if err != nil {
		return s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	drafts, err := s.Office.Drafts(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	page := tryPage{No: now.No, Title: s.words.say("try.none")}
	page.Drafts = append(page.Drafts, pick{Text: s.words.say("try.none"), Chosen: id == uuid.Nil})
	for _, d := range drafts {
		if !d.Submitted || d.ID == id {
			page.Drafts = append(page.Drafts, pick{Value: d.ID.String(), Text: d.Title, Chosen: d.ID == id})
		}
		if d.ID == id {
			page.Draft, page.Title = d.ID.String(), d.Title
		}
	}
	var stories []policy.StoryLine
	if id == uuid.Nil {
		stories, err = s.Office.Stories(r.Context(), v.by(), now.Digest)
	} else {
		var d policy.Draft
		if d, err = s.Office.Draft(r.Context(), v.by(), id); err == nil {
			stories, err = d.Stories()
		}
	}
	var wrong *policy.DraftError
	if errors.As(err, &wrong) {
		page.Problems = plainLines(wrong.Text)
		return s.write(w, v, http.StatusOK, "policytry", sheet{Title: s.words.say("try.title"), Page: page, Nav: "try"})
	}
	if err != nil {
		return s.officeFault(err)
	}
	question, ask := s.tryForm(r, &page, now.Version, stories)
	if ask {
		page.Asked = true
		tried, err := s.Office.Try(r.Context(), v.by(), id, question)
		switch {
		case errors.As(err, &wrong):
			page.Problems = plainLines(wrong.Text)
		case errors.Is(err, policy.ErrSandboxLimit):
			page.Problems = []string{s.words.say("error.sandbox.text")}
		case err != nil:
			return s.officeFault(err)
		case len(tried) == 1:
			agencies := s.agencies(r.Context())
			line := s.exampleLine(now.Version, agencies, tried[0])
			page.Result, page.Same = &line, !tried[0].Differs()
			for _, e := range tried[0].Entries {
				t := s.triedLine(now.Version, agencies, e)
				for i, side := range []policy.Entry{e.Before, e.After} {
					if side.Level > policy.Hidden {
						page.Shown[i]++
					}
				}
				page.All = append(page.All, t)
				if t.Differs {
					page.Changed = append(page.Changed, t)
				}
			}
		}
	}
	return s.write(w, v, http.StatusOK, "policytry", sheet{Title: s.words.say("try.title"), Page: page, Nav: "try"})
}

// tryForm fills the choices and reads the question. A story's own question fills
// in all the others.
func (s *Server) tryForm(r *http.Request, page *tryPage, version *policy.Version, stories []policy.StoryLine) (policy.Question, bool) {
	q := policy.Question{Story: r.FormValue("story"), Agency: r.FormValue("agency"), Role: r.FormValue("role"), Purpose: r.FormValue("purpose"), Mine: r.Form["with"]}
	var chosen *policy.StoryLine
	for i, line := range stories {
		if line.File == q.Story {
			chosen = &stories[i]
		}
		page.Stories = append(page.Stories, pick{Value: line.File, Text: upperFirst(line.Title), Chosen: line.File == q.Story})
	}
	if chosen != nil {
		for i, a := range chosen.Asks {
			page.Asks = append(page.Asks, pick{Value: strconv.Itoa(i + 1), Text: s.words.say("try.ask", upperFirst(a.Who), s.purposeName(version, a.Purpose)), Chosen: r.FormValue("ask") == strconv.Itoa(i+1)})
		}
		if n, err := strconv.Atoi(r.FormValue("ask")); err == nil && n >= 1 && n <= len(chosen.Asks) {
			q = chosen.Asks[n-1]
		}
		for _, name := range chosen.People {
			page.People = append(page.People, pick{Value: name, Text: upperFirst(name), Chosen: slices.Contains(q.Mine, name)})
		}
	}
	for _, k := range version.Kinds {
		if k.Records {
			page.Agencies = append(page.Agencies, pick{Value: k.Code, Text: s.kindName(version, k.Code), Chosen: k.Code == q.Agency})
		}
	}
	for _, role := range version.Roles {
		if role.Records {
			page.Roles = append(page.Roles, pick{Value: role.Code, Text: upperFirst(s.words.known("role."+role.Code, role.Name)), Chosen: role.Code == q.Role})
		}
	}
	for _, p := range version.Purposes {
		if p.Relationship != policy.NoRecords {
			page.Purposes = append(page.Purposes, pick{Value: p.Code, Text: upperFirst(p.Name), Chosen: p.Code == q.Purpose})
		}
	}
	if chosen == nil || q.Agency == "" || q.Role == "" || q.Purpose == "" {
		return q, false
	}
	if len(q.Mine) == 0 && r.FormValue("ask") == "" {
		q.Mine = chosen.Children
		for i := range page.People {
			page.People[i].Chosen = slices.Contains(q.Mine, page.People[i].Value)
		}
	}
	return q, true
}
