package api

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// authenticate verifies the bearer token. A caller without a good one is
// counted, one event per source and minute, and nothing that the token claims
// is kept; a worker whom the directory refuses is an event by name.
func (s *Server) authenticate(r *http.Request) (identity.Principal, error) {
	raw, ok := bearer(r)
	if !ok {
		s.Failures.Note(source(r), identity.ErrNoToken.Code)
		return identity.Principal{}, unauthenticated("This route needs a bearer token.", nil)
	}
	p, err := s.Verifier.Verify(r.Context(), raw)
	if err == nil {
		return p, nil
	}
	var refused *identity.WorkerRefused
	if errors.As(err, &refused) {
		if _, logged := s.Recorder.Append(r.Context(), audit.Event{
			Kind: audit.KindSignIn, Outcome: audit.OutcomeDenied, Agency: refused.Agency, Refusal: refused.Reason.Code,
			Principal: proof.Principal{Worker: refused.Worker}, Request: requestID(r.Context()),
		}); logged != nil {
			return identity.Principal{}, unavailable(logged)
		}
		return identity.Principal{}, forbidden(refused.Reason.Code, refused.Reason.Shown, err)
	}
	var refusal *identity.Refusal
	if errors.As(err, &refusal) {
		s.Failures.Note(source(r), refusal.Code)
		if refusal.Token {
			return identity.Principal{}, unauthenticated(refusal.Shown, err)
		}
		return identity.Principal{}, forbidden(refusal.Code, refusal.Shown, err)
	}
	return identity.Principal{}, unavailable(err)
}

// bearer takes the token out of exactly one Authorization header.
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", false
	}
	return token, true
}

// source is the address that a caller without a token comes from. Forwarded
// headers are the caller's own words and are not believed.
func source(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr()
}
