package api

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
)

func TestPaceOfRequests(t *testing.T) {
	t.Parallel()
	x := newPace()
	a, b := identity.Principal{Worker: uuid.New()}, identity.Principal{Issuer: "i", Client: "system-csc"}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for i := range 10 {
		if wait, _ := x.request(a, 10, now); wait != 0 {
			t.Fatalf("request %d of 10 waits %s", i+1, wait)
		}
	}
	wait, log := x.request(a, 10, now)
	if wait <= 0 || wait > 6*time.Second || !log {
		t.Errorf("the eleventh waits %s, logged %v", wait, log)
	}
	if _, log := x.request(a, 10, now); log {
		t.Error("logged twice within a minute")
	}
	if other, _ := x.request(b, 10, now); other != 0 {
		t.Error("one caller's requests count for another")
	}
	if again, _ := x.request(a, 10, now.Add(wait)); again != 0 {
		t.Errorf("after the wait it waits %s", again)
	}
	if _, log := x.request(a, 10, now.Add(wait)); log {
		t.Error("logged again within the minute")
	}
	later := now.Add(2 * time.Hour)
	x.request(b, 10, later)
	if len(x.callers) != 1 {
		t.Errorf("%d callers are remembered", len(x.callers))
	}
}
