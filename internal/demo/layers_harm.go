package demo

// abuse adds what the domestic abuse service holds about the harmed person.
func (f *fam) abuse(by, to *person, kids ...*person) {
	b, t := by.key, to.key
	a := "the child"
	if len(kids) > 0 {
		a = "{" + kids[0].key + "}"
	}
	f.alleges("DV", by, to, 400)
	f.involve("DV", f.worker("DV"), 90, to)
	f.put("DV", "da-risk", 45, []*person{to}, pick(f, 0, []body{
		{"dash_level": "high", "dash_score": 17, "pattern": "Controls money and phone. Grabs {" + t + "} by the throat when {" + t + ".he} tries to leave a room; three times since summer.", "risk_to_child": a + " has stood between them.",
			"last_incident": "iso-45", "escalation": true, "threats": []string{"strangulation", "threat to take the children"}},
		{"dash_level": "medium", "dash_score": 11, "pattern": "Checks where {" + t + "} is by phone up to thirty times a day; smashed a door {d-45}.", "risk_to_child": "Sees and hears it. " + a + " hides the house phone.",
			"last_incident": "iso-45", "escalation": false, "threats": []string{"damage to property"}},
		{"dash_level": "high", "dash_score": 20, "pattern": "Pushed {" + t + "} downstairs while pregnant; follows {" + t + ".him} to work; tells family that {" + t + ".he} is unwell.", "risk_to_child": a + " copies the words used to {" + t + "}.",
			"last_incident": "iso-45", "escalation": true, "threats": []string{"threat to kill", "stalking"}},
		{"dash_level": "standard", "dash_score": 7, "pattern": "Shouts and belittles, mostly after drinking. One slap, {d-45}.", "risk_to_child": a + " goes to the bedroom and turns the music up.",
			"last_incident": "iso-45", "escalation": false},
	}), source("allegation"), mentions(by))
	f.put("DV", "da-victim-safety", 35, []*person{to}, body{
		"plan": pick(f, 1, []string{
			"Bag with a friend two streets away. Code word with {@" + f.worker("DV") + "} is the name of a flower. Leaves by the back gate.",
			"Keeps a second phone at work. Children know to go to number 14. Locks changed {d-34}.",
			"Marker on the address with police. Panic alarm fitted {d-33}; tested weekly.",
		}),
		"disclosures": pick(f, 2, []string{
			"Told me on the way out, coat on: it has been since before the first child was born.",
			"Says {" + b + "} reads {" + t + ".his} messages and that the last worker's letter was opened.",
			"Afraid that telling social care means losing the children. Asked me to go slowly.",
		}),
		"contacts": []string{"sister, evenings only", "work reception, ask for \"the library\""}, "safe_times": "Tuesdays and Thursdays 10 to 12",
		"safe_place": "The reading room of the Wharf library", "do_not": "Never leave a message and never post a letter.", "ask_through": "Harbour helpline for professionals",
	}, mentions(by))
	f.put("DV", "da-risk", 10, []*person{to}, body{"dash_level": pick(f, 0, []string{"high", "medium", "high", "standard"}), "risk_to_child": "Reviewed with the team: the risk to the children is unchanged.",
		"last_incident": "iso-45", "escalation": false}, mentions(by), onward("Not to be passed on without Harbour's agreement."))
}

// programme adds the perpetrator programme's work with the alleged abuser.
func (f *fam) programme(by *person) {
	f.involve("DP", f.worker("DP"), 70, by)
	k := by.key
	f.put("DP", "da-perpetrator-work", 14, []*person{by}, pick(f, 0, []body{
		{"programme": "Choosing Change, 26 weeks", "attendance": "11 of 13", "change": "Began by blaming. In week 9 said what his children must have heard, unprompted.", "risk": "Not reduced yet: still says that it takes two.", "sessions_missed": 2, "partner_link": true},
		{"programme": "Choosing Change, 26 weeks", "attendance": "4 of 9", "change": "Little. Uses the language of the course to argue.", "risk": "Raised when a session is missed; tell the others.", "sessions_missed": 5, "partner_link": true},
		{"programme": "One-to-one, 12 sessions", "attendance": "7 of 7", "change": "Practises leaving the room and coming back calm; keeps a diary.", "risk": "Lower than at the start, untested under stress.", "sessions_missed": 0, "partner_link": false},
	}))
	f.put("DP", "da-perpetrator-work", 62, []*person{by}, body{"programme": "Suitability interview", "attendance": "attended", "change": "{" + k + "} accepted a place without conditions.", "risk": "Denies the worst of what is alleged.", "sessions_missed": 0})
}

