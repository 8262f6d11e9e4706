package family

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
)

// Whatever can change a decision raises the stamp of every family concerned,
// and of no other.
func TestEveryChangeRaisesTheStamp(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam, other := h.family(), h.family()
	kim, mum := h.member(fam, "child"), h.member(fam, "parent")
	h.member(other, "child")
	w := h.worker("MH")
	entry, version, _ := h.item("MH", "mh-risk", mum)
	stamps := func() (int, int) {
		return h.count(`SELECT stamp FROM family WHERE id = $1`, fam), h.count(`SELECT stamp FROM family WHERE id = $1`, other)
	}
	id := uuid.New()
	for _, s := range []struct {
		what string
		sql  string
		args []any
	}{
		{"involvement", `INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'feed', '2026-01-01')`, []any{id, mum, w}},
		{"its end", `UPDATE involvement SET valid_until = '2026-06-01'`, nil},
		{"episode", `INSERT INTO episode (id, person, kind, valid_from, source) VALUES ($1, $2, 'marac', '2026-01-01', 'CSC')`, []any{id, kim}},
		{"its end", `UPDATE episode SET valid_until = '2026-06-01'`, nil},
		{"its member", `INSERT INTO episode_member (id, episode, agency) VALUES ($1, $2, 'MH')`, []any{uuid.New(), id}},
		{"told and agreed", `INSERT INTO told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', 'CSC', 'agreed', 'told', '2026-01-01')`, []any{id, mum}},
		{"restriction", `INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', 'why', now(), '2027-01-01')`, []any{id, mum}},
		{"its end", `UPDATE restriction SET valid_until = now()`, nil},
		{"protection", `INSERT INTO protection (id, person, since, set_by) VALUES ($1, $2, '2026-01-01', 'CSC')`, []any{id, mum}},
		{"its end", `UPDATE protection SET valid_until = '2026-06-01'`, nil},
		{"grant", `INSERT INTO access_grant (id, person, agency, section, level, reason, giver, valid_from, valid_until) VALUES ($1, $2, 'MH', 'marac', 'full', 'why', 'CSC', now(), now() + interval '1 day')`, []any{id, mum}},
		{"its revocation", `UPDATE access_grant SET revoked_at = now(), revoked_why = 'over'`, nil},
		{"relationship", `INSERT INTO relationship (id, from_person, to_person, kind, supplied_by) VALUES ($1, $2, $3, 'parent', 'CSC')`, []any{id, mum, kim}},
		{"its confirmation", `UPDATE relationship SET confirmed_at = now()`, nil},
		{"alleged harm", `INSERT INTO alleged_harm (id, by_person, to_person, source) VALUES ($1, $2, $3, 'POL')`, []any{id, mum, kim}},
		{"its withdrawal", `UPDATE alleged_harm SET withdrawn_at = now(), withdrawn_why = 'wrong'`, nil},
		{"a member's end", `UPDATE membership SET valid_until = '2026-06-01' WHERE person = $1`, []any{mum}},
		{"a death", `UPDATE person SET died = '2026-06-01' WHERE id = $1`, []any{mum}},
		{"a mention", `INSERT INTO entry_subject (version, person, relation) VALUES ($1, $2, 'mentions')`, []any{version, kim}},
		{"a question", `UPDATE entry_version SET questioned = true WHERE entry = $1`, []any{entry}},
		{"a retired version", `UPDATE entry_version SET latest = false WHERE entry = $1`, []any{entry}},
	} {
		a, b := stamps()
		h.run(s.sql, s.args...)
		a2, b2 := stamps()
		if a2 <= a {
			t.Errorf("%s: the stamp stayed %d", s.what, a)
		}
		if b2 != b {
			t.Errorf("%s: the stamp of another family rose", s.what)
		}
	}
	a, _ := stamps()
	h.member(fam, "contact")
	if a2, _ := stamps(); a2 <= a {
		t.Error("a new member did not raise the stamp")
	}
}

