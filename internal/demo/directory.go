package demo

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// directory makes the rows that stand before the families: the partnership, its
// agencies, workers and teams, the staff register, and the agreements as they
// are today.
func (b *builder) directory(o Options) []*table {
	partnership := &table{name: "partnership", columns: []string{"code", "name", "desk_name", "desk_phone", "mash_phone", "out_of_hours"}}
	partnership.add(Partnership, partnershipName, deskName, deskPhone, mashPhone, outOfHoursPhone)

	agency := &table{name: "agency", columns: []string{"code", "partnership", "kind", "name", "legal_controller", "ods", "ico", "contact_name",
		"contact_phone", "feed", "feed_last", "active_from"}}
	for _, a := range agencies() {
		var last time.Time
		if a.lastFeedHours > 0 {
			last = b.now.Add(-time.Duration(a.lastFeedHours) * time.Hour)
		}
		agency.add(a.code, Partnership, a.kind, a.name, a.controller, text(a.ods), text(a.ico), a.contact, a.phone, a.feed, when(last), b.day(-900))
	}
	tables := []*table{partnership, agency}
	tables = append(tables, b.people(o)...)
	return append(tables, b.agreements()...)
}

func (b *builder) people(o Options) []*table {
	worker := &table{name: "worker", columns: []string{"id", "partnership", "agency", "employer", "issuer", "subject", "name", "roles", "active_from",
		"active_until", "training_until", "vetting_until", "last_seen"}}
	caseID := &table{name: "worker_case_id", columns: []string{"worker", "agency", "scheme", "value"}}
	team := &table{name: "worker_team", columns: []string{"id", "worker", "agency", "team", "cover", "valid_from", "valid_until"}}
	register := &table{name: "staff_register", columns: []string{"worker", "surname", "person"}}
	for _, a := range slices.Concat(Accounts(o.Seed), BulkAccounts(o.Seed, o.Families)) {
		if a.System {
			continue // a system is a client of its issuer, no worker
		}
		var issuer, subject any
		if o.Issuer != nil && a.Sign != "" {
			issuer, subject = o.Issuer(a.Agency), a.Subject
		}
		seen := b.day(-1).Add(9 * time.Hour)
		if a.dormant {
			seen = b.day(-120)
		}
		worker.add(id(a.Worker), Partnership, a.Agency, a.employer, issuer, subject, a.Name, a.Roles, b.day(-700), nil, b.day(300), b.day(500), seen)
		caseID.add(id(a.Worker), a.Agency, "staff", a.Agency+"-"+b.digits(12, "staff", a.Worker.String()))
		for _, s := range a.teams {
			var until any
			from := b.day(-650)
			if s.cover {
				from, until = b.today, b.day(1).Add(9*time.Hour)
			}
			team.add(id(b.of("team", a.Worker.String(), s.agency, s.team)), id(a.Worker), s.agency, s.team, s.cover, from, until)
		}
		_, surname, ok := cutLast(a.Name)
		if !ok {
			b.fail("worker %q has no family name", a.Name)
		}
		var own uuid.UUID
		if a.Sign == "family-support-worker" {
			own = b.of("person", "staff-parent/mum")
		}
		register.add(id(a.Worker), surname, id(own))
	}
	return []*table{worker, caseID, team, register}
}

// agreements are those of the policy version, all signed, dated so that they
// are in force today; the one with housing ends tomorrow.
func (b *builder) agreements() []*table {
	agreement := &table{name: "agreement", columns: []string{"id", "partnership", "starts_on", "review_on", "ends_on"}}
	party := &table{name: "agreement_party", columns: []string{"agreement", "agency", "state", "since", "reason"}}
	for _, a := range b.catalogue.Agreements {
		starts, review, ends := b.day(-400), b.day(180), b.day(540)
		if a.ID == "isa-housing-2026" {
			starts, review, ends = b.day(-364), b.day(-20), b.day(1)
		}
		agreement.add(a.ID, Partnership, starts, review, ends)
		for _, p := range a.Parties {
			party.add(a.ID, p.Agency, "signed", starts, "")
		}
	}
	head := &table{name: "agreement_head", columns: []string{"partnership", "stamp"}}
	head.add(Partnership, int64(1))
	return []*table{agreement, party, head}
}
