package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Judge looks at accesses and says which of them are to be reviewed. It may
// ask the transaction, which is the auditor's role's.
type Judge func(ctx context.Context, tx pgx.Tx, accesses []Access) ([]Finding, error)

// watchBatch is how many leaves one round looks at.
const watchBatch = 500

// Watch gives the judge the events that got their leaves since the last round,
// and stores what it finds, the counts for pictures and the place in the log,
// in one transaction: each event is judged once. It walks along leaves and not
// along ids or times: a leaf is given after the commit, and leaves become
// visible in their order, so an event that commits late is met late and never
// missed. One replica at a time has the place; for the others there is nothing
// to do. Events that occurred before since are counted and not judged.
//
// looked is the number of leaves; as many as a batch means that more wait.
func (l *Log) Watch(ctx context.Context, now, since time.Time, random io.Reader, judge Judge) (looked int, err error) {
	err = postgres.InTx(ctx, l.pool, func(tx pgx.Tx) error {
		looked = 0
		place, ok, err := l.place(ctx, tx)
		if err != nil || !ok {
			return err
		}
		leaves, err := leavesAfter(ctx, tx, place)
		if err != nil {
			return err
		}
		looked = len(leaves)
		var accesses []Access
		if looked > 0 {
			end := leaves[looked-1]
			if err := l.count(ctx, tx, place, end); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `UPDATE kith.finding_scan SET number = $2, index = $3 WHERE partnership = $1`, l.partnership, end.Number, end.Index); err != nil {
				return fmt.Errorf("move the watch's place: %w", err)
			}
			if accesses, err = l.accesses(ctx, tx, leaves, since); err != nil {
				return err
			}
			if err := l.countClauses(ctx, tx, accesses); err != nil {
				return err
			}
		}
		var found []Finding
		if len(accesses) > 0 {
			if found, err = judge(ctx, tx, accesses); err != nil {
				return fmt.Errorf("judge accesses: %w", err)
			}
		}
		alerted, err := l.alerted(ctx, tx, now)
		if err != nil {
			return err
		}
		return l.keep(ctx, tx, now, random, append(found, alerted...))
	})
	if err != nil {
		return 0, fmt.Errorf("watch the log: %w", postgres.Redact(err))
	}
	return looked, nil
}

// leaf is a place in the log and the event that stands there.
type leaf struct {
	Number     int
	Index      int64
	Event      uuid.UUID
	Retention  string
	OccurredAt time.Time
}

// place takes the watch's place for this transaction. Not ok: another replica
// has it, or it has just been made.
func (l *Log) place(ctx context.Context, tx pgx.Tx) (leaf, bool, error) {
	var p leaf
	err := tx.QueryRow(ctx, `SELECT number, index FROM kith.finding_scan WHERE partnership = $1 FOR UPDATE SKIP LOCKED`, l.partnership).Scan(&p.Number, &p.Index)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err := tx.Exec(ctx, `INSERT INTO kith.finding_scan (partnership) VALUES ($1) ON CONFLICT DO NOTHING`, l.partnership)
		return leaf{}, false, err
	}
	return p, err == nil, err
}

func leavesAfter(ctx context.Context, tx pgx.Tx, p leaf) ([]leaf, error) {
	rows, _ := tx.Query(ctx, `
SELECT number, index, event, retention, occurred_at FROM kith.log_leaf
 WHERE (number, index) > ($1, $2) ORDER BY number, index LIMIT $3`, p.Number, p.Index, watchBatch)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[leaf])
	if err != nil {
		return nil, fmt.Errorf("read leaves: %w", err)
	}
	return list, nil
}

// accesses reads the events that are looked at: what workers saw or asked for,
// and what they declared.
func (l *Log) accesses(ctx context.Context, tx pgx.Tx, leaves []leaf, since time.Time) ([]Access, error) {
	var ids []uuid.UUID
	var classes []string
	at := make(map[uuid.UUID]time.Time, len(leaves))
	first, last := time.Time{}, time.Time{}
	for _, x := range leaves {
		if x.OccurredAt.Before(since) || x.Retention != "access" && x.Retention != "contribution" && x.Retention != "security" {
			continue
		}
		if first.IsZero() || x.OccurredAt.Before(first) {
			first = x.OccurredAt
		}
		if x.OccurredAt.After(last) {
			last = x.OccurredAt
		}
		at[x.Event] = x.OccurredAt
		ids, classes = append(ids, x.Event), append(classes, x.Retention)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	// The bounds leave all other months out.
	return l.accessesWhere(ctx, tx, func(row *storedRow) bool { return row.OccurredAt.Equal(at[row.ID]) },
		`partnership = $1 AND id = ANY ($2) AND retention = ANY ($3) AND occurred_at BETWEEN $4 AND $5 AND worker IS NOT NULL
		 AND (retention = 'access' OR declared OR kind = 'forbidden') ORDER BY occurred_at, id`, l.partnership, ids, classes, first, last)
}

func (l *Log) accessesWhere(ctx context.Context, tx pgx.Tx, keep func(*storedRow) bool, where string, args ...any) ([]Access, error) {
	rows, _ := tx.Query(ctx, selectRows+where, args...)
	stored, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedRow])
	if err != nil {
		return nil, fmt.Errorf("read watched events: %w", err)
	}
	var list []Access
	for i := range stored {
		if keep(&stored[i]) {
			list = append(list, accessOf(&stored[i]))
		}
	}
	return list, nil
}

