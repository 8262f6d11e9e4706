package family

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// mayOpen tells which episodes an agency of a kind may report. An episode
// opens doors, so it comes from whoever does that work: statutory work from
// children's social care alone (Children Act 1989 s.17, 22, 47). A kind that
// is not named reports none.
func mayOpen(kind, episode string) bool {
	switch kind {
	case "CSC":
		return true
	case "POL":
		return episode == "marac" || episode == "encompass"
	case "HV", "SCH":
		return episode == "early-help"
	default:
		return false
	}
}

func (in *intake) episode(ctx context.Context, e *EpisodeRecord) (Result, error) {
	const field = "episode"
	if err := label(field+".local_id", e.LocalID, true); err != nil {
		return Result{}, err
	}
	if err := oneOf(field+".kind", e.Kind, "early-help", "contact", "child-in-need", "section-47", "child-protection-plan", "care", "marac", "encompass"); err != nil {
		return Result{}, err
	}
	if !mayOpen(in.Kind, e.Kind) {
		return Result{}, &FieldError{field + ".kind", "is not for this kind of agency to report"}
	}
	if e.Rating != "" {
		if err := oneOf(field+".rating", e.Rating, "green", "amber", "red"); err != nil {
			return Result{}, err
		}
		if e.Kind != "contact" {
			return Result{}, &FieldError{field + ".rating", "stands only on a contact"}
		}
	}
	if e.From == "" {
		return Result{}, &FieldError{field + ".from", "is missing"}
	}
	from, err := dayOf(field+".from", e.From)
	if err != nil {
		return Result{}, err
	}
	// An end before the beginning is implausible, not impossible (the census
	// has such): the reader of the format warns, and the episode opens nothing.
	until, err := dayOf(field+".until", e.Until)
	if err != nil {
		return Result{}, err
	}
	k, err := in.resolve(ctx, field+".person", e.Person)
	if err != nil {
		return Result{}, err
	}
	if k.about != "child" && e.Kind != "marac" {
		return Result{}, &FieldError{field + ".person", "is not a child"}
	}
	var id, record uuid.UUID
	var kind string
	var same bool
	err = in.tx.QueryRow(ctx, `
SELECT e.id, e.kind, coalesce(e.record, e.id), (coalesce(e.rating, ''), e.valid_from, e.valid_until, e.withdrawn) IS NOT DISTINCT FROM ($3::text, $4::date, $5::date, false)
  FROM episode e WHERE e.source = $1 AND e.local_id = $2`, in.Agency, e.LocalID, e.Rating, from, until).Scan(asBytes(&id), &kind, asBytes(&record), &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return in.newEpisode(ctx, e, k, from, until)
	case err != nil:
		return Result{}, fmt.Errorf("find episode: %w", err)
	case kind != e.Kind:
		return Result{}, &FieldError{field + ".kind", "may not change under the same local_id"}
	case record != k.record:
		return Result{}, &FieldError{field + ".person", "may not change under the same local_id"}
	case same:
		return Result{Unchanged, id}, nil
	}
	_, err = in.tx.Exec(ctx, `UPDATE episode SET rating = $2, valid_from = $3, valid_until = $4, withdrawn = false WHERE id = $1`, id, textOrNull(e.Rating), from, until)
	if err != nil {
		return Result{}, fmt.Errorf("change episode: %w", err)
	}
	return Result{Changed, id}, nil
}