// What must always hold stands in the schema too.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fam := h.family()
	kim, mum := h.member(fam, "child"), h.member(fam, "parent")
	w := h.worker("MH")
	entry, version, _ := h.item("MH", "mh-risk", mum)
	for _, s := range []struct {
		rule string // constraint, or the SQLSTATE where the role may not
		sql  string
		args []any
	}{
		{"involvement_declared_a_day", `INSERT INTO involvement (id, person, agency, worker, source, reason, valid_from, valid_until) VALUES ($1, $2, 'MH', $3, 'declared', 'why', now(), now() + interval '25 hours')`, []any{uuid.New(), mum, w}},
		{"involvement_declared_a_day", `INSERT INTO involvement (id, person, agency, worker, source, reason, valid_from, valid_until) VALUES ($1, $2, 'MH', $3, 'declared', ' ', now(), now())`, []any{uuid.New(), mum, w}},
		{"involvement_of_somebody", `INSERT INTO involvement (id, person, agency, source, valid_from) VALUES ($1, $2, 'MH', 'feed', now())`, []any{uuid.New(), mum}},
		{"involvement_cover_ends", `INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'cover', now())`, []any{uuid.New(), mum, w}},
		{"access_grant_emergency_an_hour", `INSERT INTO access_grant (id, person, agency, worker, level, break_glass, reason, giver, valid_from, valid_until) VALUES ($1, $2, 'MH', $3, 'full', true, 'why', 'MH', now(), now() + interval '61 minutes')`, []any{uuid.New(), mum, w}},
		{"access_grant_section_or_emergency", `INSERT INTO access_grant (id, person, agency, level, reason, giver, valid_from, valid_until) VALUES ($1, $2, 'MH', 'full', 'why', 'CSC', now(), now() + interval '1 day')`, []any{uuid.New(), mum}},
		{"exclusion_names_somebody", `INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) VALUES ($1, $2, 'exclusion', 'why', now(), now())`, []any{uuid.New(), mum}},
		{"told_not_told_says_why", `INSERT INTO told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', 'CSC', 'agreed', 'not-told', now())`, []any{uuid.New(), mum}},
		{"membership_confirmed_whole", `INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by) VALUES ($1, $2, $3, 'child', 'MH', 'CSC')`, []any{uuid.New(), fam, kim}},
		{"relationship_of_two", `INSERT INTO relationship (id, from_person, to_person, kind, supplied_by) VALUES ($1, $2, $2, 'parent', 'CSC')`, []any{uuid.New(), mum}},
		{"person_dies_after_birth", `UPDATE person SET died = '2014-01-01' WHERE id = $1`, []any{mum}},
		{"entry_version_one_latest", `INSERT INTO entry_version (entry, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, held) VALUES ($1, 2, true, 'x', 'x/1', 'MH', 'fact', 1, now(), false, true, 'remote')`, []any{entry}},
		{"entry_version_of_its_owner", `INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, held) VALUES ($1, 'CSC', 2, false, 'x', 'x/1', 'MH', 'fact', 1, now(), false, true, 'remote')`, []any{entry}},
		{"entry_tags_only_when_tagged", `INSERT INTO entry_version (entry, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, contains, held) VALUES ($1, 2, false, 'x', 'x/1', 'MH', 'fact', 1, now(), true, false, '{marac}', 'remote')`, []any{entry}},
		{"entry_held_has_a_part", `INSERT INTO entry_version (entry, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged) VALUES ($1, 2, false, 'x', 'x/1', 'MH', 'fact', 1, now(), true, true)`, []any{entry}},
		// Versions are immutable, and nothing is deleted, by the app's role.
		{"42501", `UPDATE entry_version SET section = 'identity' WHERE entry = $1`, []any{entry}},
		{"42501", `UPDATE entry_version SET full_part = 1 WHERE entry = $1`, []any{entry}},
		{"42501", `UPDATE entry_subject SET person = $1 WHERE version = $2`, []any{kim, version}},
		{"42501", `DELETE FROM entry_version WHERE entry = $1`, []any{entry}},
		{"42501", `DELETE FROM restriction`, nil},
		{"42501", `UPDATE family SET stamp = 1`, nil},
		{"42501", `UPDATE content SET body = '{}'`, nil},
		{"42501", `DELETE FROM content`, nil},
		{"42501", `SELECT bytes FROM source_record_version`, nil},
		{"42501", `SELECT digest FROM entry_version`, nil},
		{"42501", `SELECT raise_families_of('{}')`, nil},
	} {
		_, err := h.app.Exec(context.Background(), s.sql, s.args...)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != s.rule && pg.Code != s.rule {
			t.Errorf("%s: %v", s.rule, err)
		}
	}
}