// alerted turns alerts that the hub raised while it answered into findings.
// They are found by themselves, since an alert may be stored after its event
// was looked at; within a day, so that little is compared.
func (l *Log) alerted(ctx context.Context, tx pgx.Tx, now time.Time) ([]Finding, error) {
	type raised struct {
		Kind  string
		Event uuid.UUID
	}
	rows, _ := tx.Query(ctx, `
SELECT a.kind, a.event FROM kith.alert a
 WHERE a.partnership = $1 AND a.raised_at > $2 AND a.event IS NOT NULL AND a.kind IN ('bulk-look-up', 'protected-address')
   AND NOT EXISTS (SELECT 1 FROM kith.finding f WHERE f.events @> ARRAY[a.event] AND f.about = a.event::text)`, l.partnership, now.Add(-24*time.Hour))
	alerts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[raised])
	if err != nil {
		return nil, fmt.Errorf("read alerts: %w", err)
	}
	var found []Finding
	for _, x := range alerts {
		accesses, err := l.accessesWhere(ctx, tx, func(*storedRow) bool { return true }, `partnership = $1 AND id = $2 AND worker IS NOT NULL`, l.partnership, x.Event)
		if err != nil {
			return nil, err
		}
		for _, a := range accesses {
			f := Finding{Kind: FindingVolume, Event: a.Event, Occurred: a.Occurred, Worker: a.Worker, Agency: a.Agency, Family: a.Family,
				About: a.Event.String(), Numbers: map[string]int{"slowed": 1}, Readers: a.Readers(), Due: 7 * 24 * time.Hour}
			if x.Kind != "bulk-look-up" {
				// That there is a protected address is what nobody may learn.
				f.Kind, f.Readers, f.Numbers, f.Due = FindingProtected, nil, nil, 2*24*time.Hour
			}
			found = append(found, f)
		}
	}
	return found, nil
}

const keepFinding = `
INSERT INTO kith.finding (id, partnership, reference, kind, urgency, about, events, count, first_at, last_at, worker, agency, family, people, readers,
  numbers, excuses, raised_at, due_at)
VALUES ($1, $2, $3, $4, $5, $6, ARRAY[$7::uuid], 1, $8, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
ON CONFLICT (partnership, kind, about) WHERE state <> 'closed' DO UPDATE
   SET events = CASE WHEN cardinality(finding.events) < 200 AND NOT finding.events @> excluded.events THEN finding.events || excluded.events ELSE finding.events END,
       count = finding.count + 1, last_at = greatest(finding.last_at, excluded.last_at), numbers = excluded.numbers, excuses = excluded.excuses,
       people = ARRAY(SELECT DISTINCT p FROM unnest(finding.people || excluded.people) p ORDER BY p)`

// keep stores findings. Emergency access raises an alert too.
func (l *Log) keep(ctx context.Context, tx pgx.Tx, now time.Time, random io.Reader, found []Finding) error {
	b := &pgx.Batch{}
	for i := range found {
		f := &found[i]
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			return fmt.Errorf("keep finding: randomness: %w", err)
		}
		reference, err := newReference(random)
		if err != nil {
			return err
		}
		if f.Numbers == nil {
			f.Numbers = map[string]int{}
		}
		numbers, err := json.Marshal(f.Numbers)
		if err != nil {
			return fmt.Errorf("keep finding: %w", err)
		}
		b.Queue(keepFinding, id, l.partnership, reference, string(f.Kind), int16(f.Kind.urgency()), f.About, f.Event, f.Occurred, f.Worker, f.Agency, orNull(f.Family),
			notNil(f.People), notNil(f.Readers), json.RawMessage(numbers), notNil(f.Excuses), now, now.Add(f.Due))
		if f.Kind == FindingEmergency {
			if id, err = uuid.NewRandomFromReader(random); err != nil {
				return fmt.Errorf("raise alert: randomness: %w", err)
			}
			b.Queue(`INSERT INTO kith.alert (id, partnership, kind, event) VALUES ($1, $2, 'emergency-access', $3)`, id, l.partnership, f.Event)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("keep findings: %w", err)
	}
	return nil
}

// notNil: an empty list is stored as one.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// newReference draws what people quote: V-7K3QX2AB.
func newReference(random io.Reader) (string, error) {
	var raw [5]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("draw a reference: randomness: %w", err)
	}
	return "V-" + base32.StdEncoding.EncodeToString(raw[:]), nil
}

// Sampled tells whether an event is in the random sample of a rate (0 to 1).
// It depends on the event and on this log's key alone: nobody who has not the
// key can tell beforehand, and whoever has it can check it afterwards.
func (l *Log) Sampled(event uuid.UUID, rate float64) bool {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte("kith-review-sample/1\n"))
	mac.Write(event[:])
	return float64(binary.BigEndian.Uint64(mac.Sum(nil))) < rate*math.MaxUint64
}
