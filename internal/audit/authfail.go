package audit

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"kith/internal/audit/proof"
)

const (
	// maxSources bounds what is held in memory. A flood from more addresses
	// than that is counted together, under no address.
	maxSources = 4096
	overflow   = "many"
)

// AuthFailures turns failed sign-ins and bad tokens into one event per source
// and minute with a count, so that a flood of them cannot fill the disk.
// Nothing that an unverified token claims is taken in: only where it came from
// and which check refused it. It is safe for concurrent use.
type AuthFailures struct {
	append func(context.Context, Event) (Receipt, error)
	now    func() time.Time

	mu     sync.Mutex
	counts map[failureKey]map[string]int // by check
}

type failureKey struct {
	minute int64
	source string
}

// NewAuthFailures counts for a recorder.
func NewAuthFailures(r *Recorder) *AuthFailures {
	return &AuthFailures{append: r.Append, now: r.signer.Now, counts: make(map[failureKey]map[string]int)}
}

// Note counts one failure. check is the code of the check that refused it
// ("signature", "expired"), never text from the token.
func (a *AuthFailures) Note(source netip.Addr, check string) {
	key := failureKey{minute: a.now().Unix() / 60, source: sourceOf(source)}
	if !alertKind.MatchString(check) {
		check = "other"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	byCheck, ok := a.counts[key]
	if !ok {
		if len(a.counts) >= maxSources {
			key.source = overflow
			byCheck = a.counts[key]
		}
		if byCheck == nil {
			byCheck = make(map[string]int)
			a.counts[key] = byCheck
		}
	}
	byCheck[check]++
}

// sourceOf is the address; of IPv6 the /64, which one caller owns whole.
func sourceOf(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return "unknown"
	}
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits fit every IPv6 address
		return p.String()
	}
	return a.String()
}

// FlushDue appends the minutes that are over. What could not be appended stays
// counted for the next time.
func (a *AuthFailures) FlushDue(ctx context.Context) error {
	return a.flush(ctx, a.now().Unix()/60)
}

// Flush appends everything, the present minute included: for the shutdown.
func (a *AuthFailures) Flush(ctx context.Context) error {
	return a.flush(ctx, a.now().Unix()/60+1)
}

// Run flushes on every tick until ctx ends, then once more. report hears of
// what failed.
func (a *AuthFailures) Run(ctx context.Context, tick <-chan time.Time, report func(error)) {
	for {
		select {
		case <-ctx.Done():
			if err := a.Flush(context.WithoutCancel(ctx)); err != nil {
				report(err)
			}
			return
		case <-tick:
			if err := a.FlushDue(ctx); err != nil {
				report(err)
			}
		}
	}
}

func (a *AuthFailures) flush(ctx context.Context, before int64) error {
	due := a.take(before)
	for i, f := range due {
		details := map[string]string{"source": f.key.source, "minute": time.Unix(f.key.minute*60, 0).UTC().Format(time.RFC3339)}
		total := 0
		for check, n := range f.byCheck {
			details["check."+check] = strconv.Itoa(n)
			total += n
		}
		details["count"] = strconv.Itoa(total)
		_, err := a.append(ctx, Event{Kind: KindAuthFailure, Outcome: OutcomeDenied, Principal: proof.Principal{}, Details: details})
		if err != nil {
			// The database is away: trying the rest would only take as long again.
			a.putBack(due[i:])
			return errors.Join(errors.New("log failed sign-ins"), err)
		}
	}
	return nil
}

type failure struct {
	key     failureKey
	byCheck map[string]int
}

func (a *AuthFailures) take(before int64) []failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	var due []failure
	for key, byCheck := range a.counts {
		if key.minute < before {
			due = append(due, failure{key, byCheck})
			delete(a.counts, key)
		}
	}
	slices.SortFunc(due, func(x, y failure) int {
		return cmp.Or(cmp.Compare(x.key.minute, y.key.minute), cmp.Compare(x.key.source, y.key.source))
	})
	return due
}

func (a *AuthFailures) putBack(list []failure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range list {
		key := f.key
		if _, ok := a.counts[key]; !ok && len(a.counts) >= maxSources {
			key.source = overflow
		}
		byCheck, ok := a.counts[key]
		if !ok {
			byCheck = make(map[string]int)
			a.counts[key] = byCheck
		}
		for check, n := range f.byCheck {
			byCheck[check] += n
		}
	}
}
