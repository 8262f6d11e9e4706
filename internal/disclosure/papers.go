package disclosure

import (
	"context"
	"errors"
	"time"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/policy"
)

// ErrNoPaper: there is no paper of that name.
var ErrNoPaper = errors.New("there is no such paper")

// Papers makes the documents that the active version gives: they name agencies,
// and hold no record of anybody.
type Papers struct {
	Door       *Door
	Directory  *identity.Directory
	Agreements *agreement.Register
	Log        *audit.Log // what was used; nil: a hub that cannot tell
	Keeps      []string   // how long the log is kept, in words
}

// usedSince is how far the agreement-against-use report looks back.
const usedSince = 12 // months

// MayRead tells whether a caller may read a paper: what is agreed is open to
// everybody who looks after information, what was used to them and the auditor.
func (Papers) MayRead(p identity.Principal) bool {
	for _, role := range []string{"ig-author", "ig-approver", "privacy-officer", "auditor", "sar-officer"} {
		if p.Has(role) {
			return true
		}
	}
	return false
}

// Paper makes one of policy's papers. Error: ErrNoPaper.
func (d *Papers) Paper(ctx context.Context, p identity.Principal, code string) (policy.Paper, error) {
	v, facts, err := d.facts(ctx, p)
	if err != nil {
		return policy.Paper{}, err
	}
	switch code {
	case policy.PaperProcessing:
		return v.ProcessingRecord(facts), nil
	case policy.PaperPrivacy:
		return v.PrivacyNotice(facts), nil
	case policy.PaperUse:
		since := facts.Now.UTC().Truncate(24*time.Hour).AddDate(0, -usedSince, 0)
		counted, err := d.Log.ClauseUses(ctx, "", since)
		if err != nil {
			return policy.Paper{}, err
		}
		agencies, err := d.Directory.Agencies(ctx)
		if err != nil {
			return policy.Paper{}, err
		}
		kinds := map[string]string{}
		for _, a := range agencies {
			kinds[a.Code] = a.Kind
		}
		uses := make([]policy.Used, 0, len(counted))
		for _, u := range counted {
			uses = append(uses, policy.Used{Clause: u.Clause, Section: u.Section, Agency: u.Agency, Kind: kinds[u.Agency], Purpose: u.Purpose, Times: u.Times, Last: u.Last})
		}
		return v.AgreementUse(facts, since, uses), nil
	}
	return policy.Paper{}, ErrNoPaper
}

// Agreement makes the document that the parties of an agreement sign. Error:
// ErrNoPaper.
func (d *Papers) Agreement(ctx context.Context, p identity.Principal, id string) (policy.Paper, error) {
	v, facts, err := d.facts(ctx, p)
	if err != nil {
		return policy.Paper{}, err
	}
	live, err := d.Agreements.List(ctx)
	if err != nil {
		return policy.Paper{}, err
	}
	stands := map[[2]string]string{}
	for _, l := range live {
		for _, part := range l.Parties {
			stands[[2]string{l.ID, part.Agency}] = string(part.State) + " since " + part.Since.Format("2 January 2006")
		}
	}
	facts.Stands = func(agreement, agency string) string { return stands[[2]string{agreement, agency}] }
	paper, ok := v.AgreementPaper(id, facts)
	if !ok {
		return policy.Paper{}, ErrNoPaper
	}
	return paper, nil
}

func (d *Papers) facts(ctx context.Context, p identity.Principal) (*policy.Version, policy.PaperFacts, error) {
	v, err := d.Door.Version(ctx, p.Partnership)
	if err != nil {
		return nil, policy.PaperFacts{}, err
	}
	agencies, err := d.Directory.Agencies(ctx)
	if err != nil {
		return nil, policy.PaperFacts{}, err
	}
	names := map[string]string{}
	for _, a := range agencies {
		names[a.Code] = a.Name
		if a.LegalController != "" && a.LegalController != a.Name {
			names[a.Code] = a.Name + " (" + a.LegalController + ")"
		}
	}
	return v, policy.PaperFacts{Now: d.Door.Now(), Names: names, Keeps: d.Keeps}, nil
}