// policing adds what the police hold: a call-out, an older one, an order and,
// in every other family, intelligence graded P.
func (f *fam) policing(by, to *person, kids ...*person) {
	b, t := by.key, to.key
	f.involve("POL", f.worker("POL"), 50, to)
	f.involve("POL", f.worker("POL"), 50, kids...)
	about := append([]*person{to, by}, kids...)
	f.put("POL", "police-events", 45, about, pick(f, 0, []body{
		{"kind": "domestic incident", "place": "{street}", "caller": "{" + t + ".full}", "summary": "Argument over a phone. One adult arrested, released on conditions.",
			"account": "Called 21:52 by {" + t + "}, line left open, shouting heard. Officers found {" + t + "} with a mark on the neck. {" + b + "} said that it was an accident. Children upstairs, awake.", "occurred_on": "iso-45", "children_present": true, "reference": "DC-{d-45}", "outcome": "arrest, bail with conditions"},
		{"kind": "domestic incident", "place": "outside {street}", "caller": "a neighbour, name withheld", "summary": "Shouting and a door broken. No injuries seen.",
			"account": "{" + b + "} had left on arrival. {" + t + "} did not want to give a statement. Body-worn video shows one child behind the sofa.", "occurred_on": "iso-45", "children_present": true, "outcome": "no further action"},
		{"kind": "assault", "place": "{street}", "caller": "a child of the family", "summary": "Adult pushed and struck; taken to hospital. Another adult arrested.",
			"account": "Call made by a child from the bathroom, line open four minutes. {" + b + "} arrested 02:10. {" + t + "} treated for a cut above the eye.", "occurred_on": "iso-45", "children_present": true, "police_protection": false, "outcome": "charged"},
	}), words("in the evening"))
	if len(kids) > 0 {
		f.put("POL", "police-events", 170, append([]*person{to}, kids...), body{"kind": "concern for welfare", "occurred_on": "iso-170", "place": "{street}", "caller": "a relative of {" + t + "}",
			"summary": "Welfare check; children seen and well.", "account": "Relative worried after a message was not answered. Door opened at the third knock. No offences.", "children_present": true, "outcome": "advice given"})
	}
	f.put("POL", "police-offences", 300, []*person{by}, pick(f, 1, []body{
		{"offence": "Common assault, Criminal Justice Act 1988 s.39", "date": "iso-300", "disposal": "community order", "order": "restraining order", "conditions": "Not to contact or approach {" + t + "} except through solicitors", "order_until": "iso+200", "against_child": false},
		{"offence": "Criminal damage", "date": "iso-300", "disposal": "caution", "against_child": false},
		{"offence": "Possession with intent to supply, class B", "date": "iso-300", "disposal": "suspended sentence", "against_child": false},
	}), mentions(to))
	if f.n%2 == 0 {
		f.put("POL", "police-intelligence-p", 25, []*person{by}, body{"text": "{" + b + "} said in the Crown on {d-26} that {" + b + ".he} would \"sort it out {" + b + ".him}self\". Source reliable, not corroborated.",
			"grading": "2 B P", "handling": "May be shared with children's social care and probation for safeguarding."}, codeP, source("third-party"),
			shared("Information suggests that risk to family members may be raised at present. Ask the police before any visit."))
	}
}

// probation adds an order that one adult is on.
func (f *fam) probation(p *person) {
	f.involve("PRB", f.worker("PRB"), 95, p)
	f.put("PRB", "probation", 60, []*person{p}, pick(f, 0, []body{
		{"order": "Community order, 18 months", "order_until": "iso+240", "rosh": "high (known adult)", "conditions": "Building Better Relationships; not to enter Quay Road", "reporting_place": "Northby probation office, Bridge Street", "compliance": "Two absences, one accepted", "offender_manager": "{@" + f.worker("PRB") + "}"},
		{"order": "Suspended sentence order, 12 months", "order_until": "iso+150", "rosh": "medium", "conditions": "Alcohol monitoring until {d+40}", "reporting_place": "Northby probation office, Bridge Street", "compliance": "Good", "offender_manager": "{@" + f.worker("PRB") + "}"},
		{"order": "Licence after release", "order_until": "iso+310", "rosh": "medium (children)", "conditions": "To live as directed; to tell of new relationships", "reporting_place": "Dale approved premises", "compliance": "Warned {d-20} for a missed appointment", "offender_manager": "{@" + f.worker("PRB") + "}"},
	}))
}