func (in *intake) newEpisode(ctx context.Context, e *EpisodeRecord, k known, from, until *time.Time) (Result, error) {
	id, err := in.newID()
	if err != nil {
		return Result{}, err
	}
	_, err = in.tx.Exec(ctx, `
INSERT INTO episode (id, record, person, kind, rating, valid_from, valid_until, source, local_id, submission)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		id, k.record, k.person, e.Kind, textOrNull(e.Rating), from, until, in.Agency, e.LocalID, orNull(in.Submission))
	if err != nil {
		return Result{}, fmt.Errorf("add episode: %w", err)
	}
	return Result{New, id}, nil
}

// involvement takes who works with a person from the agency's own system. A
// worker never makes their own: that would open any door at will.
func (in *intake) involvement(ctx context.Context, v *InvolvementRecord) (Result, error) {
	const field = "involvement"
	if err := label(field+".local_id", v.LocalID, true); err != nil {
		return Result{}, err
	}
	for name, text := range map[string]string{"team": v.Team, "role": v.Role, "worker": v.Worker} {
		if err := label(field+"."+name, text, false); err != nil {
			return Result{}, err
		}
	}
	if v.Worker == "" && v.Team == "" {
		return Result{}, &FieldError{field, "names neither worker nor team"}
	}
	from, rule := parseInstant(v.From, false)
	if rule != "" {
		return Result{}, &FieldError{field + ".from", rule}
	}
	var until *time.Time
	if v.Until != "" {
		end, rule := parseInstant(v.Until, true)
		if rule != "" {
			return Result{}, &FieldError{field + ".until", rule}
		}
		if end.Before(from) {
			return Result{}, &FieldError{field + ".until", "lies before its beginning"}
		}
		until = &end
	}
	worker, err := in.workerByCaseID(ctx, field+".worker", v.Worker)
	if err != nil {
		return Result{}, err
	}
	k, err := in.resolve(ctx, field+".person", v.Person)
	if err != nil {
		return Result{}, err
	}
	if k.about != "child" {
		in.adults = append(in.adults, adult{k.person, field + ".person"})
	}
	var id uuid.UUID
	var oldRecord, oldWorker *uuid.UUID
	var oldFrom time.Time
	var same, stopped bool
	err = in.tx.QueryRow(ctx, `
SELECT i.id, i.record, i.worker, i.valid_from, i.ended_why IS NOT NULL AND ($5::timestamptz IS NULL OR $5::timestamptz > i.valid_until), (coalesce(i.team, ''), i.role, i.valid_until) IS NOT DISTINCT FROM ($3::text, $4::text, $5::timestamptz)
  FROM involvement i WHERE i.agency = $1 AND i.local_id = $2`, in.Agency, v.LocalID, v.Team, v.Role, until).Scan(asBytes(&id), &oldRecord, &oldWorker, &oldFrom, &stopped, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return in.newInvolvement(ctx, v, k, worker, from, until)
	case err != nil:
		return Result{}, fmt.Errorf("find involvement: %w", err)
	case oldRecord == nil || *oldRecord != k.record || !sameID(oldWorker, orNull(worker)) || !oldFrom.Equal(from):
		// Who worked with whom, and since when, is history.
		return Result{}, &FieldError{field, "changes person, worker or beginning: end it and send a new one"}
	case same:
		return Result{Unchanged, id}, nil
	case stopped:
		// What a manager ended at the hub, last night's list must not open again.
		return Result{}, &FieldError{field, "was ended at the hub by a manager: send a new one"}
	}
	_, err = in.tx.Exec(ctx, `UPDATE involvement SET team = $2, role = $3, valid_until = $4 WHERE id = $1`, id, textOrNull(v.Team), v.Role, until)
	if err != nil {
		return Result{}, fmt.Errorf("change involvement: %w", err)
	}
	return Result{Changed, id}, nil
}

func sameID(a, b *uuid.UUID) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// cutCaseID reads "scheme:value".
func cutCaseID(text string) (scheme, value string, ok bool) {
	scheme, value, ok = strings.Cut(text, ":")
	return scheme, value, ok && scheme != "" && value != "" && len(text) <= maximalLabel
}

// workerByCaseID finds "scheme:value" in the worker directory; zero for "".
func (in *intake) workerByCaseID(ctx context.Context, field, caseID string) (uuid.UUID, error) {
	if caseID == "" {
		return uuid.Nil, nil
	}
	scheme, value, ok := cutCaseID(caseID)
	if !ok {
		return uuid.Nil, &FieldError{field, "is not of the form scheme:value"}
	}
	var worker uuid.UUID
	err := in.tx.QueryRow(ctx, `SELECT c.worker FROM worker_case_id c WHERE c.agency = $1 AND c.scheme = $2 AND c.value = $3`, in.Agency, scheme, value).Scan(asBytes(&worker))
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, &FieldError{field, "is no worker in the directory"}
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("find worker: %w", err)
	}
	if worker == in.Worker {
		return uuid.Nil, &FieldError{field, "is the sender: nobody allocates themselves"}
	}
	return worker, nil
}

func (in *intake) newInvolvement(ctx context.Context, v *InvolvementRecord, k known, worker uuid.UUID, from time.Time, until *time.Time) (Result, error) {
	id, err := in.newID()
	if err != nil {
		return Result{}, err
	}
	_, err = in.tx.Exec(ctx, `
INSERT INTO involvement (id, record, person, agency, worker, team, role, source, made_by, valid_from, valid_until, local_id, submission)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'feed', $8, $9, $10, $11, $12)`,
		id, k.record, k.person, in.Agency, orNull(worker), textOrNull(v.Team), v.Role, orNull(in.Worker), from, until, v.LocalID, orNull(in.Submission))
	if err != nil {
		return Result{}, fmt.Errorf("add involvement: %w", err)
	}
	return Result{New, id}, nil
}

// told takes what was told to, and agreed by, a person; each change is a row of
// its own, the latest holds.
func (in *intake) told(ctx context.Context, t *ToldRecord) (Result, error) {
	const field = "told_and_agreed"
	if _, _, err := in.checkTold(t); err != nil {
		return Result{}, err
	}
	k, err := in.resolve(ctx, field+".person", t.Person)
	if err != nil {
		return Result{}, err
	}
	if k.about != "child" {
		in.adults = append(in.adults, adult{k.person, field + ".person"})
	}
	return in.toldAbout(ctx, t, k)
}

// checkTold holds the record against the rules that need no look at the database.
func (in *intake) checkTold(t *ToldRecord) (at, review *time.Time, err error) {
	const field = "told_and_agreed"
	if !in.catalogue.purposes[t.Purpose] {
		return nil, nil, &FieldError{field + ".purpose", "is not a purpose of the active policy"}
	}
	if err := oneOf(field+".agreed", t.Agreed, "agreed", "declined", "withdrawn", "not-asked"); err != nil {
		return nil, nil, err
	}
	if err := oneOf(field+".told", t.Told, "told", "not-told"); err != nil {
		return nil, nil, err
	}
	if err := reasonText(field+".why", t.Why, t.Agreed == "not-asked" || t.Told == "not-told"); err != nil {
		return nil, nil, err
	}
	if t.At == "" {
		return nil, nil, &FieldError{field + ".at", "is missing"}
	}
	at, err = dayOf(field+".at", t.At)
	if err != nil {
		return nil, nil, err
	}
	if at.After(in.today) {
		return nil, nil, &FieldError{field + ".at", "lies in the future"}
	}
	review, err = dayOf(field+".review", t.Review)
	if err != nil {
		return nil, nil, err
	}
	return at, review, nil
}

func (in *intake) toldAbout(ctx context.Context, t *ToldRecord, k known) (Result, error) {
	at, review, err := in.checkTold(t)
	if err != nil {
		return Result{}, err
	}
	var id uuid.UUID
	var same bool
	err = in.tx.QueryRow(ctx, `
SELECT t.id, (t.agreed, t.told, t.why, t.at, t.review_on) IS NOT DISTINCT FROM ($4::text, $5::text, $6::text, $7::date, $8::date)
  FROM told_and_agreed t WHERE t.person = $1 AND t.purpose = $2 AND t.agency = $3
 ORDER BY t.at DESC, t.recorded_at DESC, t.id LIMIT 1`, k.person, t.Purpose, in.Agency, t.Agreed, t.Told, t.Why, at, review).Scan(asBytes(&id), &same)
	switch {
	case err == nil && same:
		return Result{Unchanged, id}, nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return Result{}, fmt.Errorf("find told and agreed: %w", err)
	}
	outcome := New
	if err == nil {
		outcome = Changed
	}
	if id, err = in.newID(); err != nil {
		return Result{}, err
	}
	_, err = in.tx.Exec(ctx, `
INSERT INTO told_and_agreed (id, record, person, purpose, agency, agreed, told, why, by_worker, at, review_on)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		id, orNull(k.record), k.person, t.Purpose, in.Agency, t.Agreed, t.Told, t.Why, orNull(in.Worker), at, review)
	if err != nil {
		return Result{}, fmt.Errorf("add told and agreed: %w", err)
	}
	return Result{outcome, id}, nil
}
