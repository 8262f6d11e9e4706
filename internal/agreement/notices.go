package agreement

import (
	"context"
	"fmt"
	"time"

	"kith/internal/outbox"
)

// told is how long after a stop the parties are written to.
const told = 14 * 24 * time.Hour

// Notices are the reasons to write to parties: an agreement is due for review
// or ends in 60, 30 or 7 days, a part was stopped, an act waits for a second
// party.
func (r *Register) Notices(ctx context.Context) ([]outbox.Notice, error) {
	live, err := r.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("reasons to write to parties: %w", err)
	}
	var out []outbox.Notice
	now := r.now()
	for _, l := range live {
		for _, due := range []struct {
			kind outbox.Kind
			on   time.Time
		}{{outbox.ReviewDue, l.Review}, {outbox.EndDue, l.End}} {
			step := stepBefore(due.on, now)
			if step == "" {
				continue
			}
			for _, p := range l.Parties {
				out = append(out, outbox.Notice{Key: outbox.Key(due.kind, l.ID, due.on.Format(time.DateOnly), step, p.Agency), Kind: due.kind,
					Agency: p.Agency, Role: roleSignatory, Reference: l.ID, Due: due.on})
				if due.kind == outbox.EndDue && step == "past" { // it denies from that day on
					out = append(out, outbox.Notice{Key: outbox.Key(outbox.AccessLost, l.ID, due.on.Format(time.DateOnly), p.Agency), Kind: outbox.AccessLost,
						Agency: p.Agency, Role: "manager", Reference: l.ID, Due: due.on})
				}
			}
		}
		for _, stopped := range l.Parties {
			if stopped.State != Suspended || now.Sub(stopped.Since) > told {
				continue
			}
			at := stopped.Since.UTC().Format(time.RFC3339)
			for _, p := range l.Parties {
				if p.Agency == stopped.Agency {
					continue
				}
				for kind, role := range map[outbox.Kind]string{outbox.AgreementStopped: roleSignatory, outbox.AccessLost: "manager"} {
					out = append(out, outbox.Notice{Key: outbox.Key(kind, l.ID, stopped.Agency, at, p.Agency), Kind: kind, Agency: p.Agency, Role: role, Reference: l.ID})
				}
			}
		}
		for _, act := range l.Open {
			for _, p := range l.Parties {
				if p.Agency != act.AskedAgency {
					out = append(out, outbox.Notice{Key: outbox.Key(outbox.SecondWaiting, act.ID.String(), p.Agency), Kind: outbox.SecondWaiting, Agency: p.Agency, Role: roleSignatory, Reference: l.ID})
				}
			}
		}
	}
	return out, nil
}

// stepBefore is the warning that a day has reached: "60", "30", "7", "past".
func stepBefore(on, now time.Time) string {
	left := int(on.Sub(now.UTC().Truncate(24*time.Hour)).Hours() / 24)
	switch {
	case left < 0:
		return "past"
	case left <= 7:
		return "7"
	case left <= 30:
		return "30"
	case left <= 60:
		return "60"
	}
	return ""
}
