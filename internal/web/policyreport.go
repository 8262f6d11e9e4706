package web

import (
	"net/http"
	"strconv"

	"kith/internal/policy"
)

// draftReport is a draft's change report as a paper, to take to those who decide.
func (s *Server) draftReport(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return s.officeFault(err)
	}
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	version, err := d.Load()
	if err != nil {
		return s.officeFault(&policy.DraftError{Text: err.Error()})
	}
	made, err := s.makeReport(r.Context(), v, d, now, false)
	if err != nil {
		return s.officeFault(err)
	}
	view := s.reportView(r.Context(), &made.report, version, made.examples, "")
	paper := s.reportPaper(&view, s.words.say("report.of-draft", d.Title), version.Name, made.report.After)
	paper.Made = made.at.UTC()
	return s.writeReport(w, r, v, paper, "/policy/drafts/"+id.String()+"/changes")
}

// proposalReport is a proposal's, with how the approvals stand.
func (s *Server) proposalReport(w http.ResponseWriter, r *http.Request, v visit) error {
	page, err := s.proposal(r, v, approvalPage{})
	if err != nil {
		return err
	}
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	paper := s.reportPaper(&page.Report, s.words.say("report.of-proposal", page.Short), version.Name, page.digest)
	paper.Lead = append([]string{page.Why, s.words.say("proposal.by", page.Agency, longDate(page.At)+", "+clockTime(page.At), page.No), page.State}, paper.Lead...)
	for _, list := range []struct {
		heading string
		lines   []adviceLine
	}{{s.words.say("proposal.refusals"), page.Refusals}, {s.words.say("proposal.advice"), page.Advice}} {
		part := policy.PaperPart{Heading: list.heading, Columns: []string{s.words.say("report.who"), s.words.say("report.when"), s.words.say("report.said")}}
		for _, a := range list.lines {
			part.Rows = append(part.Rows, []string{a.Who, longDate(a.At) + ", " + clockTime(a.At), a.Text})
		}
		paper.Parts = append(paper.Parts, part)
	}
	return s.writeReport(w, r, v, paper, "/approvals/"+page.ID)
}

func (s *Server) writeReport(w http.ResponseWriter, r *http.Request, v visit, paper policy.Paper, back string) error {
	if r.URL.Query().Get("format") == "html" {
		raw, err := paper.HTML()
		if err != nil {
			return err
		}
		return giveAs(w, "text/html; charset=utf-8", paper.Code+".html", raw)
	}
	return s.writePaper(w, r, v, sheet{Nav: "approvals"}, paper, nil, back)
}

