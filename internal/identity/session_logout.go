package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/postgres"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutLife bounds how long a logout token may be good for, and so how long
// its id is kept.
const logoutLife = time.Hour

// BackChannel ends the sessions that a logout token names (OpenID Connect
// Back-Channel Logout 1.0), on every replica, and says how many they were. A
// token counts once. Errors: ErrLogoutToken, or it could not be done.
func (s *SignIn) BackChannel(ctx context.Context, raw string) (int, error) {
	t, err := s.readLogoutToken(ctx, raw)
	if err != nil {
		return 0, err
	}
	ended := 0
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM logout_token WHERE expires_at < $1`, s.Now().Add(-skew)); err != nil {
			return fmt.Errorf("forget old logout tokens: %w", postgres.Redact(err))
		}
		tag, err := tx.Exec(ctx, `INSERT INTO logout_token (issuer, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, t.issuer, t.id, t.expires)
		if err != nil {
			return fmt.Errorf("keep logout token: %w", postgres.Redact(err))
		}
		if tag.RowsAffected() == 0 {
			return ErrLogoutToken // used before
		}
		rows, _ := tx.Query(ctx, `
			DELETE FROM web_session s USING worker w
			 WHERE s.issuer = $1 AND w.id = s.worker AND ($2 = '' OR s.sid = $2) AND ($3 = '' OR s.subject = $3)
			RETURNING s.worker, w.name, s.agency, s.issuer, s.subject, s.client, s.acr`, t.issuer, t.session, t.subject)
		gone, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Principal, error) {
			var p Principal
			err := row.Scan(&p.Worker, &p.WorkerName, &p.Agency, &p.Issuer, &p.Subject, &p.Client, &p.ACR)
			return p, err
		})
		if err != nil {
			return fmt.Errorf("end sessions: %w", postgres.Redact(err))
		}
		for _, p := range gone {
			if _, err := s.Recorder.AppendTx(ctx, tx, eventOf(p, audit.KindSignOut, audit.OutcomeDone, map[string]string{"by": "issuer"})); err != nil {
				return err
			}
		}
		ended = len(gone)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

type logoutToken struct {
	issuer, subject, session, id string
	expires                      time.Time
}

// readLogoutToken checks what §2.6 of the specification asks for, and that the
// token could be no other kind of token of that issuer.
func (s *SignIn) readLogoutToken(ctx context.Context, raw string) (logoutToken, error) {
	c, err := split(raw)
	if err != nil {
		return logoutToken{}, ErrLogoutToken
	}
	t, err := s.Verifier.checkIssuer(c.payload)
	if err != nil {
		return logoutToken{}, ErrLogoutToken
	}
	typ, err := c.header.text("typ")
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	alg, bad := c.header.text("alg")
	if err != nil || bad != nil || typ != "logout+jwt" && typ != "jwt" && typ != "" || !slices.Contains(t.Algorithms, alg) {
		return logoutToken{}, ErrLogoutToken
	}
	if _, err := (signatures{t}).VerifySignature(ctx, raw); err != nil {
		if errors.Is(err, ErrKeysUnavailable) {
			return logoutToken{}, err
		}
		return logoutToken{}, ErrLogoutToken
	}
	out := logoutToken{issuer: t.URL}
	aud, err := c.payload.list("aud")
	ours := func(client string) bool {
		for _, p := range s.providers {
			if p.Issuer == t.URL && p.Client == client {
				return true
			}
		}
		return false
	}
	if err != nil || len(aud) == 0 || !slices.ContainsFunc(aud, ours) {
		return logoutToken{}, ErrLogoutToken
	}
	if checkTimes(c.payload, s.Now(), logoutLife) != nil || c.payload.has("nonce") {
		return logoutToken{}, ErrLogoutToken
	}
	if out.expires, err = c.payload.moment("exp"); err != nil {
		return logoutToken{}, ErrLogoutToken
	}
	var events map[string]json.RawMessage
	if json.Unmarshal(c.payload["events"], &events) != nil || events[logoutEvent] == nil {
		return logoutToken{}, ErrLogoutToken
	}
	var errs [2]error
	out.id, errs[0] = c.payload.text("jti")
	out.session, errs[1] = c.payload.text("sid")
	if errors.Join(errs[:]...) != nil || out.id == "" {
		return logoutToken{}, ErrLogoutToken
	}
	if c.payload.has(t.Claims.Subject) {
		if out.subject, err = subjectOf(c.payload, t.Claims); err != nil {
			return logoutToken{}, ErrLogoutToken
		}
	}
	if out.subject == "" && out.session == "" {
		return logoutToken{}, ErrLogoutToken
	}
	return out, nil
}
