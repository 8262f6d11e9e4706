package family

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
)

// WorkerFeed is a worker as the agency's own staff or case system lists them,
// so that its allocations can name them. LocalID is the agency's own; it does
// not change when name, teams or sign-in do.
type WorkerFeed struct {
	LocalID       string     `json:"local_id"`
	Name          string     `json:"name"`
	Employer      string     `json:"employer"`
	Issuer        string     `json:"issuer,omitempty"`
	Subject       string     `json:"subject,omitempty"`
	Roles         []string   `json:"roles"`
	From          string     `json:"from,omitempty"`
	Until         string     `json:"until,omitempty"` // last day
	TrainingUntil string     `json:"training_until,omitempty"`
	VettingUntil  string     `json:"vetting_until,omitempty"`
	CaseIDs       []string   `json:"case_ids,omitempty"` // "scheme:value"
	Teams         []TeamSeat `json:"teams,omitempty"`
}

// TeamSeat is a team that a worker belongs to, or covers for until a moment.
type TeamSeat struct {
	Team  string     `json:"team"`
	Cover bool       `json:"cover,omitempty"`
	From  *time.Time `json:"from,omitempty"`
	Until *time.Time `json:"until,omitempty"`
}

// worker takes a worker of the sender's agency. The feed gives the roles that
// work with families and no others: who decides, audits or administers is named
// in the directory file, and a suspension made since stays.
func (in *intake) worker(ctx context.Context, w *WorkerFeed) (Result, error) {
	const field = "worker"
	if err := label(field+".local_id", w.LocalID, true); err != nil {
		return Result{}, err
	}
	for name, text := range map[string]string{"name": w.Name, "employer": w.Employer} {
		if err := label(field+"."+name, text, true); err != nil {
			return Result{}, err
		}
	}
	for name, text := range map[string]string{"issuer": w.Issuer, "subject": w.Subject} {
		if err := label(field+"."+name, text, false); err != nil {
			return Result{}, err
		}
	}
	for _, r := range w.Roles {
		if role, ok := in.catalogue.roles[r]; !ok || !role.Records || !slices.Contains(role.Kinds, in.Kind) {
			return Result{}, &FieldError{field + ".roles", "names what is not a role in which this kind of agency works with families"}
		}
	}
	if in.Worker != uuid.Nil {
		return Result{}, &FieldError{field, "comes from the agency's system, not from a worker"}
	}
	record, err := in.workerRecord(field, w)
	if err != nil {
		return Result{}, err
	}
	said, err := json.Marshal(w)
	if err != nil {
		return Result{}, fmt.Errorf("write worker: %w", err)
	}
	digest := sha256.Sum256(said)
	outcome, err := identity.FeedWorker(ctx, in.tx, in.Partnership, record, digest[:], in.Now)
	switch {
	case errors.Is(err, identity.ErrTaken):
		return Result{}, &FieldError{field, "has a sign-in or a case-system id that names another worker"}
	case err != nil:
		return Result{}, err
	}
	return Result{map[identity.Fed]Outcome{identity.FedNew: New, identity.FedChanged: Changed}[outcome], record.ID}.orUnchanged(), nil
}

// orUnchanged names the third outcome.
func (r Result) orUnchanged() Result {
	if r.Outcome == "" {
		r.Outcome = Unchanged
	}
	return r
}

func (in *intake) workerRecord(field string, w *WorkerFeed) (identity.WorkerRecord, error) {
	r := identity.WorkerRecord{
		Key: "feed/" + in.Agency + "/" + w.LocalID, Agency: in.Agency, Employer: w.Employer, Issuer: w.Issuer, Subject: w.Subject, Name: w.Name, Roles: w.Roles,
	}
	r.ID = identity.WorkerID(in.Partnership, r.Key)
	if (w.Issuer == "") != (w.Subject == "") {
		return r, &FieldError{field + ".subject", "goes together with issuer"}
	}
	var err error
	for _, d := range []struct {
		name, text string
		to         **time.Time
	}{{"from", w.From, &r.ActiveFrom}, {"until", w.Until, &r.ActiveUntil}, {"training_until", w.TrainingUntil, &r.TrainingUntil}, {"vetting_until", w.VettingUntil, &r.VettingUntil}} {
		if *d.to, err = dayOf(field+"."+d.name, d.text); err != nil {
			return r, err
		}
	}
	if r.ActiveFrom != nil && r.ActiveUntil != nil && r.ActiveUntil.Before(*r.ActiveFrom) {
		return r, &FieldError{field + ".until", "lies before its beginning"}
	}
	for i, id := range w.CaseIDs {
		scheme, value, ok := cutCaseID(id)
		if !ok {
			return r, &FieldError{fmt.Sprintf("%s.case_ids[%d]", field, i), "is not of the form scheme:value"}
		}
		r.CaseIDs = append(r.CaseIDs, identity.CaseIDRecord{Agency: in.Agency, Scheme: scheme, Value: value})
	}
	for i, t := range w.Teams {
		at := fmt.Sprintf("%s.teams[%d]", field, i)
		if err := label(at+".team", t.Team, true); err != nil {
			return r, err
		}
		if t.Cover && t.Until == nil {
			return r, &FieldError{at + ".until", "is needed: a cover ends"}
		}
		r.Teams = append(r.Teams, identity.TeamRecord{Agency: in.Agency, Team: t.Team, Cover: t.Cover, From: t.From, Until: t.Until})
	}
	return r, nil
}
