package identity

import (
	"context"
	"slices"
	"time"
)

// system finds the principal of a case system. The agency is the one that
// configuration gives its client; a token may repeat it and not change it.
func (v *Verifier) system(ctx context.Context, p Principal, payload object, t *trusted, s *SystemClient) (Principal, error) {
	if t.Claims.Agency != "" {
		claimed, err := payload.text(t.Claims.Agency)
		if err != nil {
			return Principal{}, ErrAgencyClaim
		}
		if claimed != "" && claimed != s.Agency {
			if b, ok := t.values[claimed]; !ok || b.Agency != s.Agency {
				return Principal{}, ErrSystemAgency
			}
		}
	}
	a, err := v.directory.agencyStanding(ctx, s.Agency)
	if err != nil {
		return Principal{}, err
	}
	if err := a.check(day(v.now())); err != nil {
		return Principal{}, err
	}
	p.Partnership = v.directory.partnership
	p.Agency, p.HomeAgency, p.Kind = s.Agency, s.Agency, a.kind
	p.Roles = tidy(s.Roles)
	p.System = true
	return p, nil
}

// person finds the principal of a worker: what the token asserts, cut to what
// configuration lets the issuer assert and to what the directory holds today.
func (v *Verifier) person(ctx context.Context, p Principal, payload object, t *trusted) (Principal, error) {
	claimed, err := t.agencyClaim(payload)
	if err != nil {
		return Principal{}, err
	}
	asserted, err := t.rolesClaim(payload)
	if err != nil {
		return Principal{}, err
	}
	now := v.now()
	w, err := v.directory.standing(ctx, p.Issuer, p.Subject, claimed, now)
	if err != nil {
		return Principal{}, err
	}
	refuse := func(r *Refusal) (Principal, error) {
		return Principal{}, &WorkerRefused{Worker: w.id, Agency: w.speaksFor, Reason: r}
	}
	if r := w.check(now, v.directory.dormant); r != nil {
		return refuse(r)
	}
	binding, ok := t.codes[w.speaksFor]
	if !ok {
		return refuse(ErrAgencyNotBound)
	}
	known := w.roles
	if w.speaksFor != w.home || binding.AcceptedOnly {
		if !w.accepted {
			return refuse(ErrNotAccepted)
		}
		known = w.acceptedRoles
		p.ActingFor = w.speaksFor
	}
	if r := w.agency.check(day(now)); r != nil {
		return refuse(r)
	}
	if t.Claims.Roles == "" {
		asserted = known
	}
	p.Roles = tidy(asserted, known, binding.Roles)
	if len(p.Roles) == 0 {
		return refuse(ErrNoRole)
	}

	p.Partnership = v.directory.partnership
	p.Worker, p.WorkerName, p.WorkerStamp = w.id, w.name, w.stamp
	p.Employer, p.HomeAgency = w.employer, w.home
	p.Agency, p.Kind = w.speaksFor, w.agency.kind
	p.Teams = w.teams
	v.directory.seen(w.id, w.lastSeen, now)
	return p, nil
}

// agencyClaim gives the agency that the token claims, "" where this issuer's
// tokens claim none and the directory says it.
func (t *trusted) agencyClaim(payload object) (string, error) {
	if t.Claims.Agency == "" {
		return "", nil
	}
	claimed, err := payload.text(t.Claims.Agency)
	if err != nil || claimed == "" {
		return "", ErrAgencyClaim
	}
	b, ok := t.values[claimed]
	if !ok {
		return "", ErrAgencyNotBound
	}
	return b.Agency, nil
}

// rolesClaim gives our names for the roles that the token asserts. Names that
// mean nothing here are left out: an issuer's directory is full of them.
func (t *trusted) rolesClaim(payload object) ([]string, error) {
	if t.Claims.Roles == "" {
		return nil, nil
	}
	theirs, err := payload.list(t.Claims.Roles)
	if err != nil {
		return nil, ErrClaims
	}
	var ours []string
	for _, name := range theirs {
		if mapped, ok := t.Roles[name]; ok {
			name = mapped
		}
		ours = append(ours, name)
	}
	return ours, nil
}

// tidy sorts roles, drops repeats, and keeps what all the limits hold.
func tidy(roles []string, limits ...[]string) []string {
	out := slices.Clone(roles)
	out = slices.DeleteFunc(out, func(r string) bool {
		for _, l := range limits {
			if !slices.Contains(l, r) {
				return true
			}
		}
		return false
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// day is the calendar day that dates in the directory are compared with.
func day(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
