package family

import (
	"net/url"
	"strings"
	"time"
)

// local makes the id under which something of this child is met again: the
// payload's own ids, under the child's.
func (b *dfeReader) local(parts ...string) string {
	id := b.prefix()
	for i, p := range parts {
		if i > 0 {
			id += "/"
		}
		id += url.PathEscape(p)
	}
	return id
}

func (b *dfeReader) prefix() string { return "dfe-csc:" + url.PathEscape(b.id) + "/" }

// idOf reads an id of the payload; without one nothing could be met again.
func (o *dfeObject) idOf(name string) string {
	id := o.text(name)
	if id == "" {
		o.of.refuse(o.place(name), "is missing")
	}
	if len(id) > 64 {
		o.of.refuse(o.place(name), "is longer than 64 characters")
	}
	return id
}

func (b *dfeReader) child(o *dfeObject) {
	b.id = o.text("la_child_id")
	switch {
	case b.id == "":
		b.refuse("la_child_id", "is missing")
	case len(b.id) > 64 || strings.ContainsFunc(b.id, func(r rune) bool { return r <= ' ' || r > '~' }):
		b.refuse("la_child_id", "is not 1 to 64 printable characters without spaces")
		b.id = ""
	}
	o.text("mis_child_id") // the supplier's own
	if o.purged() {
		b.records = append(b.records, Record{Purge: &PurgeRecord{Person: b.id, Prefix: b.prefix()}})
		return
	}
	b.details(o.object("child_details"))
	b.wellbeing(o.object("health_and_wellbeing"))
	for _, p := range o.objects("education_health_care_plans") {
		id := p.idOf("education_health_care_plan_id")
		if b.purge(p, "ehcp", id) {
			continue
		}
		start := p.date("plan_start_date")
		for _, name := range []string{"request_received_date", "request_outcome_date", "assessment_outcome_date"} {
			p.date(name) // steps towards the plan: not kept
		}
		p.rest()
		b.put("education", start, time.Time{}, map[string]any{"sen": "education, health and care plan"}, "ehcp", id)
	}
	for _, e := range o.objects("social_care_episodes") {
		b.socialCare(e)
	}
	o.rest()
}

// details makes the person, and what is known of who they are.
func (b *dfeReader) details(o *dfeObject) {
	born, expected, died := o.date("date_of_birth"), o.date("expected_date_of_birth"), o.date("date_of_death")
	if born.IsZero() && expected.IsZero() {
		b.refuse("child_details.date_of_birth", "is missing, and so is expected_date_of_birth")
	}
	person := &PersonRecord{LocalID: b.id, About: "child", Born: isoDay(born), Died: isoDay(died)}
	if born.IsZero() {
		person.Expected = isoDay(expected)
	}
	if !died.IsZero() && !born.IsZero() && died.Before(born) {
		o.warn("date_of_death", "is before the birth date; the child is not taken as dead")
		person.Died = ""
	}
	b.born, b.died = born, died
	b.records = append(b.records, Record{Person: person})

	content := map[string]any{}
	for field, name := range map[string]string{"given_name": "first_name", "family_name": "surname"} {
		putText(content, field, o.text(name))
	}
	putText(content, "date_of_birth", isoDay(born))
	putText(content, "expected_date", isoDay(expected))
	putText(content, "date_of_death", isoDay(died))
	upn := func(name string) string {
		text := strings.ToUpper(o.text(name))
		if text != "" && !upnPattern.MatchString(text) {
			o.warn(name, "is not a unique pupil number; left out")
			return ""
		}
		return text
	}
	putText(content, "upn", upn("unique_pupil_number"))
	o.text("unique_pupil_number_unknown_reason")
	putText(content, "sex", sexWords(o.text("sex")))
	b.put("identity", time.Time{}, time.Time{}, content, "identity")
	// What the census's reader says of a former number holds here too.
	if former := upn("former_unique_pupil_number"); former != "" {
		b.put("earlier-identity", time.Time{}, time.Time{}, map[string]any{"upn": former}, "former-upn")
	}
	equality := map[string]any{}
	putText(equality, "ethnicity", o.coded("ethnicity", ethnicityWords))
	if list := o.codes("disabilities", disabilityWords); len(list) > 0 {
		equality["disability"] = list
	}
	if seeking, _ := o.flag("uasc_flag"); seeking {
		equality["immigration_status"] = "unaccompanied asylum-seeking child"
		if end := o.date("uasc_end_date"); !end.IsZero() {
			equality["immigration_status"] = "unaccompanied asylum-seeking child until " + isoDay(end)
		}
	} else {
		o.date("uasc_end_date")
	}
	if len(equality) > 0 {
		b.put("equality", time.Time{}, time.Time{}, equality, "equality")
	}
	if postcode := o.text("postcode"); postcode != "" {
		b.put("usual-address", time.Time{}, time.Time{}, map[string]any{"postcode": postcode}, "address")
	}
	o.purged()
	o.rest()
}

