package demo

import (
	"fmt"
	"time"
)

// The layers are what an ordinary family's record is made of, one function a
// service. Each adds that service's entries and its involvement, and picks its
// words by the family's number, so that forty families do not read alike.

// pick chooses a variant; salt keeps two layers of a family from moving together.
func pick[T any](f *fam, salt int, all []T) T { return all[(f.n+salt)%len(all)] }

// core is who they are: identity, links, address, equality, from social care.
func (f *fam) core(home ...*person) {
	for _, p := range f.order {
		if p.path[:len(f.key)+1] != f.key+"/" {
			continue // told in the family to which the person came first
		}
		f.identity(p)
	}
	if len(home) > 0 {
		f.address(150, home...)
	}
	kids := f.kids()
	if len(kids) > 0 {
		eq := pick(f, 0, []body{
			{"ethnicity": "White British", "religion": "none"},
			{"ethnicity": "Pakistani", "religion": "Muslim"},
			{"ethnicity": "White and Black Caribbean", "religion": "Christian"},
			{"ethnicity": "White Polish", "religion": "Catholic", "immigration_status": "settled status, confirmed {d-300}"},
			{"ethnicity": "Black African", "religion": "Pentecostal Christian", "immigration_status": "limited leave until {d+400}", "public_funds": "no recourse"},
			{"ethnicity": "White British", "religion": "Church of England"},
			{"ethnicity": "Irish Traveller", "religion": "Catholic"},
		})
		f.put("CSC", "equality", 140, kids, eq)
	}
}

func (f *fam) identity(p *person, more ...opt) {
	c := body{"given_name": p.given, "family_name": p.last, "language": p.language}
	if p.known != "" {
		c["known_as"] = p.known
	}
	if p.nhs != "" {
		c["nhs_number"] = p.nhs
	}
	if p.upn != "" && p.age() >= 3 {
		c["upn"] = p.upn
	}
	switch {
	case !p.expected.IsZero():
		c["expected_date"] = p.expected.Format(time.DateOnly)
	default:
		c["date_of_birth"] = p.born.Format(time.DateOnly)
	}
	if !p.died.IsZero() {
		c["date_of_death"] = p.died.Format(time.DateOnly)
	}
	switch p.sex {
	case 'f':
		c["sex"] = "female"
	case 'm':
		c["sex"] = "male"
	}
	if p.language != "English" {
		c["interpreter"] = true
		c["communication_needs"] = "Book an interpreter; never use a child or a partner to interpret."
	}
	f.put("CSC", "identity", 160, []*person{p}, c, append(more, named("identity-"+p.key))...)
}

func (f *fam) address(days int, who ...*person) {
	f.put("CSC", "usual-address", days, who, body{"address": f.street, "postcode": f.postcode, "from": fmt.Sprintf("iso-%d", days*4),
		"phone": "01632 9602" + f.b.digits(2, "phone", f.key), "safe_to_contact": true})
}

// links says how a grown-up belongs to the children.
func (f *fam) links(p *person, relation string, household, responsibility bool, note string, kids ...*person) {
	c := body{"relation": relation, "household": household, "parental_responsibility": responsibility}
	if note != "" {
		c["note"] = note
	}
	f.put("CSC", "family-links", 155, kids, c, mentions(p))
}

func (f *fam) kids() []*person {
	var out []*person
	for _, p := range f.order {
		if p.child && p.expected.IsZero() {
			out = append(out, p)
		}
	}
	return out
}

// allocated puts the social worker and the team on the children.
func (f *fam) allocated(days int, kids ...*person) {
	w := f.b.who(f.worker("CSC"))
	for _, k := range kids {
		f.involvement("CSC", w.Worker, "", "allocation", "allocated after assessment", f.b.day(-days).Add(10*time.Hour), time.Time{}, k)
	}
	team := northTeam
	if f.closed["CSC"] != "" {
		team = southTeam
	}
	f.team("CSC", team, days, kids...)
}

