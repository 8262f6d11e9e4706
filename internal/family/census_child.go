package family

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// readChild turns one Child element into the records that it makes.
func readChild(e *element, reference time.Time) CensusChild {
	b := &childReader{reference: reference, taken: make(map[string]int)}
	root := group{of: b, at: e}
	ids := root.single("ChildIdentifiers")
	b.id = ids.text("LAchildID")
	switch {
	case b.id == "":
		b.refuse("ChildIdentifiers/LAchildID", "is missing")
	case len(b.id) > 64 || strings.ContainsFunc(b.id, func(r rune) bool { return r <= ' ' || r > '~' }):
		// It is said again in the report, so it must be fit to be read.
		b.refuse("ChildIdentifiers/LAchildID", "is not 1 to 64 printable characters without spaces")
		b.id = ""
	}
	b.identity(ids)
	b.equality(root.single("ChildCharacteristics"))
	for _, cin := range root.groups("CINdetails") {
		b.details(cin)
	}
	root.rest()
	return CensusChild{ID: b.id, Records: b.records, Warnings: b.warnings, Refused: b.refused}
}

// childReader gathers what one child gives.
type childReader struct {
	id         string
	reference  time.Time
	born, died time.Time
	records    []Record
	warnings   []string
	refused    *FieldError
	taken      map[string]int // how often a local id was made
}

// refuse keeps the first reason; one is enough for the whole child.
func (b *childReader) refuse(field, rule string) {
	if b.refused == nil {
		b.refused = &FieldError{Field: field, Rule: rule}
	}
}

func (b *childReader) warn(field, text string) {
	if len(b.warnings) < maxWarnings {
		b.warnings = append(b.warnings, cmp.Or(field, "Child")+": "+text)
	}
}

// local makes the id under which a record is met again: in the same file sent
// twice and in the next year's. The position in the file is no part of it,
// since next year's file leaves out what was closed; only two of a kind that
// begin on one day are told apart by their order.
func (b *childReader) local(kind, day string) string {
	id := "cin-census:" + url.PathEscape(b.id) + "/" + kind
	if day != "" {
		id += "/" + day
	}
	b.taken[id]++
	if n := b.taken[id]; n > 1 {
		id += "/" + strconv.Itoa(n)
	}
	return id
}

// identity makes the person and what is known of who they are.
func (b *childReader) identity(g group) {
	born, expected, died := g.date("PersonBirthDate"), g.date("ExpectedPersonBirthDate"), g.date("PersonDeathDate")
	b.born = born
	switch {
	case born.IsZero() && expected.IsZero():
		b.refuse("ChildIdentifiers/PersonBirthDate", "is missing, and so is ExpectedPersonBirthDate")
	case born.IsZero() && !b.reference.IsZero() && expected.Before(b.reference.AddDate(0, -1, 0)):
		g.warn("ExpectedPersonBirthDate", "is over a month before the reference date, and no birth date is given")
	}
	person := &PersonRecord{LocalID: b.id, About: "child", Born: isoDay(born), Died: isoDay(died)}
	if born.IsZero() {
		person.Expected = isoDay(expected)
	}
	if !died.IsZero() && !born.IsZero() && died.Before(born) {
		// A person who dies before their birth cannot be stored; the date stays with the entry.
		g.warn("PersonDeathDate", "is before the birth date; the child is not taken as dead")
		person.Died = ""
	} else {
		b.died = died
	}
	b.records = append(b.records, Record{Person: person})

	content := make(map[string]any)
	putText(content, "date_of_birth", isoDay(born))
	putText(content, "expected_date", isoDay(expected))
	putText(content, "date_of_death", isoDay(died))
	putText(content, "upn", g.upn("UPN"))
	g.text("UPNunknown") // why there is no number: a matter of the school census
	sex, gender := g.word("Sex", sexWords), g.word("GenderCurrent", genderWords)
	if differ(sex, gender) {
		// Side by side the two would tell what restricted health information
		// is kept hidden for. The council settles it in its own system.
		g.warn("Sex", "differs from GenderCurrent; neither is taken")
		sex, gender = "", ""
	}
	putText(content, "sex", sex)
	putText(content, "gender", gender)
	b.entry("identity", "identity", time.Time{}, time.Time{}, content)

	// A pupil gets a new number on adoption among other reasons, and the census
	// does not say which: a former number is kept as earlier identity, which
	// nobody but the council sees and nothing searches.
	if former := g.upn("FormerUPN"); former != "" {
		b.entry("earlier-identity", "former-upn", time.Time{}, time.Time{}, map[string]any{"upn": former})
	}
	g.rest()
}