// reportPaper writes a report as tables: the same lines as the page, in its order.
func (s *Server) reportPaper(v *reportView, title, version string, digest policy.Digest) policy.Paper {
	say := s.words.say
	p := policy.Paper{Code: "change-report-" + shortKey(digest), Title: title, Version: version, Digest: digest, Made: s.Now().UTC()}
	lead := say("changes.nothing")
	if v.Total > 0 {
		lead = s.words.count("changes.differ", v.Total) + ": " + say("changes.counts", v.Gains, v.Losses)
		if v.Terms > 0 {
			lead += " " + s.words.count("changes.terms", v.Terms)
		}
	}
	p.Lead = []string{lead, say("changes.total", v.Questions, v.Answers)}
	add := func(heading string, columns []string, rows [][]string) {
		if len(rows) > 0 {
			p.Parts = append(p.Parts, policy.PaperPart{Heading: heading, Columns: columns, Rows: rows})
		}
	}
	single := func(lines []string) (rows [][]string) {
		for _, line := range lines {
			rows = append(rows, []string{line})
		}
		return rows
	}
	add(say("changes.refused"), []string{say("report.said")}, single(v.Refused))
	columns := []string{say("changes.who"), say("changes.part"), say("changes.change"), say("draft.was"), say("draft.now"), say("changes.for"), say("changes.whole"), say("changes.approve")}
	add(say("changes.words-caption"), columns, s.changeRows(v.Lines))
	add(say("changes.follows"), columns, s.changeRows(v.Follows))
	add(say("changes.rules"), []string{say("report.said")}, single(v.Rules))
	if e := v.Effect; e != nil {
		add(say("effect.title"), []string{say("report.said")}, single(e.sentences(s)))
		add(say("effect.past-caption"), s.effectColumns("effect.accesses"), effectRows(e.PastLines))
		add(say("effect.live-title"), s.effectColumns("effect.entries"), effectRows(e.LiveLines))
	}
	var examples [][]string
	for _, x := range v.Examples {
		for _, e := range x.Entries {
			examples = append(examples, []string{x.Title, x.Who, x.Purpose, say("try.row", e.Name, e.Part, e.After, e.Before)})
		}
	}
	add(say("changes.examples"), []string{say("report.story"), say("changes.who"), say("changes.for"), say("report.said")}, examples)
	test := func(name string, t testLine) []string {
		return []string{name, strconv.Itoa(t.Stories), strconv.Itoa(t.Questions), strconv.Itoa(t.Tests), strconv.Itoa(t.Failed)}
	}
	add(say("changes.tests"), []string{say("changes.tests-version"), say("changes.tests-stories"), say("changes.tests-questions"), say("changes.tests-rego"), say("changes.tests-failed")},
		[][]string{test(say("changes.today"), v.Before), test(say("changes.draft"), v.After)})
	var needs [][]string
	for _, n := range v.Needs {
		row := []string{upperFirst(n.Who), say("need." + n.State), n.By, "", n.Why}
		if n.By != "" {
			row[3] = longDate(n.When) + ", " + clockTime(n.When)
		}
		needs = append(needs, row)
	}
	p.Parts = append(p.Parts, policy.PaperPart{Heading: say("proposal.approvals"), Rows: needs,
		Columns: []string{say("changes.approve"), say("report.state"), say("report.who"), say("report.when"), say("report.said")}})
	return p
}

func (s *Server) changeRows(lines []changeLine) [][]string {
	var rows [][]string
	for _, l := range lines {
		approve := s.words.say("changes.nobody")
		if len(l.Approve) > 0 {
			approve = joinWords(l.Approve)
		}
		rows = append(rows, []string{l.Who, l.Part, l.Mark, l.Before, l.After, l.Purposes, l.Words, approve})
	}
	return rows
}

func (s *Server) effectColumns(count string) []string {
	return []string{s.words.say("changes.who"), s.words.say("changes.part"), s.words.say("changes.change"), s.words.say("draft.was"), s.words.say("draft.now"), s.words.say(count), s.words.say("effect.families")}
}

func effectRows(lines []effectRow) [][]string {
	var rows [][]string
	for _, l := range lines {
		rows = append(rows, []string{l.Who, l.Part, l.Mark, l.Before, l.After, l.Count, l.Families})
	}
	return rows
}

// sentences are what the page says above the tables.
func (e *effectView) sentences(s *Server) []string {
	switch {
	case e.Computing:
		return []string{s.words.say("effect.computing", e.Stage, e.Done, e.Total)}
	case e.Failed:
		return []string{s.words.say("effect.failed", e.Why)}
	}
	out := []string{e.Past, e.PastMore}
	if len(e.PastLines) == 0 {
		out = append(out, s.words.say("effect.past-none"))
	}
	if e.Live != "" {
		out = append(out, e.Live)
	}
	return append(out, s.words.say("effect.few-note"))
}

// remind asks those who have not approved again.
func (s *Server) remind(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "submission")
	if err != nil {
		return s.officeFault(err)
	}
	_, _, err = s.Office.Remind(r.Context(), v.by(), v.request, id)
	return s.afterProposal(w, r, v, err, approvalPage{}, "remind", "reminded")
}