// status is a child's social care status; kind is an episode's kind.
func (f *fam) status(kind string, days int, kids ...*person) {
	team := northTeam
	if f.closed["CSC"] != "" {
		team = southTeam
	}
	c := body{"start": fmt.Sprintf("iso-%d", days), "referral_date": fmt.Sprintf("iso-%d", days+40), "team": team, "key_worker": "{@" + f.worker("CSC") + "}",
		"key_worker_contact": "01632 960104", "review_date": "iso+28"}
	switch kind {
	case "child-protection-plan":
		c["status"], c["category"], c["conference_date"] = "child protection plan", pick(f, 1, []string{"emotional abuse", "neglect", "physical abuse"}), fmt.Sprintf("iso-%d", days)
		c["primary_need"], c["referral_source"] = "N1 abuse or neglect", "police"
	case "child-in-need":
		c["status"], c["primary_need"], c["referral_source"] = "child in need", pick(f, 2, []string{"N1 abuse or neglect", "N4 family in acute stress", "N5 family dysfunction"}), "school"
	case "section-47":
		c["status"], c["primary_need"], c["referral_source"] = "section 47 enquiry", "N1 abuse or neglect", "health services"
	case "care":
		c["status"], c["legal_status"], c["placement_type"], c["primary_need"] = "in care", "interim care order", "foster care", "N1 abuse or neglect"
	case "early-help":
		c["status"], c["team"] = "family help", earlyHelpTeam
		delete(c, "category")
	}
	f.put("CSC", "care-status", days, kids, c)
}

// voice is what a child says and lives through; it comes first on every record.
func (f *fam) voice(k *person, days int, story, summary string, more ...opt) {
	if summary != "" {
		more = append(more, shared(summary))
	}
	f.put("CSC", "childs-story", days, []*person{k}, body{"text": story, "observed_by": "{@" + f.worker("CSC") + "}", "in_own_words": true}, more...)
}

