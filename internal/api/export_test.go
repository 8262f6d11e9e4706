package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// A spreadsheet must read every value as text.
func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{
		"":                     "",
		"Ada":                  "Ada",
		"O'Brien":              "O'Brien",
		`=cmd|' /C calc'!A0`:   `'=cmd|' /C calc'!A0`,
		"+44 20":               "'+44 20",
		"-1":                   "'-1",
		"@SUM(A1)":             "'@SUM(A1)",
		"\t=1":                 "'\t=1",
		"\r=1":                 "'\r=1",
		"  =1":                 "'  =1",
		"\u00a0=1":             "'\u00a0=1",
		"＝1":                   "'＝1",
		"2026-11-02T09:00:00Z": "2026-11-02T09:00:00Z",
	} {
		if got := audit.Cell(v); got != want {
			t.Errorf("%q became %q, want %q", v, got, want)
		}
	}
}

// What FHIR R4 requires of an AuditEvent, and one resource for each person.
func TestFHIRHasWhatR4Requires(t *testing.T) {
	t.Parallel()
	r := &audit.Record{
		ID: uuid.New(), Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Occurred: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Agency: "NHFT",
		Worker: uuid.New(), Name: "Ada", Roles: []string{"practitioner"}, Purpose: "FS", Family: uuid.New(), Subjects: []string{"r-one", "r-two"},
		Released: []audit.Released{
			{Section: "mh-risk", Owner: "NHFT", Level: proof.Full, Entries: []proof.EntryRef{{Entry: uuid.New(), Version: 2}}, Subjects: []string{"r-one"}},
			{Section: "identity", Owner: "CSC", Level: proof.Summary, Entries: []proof.EntryRef{{Entry: uuid.New(), Version: 1}}, Subjects: []string{"r-one", "r-two"}},
		},
	}
	ids := map[string]bool{}
	for person, released := range map[string]int{"r-one": 2, "r-two": 1} {
		e := fhirOf(r, person)
		ids[e.ID] = true
		if len(e.Entity) != 3 || len(e.Entity[1].Detail) != released {
			t.Errorf("%s: %+v, want a patient, one data object with %d details, and the event", person, e.Entity, released)
		}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"type", "recorded", "agent", "source", "action", "outcome"} { // 1..1 and 1..* of R4
			if m[field] == nil {
				t.Errorf("%s has no %s", person, field)
			}
		}
		requestors := 0
		for _, a := range e.Agent {
			if a.Requestor {
				requestors++
			}
		}
		if requestors != 1 || e.Meta == nil || e.Meta.Profile[0] != balp+"PatientRead" {
			t.Errorf("%s: %d requestors, %+v", person, requestors, e.Meta)
		}
	}
	if len(ids) != 2 {
		t.Error("two resources with one id")
	}
	r.Outcome, r.Subjects, r.Released = audit.OutcomeDenied, nil, nil
	if e := fhirOf(r, ""); e.Outcome != "4" || e.ID != r.ID.String() || e.Meta != nil {
		t.Errorf("refused: %+v", e)
	}
}

func TestWhoMayCheckTheLog(t *testing.T) {
	t.Parallel()
	s := bare(t)
	for _, c := range []struct {
		name   string
		p      identity.Principal
		status int
	}{
		{"nobody", identity.Principal{}, http.StatusForbidden},
		{"practitioner", identity.Principal{Worker: uuid.New(), Roles: []string{"practitioner"}}, http.StatusForbidden},
		{"admin", identity.Principal{Worker: uuid.New(), Roles: []string{"admin"}}, http.StatusForbidden},
		{"auditor", identity.Principal{Roles: []string{"auditor"}}, http.StatusServiceUnavailable}, // this hub has no tree
		{"privacy officer", identity.Principal{Roles: []string{"privacy-officer"}}, http.StatusServiceUnavailable},
		{"system", identity.Principal{System: true}, http.StatusServiceUnavailable},
	} {
		var p *Problem
		if err := s.mayCheck(c.p); err == nil {
			t.Errorf("%s: let in", c.name)
		} else if p, _ = err.(*Problem); p == nil || p.Status != c.status {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
