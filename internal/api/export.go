package api

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

var csvHead = []string{
	"id", "occurred_at", "recorded_at", "kind", "outcome", "agency", "acting_for", "worker", "name", "client", "roles", "purpose", "reason",
	"refusal", "declared", "emergency", "family", "children", "subjects", "level", "entries", "sections", "owners", "clauses", "receipt",
}

// exportCSV streams RFC 4180, UTF-8, one event a row.
func (s *Server) exportCSV(ctx context.Context, w *startedWriter, scope audit.Scope, f audit.Filter) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="access-events.csv"`)
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHead); err != nil {
		return err
	}
	err := s.eachRecord(ctx, scope, f, func(r *audit.Record) error {
		var sections, owners, clauses []string
		for _, x := range r.Released {
			sections, owners, clauses = add(sections, x.Section), add(owners, x.Owner), add(clauses, x.Clauses...)
		}
		row := []string{
			r.ID.String(), stamp(r.Occurred), stamp(r.Recorded), string(r.Kind), string(r.Outcome), r.Agency, r.ActingFor, idOf(r.Worker), r.Name, r.Client,
			strings.Join(r.Roles, " "), r.Purpose, r.Reason, r.Refusal, strconv.FormatBool(r.Declared), strconv.FormatBool(r.Emergency), idOf(r.Family),
			strings.Join(r.Children, " "), strings.Join(r.Subjects, " "), r.Level.String(), strconv.Itoa(r.Count),
			strings.Join(sections, " "), strings.Join(owners, " "), strings.Join(clauses, " "), r.Receipt,
		}
		for i := range row {
			row[i] = cell(row[i])
		}
		return out.Write(row)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// cell keeps a spreadsheet from reading a value as a formula: what begins with
// one of these, white space or not, gets an apostrophe in front.
func cell(v string) string {
	trimmed := strings.TrimLeft(v, " \u00a0\ufeff")
	if trimmed == "" {
		return v
	}
	switch first := []rune(trimmed)[0]; first {
	case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
		return "'" + v
	}
	return v
}

func add(list []string, more ...string) []string {
	for _, x := range more {
		if x != "" && !slices.Contains(list, x) {
			list = append(list, x)
		}
	}
	return list
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func idOf(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

// FHIR R4 AuditEvent after IHE Basic Audit Log Patterns (BALP): one resource
// per event, or per person where the event concerns persons, as NDJSON.
const (
	balp       = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
	balpEntity = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	hl7        = "http://terminology.hl7.org/CodeSystem/"
	dicom      = "http://dicom.nema.org/resources/ontology/DCM"
)

type (
	fhirCoding struct {
		System  string `json:"system"`
		Code    string `json:"code"`
		Display string `json:"display,omitempty"`
	}
	fhirConcept struct {
		Coding []fhirCoding `json:"coding,omitempty"`
		Text   string       `json:"text,omitempty"`
	}
	fhirIdentifier struct {
		System string `json:"system,omitempty"`
		Value  string `json:"value"`
	}
	fhirReference struct {
		Identifier *fhirIdentifier `json:"identifier,omitempty"`
		Display    string          `json:"display,omitempty"`
	}
	fhirAgent struct {
		Type         *fhirConcept  `json:"type,omitempty"`
		Role         []fhirConcept `json:"role,omitempty"`
		Who          fhirReference `json:"who"`
		Requestor    bool          `json:"requestor"`
		PurposeOfUse []fhirConcept `json:"purposeOfUse,omitempty"`
	}
	fhirEntity struct {
		What *fhirReference `json:"what,omitempty"`
		Type *fhirCoding    `json:"type,omitempty"`
		Role *fhirCoding    `json:"role,omitempty"`
		Name string         `json:"name,omitempty"`
	}
	fhirSource struct {
		Observer fhirReference `json:"observer"`
		Type     []fhirCoding  `json:"type,omitempty"`
	}
	fhirMeta struct {
		Profile []string `json:"profile"`
	}
	fhirAuditEvent struct {
		ResourceType string       `json:"resourceType"`
		ID           string       `json:"id"`
		Meta         *fhirMeta    `json:"meta,omitempty"`
		Type         fhirCoding   `json:"type"`
		Subtype      []fhirCoding `json:"subtype,omitempty"`
		Action       string       `json:"action"`
		Recorded     string       `json:"recorded"`
		Outcome      string       `json:"outcome"`
		OutcomeDesc  string       `json:"outcomeDesc,omitempty"`
		Agent        []fhirAgent  `json:"agent"`
		Source       fhirSource   `json:"source"`
		Entity       []fhirEntity `json:"entity,omitempty"`
	}
)

func (s *Server) exportFHIR(ctx context.Context, w *startedWriter, scope audit.Scope, f audit.Filter) error {
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return s.eachRecord(ctx, scope, f, func(r *audit.Record) error {
		subjects := r.Subjects
		if len(subjects) == 0 {
			subjects = []string{""}
		}
		for _, person := range subjects {
			if err := enc.Encode(fhirOf(r, person)); err != nil {
				return err
			}
		}
		return nil
	})
}

// fhirOf is one event about one person; person "" is about nobody.
func fhirOf(r *audit.Record, person string) fhirAuditEvent {
	e := fhirAuditEvent{
		ResourceType: "AuditEvent", ID: r.ID.String(), Type: fhirCoding{hl7 + "audit-event-type", "rest", "RESTful Operation"},
		Action: "R", Recorded: r.Occurred.UTC().Format("2006-01-02T15:04:05.000Z"), Outcome: "0",
		Source: fhirSource{Observer: fhirReference{Display: "Kith"}, Type: []fhirCoding{{hl7 + "security-source-type", "4", "Application Server"}}},
	}
	interaction, profile := "read", ""
	switch r.Kind {
	case audit.KindRead, audit.KindPrint, audit.KindPhone, audit.KindEmergency:
		profile = "Read"
	case audit.KindSearch, audit.KindLogView, audit.KindLogExport:
		interaction, profile, e.Action = "search", "Query", "E"
	case audit.KindSignIn, audit.KindSignOut, audit.KindAuthFailure, audit.KindForbidden:
		e.Type = fhirCoding{dicom, "110114", "User Authentication"}
		interaction, e.Action = "", "E"
	default:
		interaction, profile, e.Action = "update", "Update", "U"
	}
	if interaction != "" {
		e.Subtype = append(e.Subtype, fhirCoding{System: "http://hl7.org/fhir/restful-interaction", Code: interaction})
	}
	e.Subtype = append(e.Subtype, fhirCoding{System: "urn:kith:event-kind", Code: string(r.Kind)})
	switch r.Outcome {
	case audit.OutcomeDenied, audit.OutcomeNotFound, audit.OutcomeInvalid:
		e.Outcome, e.OutcomeDesc = "4", string(r.Outcome)
	case audit.OutcomeFailed, audit.OutcomePartly:
		e.Outcome, e.OutcomeDesc = "8", string(r.Outcome)
	}
	e.Agent = fhirAgents(r)
	if person != "" {
		// The id must be one for each resource: event and person together.
		e.ID = uuid.NewSHA1(r.ID, []byte(person)).String()
		e.Entity = append(e.Entity, fhirEntity{
			What: &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:person-reference", Value: person}},
			Type: &fhirCoding{hl7 + "audit-entity-type", "1", "Person"}, Role: &fhirCoding{hl7 + "object-role", "1", "Patient"},
		})
		if profile != "" {
			profile = "Patient" + profile
		}
	}
	if profile != "" && e.Outcome == "0" && person != "" {
		e.Meta = &fhirMeta{Profile: []string{balp + profile}}
	}
	for _, x := range r.Released {
		if person != "" && !slices.Contains(x.Subjects, person) {
			continue
		}
		e.Entity = append(e.Entity, fhirReleased(&x)...)
	}
	if r.Family != uuid.Nil && len(r.Released) == 0 {
		e.Entity = append(e.Entity, fhirEntity{
			What: &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:family", Value: r.Family.String()}},
			Type: &fhirCoding{hl7 + "audit-entity-type", "2", "System Object"}, Role: &fhirCoding{hl7 + "object-role", "4", "Domain Resource"},
		})
	}
	e.Entity = append(e.Entity, fhirEntity{
		What: &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:event", Value: r.ID.String()}},
		Type: &fhirCoding{System: balpEntity, Code: "XrequestId"},
	})
	return e
}

func fhirAgents(r *audit.Record) []fhirAgent {
	who := fhirReference{Display: r.Name}
	if r.Worker != uuid.Nil {
		who.Identifier = &fhirIdentifier{System: "urn:kith:worker", Value: r.Worker.String()}
	} else if r.Client != "" {
		who.Identifier = &fhirIdentifier{System: "urn:kith:client", Value: r.Client}
	}
	if who.Identifier == nil && who.Display == "" {
		who.Display = "not signed in"
	}
	user := fhirAgent{Type: concept(hl7+"v3-ParticipationType", "IRCP", "information recipient"), Who: who, Requestor: true}
	for _, role := range r.Roles {
		user.Role = append(user.Role, *concept("urn:kith:role", role, ""))
	}
	if r.Purpose != "" {
		user.PurposeOfUse = []fhirConcept{*concept("urn:kith:purpose", r.Purpose, "")}
	}
	agents := []fhirAgent{
		{Type: concept(dicom, "110153", "Source Role ID"), Who: fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:agency", Value: orUnknown(r.Agency)}}},
		{Type: concept(dicom, "110152", "Destination Role ID"), Who: fhirReference{Display: "Kith"}},
		user,
	}
	return agents
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func concept(system, code, display string) *fhirConcept {
	return &fhirConcept{Coding: []fhirCoding{{System: system, Code: code, Display: display}}}
}

func fhirReleased(x *audit.Released) []fhirEntity {
	name := x.Section + ", " + x.Level.String()
	kind, role := &fhirCoding{hl7 + "audit-entity-type", "2", "System Object"}, &fhirCoding{hl7 + "object-role", "4", "Domain Resource"}
	if len(x.Entries) == 0 {
		return []fhirEntity{{What: &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:agency", Value: orUnknown(x.Owner)}}, Type: kind, Role: role, Name: name}}
	}
	list := make([]fhirEntity, 0, len(x.Entries))
	for _, ref := range x.Entries {
		list = append(list, fhirEntity{What: entryReference(ref), Type: kind, Role: role, Name: name})
	}
	return list
}

func entryReference(ref proof.EntryRef) *fhirReference {
	return &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:entry", Value: ref.String()}}
}
