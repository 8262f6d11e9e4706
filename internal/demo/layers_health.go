package demo

import "fmt"

// mentalHealth adds the mental health trust's work with one adult.
func (f *fam) mentalHealth(p *person, kids ...*person) {
	k, a := p.key, "the child"
	if len(kids) > 0 {
		a = "{" + kids[0].key + "}"
	}
	worker := f.worker("MH")
	f.involve("MH", worker, 130, p)
	f.put("MH", "mh-involvement", 130, []*person{p}, body{"team": "Adult Community North", "team_base": "Cedar House, Northby", "worker": "{@" + worker + "}",
		"contact": "01632 960111", "start": "iso-130", "engagement": pick(f, 0, []string{"engaging well", "engaging in part", "often missed, now weekly"}), "last_seen": "iso-6"}, author(worker))
	f.put("MH", "mh-risk", 40, []*person{p}, pick(f, 1, []body{
		{"risk_level": "moderate", "risk_to_child": "When low, {" + k + "} stays in bed until noon and " + a + " gets up alone. No thoughts of harming the children.",
			"risk_to_self":   "Passive thoughts of not being here, no plan. Overdose {d-700}, after a bereavement.",
			"risk_to_others": "None known.", "relapse_signs": "Stops answering messages, curtains closed, says that everything is fine.",
			"crisis_plan": "Ring the crisis line, then {" + k + ".his} sister; the team is told the next working day.", "parenting": "Warm and attentive when well; withdrawn for two or three days at a time when not.",
			"protective": "The children, her sister, and the Tuesday group."},
		{"risk_level": "low", "risk_to_child": "None from {" + k + "} {" + k + ".him}self. Anxious checking at night wakes the house and " + a + " has begun to copy it.",
			"risk_to_self": "None current.", "risk_to_others": "None.", "relapse_signs": "Checks locks more than five times, will not leave the house.",
			"crisis_plan": "Breathing card by the door; ring the duty worker.", "parenting": "Over-protective; misses school runs on bad days."},
		{"risk_level": "high", "risk_to_child": "In two episodes believed that " + a + " was in danger from neighbours and kept the children in one room for a day.",
			"risk_to_self": "Cut forearm {d-95}; regrets it.", "risk_to_others": "Shouted at a neighbour through a door; no weapon.",
			"relapse_signs": "Sleeps less than four hours, covers mirrors, talks fast about the neighbours.", "crisis_plan": "Home treatment team the same day; the children to their grandmother.",
			"parenting": "When well, playful and organised. When unwell, cannot put the children's needs first.", "protective": "Takes medication reliably since spring; accepts early visits."},
		{"risk_level": "moderate", "risk_to_child": "Irritable and quick to shout when not sleeping; " + a + " keeps out of the way. No physical harm reported.",
			"risk_to_self": "None current.", "risk_to_others": "Threw a cup at a wall {d-75}.", "relapse_signs": "Nightmares, drinks to sleep, avoids the town centre.",
			"crisis_plan": "Text the team; veterans' line at night.", "parenting": "Affectionate; struggles with noise and mess."},
	}), author(worker), mentions(kids...))
	f.put("MH", "mh-clinical", 38, []*person{p}, pick(f, 1, []body{
		{"diagnosis": "Recurrent depressive disorder, current episode moderate", "medication": []string{"sertraline 100 mg daily"}, "treatment": "Fortnightly sessions, behavioural activation",
			"means_for_child": "Mornings are hardest. With somebody there until nine, the day usually goes well.", "medication_risk": false},
		{"diagnosis": "Obsessive-compulsive disorder", "medication": []string{"fluoxetine 40 mg daily"}, "treatment": "Exposure work, session 9 of 16", "means_for_child": "Bedtime takes long and is loud; it should get shorter as treatment goes on."},
		{"diagnosis": "Bipolar affective disorder, in remission", "medication": []string{"olanzapine 10 mg at night", "lithium 600 mg"}, "mha_status": "informal; section 2 in {d-800}", "treatment": "Care coordination, blood tests each quarter",
			"means_for_child": "If sleep drops for two nights, somebody should come and look, the same day.", "medication_risk": true},
		{"diagnosis": "Post-traumatic stress disorder", "medication": []string{"mirtazapine 30 mg at night"}, "treatment": "Trauma-focused therapy, waiting for the second course", "means_for_child": "Loud play indoors sets things off; a plan for rainy days helps everyone."},
	}), author(worker))
	if f.n%2 == 0 {
		f.put("MH", "therapy-notes", 12, []*person{p}, body{"session": "iso-12", "therapist": "{@" + worker + "}",
			"text": pick(f, 0, []string{
				"Spoke for the first time about {" + k + ".his} own mother's drinking. Long silence. Does not want this written anywhere that the family could see.",
				"Imagery of the hospital again. Stayed with it for ten minutes. {" + k + ".He} said it was like carrying a full glass across a room.",
				"Angry with me for the break. We looked at what breaks have meant before.",
			})}, author(worker))
	}
}

