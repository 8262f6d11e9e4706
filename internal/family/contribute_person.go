package family

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	cryptorand "crypto/rand"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const mediaTypeJSON = "application/json"

// person takes a person as the agency holds them. A new one becomes a person
// of the hub's own, linked to the record; who else that is, a match says later.
func (in *intake) person(ctx context.Context, p *PersonRecord) (Result, error) {
	const field = "person"
	if err := label(field+".local_id", p.LocalID, true); err != nil {
		return Result{}, err
	}
	if err := oneOf(field+".about", p.About, "child", "adult"); err != nil {
		return Result{}, err
	}
	life, err := lifeOf(field, p)
	if err != nil {
		return Result{}, err
	}
	raw, mediaType := p.Raw, p.MediaType
	if raw == nil {
		mediaType = mediaTypeJSON
		if raw, err = json.Marshal(p); err != nil {
			return Result{}, fmt.Errorf("write person: %w", err)
		}
	}
	result, k, err := in.sourceRecord(ctx, p, raw, mediaType)
	if err != nil {
		return Result{}, err
	}
	if result.Outcome != Unchanged {
		if err := in.setLife(ctx, k.person, life); err != nil {
			return Result{}, err
		}
	}
	if p.Member != nil {
		m, err := in.membership(ctx, field+".member", p.LocalID, *p.Member)
		if err != nil {
			return Result{}, err
		}
		if result.Outcome == Unchanged && m.Outcome != Unchanged {
			result.Outcome = Changed
		}
	}
	if p.About == "child" {
		in.loose = append(in.loose, k.person)
	} else {
		in.adults = append(in.adults, adult{k.person, field + ".about"})
	}
	return result, nil
}

type life struct{ born, expected, died *time.Time }

func lifeOf(field string, p *PersonRecord) (life, error) {
	born, died, err := days(field, p.Born, p.Died, "born", "died")
	if err != nil {
		return life{}, err
	}
	expected, err := dayOf(field+".expected", p.Expected)
	if err != nil {
		return life{}, err
	}
	return life{born, expected, died}, nil
}

// setLife writes birth and death. Where several agencies' records are linked
// to one person, children's social care corrects; another agency only fills
// what was empty, so that none can make a born child unborn again.
func (in *intake) setLife(ctx context.Context, person uuid.UUID, l life) error {
	_, err := in.tx.Exec(ctx, `
UPDATE person p SET born = n.born, expected = n.expected, died = n.died
  FROM (SELECT o.id,
               CASE WHEN free THEN coalesce($2, o.born) ELSE coalesce(o.born, $2) END AS born,
               CASE WHEN free THEN coalesce($3, o.expected) ELSE coalesce(o.expected, $3) END AS expected,
               CASE WHEN free THEN coalesce($4, o.died) ELSE coalesce(o.died, $4) END AS died
          FROM person o,
               LATERAL (SELECT $5::boolean OR NOT EXISTS (
                          SELECT 1 FROM person_link l JOIN source_record r ON r.id = l.record
                           WHERE l.person = o.id AND l.ended_at IS NULL AND r.agency <> $6)) f (free)
         WHERE o.id = $1) n
 WHERE p.id = n.id AND (p.born, p.expected, p.died) IS DISTINCT FROM (n.born, n.expected, n.died)`,
		person, l.born, l.expected, l.died, in.social(), in.Agency)
	if err != nil {
		return fmt.Errorf("write dates of life: %w", err)
	}
	return nil
}

// sourceRecord keeps the record as sent, as a new version where it differs
// from the last.
func (in *intake) sourceRecord(ctx context.Context, p *PersonRecord, raw []byte, mediaType string) (Result, known, error) {
	digest := sha256.Sum256(raw)
	var k known
	var latest int
	var same bool
	err := in.tx.QueryRow(ctx, `
SELECT r.id, l.person, r.about, r.latest, record_unchanged(r.id, $3)
  FROM source_record r JOIN person_link l ON l.record = r.id AND l.ended_at IS NULL
 WHERE r.agency = $1 AND r.local_id = $2`, in.Agency, p.LocalID, digest[:]).Scan(asBytes(&k.record), asBytes(&k.person), &k.about, &latest, &same)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		if k, err = in.newPerson(ctx, p); err != nil {
			return Result{}, known{}, err
		}
	case err != nil:
		return Result{}, known{}, fmt.Errorf("find source record: %w", err)
	case same && k.about == p.About:
		return Result{Unchanged, k.record}, k, nil
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO source_record_version (record, version, media_type, bytes, digest, submission) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.record, latest+1, mediaType, raw, digest[:], orNull(in.Submission))
	b.Queue(`UPDATE source_record SET latest = $2, about = $3 WHERE id = $1`, k.record, latest+1, p.About)
	if err := in.tx.SendBatch(ctx, b).Close(); err != nil {
		return Result{}, known{}, fmt.Errorf("keep source record: %w", err)
	}
	if latest == 0 {
		return Result{New, k.record}, k, nil
	}
	return Result{Changed, k.record}, k, nil
}

func (in *intake) newPerson(ctx context.Context, p *PersonRecord) (known, error) {
	var ids [3]uuid.UUID
	for i := range ids {
		id, err := in.newID()
		if err != nil {
			return known{}, err
		}
		ids[i] = id
	}
	record, person, link := ids[0], ids[1], ids[2]
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO person (id, partnership) VALUES ($1, $2)`, person, in.Partnership)
	b.Queue(`INSERT INTO source_record (id, partnership, agency, local_id, about) VALUES ($1, $2, $3, $4, $5)`, record, in.Partnership, in.Agency, p.LocalID, p.About)
	b.Queue(`INSERT INTO person_link (id, record, person, reason) VALUES ($1, $2, $3, 'first sent')`, link, record, person)
	if err := in.tx.SendBatch(ctx, b).Close(); err != nil {
		return known{}, fmt.Errorf("make person: %w", err)
	}
	return known{record, person, p.About}, nil
}

// houseChild gives a child who belongs to no family one of its own, so that
// the child can be found and opened before anybody said with whom it lives.
func (in *intake) houseChild(ctx context.Context, person uuid.UUID) error {
	var housed bool
	if err := in.tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM membership m WHERE m.person = $1)`, person).Scan(&housed); err != nil {
		return fmt.Errorf("look for the child's family: %w", err)
	}
	if housed {
		return nil
	}
	family, err := in.newFamily(ctx)
	if err != nil {
		return err
	}
	_, err = in.addMember(ctx, family, person, "child", nil, nil)
	return err
}

// newFamily makes a family whose reference is drawn at random and tells no order.
func (in *intake) newFamily(ctx context.Context) (uuid.UUID, error) {
	id, err := in.newID()
	if err != nil {
		return uuid.Nil, err
	}
	for range 8 {
		n, err := cryptorand.Int(in.Random, big.NewInt(90_000_000))
		if err != nil {
			return uuid.Nil, fmt.Errorf("draw a family reference: %w", err)
		}
		tag, err := in.tx.Exec(ctx, `INSERT INTO family (id, partnership, ref) VALUES ($1, $2, $3) ON CONFLICT (ref) DO NOTHING`,
			id, in.Partnership, fmt.Sprintf("F-%08d", n.Int64()+10_000_000))
		if err != nil {
			return uuid.Nil, fmt.Errorf("make family: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return id, nil
		}
	}
	return uuid.Nil, errors.New("make family: no free reference was drawn")
}
