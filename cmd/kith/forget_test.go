package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"kith/internal/postgres/pgtest"
)

// A running hub forgets the keys of writes that are older than its limit, at
// once and at each tick.
func TestARunningHubForgetsOldKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	b := &borough{t: t, db: db, admin: db.Pool(t, "admin")}
	b.exec(t, `INSERT INTO kith.partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ('northby', 'N', 'D', '1', '2', '3')`)
	written := func(key string, days int) {
		b.exec(t, `INSERT INTO kith.write_once (partnership, actor, key, digest, made_at) VALUES ('northby', 'a', $1, sha256('x'), now() - make_interval(days => $2))`, key, days)
	}
	left := func() int { return one[int](t, b, `SELECT count(*) FROM kith.write_once`) }
	written("three months ago", 90)
	written("a week ago", 7)
	var later atomic.Int64 // days that the hub's clock is ahead
	now := func() time.Time { return time.Now().AddDate(0, 0, int(later.Load())) }
	h := &hub{config: hubConfig{WriteKeysKept: 60 * 24 * time.Hour, Now: now, Log: slog.New(slog.DiscardHandler)}}
	ctx, stop := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	go func() { defer close(ended); h.forgetKeys(ctx, db.Pool(t, "sequencer"), ticks) }()
	eventually(t, 30*time.Second, "the old key is forgotten", func() bool { return left() == 1 })

	later.Store(55)
	ticks <- now()
	eventually(t, 30*time.Second, "the key of a week ago is forgotten two months later", func() bool { return left() == 0 })
	stop()
	<-ended
}
