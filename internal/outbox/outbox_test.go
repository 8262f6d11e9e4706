package outbox_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"kith/internal/outbox"
	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// mailbox is a mail server that keeps what it is given.
type mailbox struct {
	mu     sync.Mutex
	mails  []string
	to     []string
	refuse atomic.Bool
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &letter{box: b}, nil }

type letter struct {
	box *mailbox
	to  string
}

func (l *letter) Mail(string, *smtp.MailOptions) error {
	if l.box.refuse.Load() {
		return &smtp.SMTPError{Code: 451, Message: "try later"}
	}
	return nil
}
func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error { l.to = to; return nil }
func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	l.box.mu.Lock()
	defer l.box.mu.Unlock()
	l.box.mails, l.box.to = append(l.box.mails, string(text)), append(l.box.to, l.to)
	return err
}
func (*letter) Reset()        {}
func (*letter) Logout() error { return nil }

func (b *mailbox) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.mails...)
}

func serveMail(t *testing.T) (*mailbox, *outbox.MailServer) {
	t.Helper()
	box := &mailbox{}
	server := smtp.NewServer(box)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return box, &outbox.MailServer{Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, From: "kith@hub.example", Plain: true}
}

// clock is set by the test.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(0, c.at.Load()) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

var secret = []byte("a secret of more than twenty-four bytes")

func newBox(t *testing.T, edit func(*outbox.Config)) (*outbox.Box, *clock) {
	t.Helper()
	db := pgtest.New(t)
	admin := db.Pool(t, "admin")
	for _, sql := range []string{
		`INSERT INTO kith.partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ('northby', 'Northby', 'Desk', '01632 960101', '01632 960102', '01632 960103')`,
		`INSERT INTO kith.agency (code, partnership, kind, name, legal_controller, ico) SELECT c, 'northby', c, c, c, 'ZA1' FROM unnest(ARRAY['MH', 'CSC', 'HUB']) c`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	at := &clock{}
	at.at.Store(time.Now().Add(time.Second).UnixNano())
	c := outbox.Config{Pool: db.Pool(t, "app"), Partnership: "northby", Now: at.now, Random: rand.Reader, Link: "https://hub.example/"}
	edit(&c)
	box, err := outbox.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return box, at
}

func fixed(notices ...outbox.Notice) outbox.Source {
	return func(context.Context) ([]outbox.Notice, error) { return notices, nil }
}

var approval = outbox.Notice{Key: "approval-waiting/1/MH", Kind: outbox.ApprovalWaiting, Agency: "MH", Role: "ig-approver", Reference: "0123456789abcdef"}

// A mail server that refuses gets the message later, once, and no other address
// gets it.
func TestMailIsTriedAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	mails, server := serveMail(t)
	box, at := newBox(t, func(c *outbox.Config) {
		c.Mail = server
		c.Channels = []outbox.Channel{
			{Name: "mh", Agency: "MH", Roles: []string{"ig-approver"}, Mail: "ig@mh.example"},
			{Name: "mh-privacy", Agency: "MH", Roles: []string{"privacy-officer"}, Mail: "dpo@mh.example"},
			{Name: "csc", Agency: "CSC", Mail: "ig@csc.example"},
		}
		c.Sources = []outbox.Source{
			func(context.Context) ([]outbox.Notice, error) { return nil, errors.New("out of order") },
			fixed(approval),
			fixed(outbox.Notice{Key: "gone", Kind: outbox.AlertRaised, Agency: "LEFT", Role: "auditor", Reference: "x"}),
		}
	})
	mails.refuse.Store(true)
	for range 3 {
		if err := box.Round(t.Context()); err == nil || !strings.Contains(err.Error(), "out of order") {
			t.Fatalf("a source's fault is not told: %v", err)
		}
	}
	list, err := box.List(t.Context(), "", uuid.Nil, 10)
	if err != nil || len(list) != 1 || len(list[0].Deliveries) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	d := list[0].Deliveries[0]
	if d.Attempts != 1 || d.Fault == "" || d.NextAt == nil || d.DeliveredAt != nil {
		t.Errorf("after a refusal: %+v", d)
	}
	if waiting, _, err := box.Waiting(t.Context()); err != nil || waiting != 1 {
		t.Errorf("%d are waiting, %v", waiting, err)
	}
	mails.refuse.Store(false)
	for range 4 {
		at.pass(time.Hour)
		_ = box.Round(t.Context()) // the source out of order
	}
	got := mails.all()
	if len(got) != 1 || mails.to[0] != "ig@mh.example" {
		t.Fatalf("%d mails to %v", len(got), mails.to)
	}
	for _, want := range []string{"Subject: Kith: an approval waits for you (0123456789abcdef)", "https://hub.example/", "From: <kith@hub.example>", list[0].ID.String()} {
		if !strings.Contains(got[0], want) {
			t.Errorf("the mail does not say %q:\n%s", want, got[0])
		}
	}
	if list, err = box.List(t.Context(), "MH", uuid.Nil, 10); err != nil || list[0].Deliveries[0].DeliveredAt == nil || list[0].Deliveries[0].NextAt != nil {
		t.Errorf("after the delivery: %+v, %v", list, err)
	}
	if list, err = box.List(t.Context(), "CSC", uuid.Nil, 10); err != nil || len(list) != 0 {
		t.Errorf("another agency sees %+v, %v", list, err)
	}
}

