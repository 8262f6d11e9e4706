package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

type checkEntryPage struct {
	Family, Name, Heading string
	Answers               []fieldLine
	Labels                []label
	Groups                []readerGroup
	Form                  sheetForm
}

// readerGroup is who sees an entry alike, whatever the purpose.
type readerGroup struct {
	Who, What string
	Purposes  []string
}

// groups puts readers together who see the same.
func (s *Server) groups(r disclosure.Readers) []readerGroup {
	var out []readerGroup
	at := map[string]int{}
	for _, x := range r.Readers {
		what := s.words.say("readers." + x.Level.String())
		if len(x.Masked) > 0 {
			what = s.words.say("readers.without", what, strings.ReplaceAll(joinWords(x.Masked), "_", " "))
		}
		if x.TeamOnly {
			what = s.words.say("readers.team", what)
		}
		g := readerGroup{Who: s.words.say("readers.who", upperFirst(x.KindName), joinWords(x.Roles)), What: what}
		i, ok := at[g.Who+g.What]
		if !ok {
			i = len(out)
			at[g.Who+g.What] = i
			out = append(out, g)
		}
		if !slices.Contains(out[i].Purposes, x.Purpose) {
			out[i].Purposes = append(out[i].Purposes, x.Purpose)
		}
	}
	return out
}

func (s *Server) checkEntry(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, section policy.Section, a answers, form sheetForm, readers disclosure.Readers) error {
	a.fill(form.Controls)
	page := checkEntryPage{Family: rec.view.Family.String(), Name: rec.familyName(), Heading: s.words.say("check.title"), Groups: s.groups(readers)}
	page.Answers = append([]fieldLine{{Label: s.words.say("write.part"), Text: upperFirst(section.Name)}}, s.answered(form.Controls)...)
	form.hide(a)
	form.Button = s.words.say("check.save")
	page.Form = form
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.words.say("write.page", rec.view.Ref)
	return s.write(w, v, http.StatusOK, "entrycheck", sh)
}

// answered says in words what was typed; what was left empty is left out.
func (s *Server) answered(all []*control) []fieldLine {
	var out []fieldLine
	for _, c := range all {
		line := fieldLine{Label: c.Label, Text: strings.TrimSpace(c.Value)}
		switch c.Kind {
		case "radios", "boxes":
			line.Text = ""
			for _, o := range c.Options {
				if o.Chosen && o.Value != "" {
					line.List = append(line.List, o.Label)
				}
			}
		case "date", "when":
			v := url.Values{c.Name + "-day": {c.Day}, c.Name + "-month": {c.Month}, c.Name + "-year": {c.Year}}
			line.Text, _ = answers{v}.when(c.Name)
			line.Text = asSaid(longDay(line.Text))
		}
		if line.Text != "" || len(line.List) > 0 {
			out = append(out, line)
		}
	}
	return out
}

type savedPage struct {
	Family, Name, Text string
	Entry              string // address
	Groups             []readerGroup
	Receipt            string
	Back               string
	BackText           string
}

// savedEntry says that it is saved, and who sees it.
func (s *Server) savedEntry(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, section policy.Section, written disclosure.Written, readers disclosure.Readers, key string) error {
	page := savedPage{
		Family: rec.view.Family.String(), Name: rec.familyName(), Text: s.words.say(key, section.Name), Groups: s.groups(readers), Receipt: written.Receipt,
		Entry: "/entries/" + written.ID.String() + "?family=" + rec.view.Family.String(),
	}
	sh := s.sheetOf(rec, choice, page)
	sh.Title, sh.Receipt = s.words.say("write.page", rec.view.Ref), written.Receipt
	return s.write(w, v, http.StatusOK, "entrysaved", sh)
}

// superseded says that somebody else was faster.
func (s *Server) superseded(form *sheetForm, a answers, err error) bool {
	var old *family.Superseded
	if !errors.As(err, &old) {
		return false
	}
	form.fail("", s.words.say("correct.superseded", longDate(old.At), joinWords(old.Changed)))
	a.Set("corrects", strconv.Itoa(old.Latest))
	return true
}
