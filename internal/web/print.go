package web

import (
	"net/http"
	"slices"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/disclosure"
)

// printBlocks are what can be printed, in the order of the sheet. The meeting
// set is the default, not everything.
func printBlocks() []printBlock {
	return []printBlock{
		{Code: "brief", Ticked: true}, {Code: "story", Ticked: true}, {Code: "family", Ticked: false}, {Code: "involved", Ticked: false},
		{Code: "line", Ticked: true}, {Code: "parts", Ticked: false},
	}
}

type printBlock struct {
	Code   string
	Ticked bool
}

type choosePrintPage struct {
	Family, Name string
	Blocks       []printBlock
	Nothing      bool
}

// choosePrint asks what to print. It reads the record, since its heading names
// the family.
func (s *Server) choosePrint(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.choosePrintPage(w, r, v, http.StatusOK)
}

func (s *Server) choosePrintPage(w http.ResponseWriter, r *http.Request, v visit, status int) error {
	rec, choice, done, err := s.record(w, r, v)
	if err != nil || done {
		return err
	}
	page := choosePrintPage{Family: rec.view.Family.String(), Name: rec.familyName(), Blocks: printBlocks(), Nothing: status != http.StatusOK}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.words.say("print.title", rec.view.Ref)
	return s.write(w, v, status, "chooseprint", sh)
}

type printPage struct {
	Ref     string
	By      string
	Agency  string
	At      time.Time
	Purpose string
	Receipt string // of the print
	Show    map[string]bool
	Full    []entryCard // parts in full
	familyPage
}

// print is a read and a print in the log: the event stands before the sheet.
func (s *Server) print(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	show := map[string]bool{}
	var chosen string
	for _, b := range printBlocks() {
		if slices.Contains(r.PostForm["block"], b.Code) {
			show[b.Code] = true
			chosen += " " + b.Code
		}
	}
	if len(show) == 0 {
		return s.choosePrintPage(w, r, v, http.StatusBadRequest)
	}
	rec, choice, done, err := s.record(w, r, v)
	if err != nil || done {
		return err
	}
	// The read is named, so that whoever explains the print finds what was on the sheet.
	read, err := proof.ParseReceipt(rec.view.Receipt)
	if err != nil {
		return err
	}
	if err := s.involve(r, v, rec); err != nil {
		return err
	}
	p := v.by()
	receipt, err := s.Recorder.Append(r.Context(), audit.Event{
		Kind: audit.KindPrint, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Principal: principalOf(p), Request: v.request,
		Purpose: rec.view.Purpose, Reason: choice.Reason, Family: rec.view.Family, Children: rec.view.Children, Subjects: rec.view.Children,
		Details: map[string]string{"parts": chosen[1:], "read": read.Event.String()},
	})
	if err != nil {
		return err
	}
	page := printPage{Ref: rec.view.Ref, By: p.WorkerName, Agency: s.agencyName(p.Agency), At: s.Now(), Receipt: receipt.Event().String(),
		Show: show, familyPage: rec.familyPage(s.Checklist, filter{})}
	if show["parts"] {
		page.Full = rec.cards
	}
	sh := s.sheetOf(rec, choice, page)
	page.Purpose = sh.Bar.Purpose
	sh.Page, sh.Bare = page, true
	sh.Title = s.words.say("print.title", rec.view.Ref)
	return s.write(w, v, http.StatusOK, "print", sh)
}
