package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Where a connection is cut.
const (
	cutNowhere      int32 = iota
	cutBeforeCommit       // the server never hears COMMIT
	cutAfterCommit        // the server commits, and the hub never hears that it did
)

// cutter stands between a hub and PostgreSQL, reads their protocol (message
// flow of the PostgreSQL documentation, chapter 55) and cuts the connection
// exactly at COMMIT. It counts its cuts.
type cutter struct {
	to   func() (net.Conn, error)
	at   atomic.Int32
	cuts atomic.Int32
}

func (c *cutter) serve(ln net.Listener) {
	for {
		hub, err := ln.Accept()
		if err != nil {
			return
		}
		server, err := c.to()
		if err != nil {
			_ = hub.Close()
			continue
		}
		end := func() { _, _ = hub.Close(), server.Close() }
		go func() { defer end(); c.forward(server, hub) }()
		go func() { defer end(); c.back(hub, server) }()
	}
}

// forward passes what the hub says until a Bind of COMMIT that shall be cut.
func (c *cutter) forward(server io.Writer, hub io.Reader) {
	start := make([]byte, 4) // the first message has no type
	if _, err := io.ReadFull(hub, start); err != nil {
		return
	}
	if _, err := server.Write(start); err != nil {
		return
	}
	if _, err := io.CopyN(server, hub, int64(binary.BigEndian.Uint32(start))-4); err != nil {
		return
	}
	statements := map[string]string{}
	for {
		kind, raw, err := message(hub)
		if err != nil {
			return
		}
		fields := strings.SplitN(string(raw[5:]), "\x00", 3)
		switch {
		case kind == 'P' && len(fields) > 1:
			statements[fields[0]] = fields[1]
		case kind == 'B' && len(fields) > 1 && strings.EqualFold(statements[fields[1]], "commit") && c.at.Load() == cutBeforeCommit:
			c.cuts.Add(1)
			return
		}
		if _, err := server.Write(raw); err != nil {
			return
		}
	}
}

// back passes what the server says until the word that a COMMIT is complete.
func (c *cutter) back(hub io.Writer, server io.Reader) {
	for {
		kind, raw, err := message(server)
		if err != nil {
			return
		}
		if kind == 'C' && string(raw[5:]) == "COMMIT\x00" && c.at.Load() == cutAfterCommit {
			c.cuts.Add(1)
			return
		}
		if _, err := hub.Write(raw); err != nil {
			return
		}
	}
}

func message(r io.Reader) (kind byte, raw []byte, err error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	raw = append(head, make([]byte, binary.BigEndian.Uint32(head[1:])-4)...)
	_, err = io.ReadFull(r, raw[5:])
	return head[0], raw, err
}

// through gives the address of a role that leads through the cutter.
func (c *cutter) through(t *testing.T, dsn string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	c.to = func() (net.Conn, error) {
		port := strconv.Itoa(int(cfg.Port))
		if strings.HasPrefix(cfg.Host, "/") {
			return net.Dial("unix", cfg.Host+"/.s.PGSQL."+port)
		}
		return net.Dial("tcp", net.JoinHostPort(cfg.Host, port))
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go c.serve(ln)
	u := url.URL{Scheme: "postgres", User: url.UserPassword(cfg.User, cfg.Password), Host: ln.Addr().String(), Path: "/" + cfg.Database, RawQuery: "sslmode=disable"}
	return u.String()
}

// The connection is cut exactly at COMMIT. Whichever side of it, the outcome is
// unknown to the hub, so nothing is released; where the server had committed a
// row is left, which is harmless, and where it had not there is none.
func TestConnectionCutAtCommit(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	var c cutter
	dsn := c.through(t, b.db.DSN("app"))
	hub := b.open(t, "hub-1", func(h *hubConfig) { h.App = dsn })
	family := hub.openTo(t, "social-worker", "FS")
	rows := func() int {
		return one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE family = $1 AND cardinality(released) > 0`, family)
	}
	for _, x := range []struct {
		name string
		at   int32
		left int
	}{{"before", cutBeforeCommit, 0}, {"after", cutAfterCommit, 1}} {
		for range 5 {
			was, cuts := rows(), c.cuts.Load()
			c.at.Store(x.at)
			r, err := hub.try(context.Background(), b.reading(t, "social-worker", family, "FS"))
			c.at.Store(cutNowhere)
			if err != nil {
				t.Fatal(err)
			}
			refusesService(t, "cut "+x.name+" COMMIT", r)
			if c.cuts.Load() == cuts {
				t.Fatalf("nothing was cut %s COMMIT", x.name)
			}
			eventually(t, 5*serverNotices, "the row of a cut "+x.name, func() bool { return rows() == was+x.left })
			if r := hub.send(t, b.reading(t, "social-worker", family, "FS")); r.status != http.StatusOK {
				t.Errorf("after a cut %s COMMIT: status %d", x.name, r.status)
			}
		}
	}
}
