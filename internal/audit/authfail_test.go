package audit

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

func TestAuthFailuresAreBoundedAndKept(t *testing.T) {
	t.Parallel()
	now := time.Unix(60, 0)
	down := true
	total := 0
	var events int
	a := &AuthFailures{
		now:    func() time.Time { return now },
		counts: make(map[failureKey]map[string]int),
		append: func(_ context.Context, e Event) (Receipt, error) {
			if down {
				return Receipt{}, ErrNotLogged
			}
			n, err := strconv.Atoi(e.Details["count"])
			total += n
			events++
			return Receipt{}, err
		},
	}
	const attempts = 3 * maxSources
	for i := range attempts {
		a.Note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "expired")
	}
	if len(a.counts) > maxSources+1 {
		t.Errorf("%d sources held", len(a.counts))
	}
	if err := a.FlushDue(t.Context()); err != nil || events != 0 {
		t.Errorf("the running minute was flushed: %v", err)
	}
	now = now.Add(time.Minute)
	if err := a.FlushDue(t.Context()); !errors.Is(err, ErrNotLogged) {
		t.Errorf("got %v", err)
	}
	down = false
	if err := a.FlushDue(t.Context()); err != nil {
		t.Error(err)
	}
	if total != attempts || events > maxSources+1 || len(a.counts) != 0 {
		t.Errorf("%d of %d attempts in %d events, %d left", total, attempts, events, len(a.counts))
	}
}

func TestAuthFailuresRunFlushesAtTheEnd(t *testing.T) {
	t.Parallel()
	appended := 0
	a := &AuthFailures{
		now: func() time.Time { return time.Unix(90, 0) }, counts: make(map[failureKey]map[string]int),
		append: func(ctx context.Context, _ Event) (Receipt, error) { appended++; return Receipt{}, ctx.Err() },
	}
	a.Note(netip.Addr{}, "expired")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Run(ctx, nil, func(err error) { t.Error(err) })
	if appended != 1 {
		t.Errorf("%d events", appended)
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "AAAA", "!", "////////////////////////////////"} {
		if _, err := parseCursor(text); !errors.Is(err, ErrPage) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("AAYAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseCursor(text); err == nil && p.cursor() != text {
			t.Errorf("%q reads as %q", text, p.cursor())
		}
	})
}
