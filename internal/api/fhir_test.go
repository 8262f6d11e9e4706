package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// Every kind of event, with every outcome, as the R4 definitions want it, by a
// validator that we did not write; and as BALP's profiles want it, by hand.
func TestFHIRIsValidR4(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "fhir")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "fhir")); err != nil {
		t.Skip("SKIPPED, NOT PASSED: the FHIR validator is not installed; make test installs it")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED, NOT PASSED: there is no node to run the FHIR validator with")
	}
	var names []string
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	add := func(name string, e any) {
		t.Helper()
		names = append(names, name)
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range fhirRecords() {
		subjects := r.Subjects
		if len(subjects) == 0 {
			subjects = []string{""}
		}
		for _, person := range subjects {
			e := fhirOf(&r, person)
			if e.Meta != nil {
				keepsBALP(t, &r, &e)
			}
			add(fmt.Sprintf("%s %s about %q", r.Kind, r.Outcome, person), e)
		}
	}
	r := fhirRecords()[0]
	wrong := fhirOf(&r, "")
	wrong.Action, wrong.Agent = "X", nil
	add("a wrong one", wrong)

	cmd := exec.CommandContext(t.Context(), node, "validate.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, &lines, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("validate: %v", err)
	}
	answers := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(answers) != len(names) {
		t.Fatalf("%d answers to %d resources", len(answers), len(names))
	}
	for i, name := range names {
		if bad := answers[i] != "[]"; bad != (name == "a wrong one") {
			t.Errorf("%s: %s", name, answers[i])
		}
	}
}

// fhirRecords are events of every kind that there is, with hostile names.
func fhirRecords() []audit.Record {
	kinds := []audit.Kind{
		audit.KindRead, audit.KindSearch, audit.KindPrint, audit.KindPhone, audit.KindRefusal, audit.KindSubmission, audit.KindEntry, audit.KindConcern,
		audit.KindInvolvement, audit.KindEpisode, audit.KindMembership, audit.KindRelationship, audit.KindLink, audit.KindConsent, audit.KindRestriction, audit.KindGrant,
		audit.KindEmergency, audit.KindPolicy, audit.KindAgreement, audit.KindWorker, audit.KindAgency, audit.KindSignIn, audit.KindSignOut, audit.KindAuthFailure,
		audit.KindForbidden, audit.KindLogView, audit.KindLogExport, audit.KindLogResume, audit.KindReview, audit.KindErasure, audit.KindHold, audit.KindDrop,
	}
	outcomes := []audit.Outcome{audit.OutcomeReleased, audit.OutcomeNothing, audit.OutcomeNotFound, audit.OutcomeDenied, audit.OutcomeInvalid, audit.OutcomeDone, audit.OutcomePartly, audit.OutcomeFailed}
	var list []audit.Record
	for i, kind := range kinds {
		for j, outcome := range outcomes {
			r := audit.Record{
				ID: uuid.New(), Kind: kind, Outcome: outcome, Occurred: time.Date(2026, 11, 2, 9, i, j, 123456000, time.UTC), Agency: "NHFT",
				Worker: uuid.New(), Name: "Zoë \"<b>\" =cmd|' /C calc'!A0 \u202e", Roles: []string{"practitioner", "manager"}, Purpose: "FS", SearchedBy: []string{"family_name"},
				Receipt: "kith-receipt-1.x", Family: uuid.New(), Subjects: []string{"r-one", "r-two"},
				Released: []audit.Released{
					{Section: "mh-risk", Owner: "NHFT", Level: proof.Full, Entries: []proof.EntryRef{{Entry: uuid.New(), Version: 2}}, Subjects: []string{"r-one"}},
					{Section: "holders", Owner: "CSC", Level: proof.Existence, Subjects: []string{"r-one", "r-two"}},
				},
			}
			switch j % 4 {
			case 1:
				r.Subjects, r.Released, r.Family = nil, nil, uuid.Nil
			case 2:
				r.Worker, r.Name, r.Client, r.System, r.Roles = uuid.Nil, "", "system-mh", true, nil
			case 3:
				r.Worker, r.Name, r.Agency, r.Purpose, r.Roles, r.Receipt = uuid.Nil, "", "", "", nil, ""
			}
			list = append(list, r)
		}
	}
	return list
}

// keepsBALP checks what the named profile (IHE.BasicAudit.PatientRead,
// PatientQuery, PatientUpdate) asks beyond R4.
func keepsBALP(t *testing.T, r *audit.Record, e *fhirAuditEvent) {
	t.Helper()
	profile := strings.TrimPrefix(e.Meta.Profile[0], balp+"Patient")
	want := map[string]struct{ action, interaction, client, server, role string }{
		"Read":   {"R", "read", "110152", "110153", "4"},
		"Query":  {"E", "search", "110153", "110152", "24"},
		"Update": {"U", "update", "110153", "110152", "4"},
	}[profile]
	agents, entities := map[string]int{}, map[string]int{}
	for i, a := range e.Agent {
		code := a.Type.Coding[0].Code
		agents[code]++
		if code == "110152" || code == "110153" {
			if a.Network == nil || a.Requestor {
				t.Errorf("%s: agent %d has no network, or asks", r.Kind, i)
			}
		} else if a.Network != nil || !a.Requestor {
			t.Errorf("%s: the user has a network, or does not ask", r.Kind)
		}
	}
	for _, x := range e.Entity {
		entities[x.Type.Code]++
		if x.Type.Code == "2" && (x.Role.Code != want.role || (profile == "Query") != (x.What == nil) || (profile == "Query") != (len(x.Query) > 0) || profile == "Query" && x.Detail != nil) {
			t.Errorf("%s: data object %+v", r.Kind, x)
		}
	}
	if want.action == "" || e.Action != want.action || e.Subtype[0].Code != want.interaction || e.Outcome != "0" || agents[want.client] != 1 || agents[want.server] != 1 ||
		e.Agent[0].Type.Coding[0].Code != want.client || entities["1"] != 1 || entities["2"] != 1 || entities["XrequestId"] != 1 {
		t.Errorf("%s is not what the profile %s is: %+v", r.Kind, profile, e)
	}
}
