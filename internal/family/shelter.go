package family

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// protectedAddress is the section that tells where somebody is safe: a refuge,
// a placement.
const protectedAddress = "protected-address"

// sheltered from the beginning: an address without a day may be of any day, so
// no place of theirs is older than it.
var sinceEver = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)

// shelter keeps the protection of those whom an entry of protected address is
// about in step with its latest version. While it stands, their school, clinic,
// housing and other places since that day count as protected address too
// (domain.md, never rules), whoever sent it and by whichever way.
func (in *intake) shelter(ctx context.Context, entry uuid.UUID, e *checkedEntry) error {
	var people []uuid.UUID
	since := sinceEver
	var until *time.Time
	if e.Section == protectedAddress {
		for _, k := range e.about {
			people = append(people, k.person)
		}
		if e.when.From != nil {
			since = *e.when.From
		}
		text, _ := e.Content["since"].(string)
		if day, rule := parseDay(text); rule == "" && text != "" && (e.when.From == nil || day.Before(since)) {
			since = day
		}
		if e.EventUntil != "" { // a day on which it was true is no end of it
			until = e.when.Until
		}
	}
	b := &pgx.Batch{}
	b.Queue(endProtection+` AND NOT (p.person = ANY ($2) AND p.since = $3 AND p.valid_until IS NOT DISTINCT FROM $4::date)`, entry, notNil(people), since, until)
	if len(people) > 0 {
		b.Queue(`
INSERT INTO protection (id, person, since, valid_until, set_by, reason, entry)
SELECT gen_random_uuid(), o.person, $3, $4::date, $5, 'a protected address was recorded', $1 FROM unnest($2::uuid[]) o (person)
 WHERE NOT EXISTS (SELECT 1 FROM protection p WHERE p.entry = $1 AND p.person = o.person AND p.since = $3 AND p.valid_until IS NOT DISTINCT FROM $4::date)`,
			entry, people, since, until, in.Agency)
	}
	if err := in.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("protect: %w", err)
	}
	return nil
}

// endProtection ends what an entry protected as if it had not begun: it was
// sent in error, or tells another day now.
const endProtection = `
UPDATE protection p SET valid_until = p.since - 1
 WHERE p.entry = $1 AND (p.valid_until IS NULL OR p.valid_until >= p.since)`

// unshelter ends what a withdrawn entry protected.
func (in *intake) unshelter(ctx context.Context, version int64) error {
	var entry uuid.UUID
	if err := in.tx.QueryRow(ctx, `SELECT v.entry FROM entry_version v WHERE v.id = $1`, version).Scan(asBytes(&entry)); err != nil {
		return fmt.Errorf("find entry: %w", err)
	}
	if _, err := in.tx.Exec(ctx, endProtection, entry); err != nil {
		return fmt.Errorf("end protection: %w", err)
	}
	return nil
}

// GuardedCodes makes the keys by which an attempt at an entry's address is
// noticed. Nobody is found by them.
func GuardedCodes(section string, content map[string]any) []string {
	text, _ := content["postcode"].(string)
	if code := numberOf(text); section == protectedAddress && code != "" {
		return []string{code}
	}
	return nil
}

// QueueWatch queues the look whether the search behind the access event of this
// connection asks for a protected address. It answers nothing: an alert is for
// those who review, and says no name.
func QueueWatch(b *pgx.Batch, partnership string, t SearchTerms, now time.Time) {
	if code := numberOf(t.Postcode); code != "" {
		b.Queue(`SELECT watch_search($1, $2, $3)`, partnership, code, day(now))
	}
}

// forgetAtOnce bounds how many keys one statement forgets.
const forgetAtOnce = 5000

// ForgetWriteKeys forgets the idempotency keys of writes that were made before
// a moment, at the latest a day ago; whoever sends one again after that writes
// again. It says how many those were. The pool is kith_sequencer's.
func ForgetWriteKeys(ctx context.Context, pool *pgxpool.Pool, before time.Time) (int, error) {
	for total := 0; ; {
		var gone int
		if err := pool.QueryRow(ctx, `SELECT kith.forget_write_keys($1, $2)`, before, forgetAtOnce).Scan(&gone); err != nil {
			return total, fmt.Errorf("forget keys of writes: %w", postgres.Redact(err))
		}
		if total += gone; gone < forgetAtOnce {
			return total, nil
		}
	}
}
