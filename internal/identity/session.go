package identity

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Session is one browser's sign-in, as it stands at this request.
type Session struct {
	Principal Principal // read anew from the directory
	Begun     time.Time
	Idle      time.Time // ends then unless something is done before
	Ends      time.Time // ends then in any case
	Covered   string    // where the worker was when they covered the screen; empty: not covered
}

// String names nobody.
func (Session) String() string { return "session" }

// GoString is String for %#v.
func (s Session) GoString() string { return s.String() }

// LogValue keeps the session out of log lines.
func (Session) LogValue() slog.Value { return slog.StringValue("session") }

// open begins a session. The event that records the sign-in stands in the same
// transaction: no session without it.
func (s *SignIn) open(ctx context.Context, p Principal, sid string, said object, hint, replaced string) (string, error) {
	token, err := s.secret()
	if err != nil {
		return "", err
	}
	sealed, err := s.seal(token, []byte(hint))
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(said)
	if err != nil {
		return "", fmt.Errorf("open session: %w", err)
	}
	now := s.Now()
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM web_session WHERE ends_at < $1 OR seen_at < $2 OR token_hash = $3`, now, now.Add(-s.config.Idle), hashOf(replaced)); err != nil {
			return fmt.Errorf("end old sessions: %w", postgres.Redact(err))
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO web_session (token_hash, partnership, worker, agency, issuer, subject, client, acr, sid, claims, hint, created_at, seen_at, ends_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)`,
			hashOf(token), p.Partnership, p.Worker, p.Agency, p.Issuer, p.Subject, p.Client, p.ACR, sid, claims, sealed, now, now.Add(s.config.Absolute)); err != nil {
			return fmt.Errorf("open session: %w", postgres.Redact(err))
		}
		_, err := s.Recorder.AppendTx(ctx, tx, eventOf(p, audit.KindSignIn, audit.OutcomeDone, nil))
		return err
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

func eventOf(p Principal, kind audit.Kind, outcome audit.Outcome, details map[string]string) audit.Event {
	return audit.Event{
		Kind: kind, Outcome: outcome, Agency: p.Agency, ActingFor: p.ActingFor, Details: details,
		Principal: proof.Principal{
			ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, Worker: p.Worker,
		},
	}
}

// Session finds the session of a cookie's token and reads the worker's standing
// anew: whoever was ended or suspended is out at this request, on every
// replica. Errors: ErrNoSession; *WorkerRefused, whose session has ended then;
// else the question could not be answered.
func (s *SignIn) Session(ctx context.Context, token string) (Session, error) {
	if len(token) != 43 {
		return Session{}, ErrNoSession
	}
	var p Principal
	var claims []byte
	var begun, seen, ends time.Time
	var covered string
	err := s.Pool.QueryRow(ctx, `
		SELECT issuer, subject, client, acr, claims, created_at, seen_at, ends_at, coalesce(covered_back, '')
		  FROM web_session WHERE token_hash = $1 AND partnership = $2`, hashOf(token), s.Verifier.directory.partnership).
		Scan(&p.Issuer, &p.Subject, &p.Client, &p.ACR, &claims, &begun, &seen, &ends, &covered)
	if errors.Is(err, pgx.ErrNoRows) {
		return Session{}, ErrNoSession
	}
	if err != nil {
		return Session{}, fmt.Errorf("read session: %w", postgres.Redact(err))
	}
	now := s.Now()
	t := s.Verifier.issuers[p.Issuer]
	var said object
	if !now.Before(ends) || now.Sub(seen) >= s.config.Idle || t == nil || !slices.Contains(t.Clients, p.Client) || json.Unmarshal(claims, &said) != nil {
		return Session{}, s.drop(ctx, token, ErrNoSession)
	}
	p, err = s.Verifier.person(ctx, p, said, t)
	if err != nil {
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return Session{}, s.drop(ctx, token, err)
		}
		return Session{}, err
	}
	if now.Sub(seen) >= touchEvery {
		if _, err := s.Pool.Exec(ctx, `UPDATE web_session SET seen_at = greatest(seen_at, $2) WHERE token_hash = $1`, hashOf(token), now); err != nil {
			return Session{}, fmt.Errorf("touch session: %w", postgres.Redact(err))
		}
		seen = now
	}
	out := Session{Principal: p, Begun: begun, Idle: seen.Add(s.config.Idle), Ends: ends, Covered: covered}
	if out.Idle.After(ends) {
		out.Idle = ends
	}
	return out, nil
}

// drop deletes a session that is over and answers why.
func (s *SignIn) drop(ctx context.Context, token string, why error) error {
	if _, err := s.Pool.Exec(context.WithoutCancel(ctx), `DELETE FROM web_session WHERE token_hash = $1`, hashOf(token)); err != nil {
		return fmt.Errorf("end session: %w", postgres.Redact(err))
	}
	return why
}

