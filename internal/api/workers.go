package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// workerView is a worker as their own agency lists them.
type workerView struct {
	ID            uuid.UUID  `json:"id"`
	Name          string     `json:"name"`
	Employer      string     `json:"employer"`
	Roles         []string   `json:"roles"`
	ActiveFrom    string     `json:"active_from"`
	ActiveUntil   string     `json:"active_until,omitempty"`
	Suspended     bool       `json:"suspended,omitempty"`
	TrainingUntil string     `json:"training_until,omitempty"`
	VettingUntil  string     `json:"vetting_until,omitempty"`
	LastSeen      *time.Time `json:"last_seen,omitempty"`
}

func dayText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.DateOnly)
}

// listWorkers answers GET /v1/workers.
func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	list, err := s.Door.Workers(r.Context(), p, requestID(r.Context()))
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	shown := disclosure.List[workerView]{Items: []workerView{}, Receipt: list.Receipt}
	for _, x := range list.Items {
		shown.Items = append(shown.Items, workerView{
			ID: x.ID, Name: x.Name, Employer: x.Employer, Roles: x.Roles, ActiveFrom: dayText(&x.ActiveFrom), ActiveUntil: dayText(x.ActiveUntil),
			Suspended: x.Suspended, TrainingUntil: dayText(x.TrainingUntil), VettingUntil: dayText(x.VettingUntil), LastSeen: x.LastSeen,
		})
	}
	return showList(s, w, r, p, shown, nil)
}

// changeWorker answers POST /v1/workers.
func (s *Server) changeWorker(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Worker string   `json:"worker"`
		Action string   `json:"action"`
		Roles  []string `json:"roles"`
		Until  string   `json:"until"`
		Reason string   `json:"reason"`
	}
	return s.manage(w, r, p, "", &body, func(ctx context.Context, c disclosure.Change, _ uuid.UUID) (disclosure.Written, error) {
		id, err := parseID(body.Worker)
		if err != nil {
			return disclosure.Written{}, badField("worker", "must be a lower-case UUID")
		}
		until, err := optionalDay("until", body.Until)
		if err != nil {
			return disclosure.Written{}, err
		}
		return s.Door.ChangeWorker(ctx, p, c, disclosure.WorkerChange{Worker: id, Action: body.Action, Roles: body.Roles, Until: until, Reason: body.Reason})
	})
}