func (b *childReader) equality(g group) {
	content := make(map[string]any)
	putText(content, "ethnicity", g.code("Ethnicity", ethnicityWords))
	var disabilities []any
	for _, d := range g.groups("Disabilities") {
		for _, e := range d.leaves("Disability") {
			if word := d.coded("Disability", e, disabilityWords); word != "" {
				disabilities = append(disabilities, word)
			}
		}
		d.rest()
	}
	if len(disabilities) > 0 {
		content["disability"] = disabilities
	}
	if len(content) > 0 {
		b.entry("equality", "equality", time.Time{}, time.Time{}, content)
	}
	g.rest()
}

// details makes one CINdetails: an episode, its entry, and what followed.
func (b *childReader) details(g group) {
	referred := g.begin("CINreferralDate")
	closed, conference := g.end("CINclosureDate", referred, "CINreferralDate"), g.end("DateOfInitialCPC", referred, "CINreferralDate")
	nfa, nfaKnown := g.flag("ReferralNFA")
	if !b.born.IsZero() && !referred.IsZero() && referred.Before(b.born.AddDate(0, -10, 0)) {
		g.warn("CINreferralDate", "is more than ten months before the birth")
	}
	followed := !conference.IsZero()
	for _, name := range []string{"Assessments", "CINPlanDates", "Section47", "ChildProtectionPlans", "PreProceedingsandFGDM"} {
		followed = followed || len(g.at.all(name)) > 0
	}
	status, until := "child in need", closed
	switch {
	case nfa && !followed && closed.IsZero():
		// Nothing followed, so there is no open work that a purpose could rest on.
		status, until = "referral, no further action", referred
		g.warn("ReferralNFA", "says no further action and nothing followed: the episode is taken as closed on the day of the referral")
	case nfa && followed:
		g.warn("ReferralNFA", "says no further action, but more followed")
	}
	b.episode("child-in-need", "cin", referred, until)

	content := map[string]any{"status": status}
	putText(content, "start", isoDay(referred))
	putText(content, "end", isoDay(until))
	putText(content, "referral_date", isoDay(referred))
	putText(content, "referral_source", g.code("ReferralSource", referralWords))
	putText(content, "primary_need", g.code("PrimaryNeedCode", needWords))
	putText(content, "conference_date", isoDay(conference))
	if nfaKnown {
		content["referral_nfa"] = nfa
	}
	reason := g.code("ReasonForClosure", closureWords)
	if strings.HasPrefix(reason, closedByAdoption) {
		// That a child was adopted ties the record to the life before: it goes
		// where adoption links go and stands nowhere else.
		b.entry("adoption-links", "adopted", closed, time.Time{}, map[string]any{"closure_reason": reason})
		reason = ""
	}
	putText(content, "closure_reason", reason)
	b.entry("care-status", "cin", referred, until, content)

	for _, a := range g.groups("Assessments") {
		b.assessment(a)
	}
	for _, p := range g.groups("CINPlanDates") {
		start := p.begin("CINPlanStartDate")
		end := p.end("CINPlanEndDate", start, "CINPlanStartDate")
		p.rest()
		content := map[string]any{"status": "child in need plan"}
		putText(content, "start", isoDay(start))
		putText(content, "end", isoDay(end))
		b.entry("care-status", "cin-plan", start, end, content)
	}
	for _, s := range g.groups("Section47") {
		b.section47(s, closed)
	}
	for _, p := range g.groups("ChildProtectionPlans") {
		b.protectionPlan(p)
	}
	for _, p := range g.groups("PreProceedingsandFGDM") {
		b.preProceedings(p)
	}
	g.rest()
}

// assessment makes an entry with the factors, as codes with their words. A
// factor says that somebody in the household drinks or is ill, never who.
func (b *childReader) assessment(g group) {
	const began = "AssessmentActualStartDate"
	start := g.begin(began)
	review, done := g.end("AssessmentInternalReviewDate", start, began), g.end("AssessmentAuthorisationDate", start, began)
	var factors []any
	for _, f := range g.groups("FactorsIdentifiedAtAssessment") {
		for _, e := range f.leaves("AssessmentFactors") {
			if word := f.coded("AssessmentFactors", e, factorWords); word != "" {
				factors = append(factors, word)
			}
		}
		f.rest()
	}
	g.rest()
	content := map[string]any{"kind": "assessment"}
	putText(content, "start", isoDay(start))
	putText(content, "completed", isoDay(done))
	putText(content, "review_date", isoDay(review))
	if len(factors) > 0 {
		content["factors"] = factors
	}
	b.entry("assessment-plan", "assessment", start, done, content)
	b.last().Source = "opinion"
}

