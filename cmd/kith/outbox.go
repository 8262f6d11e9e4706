package main

import (
	"bytes"
	"cmp"
	"context"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"kith/internal/agreement"
	"kith/internal/outbox"
	"kith/internal/policy"
)

// outboxConfig is the section `outbox`: how word gets to those who must act.
// Without channels messages are kept to be seen, and sent nowhere.
type outboxConfig struct {
	// Operator is the agency that runs the hub: its auditors hear of alerts.
	// Default HUB.
	Operator string `yaml:"operator"`
	// Link is the address of the pages, put into messages. Default none.
	Link string `yaml:"link"`
	// Mail is the server that takes mail. Default none.
	Mail *mailConfig `yaml:"mail"`
	// Channels are the addresses.
	Channels []channelConfig `yaml:"channels"`
}

type mailConfig struct {
	Host string `yaml:"host"`
	Port int    `yaml:"port"` // default 587
	From string `yaml:"from"`
	User string `yaml:"user"` // default none
	// Password is a file with the password.
	Password string `yaml:"password"`
	// TLS is starttls (default), implicit, or none for a relay on this machine.
	TLS string `yaml:"tls"`
}

type channelConfig struct {
	Name   string   `yaml:"name"`
	Agency string   `yaml:"agency"`
	Roles  []string `yaml:"roles"` // default every office of the agency
	Mail   string   `yaml:"mail"`
	Hook   string   `yaml:"hook"`   // an address that begins with https://
	Secret string   `yaml:"secret"` // file with the hook's secret, 24 bytes or more
}

// complete reads the secrets and checks every field.
func (c outboxConfig) complete(add func(format string, args ...any)) outbox.Config {
	out := outbox.Config{Link: c.Link}
	if m := c.Mail; m != nil {
		server := &outbox.MailServer{Host: m.Host, Port: cmp.Or(m.Port, 587), From: m.From, User: m.User}
		switch m.TLS {
		case "", "starttls":
		case "implicit":
			server.Implicit = true
		case "none":
			if ip := net.ParseIP(m.Host); m.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
				add("outbox.mail.tls: none is for a relay on this machine alone")
			}
			server.Plain = true
		default:
			add("outbox.mail.tls: %q is none of starttls, implicit, none", m.TLS)
		}
		if m.Host == "" || m.From == "" {
			add("outbox.mail: host and from are needed")
		}
		if m.User != "" {
			secret, err := readSecret(m.Password)
			if err != nil {
				add("outbox.mail.password: %w", err)
			}
			server.Password = strings.TrimSpace(string(secret))
		}
		out.Mail = server
	}
	for i, ch := range c.Channels {
		channel := outbox.Channel{Name: ch.Name, Agency: ch.Agency, Roles: ch.Roles, Mail: ch.Mail, Hook: ch.Hook}
		if ch.Hook != "" {
			if _, err := hubAddress(ch.Hook); err != nil {
				add("outbox.channels[%d].hook: must begin with https://; http:// is for this machine alone", i)
			}
			secret, err := readSecret(ch.Secret)
			if err != nil {
				add("outbox.channels[%d].secret: %w", i, err)
			}
			channel.Secret = bytes.TrimSpace(secret)
		}
		out.Channels = append(out.Channels, channel)
	}
	return out
}

// openOutbox makes the outbox and keeps it going.
func (h *hub) openOutbox(ctx context.Context, app *pgxpool.Pool, agreements *agreement.Register, office *policy.Office) (*outbox.Box, error) {
	c := h.config.Outbox
	c.Pool, c.Partnership, c.Now, c.Random, c.Log = app, h.config.Identity.Partnership, h.config.Now, h.config.Random, h.config.Log
	c.Sources = []outbox.Source{agreements.Notices, office.Notices, h.recorder.Notices(cmp.Or(h.config.Operator, "HUB"), c.Now)}
	box, err := outbox.New(c)
	if err != nil {
		return nil, err
	}
	h.background.Go(func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		box.Run(ctx, tick.C)
	})
	return box, nil
}

// outboxMetrics count what waits and what was given up.
func outboxMetrics(box *outbox.Box) []prometheus.Collector {
	gauge := func(name, help string, value func(waiting, givenUp int64) int64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			waiting, givenUp, err := box.Waiting(ctx)
			if err != nil {
				return -1
			}
			return float64(value(waiting, givenUp))
		})
	}
	return []prometheus.Collector{
		gauge("kith_outbox_waiting", "Messages that are on their way; -1: not known.", func(waiting, _ int64) int64 { return waiting }),
		gauge("kith_outbox_given_up", "Messages of the last week that could not be delivered; -1: not known.", func(_, givenUp int64) int64 { return givenUp }),
	}
}
