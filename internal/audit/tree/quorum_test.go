package tree

import (
	"net/http"
	"testing"
	"time"
)

// A missing quorum is an alarm, and stops nothing where nobody asked for that.
func TestAMissingQuorumAlarmsAndStopsNothingByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := newWitness(t, b, "witness.police.example")
	tree := b.tree(t, func(c *Config) {
		c.Witnesses, c.Quorum, c.Client = []Witness{one.config()}, 1, &http.Client{Timeout: 5 * time.Second}
	})
	s := lead(t, tree)
	look := func(standing int) {
		t.Helper()
		b.append(t, 1)
		round(t, s)
		tree.background.Wait()
		round(t, s)
		if err := tree.watch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := tree.keepAlerts(t.Context()); err != nil {
			t.Fatal(err)
		}
		if tree.Status().Quorum != (standing == 0) {
			t.Errorf("the metric says that there is a quorum: %v", tree.Status().Quorum)
		}
		if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'quorum-missing' AND closed_at IS NULL`); n != standing {
			t.Errorf("%d alerts stand, want %d", n, standing)
		}
		open(t, tree)
	}
	look(0)
	one.fault.Store(1)
	b.clock.pass(24 * time.Hour)
	look(1)
	look(1)
	one.fault.Store(0)
	look(0)
}

// A witness that lost its memory names the size from which it goes on, and is
// given the proof from there.
func TestAWitnessThatLostItsMemoryGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one := newWitness(t, b, "witness.police.example")
	tree := b.tree(t, func(c *Config) {
		c.Witnesses, c.Quorum, c.Client = []Witness{one.config()}, 1, &http.Client{Timeout: 5 * time.Second}
	})
	s := lead(t, tree)
	b.append(t, 3)
	round(t, s)
	if got := cosigners(t, b, tree, one); len(got) != 1 {
		t.Fatalf("cosigned by %v", got)
	}
	var err error
	if one.book, err = one.anew(); err != nil {
		t.Fatal(err)
	}
	b.append(t, 3)
	round(t, s)
	if got := cosigners(t, b, tree, one); len(got) != 1 {
		t.Errorf("after it forgot: cosigned by %v", got)
	}
	if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'witness-disagrees'`); n != 0 {
		t.Errorf("%d alarms for a witness that began anew", n)
	}
}
