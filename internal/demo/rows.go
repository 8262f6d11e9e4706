package demo

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// table is what goes into one table by COPY, in the order of its columns.
type table struct {
	name    string
	columns []string
	rows    [][]any
}

func (t *table) add(values ...any) { t.rows = append(t.rows, values) }

// rowset is a part of the borough, ready to be copied. The tables stand in the
// order in which they refer to one another.
type rowset struct {
	person, record, recordVersion, link                 table
	family, local, membership, relationship, harm       table
	episode, episodeMember, involvement, told           table
	restriction, protection, grant                      table
	entry, version, subject, content, concern, conflict table
	searchName, searchCode, guarded                     table
}

func newRowset() *rowset {
	return &rowset{
		person:        table{name: "person", columns: []string{"id", "partnership", "born", "expected", "died", "pregnancy_told"}},
		record:        table{name: "source_record", columns: []string{"id", "partnership", "agency", "local_id", "about", "latest"}},
		recordVersion: table{name: "source_record_version", columns: []string{"record", "version", "media_type", "bytes", "digest", "received_at"}},
		link:          table{name: "person_link", columns: []string{"id", "record", "person", "linked_at", "reason", "ended_at", "ended_why"}},
		family:        table{name: "family", columns: []string{"id", "partnership", "ref"}},
		local:         table{name: "family_local", columns: []string{"agency", "local_id", "family"}},
		membership: table{name: "membership", columns: []string{"id", "family", "person", "role", "main_home", "valid_from", "valid_until",
			"supplied_by", "confirmed_by", "confirmed_at", "ended_why"}},
		relationship: table{name: "relationship", columns: []string{"id", "from_person", "to_person", "kind", "status", "responsibility",
			"valid_from", "valid_until", "supplied_by", "confirmed_at"}},
		harm:          table{name: "alleged_harm", columns: []string{"id", "by_person", "to_person", "valid_from", "valid_until", "source"}},
		episode:       table{name: "episode", columns: []string{"id", "record", "person", "kind", "rating", "valid_from", "valid_until", "source", "local_id"}},
		episodeMember: table{name: "episode_member", columns: []string{"id", "episode", "agency", "worker"}},
		involvement: table{name: "involvement", columns: []string{"id", "record", "person", "agency", "worker", "team", "role", "source", "reason",
			"made_by", "valid_from", "valid_until", "local_id"}},
		told: table{name: "told_and_agreed", columns: []string{"id", "record", "person", "purpose", "agency", "agreed", "told", "why", "by_worker",
			"by_words", "at", "review_on"}},
		restriction: table{name: "restriction", columns: []string{"id", "person", "kind", "workers", "agencies", "reason", "set_by", "valid_from", "review_on"}},
		protection:  table{name: "protection", columns: []string{"id", "person", "since", "set_by", "reason"}},
		grant: table{name: "access_grant", columns: []string{"id", "person", "agency", "worker", "section", "level", "break_glass", "reason",
			"given_by", "giver", "approved_by", "valid_from", "valid_until"}},
		entry: table{name: "entry", columns: []string{"id", "partnership", "owner", "local_id"}},
		version: table{name: "entry_version", columns: []string{"id", "entry", "owner", "version", "latest", "section", "schema", "supplied_by", "source_kind",
			"handling", "existence_ok", "sensitivity", "event_from", "event_until", "event_words", "recorded_on", "narrative", "tagged", "contains",
			"flags", "onward_label", "full_part", "summary_part", "summary_by", "summary_on", "summary_review", "event_of", "author", "author_words",
			"questioned"}},
		subject:    table{name: "entry_subject", columns: []string{"version", "record", "person", "relation"}},
		content:    table{name: "content", columns: []string{"part", "body"}},
		searchName: table{name: "search_name", columns: []string{"part", "fields", "given", "family"}},
		searchCode: table{name: "search_code", columns: []string{"part", "field", "value"}},
		guarded:    table{name: "guarded_code", columns: []string{"part", "value"}},
		concern:    table{name: "concern", columns: []string{"id", "entry", "version", "kind", "what", "raised_by", "agency"}},
		conflict:   table{name: "staff_conflict", columns: []string{"id", "worker", "person", "family", "kind", "declared_at"}},
	}
}

func (r *rowset) tables() []*table {
	return []*table{&r.person, &r.record, &r.recordVersion, &r.link, &r.family, &r.local, &r.membership, &r.relationship, &r.harm,
		&r.episode, &r.episodeMember, &r.involvement, &r.told, &r.restriction, &r.protection, &r.grant,
		&r.entry, &r.version, &r.subject, &r.content, &r.searchName, &r.searchCode, &r.guarded, &r.concern, &r.conflict}
}

// The values below are what pgx copies without guessing: NULL is nil, an id is
// sixteen bytes.

func id(u uuid.UUID) any {
	if u == uuid.Nil {
		return nil
	}
	return [16]byte(u)
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}