// hook answers with a status and keeps what verified.
type hook struct {
	status  atomic.Int32
	mu      sync.Mutex
	bodies  []outbox.HookBody
	refused int
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	verifier, _ := webhooks.NewWebhookRaw(secret)
	var b outbox.HookBody
	h.mu.Lock()
	defer h.mu.Unlock()
	if verifier.VerifyIgnoringTimestamp(body, r.Header) != nil || json.Unmarshal(body, &b) != nil || r.Header.Get(webhooks.HeaderWebhookID) != b.ID.String() {
		h.refused++
	}
	h.bodies = append(h.bodies, b)
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(int(h.status.Load()))
}

// A hook gets a signed body, the same id at each attempt; a redirect is no
// delivery; what fails for days is given up and stays to be seen.
func TestHooksAreSignedAndGivenUpAtLast(t *testing.T) {
	t.Parallel()
	h := &hook{}
	h.status.Store(http.StatusFound)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	due := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	box, at := newBox(t, func(c *outbox.Config) {
		c.Channels = []outbox.Channel{{Name: "csc-hook", Agency: "CSC", Hook: server.URL + "/kith", Secret: secret}, {Name: "hub-hook", Agency: "HUB", Hook: server.URL, Secret: secret}}
		c.Sources = []outbox.Source{fixed(
			outbox.Notice{Key: "a", Kind: outbox.EndDue, Agency: "CSC", Role: "ig-approver", Reference: "isa-mash", Due: due},
			outbox.Notice{Key: "b", Kind: outbox.AlertRaised, Agency: "HUB", Role: "auditor", Reference: "alert"})}
	})
	round := func() {
		t.Helper()
		if err := box.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	round()
	at.pass(time.Hour)
	round()
	h.mu.Lock()
	if len(h.bodies) != 4 || h.refused > 0 {
		t.Fatalf("%d attempts, %d badly signed", len(h.bodies), h.refused)
	}
	ids := map[uuid.UUID]int{}
	for _, b := range h.bodies {
		ids[b.ID]++
		if b.Kind == outbox.EndDue && (b.Due != "2026-12-01" || b.Reference != "isa-mash" || b.Agency != "CSC") {
			t.Errorf("body %+v", b)
		}
	}
	h.mu.Unlock()
	if len(ids) != 2 {
		t.Errorf("%d ids for two messages", len(ids))
	}

	box.Channels = box.Channels[:1] // the other is taken out of the configuration
	at.pass(73 * time.Hour)
	round()
	h.status.Store(http.StatusOK)
	at.pass(time.Hour)
	round()
	list, err := box.List(t.Context(), "", uuid.Nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if d := m.Deliveries[0]; d.GivenUpAt == nil || d.DeliveredAt != nil {
			t.Errorf("%s: %+v", m.Kind, d)
		}
	}
	if waiting, givenUp, err := box.Waiting(t.Context()); err != nil || waiting != 0 || givenUp != 2 {
		t.Errorf("%d waiting, %d given up, %v", waiting, givenUp, err)
	}
	one, err := box.List(t.Context(), "", list[0].ID, 10)
	if err != nil || len(one) != 1 || one[0].ID != list[1].ID {
		t.Errorf("the second page: %+v, %v", one, err)
	}
}

// Two replicas deliver a message once between them.
func TestTwoReplicasDeliverOnce(t *testing.T) {
	t.Parallel()
	h := &hook{}
	h.status.Store(http.StatusNoContent)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	var notices []outbox.Notice
	for range 30 {
		id := uuid.NewString()
		notices = append(notices, outbox.Notice{Key: id, Kind: outbox.AlertRaised, Agency: "HUB", Role: "auditor", Reference: id})
	}
	box, _ := newBox(t, func(c *outbox.Config) {
		c.Channels = []outbox.Channel{{Name: "hub", Agency: "HUB", Hook: server.URL, Secret: secret}}
		c.Sources = []outbox.Source{fixed(notices...)}
	})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			if err := box.Round(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.bodies) != 30 || h.refused > 0 {
		t.Errorf("%d deliveries of 30 messages, %d badly signed", len(h.bodies), h.refused)
	}
}

func TestChannelsAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]outbox.Channel{
		"no name":      {Agency: "MH", Mail: "a@b.example"},
		"no agency":    {Name: "x", Mail: "a@b.example"},
		"no address":   {Name: "x", Agency: "MH"},
		"both":         {Name: "x", Agency: "MH", Mail: "a@b.example", Hook: "https://x.example", Secret: secret},
		"no server":    {Name: "x", Agency: "MH", Mail: "a@b.example"},
		"short secret": {Name: "x", Agency: "MH", Hook: "https://x.example", Secret: []byte("short")},
	} {
		if _, err := outbox.New(outbox.Config{Channels: []outbox.Channel{c}}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