// section47 makes an episode that ends when the enquiry is over. A census says
// when it began and whether a conference followed, not when it ended: the
// conference ends it, else the closure of the case; one that needs no
// conference is over by its target day.
func (b *childReader) section47(g group, closed time.Time) {
	start, target := g.begin("S47ActualStartDate"), g.date("InitialCPCtarget")
	conference := g.end("DateOfInitialCPC", start, "S47ActualStartDate")
	unneeded, known := g.flag("ICPCnotRequired")
	g.rest()
	until := conference
	if until.IsZero() && unneeded {
		if until = target; until.IsZero() {
			until = start
		}
	}
	if until.IsZero() || (!closed.IsZero() && closed.Before(until)) {
		until = closed
	}
	b.episode("section-47", "s47", start, until)
	content := map[string]any{"status": "section 47 enquiry"}
	putText(content, "start", isoDay(start))
	putText(content, "end", isoDay(until))
	putText(content, "conference_date", isoDay(conference))
	b.entry("care-status", "s47", start, until, content)
	if !known && conference.IsZero() {
		return
	}
	outcome := "needed"
	switch {
	case unneeded:
		outcome = "not required"
	case !conference.IsZero():
		outcome = "held"
	}
	result := map[string]any{"kind": "section 47 enquiry", "icpc_needed": outcome}
	putText(result, "start", isoDay(start))
	b.entry("assessment-plan", "s47-outcome", start, time.Time{}, result)
	b.last().Source = "opinion"
}

func (b *childReader) protectionPlan(g group) {
	start := g.begin("CPPstartDate")
	end := g.end("CPPendDate", start, "CPPstartDate")
	first, latest := g.code("InitialCategoryOfAbuse", abuseWords), g.code("LatestCategoryOfAbuse", abuseWords)
	var reviews []any
	for _, r := range g.groups("Reviews") {
		for _, e := range r.leaves("CPPreviewDate") {
			if t := r.dateOf("CPPreviewDate", e); !t.IsZero() {
				r.ordered("CPPreviewDate", t, start, "CPPstartDate")
				reviews = append(reviews, isoDay(t))
			}
		}
		r.rest()
	}
	content := map[string]any{"status": "child protection plan"}
	if latest == "" {
		latest = first
	}
	putText(content, "start", isoDay(start))
	putText(content, "end", isoDay(end))
	putText(content, "category", latest)
	putText(content, "initial_category", first)
	if n, err := strconv.Atoi(g.text("NumberOfPreviousCPP")); err == nil && n >= 0 && n < 100 {
		content["previous_plans"] = n
	}
	if len(reviews) > 0 {
		content["reviews"] = reviews
	}
	g.rest()
	b.episode("child-protection-plan", "cpp", start, end)
	b.entry("care-status", "cpp", start, end, content)
}

// preProceedings keeps what the later years' element holds, field by field:
// its shape changes from year to year, and a field that the catalogue does not
// know is withheld from everybody but the council.
func (b *childReader) preProceedings(g group) {
	content := map[string]any{"kind": "pre-proceedings and family group decision making"}
	var start time.Time
	for _, e := range g.at.kids {
		e.used = true
		if len(e.kids) > 0 || e.text == "" || !elementName.MatchString(e.name) {
			if len(e.kids) > 0 {
				g.warn("", passedOver(e.name))
			}
			continue
		}
		value := any(e.text)
		if strings.Contains(e.name, "Date") {
			t := g.dateOf(e.name, e)
			if t.IsZero() {
				continue
			}
			if start.IsZero() || t.Before(start) {
				start = t
			}
			value = isoDay(t)
		}
		content[fieldOf(e.name)] = value
	}
	g.rest()
	putText(content, "start", isoDay(start))
	b.entry("assessment-plan", "pre-proceedings", start, time.Time{}, content)
}

// episode adds open work. One that ends before it begins is kept as it was
// sent, with its warning; it is open on no day.
func (b *childReader) episode(kind, short string, from, until time.Time) {
	b.records = append(b.records, Record{Episode: &EpisodeRecord{
		LocalID: b.local("episode-"+short, isoDay(from)), Person: b.id, Kind: kind, From: isoDay(from), Until: isoDay(until),
	}})
}

// entry adds an entry about the child alone. The census is coded: it repeats
// nobody's text, so every entry counts as tagged.
func (b *childReader) entry(section, short string, from, until time.Time, content map[string]any) {
	e := &EntryRecord{
		LocalID: b.local(short, isoDay(from)), Section: section, Source: "fact", About: []string{b.id},
		Event: isoDay(from), Contains: []string{}, Content: content, Recorded: b.recorded(from, until),
	}
	if !until.Before(from) {
		e.EventUntil = isoDay(until)
	}
	b.records = append(b.records, Record{Entry: e})
}

func (b *childReader) last() *EntryRecord { return b.records[len(b.records)-1].Entry }

// recorded is the last day on which something happened that the entry tells,
// as far as the file can know of it. It does not come from the day of import:
// the same facts must make the same record next year.
func (b *childReader) recorded(dates ...time.Time) string {
	var last time.Time
	for _, d := range dates {
		if d.After(last) && !b.reference.IsZero() && !d.After(b.reference) {
			last = d
		}
	}
	return isoDay(last)
}

func putText(content map[string]any, field, value string) {
	if value != "" {
		content[field] = value
	}
}

func isoDay(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// fieldOf turns an element's name into a field's.
func fieldOf(element string) string {
	return strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToLower(element))
}
