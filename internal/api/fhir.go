package api

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"kith/internal/audit"
)

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
		Type       string          `json:"type,omitempty"`
		Identifier *fhirIdentifier `json:"identifier,omitempty"`
		Display    string          `json:"display,omitempty"`
	}
	fhirAgent struct {
		Type         *fhirConcept  `json:"type,omitempty"`
		Role         []fhirConcept `json:"role,omitempty"`
		Who          fhirReference `json:"who"`
		Requestor    bool          `json:"requestor"`
		Network      *fhirNetwork  `json:"network,omitempty"`
		PurposeOfUse []fhirConcept `json:"purposeOfUse,omitempty"`
	}
	fhirNetwork struct {
		Address string `json:"address"`
		Type    string `json:"type"` // 5: a URI
	}
	fhirEntity struct {
		What  *fhirReference `json:"what,omitempty"`
		Type  *fhirCoding    `json:"type,omitempty"`
		Role  *fhirCoding    `json:"role,omitempty"`
		Query []byte         `json:"query,omitempty"` // base64
		// Detail of what was read is each entry with section and level; of the
		// event's own entity its receipt, so that kith-verify finds each event of
		// the file in the log.
		Detail []fhirDetail `json:"detail,omitempty"`
	}
	fhirDetail struct {
		Type  string `json:"type"`
		Value string `json:"valueString"`
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

func (s *Server) exportFHIR(ctx context.Context, w *startedWriter, scope audit.Scope, f audit.Filter, after string) error {
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return s.eachRecord(ctx, scope, f, after, func(r *audit.Record) error {
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

// fhirAct is how BALP names what a kind of event does.
type fhirAct struct {
	interaction, profile, action string
	fromClient                   bool   // the client is the source: for all but a read
	user                         string // in which part the user takes part
}

func fhirActOf(kind audit.Kind) fhirAct {
	switch kind {
	case audit.KindRead, audit.KindPrint, audit.KindPhone, audit.KindEmergency:
		return fhirAct{"read", "Read", "R", false, "IRCP"}
	case audit.KindSearch, audit.KindLogView, audit.KindLogExport:
		return fhirAct{"search", "Query", "E", true, "IRCP"}
	case audit.KindSignIn, audit.KindSignOut, audit.KindAuthFailure, audit.KindForbidden:
		return fhirAct{"", "", "E", true, "IRCP"}
	}
	return fhirAct{"update", "Update", "U", true, "AUT"}
}

// fhirOf is one event about one person; person "" is about nobody. The profile
// is named only where the event is what the profile is for: BALP's are for what
// succeeded and concerns somebody.
func fhirOf(r *audit.Record, person string) fhirAuditEvent {
	act := fhirActOf(r.Kind)
	e := fhirAuditEvent{
		ResourceType: "AuditEvent", ID: r.ID.String(), Type: fhirCoding{hl7 + "audit-event-type", "rest", "RESTful Operation"},
		Action: act.action, Recorded: r.Occurred.UTC().Format("2006-01-02T15:04:05.000Z"), Outcome: "0",
		Source: fhirSource{Observer: fhirReference{Display: "Kith"}, Type: []fhirCoding{{hl7 + "security-source-type", "4", "Application Server"}}},
	}
	if act.interaction == "" {
		e.Type = fhirCoding{dicom, "110114", "User Authentication"}
	} else {
		e.Subtype = append(e.Subtype, fhirCoding{System: "http://hl7.org/fhir/restful-interaction", Code: act.interaction, Display: act.interaction})
	}
	e.Subtype = append(e.Subtype, fhirCoding{System: "urn:kith:event-kind", Code: string(r.Kind)})
	switch r.Outcome {
	case audit.OutcomeDenied, audit.OutcomeNotFound, audit.OutcomeInvalid:
		e.Outcome, e.OutcomeDesc = "4", string(r.Outcome)
	case audit.OutcomeFailed, audit.OutcomePartly:
		e.Outcome, e.OutcomeDesc = "8", string(r.Outcome)
	}
	e.Agent = fhirAgents(r, act)
	if person != "" {
		// The id must be one for each resource: event and person together.
		e.ID = uuid.NewSHA1(r.ID, []byte(person)).String()
		e.Entity = append(e.Entity, fhirEntity{
			What: &fhirReference{Type: "Patient", Identifier: &fhirIdentifier{System: "urn:kith:person-reference", Value: person}},
			Type: &fhirCoding{hl7 + "audit-entity-type", "1", "Person"}, Role: &fhirCoding{hl7 + "object-role", "1", "Patient"},
		})
	}
	if act.profile != "" && e.Outcome == "0" && person != "" {
		e.Meta = &fhirMeta{Profile: []string{balp + "Patient" + act.profile}}
	}
	if act.interaction != "" {
		e.Entity = append(e.Entity, fhirData(r, act, person))
	}
	own := fhirEntity{
		What: &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:event", Value: r.ID.String()}},
		Type: &fhirCoding{System: balpEntity, Code: "XrequestId"},
	}
	if r.Receipt != "" {
		own.Detail = []fhirDetail{{Type: "kith-receipt", Value: r.Receipt}}
	}
	e.Entity = append(e.Entity, own)
	return e
}

// fhirData is the one thing that was read, searched or changed: BALP allows
// one. What of it was released about this person stands in its details.
func fhirData(r *audit.Record, act fhirAct, person string) fhirEntity {
	e := fhirEntity{Type: &fhirCoding{hl7 + "audit-entity-type", "2", "System Object"}, Role: &fhirCoding{hl7 + "object-role", "4", "Domain Resource"}}
	if act.profile == "Query" {
		// By which fields was searched; what was typed stays in the log.
		e.Role, e.Query = &fhirCoding{hl7 + "object-role", "24", "Query"}, []byte("?"+strings.Join(r.SearchedBy, "&"))
		return e
	}
	e.What = &fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:event", Value: r.ID.String()}}
	if r.Family != uuid.Nil {
		e.What.Identifier = &fhirIdentifier{System: "urn:kith:family", Value: r.Family.String()}
	}
	for i := range r.Released {
		x := &r.Released[i]
		if person != "" && !slices.Contains(x.Subjects, person) {
			continue
		}
		terms := x.Section + ", " + x.Level.String() + ", " + orUnknown(x.Owner)
		if len(x.Entries) == 0 {
			e.Detail = append(e.Detail, fhirDetail{Type: "released", Value: terms})
		}
		for _, ref := range x.Entries {
			e.Detail = append(e.Detail, fhirDetail{Type: "released", Value: ref.String() + ", " + terms})
		}
	}
	return e
}

func fhirAgents(r *audit.Record, act fhirAct) []fhirAgent {
	who := fhirReference{Display: r.Name}
	if r.Worker != uuid.Nil {
		who.Identifier = &fhirIdentifier{System: "urn:kith:worker", Value: r.Worker.String()}
	} else if r.Client != "" {
		who.Identifier = &fhirIdentifier{System: "urn:kith:client", Value: r.Client}
	}
	if who.Identifier == nil && who.Display == "" {
		who.Display = "not signed in"
	}
	part := map[string]string{"IRCP": "information recipient", "AUT": "author (originator)"}[act.user]
	user := fhirAgent{Type: concept(hl7+"v3-ParticipationType", act.user, part), Who: who, Requestor: true}
	for _, role := range r.Roles {
		user.Role = append(user.Role, *concept("urn:kith:role", role, ""))
	}
	if r.Purpose != "" {
		user.PurposeOfUse = []fhirConcept{*concept("urn:kith:purpose", r.Purpose, "")}
	}
	source, destination := concept(dicom, "110153", "Source Role ID"), concept(dicom, "110152", "Destination Role ID")
	client := fhirAgent{Type: destination, Who: fhirReference{Identifier: &fhirIdentifier{System: "urn:kith:agency", Value: orUnknown(r.Agency)}},
		Network: &fhirNetwork{"urn:kith:agency:" + orUnknown(r.Agency), "5"}}
	hub := fhirAgent{Type: source, Who: fhirReference{Display: "Kith"}, Network: &fhirNetwork{"urn:kith:hub", "5"}}
	if act.fromClient {
		client.Type, hub.Type = source, destination
	}
	return []fhirAgent{client, hub, user}
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
