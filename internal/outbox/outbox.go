// Package outbox gets word round to those who must act: an approval waits, a
// review is due, an agreement was stopped, an alert was raised, an access is
// lost. A message is a kind and a reference, never a name. It hides that the
// same reason found twice is one message, and that mail servers and web hooks
// fail: what is written here is delivered at least once, tried again until it
// is, and can be seen meanwhile.
package outbox

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Kind says what a message is about.
type Kind string

// The kinds.
const (
	ApprovalWaiting  Kind = "approval-waiting"
	ReviewDue        Kind = "review-due" // of an agreement
	EndDue           Kind = "end-due"    // likewise
	AgreementStopped Kind = "agreement-stopped"
	AccessLost       Kind = "access-lost"
	SecondWaiting    Kind = "second-party-waiting" // an act of two parties waits for the other
	AlertRaised      Kind = "alert-raised"
)

// Notice is a reason to write to somebody. Key makes it one: the same key is
// one message, however often it is found.
type Notice struct {
	Key       string // 300 bytes at most
	Kind      Kind
	Agency    string // who must act, or lost something
	Role      string // whose office it is there
	Reference string // an id, such as of an agreement or an alert: never a name
	Due       time.Time
}

// Source finds reasons. It may find old ones again.
type Source func(context.Context) ([]Notice, error)

// Config of an outbox.
type Config struct {
	Pool        *pgxpool.Pool // role kith_app
	Partnership string
	Sources     []Source
	Channels    []Channel
	Mail        *MailServer // nil: no channel has a mail address
	Link        string      // address of the hub's pages, put into messages
	Client      *http.Client
	GiveUp      time.Duration // after which a message is no longer tried; default 72 h
	Now         func() time.Time
	Random      io.Reader
	Log         *slog.Logger
}

// Channel is one address and what goes there. Exactly one of Mail and Hook is
// given. The address stays in the configuration: the database knows its name.
type Channel struct {
	Name   string
	Agency string
	Roles  []string // empty: every office of the agency
	Mail   string
	Hook   string // https, or http on this machine
	Secret []byte // signs what goes to the hook (Standard Webhooks)
}

func (c *Channel) takes(n Notice) bool {
	return c.Agency == n.Agency && (len(c.Roles) == 0 || slices.Contains(c.Roles, n.Role))
}

// Box is the outbox. Several replicas may run one each.
type Box struct{ Config }

