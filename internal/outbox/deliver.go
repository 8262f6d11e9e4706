package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/wneessen/go-mail"

	"kith/internal/postgres"
)

// MailServer takes mail for the outbox.
type MailServer struct {
	Host     string
	Port     int
	From     string
	User     string // empty: no authentication
	Password string
	// Implicit: TLS from the first byte (port 465); otherwise STARTTLS is
	// required. Plain: neither, for a relay on this machine alone.
	Implicit, Plain bool
}

// errChannelGone: the channel is no longer configured.
var errChannelGone = errors.New("the channel is not configured any more")

// job is one delivery that this replica has taken.
type job struct {
	Message   uuid.UUID
	Channel   string
	Attempts  int
	Kind      Kind
	Agency    string
	Role      string
	Reference string
	Due       string
	MadeAt    time.Time
}

// inFlight is how long a delivery belongs to who took it.
const inFlight = time.Minute

// deliver takes what is due, sends it, and notes what came of it. A replica
// that dies after sending has the message sent again: under the same id.
func (b *Box) deliver(ctx context.Context) (sent int, err error) {
	now := b.Now()
	rows, _ := b.Pool.Query(ctx, `
UPDATE kith.outbox_delivery d SET attempts = d.attempts + 1, next_at = $2
  FROM (SELECT x.message, x.channel FROM kith.outbox_delivery x JOIN kith.outbox_message y ON y.id = x.message
         WHERE x.delivered_at IS NULL AND x.given_up_at IS NULL AND x.next_at <= $1 AND y.partnership = $3 ORDER BY x.next_at LIMIT 20 FOR UPDATE OF x SKIP LOCKED) due,
       kith.outbox_message m
 WHERE d.message = due.message AND d.channel = due.channel AND m.id = d.message
RETURNING d.message, d.channel, d.attempts, m.kind, m.agency, m.role, m.reference, coalesce(m.due::text, ''), m.made_at`, now, now.Add(inFlight), b.Partnership)
	jobs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[job])
	if err != nil {
		return 0, fmt.Errorf("take deliveries: %w", postgres.Redact(err))
	}
	for _, j := range jobs {
		fault := b.send(ctx, j)
		if ctx.Err() != nil {
			return sent, ctx.Err()
		}
		if err := b.note(ctx, j, fault); err != nil {
			return sent, err
		}
		if fault != nil {
			b.Log.WarnContext(ctx, "a message could not be delivered", "channel", j.Channel, "kind", string(j.Kind), "attempt", j.Attempts, "cause", fault.Error())
		}
		sent++
	}
	return sent, nil
}

// note stores what came of an attempt.
func (b *Box) note(ctx context.Context, j job, fault error) error {
	now := b.Now()
	var delivered, givenUp *time.Time
	next, why := now, ""
	switch {
	case fault == nil:
		delivered = &now
	case errors.Is(fault, errChannelGone), now.Sub(j.MadeAt) > b.GiveUp:
		givenUp, why = &now, fault.Error()
	default:
		// 10 s, 20 s, 40 s … an hour
		next, why = now.Add(min(10*time.Second<<min(j.Attempts-1, 10), time.Hour)), fault.Error()
	}
	_, err := b.Pool.Exec(ctx, `UPDATE kith.outbox_delivery SET delivered_at = $3, given_up_at = $4, next_at = $5, fault = left($6, 200) WHERE message = $1 AND channel = $2`,
		j.Message, j.Channel, delivered, givenUp, next, why)
	if err != nil {
		return fmt.Errorf("note a delivery: %w", postgres.Redact(err))
	}
	return nil
}

func (b *Box) send(ctx context.Context, j job) error {
	for i := range b.Channels {
		if c := &b.Channels[i]; c.Name == j.Channel {
			if c.Hook != "" {
				return b.post(ctx, c, j)
			}
			return b.mail(ctx, c, j)
		}
	}
	return errChannelGone
}