// plan is the assessment, the plan, the workbook and group supervision.
func (f *fam) plan(days int, adult *person, kids ...*person) {
	k := kids[0].key
	a := adult.key
	f.put("CSC", "assessment-plan", days+20, kids, body{
		"kind": "assessment", "start": fmt.Sprintf("iso-%d", days+50), "completed": fmt.Sprintf("iso-%d", days+20), "child_seen": true,
		"outcome": "plan needed",
		"analysis": pick(f, 0, []string{
			"{" + a + "} loves the children and they run to {" + a + ".him} when frightened. What worries me is how often they are frightened. Arguments happen at night and {" + k + "} has learnt to listen on the stairs. {" + a + ".He} plays this down until asked about one particular night; then {" + a + ".his} account is clear and detailed.",
			"The home has been warm and clean at each of six visits, four of them unannounced. Food is short in the last week of the month. {" + k + "} misses school when {" + a + "} cannot get up. {" + a + "} can say what a good week looks like and what was different in it, which is where the work should start.",
			"Three services have been working with this family without knowing what the others knew. Put side by side, their dates show that {" + k + "}'s worst weeks at school follow weekends when an adult was using or there was police attendance. {" + a + "} had not seen this and was upset to; {" + a + ".he} asked for help the same day.",
			"{" + k + "} carries responsibility that is not a child's: checking doors, feeding the younger ones, watching {" + a + "}'s mood. {" + a + "} was a carer as a child and finds this normal. When we drew {" + k + "}'s week on paper together {" + a + ".he} wept and said it must stop.",
		}),
		"goals": pick(f, 1, []string{
			"{" + k + "} sleeps through the night and is not the one who checks the door.",
			"{" + k + "} is at school on time every day and has eaten.",
			"Every adult at home is safe to be around at bedtime, every night.",
			"{" + k + "} has somebody to tell, and is believed.",
		}),
	}, mentions(adult), contains())
	f.put("CSC", "assessment-plan", days, kids, body{
		"kind": "plan", "start": fmt.Sprintf("iso-%d", days), "review_date": "iso+30",
		"goals": "Home is calm in the evening, and the children know what happens next.",
		"actions": []string{
			"{@" + f.worker("CSC") + "}: see each child alone every ten working days, first {d+6}",
			"{" + a + "}: keep the weekly session, tell us at once if one has to be missed",
			"School: call the same morning if a child is absent without a reason",
		},
		"contingency": "If there is a further assault, or a child is hurt or missing, a strategy discussion the same day.",
	}, mentions(adult))
	f.put("CSC", "workbook", max(days/2, 3), []*person{adult}, body{
		"module":  pick(f, 2, []string{"parenting under stress", "what change costs", "a day in my child's life", "triggers and plans"}),
		"session": fmt.Sprintf("iso-%d", max(days/2, 3)), "worker": "{@" + f.worker("CSC") + "}",
		"mi_note": pick(f, 3, []string{
			"Importance nine out of ten, confidence four. \"I know what it does to them. I just don't trust myself on a Friday.\" Reflected, then asked what a five would look like.",
			"Came in angry about the conference. Rolled with it. By the end was arguing for the change, not against: \"I'm not having them feel what I felt.\"",
			"Scaled the week with {" + a + ".him}: three good evenings. Asked what was different. \"I'd eaten, and I'd been honest with my sister.\"",
		}),
		"stage":    pick(f, 4, []string{"contemplation", "preparation", "action"}),
		"progress": "Has kept four of five sessions. Names two early signs and whom to ring.", "next_step": "Plan for the weekend, written down, shared with a person {" + a + "} chooses.",
	})
	f.put("CSC", "group-supervision", 18, kids, body{
		"held_on": "iso-18", "risk_rating": pick(f, 5, []string{"amber", "red", "amber", "green"}), "chair": "{@team-manager}",
		"discussion": "Each service told what it had seen since last month before anyone said what it meant. Views differed on whether the change will hold through the winter; both views are kept here.",
		"decisions":  []string{"Plan continues", "No unplanned ending by any service without telling the others first"},
		"actions":    []string{"{@" + f.worker("CSC") + "}: the children's views before the core group of {d+9}", "All: tell of a missed appointment within a day"},
	}, mentions(adult))
}

// chronology is the case summary and one line of history.
func (f *fam) chronology(days int, full, summary string, about []*person, more ...opt) {
	if summary != "" {
		more = append(more, shared(summary))
	}
	f.put("CSC", "case-summary", days, about, body{"text": full, "event_kind": "summary"}, more...)
}

// referrer is who told; people stop telling when the family finds out who did.
func (f *fam) referrer(days int, kids ...*person) {
	f.put("CSC", "third-party", days, kids, pick(f, 1, []body{
		{"name": "Mrs Doreen Akers", "relation": "neighbour", "contact": "01632 960310", "wishes_anonymity": true, "what_was_said": "Shouting most weekends and a child crying on the back step in the rain."},
		{"name": "Karl Jessop", "relation": "relative", "contact": "01632 960311", "wishes_anonymity": true, "what_was_said": "The children have been left with whoever is about, and not always sober people."},
		{"name": "Gloria Penny", "relation": "club leader", "contact": "01632 960312", "wishes_anonymity": false, "what_was_said": "Hungry at club and asked whether there would be food to take home."},
	}))
}

// worried is a marker for whoever must knock on the door.
func (f *fam) worried(about *person) {
	f.put("CSC", "worker-safety", 60, []*person{about}, pick(f, 0, []body{
		{"marker": "dog", "advice": "Ring ahead and ask for the dog to be shut in the yard.", "detail": "Large dog, slipped its lead and knocked a worker down on {d-64}.", "review_date": "iso+30"},
		{"marker": "verbal aggression", "advice": "Visit in pairs after noon.", "detail": "Followed a worker to her car shouting on {d-61}; apologised the next day.", "review_date": "iso+60"},
	}))
}