// End signs out here, and gives the address at which the browser signs out at
// the provider too ("" where the provider has none). A session that is already
// gone is no error.
func (s *SignIn) End(ctx context.Context, token string) (string, error) {
	var p Principal
	var hint []byte
	var found bool
	err := postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		found = false
		err := tx.QueryRow(ctx, `
			DELETE FROM web_session s USING worker w
			 WHERE s.token_hash = $1 AND w.id = s.worker
			RETURNING s.worker, w.name, s.agency, s.issuer, s.subject, s.client, s.acr, s.hint`, hashOf(token)).
			Scan(&p.Worker, &p.WorkerName, &p.Agency, &p.Issuer, &p.Subject, &p.Client, &p.ACR, &hint)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("sign out: %w", postgres.Redact(err))
		}
		found = true
		_, err = s.Recorder.AppendTx(ctx, tx, eventOf(p, audit.KindSignOut, audit.OutcomeDone, map[string]string{"by": "person"}))
		return err
	})
	if err != nil || !found {
		return "", err
	}
	return s.logoutAddress(ctx, p, token, hint), nil
}

// logoutAddress is RP-initiated logout. That it can't be had must not keep
// anybody from signing out here.
func (s *SignIn) logoutAddress(ctx context.Context, p Principal, token string, sealed []byte) string {
	for _, provider := range s.providers {
		if provider.Issuer != p.Issuer || provider.Client != p.Client {
			continue
		}
		e, err := s.endpoints(ctx, provider)
		hint, bad := s.unseal(token, sealed)
		if err != nil || bad != nil || e.EndSession == "" {
			return ""
		}
		u, err := url.Parse(e.EndSession)
		if err != nil {
			return ""
		}
		q := u.Query()
		q.Set("id_token_hint", string(hint))
		q.Set("client_id", provider.Client)
		q.Set("post_logout_redirect_uri", s.config.BaseURL+SignedOutPath)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return ""
}

// Choice is for what, about whom and why a session looks at one family.
type Choice struct {
	Purpose  string
	Children []uuid.UUID // empty: the children with whom the worker works
	Reason   string
	At       time.Time
}

// LogValue keeps the reason out of log lines.
func (Choice) LogValue() slog.Value { return slog.StringValue("choice") }

// ErrNoChoice says that this session has stated no purpose for the family.
var ErrNoChoice = errors.New("no purpose chosen for this family")

// Choose keeps a choice with the session.
func (s *SignIn) Choose(ctx context.Context, token string, family uuid.UUID, c Choice) error {
	children := c.Children
	if children == nil {
		children = []uuid.UUID{}
	}
	_, err := s.Pool.Exec(ctx, `
		INSERT INTO web_session_choice (token_hash, family, purpose, children, reason, chosen_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (token_hash, family) DO UPDATE
		   SET purpose = excluded.purpose, children = excluded.children, reason = excluded.reason, chosen_at = excluded.chosen_at`,
		hashOf(token), family, c.Purpose, children, c.Reason, s.Now())
	if err != nil {
		return fmt.Errorf("keep purpose: %w", postgres.Redact(err))
	}
	return nil
}

// Choice reads it: ErrNoChoice where none was made.
func (s *SignIn) Choice(ctx context.Context, token string, family uuid.UUID) (Choice, error) {
	var c Choice
	err := s.Pool.QueryRow(ctx, `SELECT purpose, children, reason, chosen_at FROM web_session_choice WHERE token_hash = $1 AND family = $2`,
		hashOf(token), family).Scan(&c.Purpose, &c.Children, &c.Reason, &c.At)
	if errors.Is(err, pgx.ErrNoRows) {
		return Choice{}, ErrNoChoice
	}
	if err != nil {
		return Choice{}, fmt.Errorf("read purpose: %w", postgres.Redact(err))
	}
	return c, nil
}

// The ID token is needed again at sign-out only. It is sealed with the cookie's
// token, which the database does not have.
func (s *SignIn) seal(token string, plain []byte) ([]byte, error) {
	gcm, err := sealer(token)
	if err != nil {
		return nil, err
	}
	// One message for each key, and the key is random: a fixed nonce is safe.
	return gcm.Seal(nil, make([]byte, gcm.NonceSize()), plain, nil), nil
}

func (s *SignIn) unseal(token string, sealed []byte) ([]byte, error) {
	gcm, err := sealer(token)
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, make([]byte, gcm.NonceSize()), sealed, nil)
}

func sealer(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "kith session hint/1", 32)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return cipher.NewGCM(block)
}
