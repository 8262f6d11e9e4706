package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/policies"
)

// twoPolicies are the shipped version, and one under which police see a summary
// of mental-health involvement.
func twoPolicies(t testing.TB) [2]policy.Bundle {
	t.Helper()
	var out [2]policy.Bundle
	for i := range out {
		b, err := policy.Pack(policies.Default())
		if err != nil {
			t.Fatal(err)
		}
		out[i] = b
	}
	const file = "matrix/mh-involvement.yaml"
	out[1].Files[file] = append(slices.Clone(out[1].Files[file]), "  - {to: POL, roles: [detective], purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}\n"...)
	return out
}

// publish makes a version active, whatever it opens.
func (b *borough) publish(t testing.TB, v policy.Bundle) policy.Digest {
	t.Helper()
	var digest policy.Digest
	if err := postgres.InTx(context.Background(), b.admin, func(tx pgx.Tx) (err error) {
		digest, err = policy.Publish(context.Background(), tx, demo.Partnership, v)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return digest
}

// shows tells whether an answer holds anything of a part of the record.
func shows(body []byte, section string) bool {
	var record struct {
		Sections []struct {
			Section string
			Entries []json.RawMessage
		}
	}
	_ = json.Unmarshal(body, &record) // what does not read shows nothing
	return slices.ContainsFunc(record.Sections, func(s struct {
		Section string
		Entries []json.RawMessage
	}) bool {
		return s.Section == section && len(s.Entries) > 0
	})
}

// decidedBy is the version that the log says an answer was decided by.
func (b *borough) decidedBy(t testing.TB, receipt string) policy.Digest {
	t.Helper()
	r, err := proof.ParseReceipt(receipt)
	if err != nil {
		t.Fatal(err)
	}
	h, err := proof.DecodeHeader(one[[]byte](t, b, `SELECT header FROM kith.access_event WHERE id = $1`, r.Event))
	if err != nil {
		t.Fatal(err)
	}
	return policy.Digest(h.Policy)
}

// differing finds a family whose record a detective reads otherwise under the
// second version, and leaves the first active.
func (b *borough) differing(t testing.TB, hub *replica, versions [2]policy.Bundle) uuid.UUID {
	t.Helper()
	for _, id := range b.stories {
		b.publish(t, versions[0])
		first := hub.send(t, b.reading(t, "detective", id, "FS"))
		if first.status != http.StatusOK || shows(first.body, "mh-involvement") {
			continue
		}
		b.publish(t, versions[1])
		if shows(hub.send(t, b.reading(t, "detective", id, "FS")).body, "mh-involvement") {
			b.publish(t, versions[0])
			return id
		}
	}
	t.Fatal("no story shows the difference")
	return uuid.Nil
}

// oneAnswer is one answer under load.
type oneAnswer struct {
	begun, ended time.Time
	receipt      string
	opened       bool
}

// Three hub processes on one database, under load, while the policy changes back
// and forth, with the replicas told and without: every answer matches exactly
// the version that its row of the log names, nobody is answered by the old one
// once anybody was answered by the new, and every replica finds out by itself.
func TestActivationOnThreeReplicas(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	versions := twoPolicies(t)
	probe := b.open(t, "hub-1")
	family := b.differing(t, probe, versions)
	probe.stop()
	hubs := make([]*replica, 3)
	for i := range hubs {
		hubs[i] = b.process(t, fmt.Sprintf("hub-%d", i+1))
	}
	read := b.reading(t, "detective", family, "FS")
	ctx, stop := context.WithCancel(context.Background())
	var mu sync.Mutex
	var got []oneAnswer
	var callers sync.WaitGroup
	for _, hub := range hubs {
		for range 2 {
			callers.Go(func() {
				for ctx.Err() == nil {
					begun := time.Now()
					a, err := hub.try(context.Background(), read)
					if err != nil || a.status == http.StatusServiceUnavailable {
						continue // nothing was shown
					}
					if a.status != http.StatusOK {
						t.Errorf("status %d: %.300s", a.status, a.body)
						return
					}
					mu.Lock()
					got = append(got, oneAnswer{begun, time.Now(), a.receipt(), shows(a.body, "mh-involvement")})
					mu.Unlock()
				}
			})
		}
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(got) }
	more := func(n int) {
		from := count()
		eventually(t, time.Minute, "answers", func() bool { return count() >= from+n })
	}
	digests := [2]policy.Digest{versions[0].Digest(), versions[1].Digest()}
	changes := make([]float64, len(hubs))
	for i, hub := range hubs {
		changes[i] = hub.metric(t, "kith_policy_changes_total")
	}
	for round := range 6 {
		if round == 3 { // from here on nobody is told
			b.exec(t, `ALTER TABLE kith.policy_head DISABLE TRIGGER policy_head_told`)
		}
		more(12)
		b.publish(t, versions[(round+1)%2])
		for i, hub := range hubs {
			eventually(t, time.Minute, "a replica finds out", func() bool { return hub.metric(t, "kith_policy_changes_total") > changes[i] })
			changes[i] = hub.metric(t, "kith_policy_changes_total")
		}
	}
	more(12)
	stop()
	callers.Wait()
	for _, hub := range hubs {
		eventually(t, time.Minute, "readiness", func() bool { return hub.ready(t) == http.StatusOK })
		if heard := hub.metric(t, "kith_policy_heard_total"); heard < 1 {
			t.Error("a replica was never told")
		}
	}
	by := make([]policy.Digest, len(got))
	for i, a := range got {
		by[i] = b.decidedBy(t, a.receipt)
		if by[i] != digests[0] && by[i] != digests[1] || a.opened != (by[i] == digests[1]) {
			t.Fatalf("an answer that opens it: %v, was decided by %s", a.opened, by[i])
		}
	}
	// Between an answer by one version that has ended, and another that begins
	// later, the policy changes as often as it did: never more.
	order := make([]int, len(got))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return got[a].ended.Compare(got[b].ended) })
	turns := 0
	last := by[order[0]]
	var lastEnded time.Time
	for _, i := range order {
		if by[i] == last {
			lastEnded = maxTime(lastEnded, got[i].ended)
			continue
		}
		if got[i].begun.After(lastEnded) || by[i] != last {
			turns++
			last, lastEnded = by[i], got[i].ended
		}
	}
	if turns < 6 {
		t.Errorf("the answers show %d changes of the policy, there were 6", turns)
	}
	t.Logf("%d answers by three replicas, %d turns", len(got), turns)
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// process starts `kith serve` as a process of its own.
func (b *borough) process(t *testing.T, name string) *replica {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private := ln.Addr().String()
	_ = ln.Close()
	path := b.serveFile(t, name)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c config
	if err := yaml.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	c.PrivateListen = private
	for _, k := range b.keys(t) {
		if !strings.HasPrefix(k.String(), name+"+") {
			c.Log.ReplicaKeys = append(c.Log.ReplicaKeys, k.String())
		}
	}
	if raw, err = yaml.Marshal(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{config: path}
	url, err := p.start(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return &replica{b: b, url: url, private: "http://" + private, client: newClient(), stop: p.kill}
}

// ready asks /readyz.
func (r *replica) ready(t testing.TB) int {
	status, _ := r.inside(t, "/readyz")
	return status
}

func (r *replica) inside(t testing.TB, path string) (int, string) {
	t.Helper()
	res, err := r.client.Get(r.private + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// metric reads one number from /metrics; -1 is none.
func (r *replica) metric(t testing.TB, name string) float64 {
	t.Helper()
	_, body := r.inside(t, "/metrics")
	for line := range strings.Lines(body) {
		var value float64
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err == nil {
				return value
			}
		}
	}
	return -1
}

// A version that is made active behind the hub's back and cannot be decided by:
// the last good one stays, the log names it, readiness says why, an alert is
// raised once.
func TestABrokenActiveVersion(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	read := b.reading(t, "social-worker", family, "FS")
	before := hub.send(t, read)
	good := b.decidedBy(t, before.receipt())
	b.exec(t, `INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES (decode(repeat('cd', 32), 'hex'), $1, 'broken', 'nonsense', 'submitted')`, demo.Partnership)
	b.exec(t, `UPDATE kith.policy_head SET digest = decode(repeat('cd', 32), 'hex'), stamp = stamp + 1`)
	after := hub.send(t, read)
	if after.status != http.StatusOK || b.decidedBy(t, after.receipt()) != good {
		t.Errorf("status %d: %.300s", after.status, after.body)
	}
	if list := hub.send(t, call{method: http.MethodPost, path: "/v1/searches", bearer: b.token(t, "social-worker"), header: map[string]string{"Kith-Purpose": "FS", "Kith-Reason": "a test", "Content-Type": "application/json"},
		body: `{"given_name": "Nobody", "family_name": "Atall"}`}); list.status != http.StatusOK {
		t.Errorf("a search: %d %.300s", list.status, list.body)
	}
	status, why := hub.inside(t, "/readyz")
	if status != http.StatusServiceUnavailable || !strings.Contains(why, strings.Repeat("cd", 32)) {
		t.Errorf("readiness: %d %s", status, why)
	}
	if hub.metric(t, "kith_policy_broken") != 1 {
		t.Error("no alarm among the metrics")
	}
	eventually(t, 20*time.Second, "one alert", func() bool {
		return one[int](t, b, `SELECT count(*) FROM kith.alert WHERE kind = $1`, alertBroken) == 1
	})
	b.exec(t, `UPDATE kith.policy_head SET digest = $1, stamp = stamp + 1`, good[:])
	eventually(t, 20*time.Second, "readiness", func() bool { return hub.ready(t) == http.StatusOK })
	if n := one[int](t, b, `SELECT count(*) FROM kith.alert WHERE kind = $1`, alertBroken); n != 1 {
		t.Errorf("%d alerts", n)
	}
}