// school adds a school's entries about one child on its roll.
func (f *fam) school(k *person, agency string) {
	k.school = agency
	f.involve(agency, f.worker(agency), 220, k)
	names := map[string]string{"SCH": "Millbrook Primary School", "SCH2": "Northby Academy"}
	c := pick(f, len(k.key), []body{
		{"attendance": 91, "exclusion": "none", "sen": "none", "concerns": "Mondays are hard: tired, tearful, no lunch money.", "wellbeing": "Has a key adult and a time-out card, used twice this half-term."},
		{"attendance": 84, "exclusion": "one day, {d-52}, for hitting", "sen": "support plan, speech and language", "concerns": "Late most days; brings a younger child first.", "wellbeing": "Draws houses with no doors."},
		{"attendance": 97, "exclusion": "none", "sen": "none", "concerns": "None until the drop in marks since autumn half-term.", "wellbeing": "Stays behind to tidy up; does not want to go home."},
		{"attendance": 78, "exclusion": "two fixed-term this year", "sen": "EHC plan for social and emotional needs", "concerns": "Absence follows weekends.", "wellbeing": "Works well with Mr Dane in the workshop."},
	})
	c["school"], c["dsl_contact"], c["collected_by"] = names[agency], names[agency]+", safeguarding office", pick(f, 3, []string{"grandmother on Tuesdays", "mother only", "older sibling"})
	f.put(agency, "education", 20, []*person{k}, c)
	f.put(agency, "childs-story", 32, []*person{k}, body{"text": pick(f, len(k.key)+1, []string{
		"In circle time {" + k.key + "} said that the best room is the one with a lock. Asked about it later: \"Because then it's quiet.\"",
		"{" + k.key + "} told the lunch supervisor there was no breakfast because everybody was asleep.",
		"Wrote a story about a dog who guards the stairs. Said that the dog is {" + k.key + ".him}self.",
		"Asked whether school could ring home to see if everyone was all right.",
	}), "observed_by": "class teacher", "in_own_words": true}, func(i *item) {
		if f.n%3 != 0 {
			i.summary = "In school {" + k.key + "} shows worry about home and about the adults there, and looks for safe, quiet places."
		}
	})
}

// housing adds the landlord's view of a tenancy.
func (f *fam) housing(tenant *person, household ...*person) {
	f.involve("HOU", f.worker("HOU"), 180, tenant)
	f.put("HOU", "housing", 75, append([]*person{tenant}, household...), pick(f, 1, []body{
		{"tenancy": "secure, since {d-1500}", "tenancy_address": "{street}", "landlord": "Northby Homes", "arrears": "over eight weeks", "asb": "noise, three complaints since summer", "notice": "notice seeking possession served {d-40}", "overcrowding": false, "repairs": "front door lock broken and repaired twice"},
		{"tenancy": "introductory, since {d-200}", "tenancy_address": "{street}", "landlord": "Northby Homes", "arrears": "none", "notice": "none", "overcrowding": true, "repairs": "damp in the children's bedroom, works booked for {d+12}"},
		{"tenancy": "secure, joint, since {d-2600}", "tenancy_address": "{street}", "landlord": "Northby Homes", "arrears": "under four weeks", "asb": "visitors at night, one warning", "notice": "none", "overcrowding": false, "repairs": "smoke alarm replaced {d-19}"},
		{"tenancy": "temporary accommodation", "tenancy_address": "{street}", "landlord": "Northby Homes for the council", "arrears": "none", "notice": "review of duty {d+25}", "overcrowding": true, "repairs": "shared kitchen, cooker out of order"},
	}))
}

// toldAll records the ordinary case for a purpose: told, and who agreed.
func (f *fam) toldAll(purpose, agreed string, days int, who ...*person) {
	why := ""
	if agreed == "not-asked" {
		why = "Statutory work does not rest on agreement; asking would suggest a choice that there is not. Told in person what is shared, with whom and why."
	}
	f.told(purpose, "CSC", agreed, "told", why, days, who...)
}