// substance adds the drug and alcohol service's work with one adult.
func (f *fam) substance(p *person, kids ...*person) {
	a := "the child"
	if len(kids) > 0 {
		a = "{" + kids[0].key + "}"
	}
	worker := f.worker("SM")
	f.involve("SM", worker, 110, p)
	f.put("SM", "sm-involvement", 110, []*person{p}, body{"team": "Recovery", "team_base": "The Old Bank, Northby", "worker": "{@" + worker + "}", "contact": "01632 960121",
		"start": "iso-110", "engagement": pick(f, 2, []string{"attends weekly", "attends, late", "two missed in a row, back since {d-15}"}), "last_seen": "iso-8"}, author(worker))
	f.put("SM", "sm-risk", 30, []*person{p}, pick(f, 0, []body{
		{"pattern": "Alcohol, a bottle of vodka over Friday and Saturday, none on school nights since {d-50}.", "storage": "Kept in the locked shed; checked at the visit of {d-30}.",
			"relapse_signs": "Cash gone by Thursday, stops answering the phone.", "parenting": "Not safe to be alone with " + a + " at weekends; reliable on weekdays.", "overdose_risk": "low", "injecting": false},
		{"pattern": "Cannabis daily in the evening, cocaine about twice a month with friends.", "storage": "Tin on a high shelf; asked to move it out of the flat, agreed.",
			"relapse_signs": "Up all night, sells things.", "parenting": "Short-tempered the day after; " + a + " has been told to play quietly.", "overdose_risk": "low", "injecting": false},
		{"pattern": "On methadone since spring; heroin on top twice in three months, both disclosed.", "storage": "Lock box in use, seen {d-30}; naloxone at home.",
			"relapse_signs": "Misses the pharmacy, asks for an early pick-up.", "parenting": "Steady in the mornings; needs another adult in the evening.", "overdose_risk": "medium", "injecting": true},
		{"pattern": "Codeine bought online, up to 20 tablets a day; reducing by plan.", "storage": "Blister packs were in a handbag within reach; lock box given {d-44}.",
			"relapse_signs": "Drowsy at the school gate, vague about times.", "parenting": "Fell asleep in the afternoon with " + a + " at home.", "overdose_risk": "medium", "injecting": false},
	}), author(worker), mentions(kids...))
	f.put("SM", "sm-clinical", 21, []*person{p}, pick(f, 0, []body{
		{"test_results": []string{"{d-21}: breath alcohol 0", "{d-49}: breath alcohol 0.62"}, "prescription": "acamprosate 666 mg three times a day", "keywork": "Wrote down the last drink and what came before it. Wants to be sober for the school play.", "means_for_child": "Sober weekdays are holding; weekends need a second adult."},
		{"test_results": []string{"{d-21}: cannabis positive, cocaine negative"}, "keywork": "Says the cocaine is social. We counted the money together; it was more than the rent.", "means_for_child": "Expect tiredness and temper on Sundays."},
		{"test_results": []string{"{d-21}: opiates negative, methadone positive", "{d-35}: opiates positive"}, "prescription": "methadone 55 ml daily", "supervised": true, "keywork": "Spoke about the needle in the bathroom and what might have happened.", "means_for_child": "Supervised daily at the pharmacy; a missed day is a sign."},
		{"test_results": []string{"{d-21}: codeine positive, lower than {d-49}"}, "prescription": "dihydrocodeine, reducing weekly", "keywork": "Frightened of the pain coming back. Pain clinic referral made.", "means_for_child": "Afternoons are the risk; after-school club covers three of five."},
	}), author(worker))
}

// childHealth adds health visiting or school nursing for one child.
func (f *fam) childHealth(k *person, days int) {
	worker := f.worker("HV")
	if k.age() >= 5 && worker == "health-visitor" {
		worker = "school-nurse"
	}
	f.involve("HV", worker, 200, k)
	if worker == "school-nurse" {
		f.involve("HV", "health-visitor", 200, k)
	}
	c := pick(f, len(k.key), []body{
		{"development": "Meeting milestones; speech slightly behind, group offered.", "was_not_brought": false, "concerns": "Tired and quiet; watches the adults before answering.", "growth": "50th centile, steady"},
		{"development": "On track in all areas.", "was_not_brought": true, "concerns": "Not brought to two of the last three appointments; seen at home instead.", "growth": "25th centile, was 50th"},
		{"development": "Fine motor skills behind; referral made.", "was_not_brought": false, "ed_attendance": "{d-33}, bruise to shin, account fitted the injury", "concerns": "Nappy rash treated late.", "growth": "75th centile"},
		{"development": "Ahead in language.", "was_not_brought": true, "concerns": "Dental appointments missed; decay in two teeth.", "ed_attendance": "none in a year"},
	})
	c["contact_kind"], c["contact_date"] = "home visit", fmt.Sprintf("iso-%d", days)
	c["gp_practice"] = pick(f, 0, []string{"Mill Lane Surgery", "Northby Health Centre", "The Wharf Practice"})
	c["clinic"] = pick(f, 1, []string{"Brook Street Children's Centre", "Eastfield Family Hub"})
	c["immunisations"] = pick(f, 2, []string{"up to date", "second MMR due", "declined flu"})
	f.put("HV", "child-health", days, []*person{k}, c, author(worker))
}