func (b *dfeReader) wellbeing(o *dfeObject) {
	purged := o.purged()
	for _, s := range o.objects("sdq_assessments") {
		at := s.date("date")
		content := map[string]any{"kind": "strengths and difficulties questionnaire"}
		putText(content, "completed", isoDay(at))
		if score := s.text("score"); score != "" {
			content["outcome"] = "score " + score
		}
		s.rest()
		if purged {
			b.records = append(b.records, Record{Entry: &EntryRecord{LocalID: b.local("sdq", isoDay(at)), Purge: true}})
			continue
		}
		b.put("assessment-plan", at, time.Time{}, content, "sdq", isoDay(at))
	}
	o.rest()
}

// socialCare makes one episode of social care, and what hangs on it.
func (b *dfeReader) socialCare(o *dfeObject) {
	id := o.idOf("social_care_episode_id")
	if o.purged() {
		b.records = append(b.records, Record{Purge: &PurgeRecord{Person: b.id, Prefix: b.local("e", id) + "/"}})
		return
	}
	referred := o.date("referral_date")
	closed := o.end("closure_date", referred)
	nfa, nfaKnown := o.flag("referral_no_further_action_flag")
	followed := false
	for _, name := range []string{"child_and_family_assessments", "child_in_need_plans", "section_47_assessments", "child_protection_plans", "child_looked_after_placements"} {
		items, _ := o.fields[name].([]any)
		followed = followed || len(items) > 0
	}
	status, until := "child in need", closed
	if nfa && !followed && closed.IsZero() {
		status, until = "referral, no further action", referred
		o.warn("referral_no_further_action_flag", "is set and nothing followed: the episode is taken as closed on the day of the referral")
	}
	if referred.IsZero() {
		b.refuse(o.place("referral_date"), "is missing")
	}
	b.work("child-in-need", referred, until, "e", id, "cin")
	content := map[string]any{"status": status}
	putText(content, "start", isoDay(referred))
	putText(content, "end", isoDay(until))
	putText(content, "referral_date", isoDay(referred))
	putText(content, "referral_source", o.coded("referral_source", referralWords))
	if nfaKnown {
		content["referral_nfa"] = nfa
	}
	reason := o.coded("closure_reason", closureWords)
	if strings.HasPrefix(reason, closedByAdoption) {
		b.put("adoption-links", closed, time.Time{}, map[string]any{"closure_reason": reason}, "e", id, "adopted")
		reason = ""
	}
	putText(content, "closure_reason", reason)
	b.put("care-status", referred, until, content, "e", id, "cin")

	b.assessments(o, id)
	b.plans(o, id)
	b.placements(o, id)
	b.adoption(o.object("adoption"), id)
	b.leaver(o.object("care_leavers"), id)
	for _, w := range o.objects("care_worker_details") {
		b.worker(w, id)
	}
	o.rest()
}

// assessments takes them with their factors, which name no adult.
func (b *dfeReader) assessments(o *dfeObject, episode string) {
	for _, a := range o.objects("child_and_family_assessments") {
		id := a.idOf("child_and_family_assessment_id")
		if b.purge(a, "e", episode, "assessment", id) {
			continue
		}
		start := a.date("start_date")
		done := a.end("authorisation_date", start)
		content := map[string]any{"kind": "assessment"}
		putText(content, "start", isoDay(start))
		putText(content, "completed", isoDay(done))
		if factors := a.codes("factors", factorWords); len(factors) > 0 {
			content["factors"] = factors
		}
		a.rest()
		b.put("assessment-plan", start, done, content, "e", episode, "assessment", id)
		b.last().Source = "opinion"
	}
	for _, s := range o.objects("section_47_assessments") {
		id := s.idOf("section_47_assessment_id")
		if b.purge(s, "e", episode, "s47", id) {
			b.records = append(b.records, Record{Entry: &EntryRecord{LocalID: b.local("e", episode, "s47-outcome", id), Purge: true}})
			continue
		}
		start := s.date("start_date")
		end := s.end("end_date", start)
		conference := s.end("icpc_date", start)
		needed, known := s.flag("icpc_required_flag")
		s.rest()
		if end.IsZero() {
			end = conference // it ends the enquiry
		}
		b.work("section-47", start, end, "e", episode, "s47", id)
		content := map[string]any{"status": "section 47 enquiry"}
		putText(content, "start", isoDay(start))
		putText(content, "end", isoDay(end))
		putText(content, "conference_date", isoDay(conference))
		b.put("care-status", start, end, content, "e", episode, "s47", id)
		if known {
			outcome := map[bool]string{true: "needed", false: "not required"}[needed]
			if !conference.IsZero() {
				outcome = "held"
			}
			b.put("assessment-plan", start, time.Time{}, map[string]any{"kind": "section 47 enquiry", "icpc_needed": outcome}, "e", episode, "s47-outcome", id)
			b.last().Source = "opinion"
		}
	}
}

