package web

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/policy"
)

type documentsPage struct {
	Papers     []string // codes; the words stand in the words file
	Agreements []agreementRow
	No         int
}

type documentPage struct {
	policy.Paper
	Short, CSV string
	Report     string // address of the page whose report it is; "" none
}

// readsPapers is for whoever looks after information, and the auditor.
func (s *Server) readsPapers(h handler) http.HandlerFunc {
	return s.worker(func(w http.ResponseWriter, r *http.Request, v visit) error {
		if s.Papers == nil || !s.Papers.MayRead(v.by()) {
			return &fault{status: http.StatusForbidden, key: "error.officer"}
		}
		return h(w, r, v)
	})
}

// listDocuments is what is written from the version in force.
func (s *Server) listDocuments(w http.ResponseWriter, r *http.Request, v visit) error {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	live, err := s.Agreements.List(r.Context())
	if err != nil {
		return err
	}
	page := documentsPage{Papers: []string{policy.PaperProcessing, policy.PaperPrivacy, policy.PaperUse}}
	agencies := s.agencies(r.Context())
	for _, l := range live {
		page.Agreements = append(page.Agreements, s.agreementRow(version, l, agencies))
	}
	return s.write(w, v, http.StatusOK, "policydocuments", sheet{Title: s.words.say("documents.title"), Page: page, Nav: "documents"})
}

// showDocument is one paper, as a page or as a table to download.
func (s *Server) showDocument(w http.ResponseWriter, r *http.Request, v visit) error {
	code := chi.URLParam(r, "paper")
	sh := sheet{Nav: "documents"}
	if code == policy.PaperUse { // it comes from the log, and looking at that is an event
		p := v.by()
		receipt, err := s.Recorder.Append(r.Context(), audit.Event{
			Kind: audit.KindLogView, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Principal: principalOf(p), Request: v.request,
			Details: map[string]string{"what": "use of clauses"},
		})
		if err != nil {
			return err
		}
		sh.Receipt = receipt.String()
	}
	paper, err := s.Papers.Paper(r.Context(), v.by(), code)
	return s.writePaper(w, r, v, sh, paper, err, "")
}

// agreementDocument is the paper that the parties of an agreement sign.
func (s *Server) agreementDocument(w http.ResponseWriter, r *http.Request, v visit) error {
	paper, err := s.Papers.Agreement(r.Context(), v.by(), chi.URLParam(r, "agreement"))
	return s.writePaper(w, r, v, sheet{Nav: "documents"}, paper, err, "")
}

func (s *Server) writePaper(w http.ResponseWriter, r *http.Request, v visit, sh sheet, paper policy.Paper, err error, report string) error {
	if errors.Is(err, disclosure.ErrNoPaper) {
		return &fault{status: http.StatusNotFound, key: "error.no-document"}
	}
	if err != nil {
		return err
	}
	if r.URL.Query().Get("format") == "csv" {
		raw, err := paper.CSV()
		if err != nil {
			return err
		}
		return giveAs(w, "text/csv; charset=utf-8", paper.Code+".csv", raw)
	}
	sh.Title, sh.Page = paper.Title, documentPage{Paper: paper, Short: shortDigest(paper.Digest), CSV: "?format=csv", Report: report}
	return s.write(w, v, http.StatusOK, "policydocument", sh)
}