// HookBody is what a web hook gets, signed as Standard Webhooks has it.
type HookBody struct {
	ID        uuid.UUID `json:"id"` // the same at every attempt
	Kind      Kind      `json:"kind"`
	Agency    string    `json:"agency"`
	Role      string    `json:"role"`
	Reference string    `json:"reference"`
	Due       string    `json:"due,omitempty"`
	MadeAt    time.Time `json:"made_at"`
	Link      string    `json:"link,omitempty"`
}

func (b *Box) post(ctx context.Context, c *Channel, j job) error {
	body, err := json.Marshal(HookBody{j.Message, j.Kind, j.Agency, j.Role, j.Reference, j.Due, j.MadeAt.UTC(), b.Link})
	if err != nil {
		return err
	}
	signer, err := webhooks.NewWebhookRaw(c.Secret)
	if err != nil {
		return err
	}
	at := b.Now()
	signature, err := signer.Sign(j.Message.String(), at, body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Hook, bytes.NewReader(body))
	if err != nil {
		return errors.New("the hook's address is not one")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(webhooks.HeaderWebhookID, j.Message.String())
	req.Header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhooks.HeaderWebhookSignature, signature)
	res, err := b.Client.Do(req)
	if err != nil {
		return errors.New("the hook does not answer") // an error of the client names the address
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return fmt.Errorf("the hook answers %d", res.StatusCode)
	}
	return nil
}

func (b *Box) mail(ctx context.Context, c *Channel, j job) error {
	m := mail.NewMsg()
	if err := errors.Join(m.From(b.Mail.From), m.To(c.Mail)); err != nil {
		return errors.New("a mail address is not one")
	}
	m.SetMessageIDWithValue(j.Message.String() + "@kith")
	m.SetDateWithValue(b.Now())
	m.Subject("Kith: " + subject(j.Kind) + " (" + j.Reference + ")")
	text := sentence(j.Kind) + "\r\n\r\nReference: " + j.Reference + "\r\nFor: " + j.Agency + ", " + j.Role + "\r\n"
	if j.Due != "" {
		text += "By: " + j.Due + "\r\n"
	}
	if b.Link != "" {
		text += "\r\nSign in to see what it is: " + b.Link + "\r\n"
	}
	m.SetBodyString(mail.TypeTextPlain, text)
	options := []mail.Option{mail.WithPort(b.Mail.Port), mail.WithTimeout(10 * time.Second)}
	switch {
	case b.Mail.Plain:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case b.Mail.Implicit:
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if b.Mail.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(b.Mail.User), mail.WithPassword(b.Mail.Password))
	}
	client, err := mail.NewClient(b.Mail.Host, options...)
	if err != nil {
		return errors.New("the mail server's settings do not hold")
	}
	if err := client.DialAndSendWithContext(ctx, m); err != nil {
		return fmt.Errorf("the mail server does not take it: %w", err)
	}
	return nil
}

func subject(k Kind) string {
	switch k {
	case ApprovalWaiting:
		return "an approval waits for you"
	case ReviewDue:
		return "an agreement is due for review"
	case EndDue:
		return "an agreement ends soon"
	case AgreementStopped:
		return "part of an agreement was stopped"
	case AccessLost:
		return "your service sees less than before"
	case SecondWaiting:
		return "a second party is asked to confirm"
	case AlertRaised:
		return "an alert was raised"
	}
	return "there is something to do"
}

func sentence(k Kind) string {
	switch k {
	case ApprovalWaiting:
		return "A change of the sharing policy opens information of your agency wider. It needs the approval of one of your approvers."
	case ReviewDue:
		return "An information sharing agreement that your agency is a party of is due for review. It goes on until its end."
	case EndDue:
		return "An information sharing agreement that your agency is a party of ends soon. After its end it opens nothing."
	case AgreementStopped:
		return "A party has stopped its part of an information sharing agreement. It acts at once."
	case AccessLost:
		return "Another agency has stopped its part of an agreement: its information is closed to your workers from now on."
	case SecondWaiting:
		return "Another party asks yours to confirm an act on an agreement."
	case AlertRaised:
		return "The hub has raised an alert that somebody must look at."
	}
	return "There is something to do in Kith."
}