// plans takes child in need and child protection plans.
func (b *dfeReader) plans(o *dfeObject, episode string) {
	for _, p := range o.objects("child_in_need_plans") {
		id := p.idOf("child_in_need_plan_id")
		if b.purge(p, "e", episode, "cin-plan", id) {
			continue
		}
		b.plan(p, "child in need plan", "", "e", episode, "cin-plan", id)
	}
	for _, p := range o.objects("child_protection_plans") {
		id := p.idOf("child_protection_plan_id")
		if b.purge(p, "e", episode, "cpp", id) {
			continue
		}
		b.plan(p, "child protection plan", "child-protection-plan", "e", episode, "cpp", id)
	}
}

func (b *dfeReader) plan(p *dfeObject, status, work string, local ...string) {
	start := p.date("start_date")
	end := p.end("end_date", start)
	p.rest()
	if work != "" {
		b.work(work, start, end, local...)
	}
	content := map[string]any{"status": status}
	putText(content, "start", isoDay(start))
	putText(content, "end", isoDay(end))
	b.put("care-status", start, end, content, local...)
}

// placements: care is open work; where the child lives then is protected.
func (b *dfeReader) placements(o *dfeObject, episode string) {
	for _, p := range o.objects("child_looked_after_placements") {
		id := p.idOf("child_looked_after_placement_id")
		if b.purge(p, "e", episode, "placement", id) {
			b.records = append(b.records, Record{Entry: &EntryRecord{LocalID: b.local("e", episode, "placement-address", id), Purge: true}})
			continue
		}
		start := p.date("start_date")
		end := p.end("end_date", start)
		content := map[string]any{"status": "in care"}
		putText(content, "start", isoDay(start))
		putText(content, "end", isoDay(end))
		putText(content, "placement_type", p.text("placement_type"))
		for _, name := range []string{"start_reason", "placement_provider", "end_reason", "change_reason"} {
			p.text(name) // codes of the statutory return: not kept
		}
		b.work("care", start, end, "e", episode, "placement", id)
		b.put("care-status", start, end, content, "e", episode, "placement", id)
		if postcode := p.text("postcode"); postcode != "" {
			b.put("protected-address", start, end, map[string]any{"postcode": postcode, "setting": "placement", "since": isoDay(start)}, "e", episode, "placement-address", id)
		}
		p.rest()
	}
}

// adoption ties the record to another life: it goes where adoption links go.
func (b *dfeReader) adoption(o *dfeObject, episode string) {
	if o.fields == nil || b.purge(o, "e", episode, "adoption") {
		return
	}
	decided, matched, placed := o.date("initial_decision_date"), o.date("matched_date"), o.date("placed_date")
	o.rest()
	for _, t := range []time.Time{placed, matched, decided} {
		if !t.IsZero() {
			b.put("adoption-links", t, time.Time{}, map[string]any{"order_date": isoDay(t)}, "e", episode, "adoption")
			return
		}
	}
}

func (b *dfeReader) leaver(o *dfeObject, episode string) {
	if o.fields == nil || b.purge(o, "e", episode, "care-leaver") {
		return
	}
	at := o.date("contact_date")
	o.text("activity")
	o.text("accommodation") // tells where a young person can be found: not kept
	o.rest()
	content := map[string]any{"status": "care leaver"}
	putText(content, "review_date", isoDay(at))
	b.put("care-status", at, time.Time{}, content, "e", episode, "care-leaver")
}

// worker makes an allocation. It is taken by itself, behind the child.
func (b *dfeReader) worker(o *dfeObject, episode string) {
	id := o.idOf("worker_id")
	start := o.date("start_date")
	end := o.end("end_date", start)
	o.rest()
	if start.IsZero() {
		b.refuse(o.place("start_date"), "is missing")
		return
	}
	b.workers = append(b.workers, Record{Involvement: &InvolvementRecord{
		LocalID: b.local("e", episode, "worker", id, isoDay(start)), Person: b.id, Worker: "dfe:" + id, Role: "key worker", From: isoDay(start), Until: isoDay(end),
	}})
}

// purge withdraws an object's entry, and the episode that goes by the same id.
func (b *dfeReader) purge(o *dfeObject, local ...string) bool {
	if !o.purged() {
		return false
	}
	b.records = append(b.records, Record{Purge: &PurgeRecord{Person: b.id, Prefix: b.local(local...), Exact: true}})
	return true
}

// work adds an episode under the id of the entry that tells of it.
func (b *dfeReader) work(kind string, from, until time.Time, local ...string) {
	if from.IsZero() {
		b.refuse(kind, "begins on no day")
		return
	}
	b.records = append(b.records, Record{Episode: &EpisodeRecord{LocalID: b.local(local...), Person: b.id, Kind: kind, From: isoDay(from), Until: isoDay(until)}})
}

// put adds an entry about the child alone. The payload is coded: it repeats
// nobody's text, so every entry counts as tagged.
func (b *dfeReader) put(section string, from, until time.Time, content map[string]any, local ...string) {
	e := &EntryRecord{LocalID: b.local(local...), Section: section, Source: "fact", About: []string{b.id}, Event: isoDay(from), Contains: []string{}, Content: content}
	if !until.Before(from) {
		e.EventUntil = isoDay(until)
	}
	b.records = append(b.records, Record{Entry: e})
}
