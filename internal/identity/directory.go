package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Directory is the worker directory of one partnership: who works where, until
// when, and which agency accepted whom. It keeps nothing in memory: an ended
// worker is refused at the very next request, on every replica.
type Directory struct {
	pool        *pgxpool.Pool
	partnership string
	dormant     time.Duration // 0 = never
	log         *slog.Logger
	sightings   *sightings
}

// NewDirectory makes a directory over a pool of the app's role. A worker not
// seen for dormantDays is refused until woken; 0 = never.
func NewDirectory(pool *pgxpool.Pool, partnership string, dormantDays int, log *slog.Logger) *Directory {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Directory{
		pool:        pool,
		partnership: partnership,
		dormant:     time.Duration(dormantDays) * 24 * time.Hour,
		log:         log,
		sightings:   newSightings(),
	}
}

// agencyLife is what must hold of an agency before anybody speaks for it.
type agencyLife struct {
	kind  string
	from  *time.Time
	until *time.Time // last day included
}

func (a agencyLife) check(today time.Time) *Refusal {
	switch {
	case a.kind == "" || a.from == nil:
		return ErrAgencyUnknown
	case today.Before(*a.from), a.until != nil && today.After(*a.until):
		return ErrAgencyEnded
	}
	return nil
}

func (d *Directory) agencyStanding(ctx context.Context, code string) (agencyLife, error) {
	var a agencyLife
	err := d.pool.QueryRow(ctx, `
		SELECT kind, active_from, active_until
		  FROM agency
		 WHERE code = $1 AND partnership = $2`, code, d.partnership).Scan(&a.kind, &a.from, &a.until)
	if errors.Is(err, pgx.ErrNoRows) {
		return agencyLife{}, ErrAgencyUnknown
	}
	if err != nil {
		return agencyLife{}, fmt.Errorf("read agency %s: %w", code, postgres.Redact(err))
	}
	return a, nil
}

// standing is a worker's row as one sign-in needs it.
type standing struct {
	id            uuid.UUID
	home          string
	employer      string
	name          string
	roles         []string
	from          time.Time
	until         *time.Time
	suspended     bool
	training      *time.Time
	vetting       *time.Time
	lastSeen      *time.Time
	awake         time.Time // last seen, or enrolled, or woken
	stamp         int64
	speaksFor     string
	agency        agencyLife
	teams         []string
	accepted      bool
	acceptedRoles []string
}

const standingQuery = `
	SELECT w.id, w.agency, w.employer, w.name, w.roles, w.active_from, w.active_until, w.suspended,
	       w.training_until, w.vetting_until, w.last_seen, greatest(w.enrolled_at, w.last_seen), w.stamp,
	       coalesce(nullif($4, ''), w.agency), coalesce(a.kind, ''), a.active_from, a.active_until,
	       ARRAY(SELECT DISTINCT t.team
	               FROM worker_team t
	              WHERE t.worker = w.id AND t.agency = a.code
	                AND t.valid_from <= $5 AND (t.valid_until IS NULL OR t.valid_until > $5)
	              ORDER BY t.team),
	       EXISTS (SELECT FROM worker_acceptance c
	                WHERE c.worker = w.id AND c.agency = a.code AND NOT c.withdrawn
	                  AND c.valid_from <= $6 AND (c.valid_until IS NULL OR c.valid_until >= $6)),
	       ARRAY(SELECT DISTINCT r
	               FROM worker_acceptance c, unnest(c.roles) r
	              WHERE c.worker = w.id AND c.agency = a.code AND NOT c.withdrawn
	                AND c.valid_from <= $6 AND (c.valid_until IS NULL OR c.valid_until >= $6))
	  FROM worker w
	  LEFT JOIN agency a ON a.code = coalesce(nullif($4, ''), w.agency) AND a.partnership = w.partnership
	 WHERE w.issuer = $1 AND w.subject = $2 AND w.partnership = $3`

// standing reads the worker behind a sign-in, as the one who speaks for the
// claimed agency ("" = the worker's own): ErrUnknownWorker when there is none.
func (d *Directory) standing(ctx context.Context, issuer, subject, claimed string, now time.Time) (standing, error) {
	var w standing
	err := d.pool.QueryRow(ctx, standingQuery, issuer, subject, d.partnership, claimed, now, day(now)).Scan(
		&w.id, &w.home, &w.employer, &w.name, &w.roles, &w.from, &w.until, &w.suspended,
		&w.training, &w.vetting, &w.lastSeen, &w.awake, &w.stamp,
		&w.speaksFor, &w.agency.kind, &w.agency.from, &w.agency.until,
		&w.teams, &w.accepted, &w.acceptedRoles)
	if errors.Is(err, pgx.ErrNoRows) {
		return standing{}, ErrUnknownWorker
	}
	if err != nil {
		return standing{}, fmt.Errorf("read worker directory: %w", postgres.Redact(err))
	}
	return w, nil
}

// check says why the worker may not work today, or nil.
func (w standing) check(now time.Time, dormant time.Duration) *Refusal {
	today := day(now)
	switch {
	case w.until != nil && today.After(*w.until):
		return ErrEnded
	case w.suspended:
		return ErrSuspended
	case today.Before(w.from):
		return ErrNotStarted
	case w.training != nil && today.After(*w.training):
		return ErrTraining
	case w.vetting != nil && today.After(*w.vetting):
		return ErrVetting
	case dormant > 0 && now.Sub(w.awake) > dormant:
		return ErrDormant
	}
	return nil
}

// Partnership is the safeguarding partnership that this hub serves, with the
// numbers that every answer gives.
type Partnership struct {
	Code, Name, DeskName, DeskPhone, MashPhone, OutOfHours string
}

// Partnership reads it.
func (d *Directory) Partnership(ctx context.Context) (Partnership, error) {
	rows, _ := d.pool.Query(ctx, `
		SELECT code, name, desk_name, desk_phone, mash_phone, out_of_hours
		  FROM partnership
		 WHERE code = $1`, d.partnership)
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Partnership])
	if err != nil {
		return Partnership{}, fmt.Errorf("read partnership %s: %w", d.partnership, postgres.Redact(err))
	}
	return p, nil
}

// Agency is an organisation that takes part.
type Agency struct {
	Code, Kind, Name, LegalController string
	ODS, ICO                          string // at least one is given
	ContactName, ContactPhone         string
	Feed                              string     // daily, late or none: how its records reach the hub
	FeedLast                          *time.Time // last delivery
	ActiveFrom                        time.Time
	ActiveUntil                       *time.Time // last day included
}

// Agencies reads all agencies of the partnership, ended ones too, by code.
func (d *Directory) Agencies(ctx context.Context) ([]Agency, error) {
	rows, _ := d.pool.Query(ctx, `
		SELECT code, kind, name, legal_controller, coalesce(ods, ''), coalesce(ico, ''),
		       contact_name, contact_phone, feed, feed_last, active_from, active_until
		  FROM agency
		 WHERE partnership = $1
		 ORDER BY code`, d.partnership)
	agencies, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Agency])
	if err != nil {
		return nil, fmt.Errorf("read agencies: %w", postgres.Redact(err))
	}
	return agencies, nil
}