// New checks the configuration.
func New(c Config) (*Box, error) {
	names := map[string]bool{}
	for i, ch := range c.Channels {
		switch {
		case ch.Name == "" || names[ch.Name]:
			return nil, fmt.Errorf("outbox channel %d: needs a name of its own", i)
		case ch.Agency == "":
			return nil, fmt.Errorf("outbox channel %s: needs an agency", ch.Name)
		case (ch.Mail == "") == (ch.Hook == ""):
			return nil, fmt.Errorf("outbox channel %s: needs a mail address or a web hook, and not both", ch.Name)
		case ch.Mail != "" && c.Mail == nil:
			return nil, fmt.Errorf("outbox channel %s: there is no mail server", ch.Name)
		case ch.Hook != "" && len(ch.Secret) < 24:
			return nil, fmt.Errorf("outbox channel %s: needs a secret of 24 bytes or more", ch.Name)
		}
		names[ch.Name] = true
	}
	if c.GiveUp <= 0 {
		c.GiveUp = 72 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	// A hook that redirects could lead the hub anywhere.
	client := http.Client{Timeout: 10 * time.Second}
	if c.Client != nil {
		client = *c.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Client = &client
	return &Box{c}, nil
}

// kept is how long a message stays to be seen.
const kept = 400 * 24 * time.Hour

// Run gathers and delivers at each tick until ctx ends.
func (b *Box) Run(ctx context.Context, tick <-chan time.Time) {
	for {
		if err := b.Round(ctx); err != nil && ctx.Err() == nil {
			b.Log.WarnContext(ctx, "the outbox rests", "cause", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// Round is one tick: new reasons become messages, and what is due is sent. A
// source that fails holds no other up.
func (b *Box) Round(ctx context.Context) error {
	var faults []error
	for _, find := range b.Sources {
		notices, err := find(ctx)
		if err == nil {
			err = b.put(ctx, notices)
		}
		faults = append(faults, err)
	}
	if _, err := b.Pool.Exec(ctx, `DELETE FROM kith.outbox_message WHERE partnership = $1 AND made_at < $2`, b.Partnership, b.Now().Add(-kept)); err != nil {
		faults = append(faults, fmt.Errorf("forget old messages: %w", postgres.Redact(err)))
	}
	for {
		sent, err := b.deliver(ctx)
		if err != nil || sent == 0 {
			return errors.Join(append(faults, err)...)
		}
	}
}

// put stores what is new, with a delivery for each channel that takes it.
func (b *Box) put(ctx context.Context, notices []Notice) error {
	for _, n := range notices {
		id, err := uuid.NewRandomFromReader(b.Random)
		if err != nil {
			return fmt.Errorf("outbox: randomness: %w", err)
		}
		var channels []string
		for i := range b.Channels {
			if b.Channels[i].takes(n) {
				channels = append(channels, b.Channels[i].Name)
			}
		}
		var due *time.Time
		if !n.Due.IsZero() {
			due = &n.Due
		}
		// A message about an agency that left is nobody's.
		_, err = b.Pool.Exec(ctx, `
WITH fresh AS (
  INSERT INTO kith.outbox_message (id, partnership, key, kind, agency, role, reference, due)
  SELECT $1, $2, $3, $4, a.code, $6, $7, $8 FROM kith.agency a WHERE a.code = $5
  ON CONFLICT (partnership, key) DO NOTHING RETURNING id
)
INSERT INTO kith.outbox_delivery (message, channel) SELECT fresh.id, c FROM fresh, unnest($9::text[]) c`,
			id, b.Partnership, n.Key, string(n.Kind), n.Agency, n.Role, n.Reference, due, channels)
		if err != nil {
			return fmt.Errorf("write to the outbox: %w", postgres.Redact(err))
		}
	}
	return nil
}

// Message is one message and how its deliveries stand.
type Message struct {
	ID         uuid.UUID  `json:"id"`
	Kind       Kind       `json:"kind"`
	Agency     string     `json:"agency"`
	Role       string     `json:"role"`
	Reference  string     `json:"reference"`
	Due        string     `json:"due,omitempty"`
	MadeAt     time.Time  `json:"made_at"`
	Deliveries []Delivery `json:"deliveries"` // empty: no channel takes it
}

// Delivery is one message on its way to one address.
type Delivery struct {
	Channel     string     `json:"channel"`
	Attempts    int        `json:"attempts"`
	NextAt      *time.Time `json:"next_at,omitempty"`
	DeliveredAt *time.Time `json:"delivered_at,omitempty"`
	GivenUpAt   *time.Time `json:"given_up_at,omitempty"`
	Fault       string     `json:"fault,omitempty"`
}

// List gives messages to an agency ("" = to all), the newest first; after is
// the last id of the page before.
func (b *Box) List(ctx context.Context, agency string, after uuid.UUID, limit int) ([]Message, error) {
	rows, _ := b.Pool.Query(ctx, `
SELECT m.id, m.kind, m.agency, m.role, m.reference, coalesce(m.due::text, ''), m.made_at,
       coalesce((SELECT json_agg(json_build_object('channel', d.channel, 'attempts', d.attempts,
                 'next_at', CASE WHEN d.delivered_at IS NULL AND d.given_up_at IS NULL THEN d.next_at END,
                 'delivered_at', d.delivered_at, 'given_up_at', d.given_up_at, 'fault', d.fault) ORDER BY d.channel)
          FROM kith.outbox_delivery d WHERE d.message = m.id), '[]')
  FROM kith.outbox_message m
 WHERE m.partnership = $1 AND ($2::text = '' OR m.agency = $2)
   AND ($3::uuid = '00000000-0000-0000-0000-000000000000' OR (m.made_at, m.id) < (SELECT x.made_at, x.id FROM kith.outbox_message x WHERE x.id = $3::uuid AND x.partnership = $1))
 ORDER BY m.made_at DESC, m.id DESC LIMIT $4`, b.Partnership, agency, after, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Message])
	if err != nil {
		return nil, fmt.Errorf("list the outbox: %w", postgres.Redact(err))
	}
	return list, nil
}

// Waiting counts deliveries that are on their way, and those given up in the
// last week.
func (b *Box) Waiting(ctx context.Context) (waiting, givenUp int64, err error) {
	err = b.Pool.QueryRow(ctx, `
SELECT count(*) FILTER (WHERE delivered_at IS NULL AND given_up_at IS NULL), count(*) FILTER (WHERE given_up_at > $1)
  FROM kith.outbox_delivery WHERE delivered_at IS NULL`, b.Now().AddDate(0, 0, -7)).Scan(&waiting, &givenUp)
	if err != nil {
		return 0, 0, fmt.Errorf("count the outbox: %w", postgres.Redact(err))
	}
	return waiting, givenUp, nil
}

// Short makes a reference of a digest: its first sixteen hexadecimal digits.
func Short(digest []byte) string {
	return hex.EncodeToString(digest[:min(8, len(digest))])
}

// Key joins the parts of a notice's key.
func Key(kind Kind, parts ...string) string {
	return string(kind) + "/" + strings.Join(parts, "/")
}
