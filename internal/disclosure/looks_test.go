package disclosure

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
)

func TestLooksAreCountedByTheHour(t *testing.T) {
	t.Parallel()
	l := NewLooks(LookLimits{}, nil, time.Now)
	p := identity.Principal{Worker: uuid.New()}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	one := func(at time.Time, ids ...uuid.UUID) (bool, bool) {
		return l.count(p, lookFamilies, 3, ids, at)
	}
	var seen []uuid.UUID
	for range 3 {
		id := uuid.New()
		seen = append(seen, id)
		if slow, alarm := one(now, id); slow || alarm {
			t.Error("slow within the limit")
		}
	}
	if slow, _ := one(now, seen...); slow {
		t.Error("the same families again are slow")
	}
	if slow, alarm := one(now, seen[0], uuid.New()); !slow || !alarm {
		t.Errorf("one too many: slow %v, alarm %v", slow, alarm)
	}
	if slow, alarm := one(now.Add(time.Minute), uuid.New()); !slow || alarm {
		t.Errorf("the next: slow %v, alarm %v", slow, alarm)
	}
	if slow, _ := one(now, seen[1]); slow {
		t.Error("a family of before the limit is slow")
	}
	if slow, _ := l.count(p, lookSearches, 3, seen[:1], now); slow {
		t.Error("families count as searches")
	}
	if slow, _ := l.count(identity.Principal{Issuer: "i", Client: "c"}, lookFamilies, 3, []uuid.UUID{uuid.New()}, now); slow {
		t.Error("one caller's count is another's")
	}
	later := now.Add(2 * time.Hour)
	if slow, _ := one(later, uuid.New()); slow {
		t.Error("slow after the hour")
	}
	if len(l.callers) != 1 {
		t.Errorf("%d callers are remembered", len(l.callers))
	}
	for range 1000 {
		one(later, uuid.New())
	}
	if n := len(l.callers[p.Worker.String()].seen[lookFamilies]); n > 48 {
		t.Errorf("%d families are remembered", n)
	}
	if slow, _ := one(later, nil...); slow {
		t.Error("an answer that names nobody is slow")
	}
}
