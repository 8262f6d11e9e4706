package demo

import "time"

func workTales() []tale {
	return []tale{
		{"consent", "Mrs Beaumont said no, and then it was a section 47",
			"The family declined family help: under EH only identity and holders. Since last week there is a section 47 about the younger child: CP does not rest on agreement.",
			[]string{"consent-declined"}, tellConsent},
		{"repeats", "A chronology that says too much",
			"Two texts of social care repeat what mental health and the domestic abuse service hold: one is tagged with what it contains, one is not tagged and is at most a summary.",
			[]string{"repeated-secret"}, tellRepeats},
		{"cover", "Tonight's duty worker and the Aldreds",
			"emergency-duty covers tonight for a team and for a colleague by name; the cover ends tomorrow morning by itself.",
			[]string{"cover-tonight"}, tellCover},
		{"expiring", "The Gallaghers and the housing agreement",
			"Housing's agreement ends tomorrow: housing-officer reads today, and from the day after is refused; what housing gave closes to the others in the same moment.",
			[]string{"agreement-expires"}, tellExpiring},
		{"refused", "What Turning Tide would not tell the school",
			"A refused disclosure, recorded with its reason: sharing would have done the child more harm.",
			[]string{"refused-disclosure"}, tellRefused},
		{"overdue", "The night somebody opened the Novaks' record",
			"An emergency access (break-glass) by emergency-duty six nights ago that nobody has reviewed: it is overdue.",
			[]string{"overdue-emergency"}, tellOverdue},
		{"encompass", "Operation Encompass: before the bell",
			"The school's named lead sees the one event of last night in summary, under OE, and nothing else.",
			nil, tellEncompass},
		{"front-door-red", "A contact rated red",
			"Front-door screening: inside the MASH a contact rated red opens as for a child in need; take it as mash-officer under FD.",
			nil, tellFrontDoorRed},
		{"front-door-green", "A contact rated green",
			"The same door, a contact rated green: only what may leave the MASH.",
			nil, tellFrontDoorGreen},
		{"family-help", "The Osbornes asked for help",
			"Family help with the family's agreement (EH): health and justice stay shut below statutory work.",
			nil, tellFamilyHelp},
		{"care", "Jasmine's hearing is on Thursday",
			"A child in care in proceedings (LC): the parents' clinical rows are closed, and the expert's report that the trust holds opens by named grant alone (social-worker has one).",
			nil, tellCare},
		{"restricted", "A family whose name is in the papers",
			"A restriction list with a review date, and an exclusion: only the listed workers find this family at all.",
			nil, tellRestricted},
	}
}

func tellConsent(b *builder, key string) {
	f := b.family(key, "24 Kiln Street, Northby", "NB2 4KS")
	mum := f.adult("mum", "parent", "Verity Beaumont", 'f', 43)
	dad := f.adult("dad", "parent", "Hugo Beaumont", 'm', 49)
	tess := f.kid("tess", "Tess Beaumont", 'f', 160)
	arlo := f.kid("arlo", "Arlo Beaumont", 'm', 71)
	f.couple(mum, dad, "married", tess, arlo)
	f.standard(set{kind: "section-47", days: 7, home: []*person{mum, dad, tess, arlo}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{arlo}, lead: mum})
	f.open("early-help", 150, tess, arlo)
	f.allocated(7, tess)
	f.told("EH", "CSC", "declined", "told", "", 150, mum, dad)
	f.told("EH", "SCH", "declined", "told", "", 148, mum)
	f.school(tess, "SCH2")
	f.voice(arlo, 4, "Arlo has been told what to say and says it very well, twice, in the same words. Then he asked whether the recorder was off.", "Arlo, 5, gave an account that seemed rehearsed.")
	f.chronology(6, "Family help offered {d-150} and declined: \"We do not need the council in our kitchen.\" On {d-8} Arlo was taken to hospital with a burn to the hand; the account changed between triage and ward.", "Family help was declined in the past. A section 47 enquiry about Arlo began on {d-7}.", []*person{arlo}, mentions(mum, dad), contains("child-health"))
}

func tellRepeats(b *builder, key string) {
	f := b.family(key, "70 Prospect Street, Northby", "NB4 6PS")
	mum := f.adult("mum", "parent", "Joanne Pickles", 'f', 35)
	dad := f.adult("dad", "parent", "Wayne Pickles", 'm', 37)
	callum := f.kid("callum", "Callum Pickles", 'm', 102)
	erin := f.kid("erin", "Erin Pickles", 'f', 36)
	f.couple(mum, dad, "separated", callum, erin)
	f.standard(set{kind: "child-protection-plan", days: 68, home: []*person{mum, callum, erin}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{callum, erin}, lead: mum})
	f.chronology(31, "Core group. The nurse said that Joanne's diagnosis is bipolar disorder and that lithium was restarted. The IDVA said that Joanne has a bag at her friend's in Sidings Road and a second phone. Wayne was not present.", "The core group met on {d-31}; progress is mixed and the plan continues.",
		[]*person{callum, erin}, mentions(mum, dad), contains("mh-clinical", "da-victim-safety"), named("tagged"))
	f.chronology(24, "Visit notes typed from the car: Joanne low again, tablets changed by the trust, still sees the Harbour worker at the library. Wayne asked what she says about him.", "Visit of {d-24}: mother tired, children well.",
		[]*person{callum, erin}, mentions(mum, dad), untagged, named("not-tagged"))
	f.put("SCH", "childs-story", 12, []*person{callum}, body{"text": "Callum read a letter on the kitchen table and told the class that his mum has \"by polar, like the bears\".", "observed_by": "class teacher", "in_own_words": true},
		shared("Callum has seen letters at home and talks about what is in them."), contains("mh-clinical"), named("bears"), mentions(mum))
	f.voice(callum, 17, "Callum reads everything: letters, phones, faces. \"Somebody has to know what's going on.\"", "Callum, 8, feels responsible for knowing what is happening.")
}

func tellCover(b *builder, key string) {
	f := b.family(key, "4 Sluice Lane, Northby", "NB3 9SL")
	mum := f.adult("mum", "parent", "Debbie Aldred", 'f', 33)
	dad := f.adult("dad", "parent", "Shaun Aldred", 'm', 35)
	kai := f.kid("kai", "Kai Aldred", 'm', 112)
	lexi := f.kid("lexi", "Lexi Aldred", 'f', 44)
	f.couple(mum, dad, "together", kai, lexi)
	f.closed["CSC"] = "Amara Nwosu"
	f.standard(set{kind: "child-protection-plan", days: 33, home: []*person{mum, dad, kai, lexi}, mh: dad, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{kai, lexi}, lead: mum})
	w := b.who("emergency-duty").Worker
	for _, k := range []*person{kai, lexi} {
		f.involvement("CSC", w, "", "cover", "Out-of-hours cover for Amara Nwosu", b.today, b.day(1).Add(9*time.Hour), k)
	}
	f.voice(kai, 8, "Kai sleeps in his clothes on Fridays, \"so it's quicker\".", "Kai, 9, expects to have to leave quickly on Friday nights.")
	f.chronology(2, "Allocated worker away until Monday. If police attend tonight: both children to aunt Carol, agreed with mother, number in the plan.", "A plan for tonight is agreed with the mother; ask the duty worker.", []*person{kai, lexi}, mentions(mum, dad), contains())
}

func tellExpiring(b *builder, key string) {
	f := b.family(key, "18 Ropewalk, Northby", "NB1 8RW")
	mum := f.adult("mum", "parent", "Siobhan Gallagher", 'f', 37)
	dad := f.adult("dad", "parent", "Declan Gallagher", 'm', 40)
	orla := f.kid("orla", "Orla Gallagher", 'f', 84)
	sean := f.kid("sean", "Sean Gallagher", 'm', 22)
	f.couple(mum, dad, "together", orla, sean)
	f.standard(set{kind: "child-in-need", days: 77, home: []*person{mum, dad, orla, sean}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{orla, sean}, lead: mum})
	f.put("HOU", "housing", 16, []*person{mum, dad}, body{"tenancy": "secure, joint", "tenancy_address": "{street}", "landlord": "Northby Homes", "arrears": "over eight weeks", "notice": "possession hearing {d+9}", "overcrowding": true, "repairs": "boiler out for eleven days in November"}, named("hearing"))
	f.put("HOU", "usual-address", 16, []*person{mum, dad, orla, sean}, body{"address": "{street}", "postcode": "NB1 8RW", "from": "iso-2100", "phone": "01632 960221", "safe_to_contact": true}, named("tenancy"))
	f.involve("HOU", "housing-officer", 16, orla)
	f.voice(orla, 14, "Orla has packed a small suitcase for Sean. In it: nappies, a torch, her recorder. \"If the judge says.\"", "Orla, 7, is preparing to lose their home.")
}

func tellRefused(b *builder, key string) {
	f := b.family(key, "31 Primrose Bank, Northby", "NB6 3PB")
	mum := f.adult("mum", "parent", "Rachel Oddie", 'f', 34)
	dad := f.adult("dad", "parent", "Mick Oddie", 'm', 38)
	jack := f.kid("jack", "Jack Oddie", 'm', 95)
	f.couple(mum, dad, "separated", jack)
	f.standard(set{kind: "child-in-need", days: 49, home: []*person{mum, jack}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{jack}, lead: mum})
	f.told("FS", "SM", "declined", "told", RefusalReason, 12, mum)
	f.voice(jack, 15, "Jack says that school asks too many questions on Mondays. He would rather be asked on Tuesdays.", "Jack, 7, finds questions after the weekend hard.")
	f.chronology(12, "School asked Turning Tide whether mother had relapsed. They refused, with a written reason; recorded here so that the reason can be read by whoever must decide again.", "A request for information was refused on {d-12}; the reason is recorded.", []*person{jack}, mentions(mum), contains("sm-involvement"))
}

// RefusalReason is why the drug service did not tell the school: it is recorded
// as told-and-agreed and as an access event of its own.
const RefusalReason = "Mother did not agree. The school already acts on what it needs (lunch, lateness); to tell it of a relapse would end her attendance, on which the child's safety rests: the detriment to the child outweighs the benefit."

func tellOverdue(b *builder, key string) {
	f := b.family(key, "55 Spinney Road, Northby", "NB5 6SR")
	mum := f.adult("mum", "parent", "Irena Novak", 'f', 31)
	dad := f.adult("dad", "parent", "Jan Novak", 'm', 34)
	mum.language = "Czech"
	ema := f.kid("ema", "Ema Novak", 'f', 67)
	luk := f.kid("luk", "Lukas Novak", 'm', 12)
	f.couple(mum, dad, "married", ema, luk)
	f.closed["CSC"] = "Sian Pritchard"
	f.standard(set{kind: "child-in-need", days: 73, home: []*person{mum, dad, ema, luk}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{ema, luk}, lead: mum})
	duty, chief := b.who("emergency-duty"), b.who("team-manager")
	from := b.day(-6).Add(2*time.Hour + 14*time.Minute)
	b.rows.grant.add(id(b.of("break-glass", key)), id(mum.id), "CSC", id(duty.Worker), nil, "full", true,
		"Mother missing with the baby at night, note found, ambulance searching; needed to know of treatment and of whom to ring.", id(duty.Worker), "CSC", id(chief.Worker), from, from.Add(time.Hour))
	f.voice(ema, 5, "Ema says that the ambulance brought the right people back. She counted them.", "Ema, 5, was awake in the night when her mother was missing.")
	f.chronology(5, "Mother and Lukas found at the weir at 03:20 by police, cold and safe. Admitted informally, home with support {d-3}.", "Mother was unwell on {d-6} and is home with support.", []*person{ema, luk}, mentions(mum), contains("mh-risk", "police-events"))
}

func tellEncompass(b *builder, key string) {
	f := b.family(key, "13 Dyers Court, Northby", "NB2 7DC")
	mum := f.adult("mum", "parent", "Paula Simmonds", 'f', 36)
	dad := f.adult("dad", "parent", "Trevor Simmonds", 'm', 41)
	noah := f.kid("noah", "Noah Simmonds", 'm', 78)
	amy := f.kid("amy", "Amy Simmonds", 'f', 150)
	f.couple(mum, dad, "together", noah, amy)
	f.standard(set{kind: "child-in-need", days: 35, home: []*person{mum, dad, noah, amy}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{noah, amy}, lead: mum})
	event := f.episode("encompass", "", b.day(-1), b.day(6), noah)
	f.sits(event, "SCH", "safeguarding-lead")
	f.put("POL", "police-events", 1, []*person{noah, mum, dad}, body{"kind": "domestic incident", "occurred_on": "iso-1", "place": "{street}", "caller": "{mum.full}", "summary": "Loud argument overnight; child present and awake; no injuries. Child may be tired and upset today.", "account": "Call 23:12. {dad} left at request. Noah at the top of the stairs with a school bag.", "children_present": true, "outcome": "advice given", "reference": "OE-{d-1}"}, flags("encompass"), named("overnight"))
	f.voice(noah, 19, "Noah packs his school bag at night, \"because then it's nearly morning\".", "Noah, 6, looks to school for safety.")
}

func tellFrontDoorRed(b *builder, key string) {
	f := b.family(key, "88 Cinder Path, Northby", "NB3 8CP")
	mum := f.adult("mum", "parent", "Zoe Farrant", 'f', 23)
	dad := f.adult("dad", "parent", "Leon Farrant", 'm', 27)
	kit := f.kid("kit", "Kit Farrant", 'm', 9)
	f.couple(mum, dad, "together", kit)
	f.screening("red", mum, dad, kit)
	f.put("POL", "police-events", 1, []*person{mum, dad, kit}, body{"kind": "child at risk", "occurred_on": "iso-1", "place": "{street}", "caller": "paramedic", "summary": "Baby found in a cold car at night with a sleeping adult.", "account": "{dad} asleep at the wheel, engine off, smell of cannabis. Kit in a wet sleepsuit, 35.1 degrees.", "police_protection": true, "children_present": true, "outcome": "police protection, to hospital"}, named("car"))
	f.voice(kit, 1, "Kit warmed in a nurse's arms and looked for a face he knew. None had come by two o'clock.", "Kit, 9 months, was cold and alone with strangers last night.")
}

func tellFrontDoorGreen(b *builder, key string) {
	f := b.family(key, "17 Aspen Way, Northby", "NB6 7AW")
	mum := f.adult("mum", "parent", "Helena Draycott", 'f', 42)
	dad := f.adult("dad", "parent", "Rupert Draycott", 'm', 44)
	hugo := f.kid("hugo", "Hugo Draycott", 'm', 118)
	f.couple(mum, dad, "divorced", hugo)
	f.screening("green", mum, dad, hugo)
	f.put("SCH", "education", 2, []*person{hugo}, body{"school": "Millbrook Primary School", "attendance": 96, "concerns": "Came in without a coat twice; says that he forgot it at the other house."}, named("coat"))
	f.voice(hugo, 2, "Hugo says that he has three coats and never the right one.", "Hugo, 9, was without a coat twice this week.")
}

// screening tells a family that is only at the front door: no plan, no
// allocated worker, a contact with its rating.
func (f *fam) screening(rating string, mum, dad, kid *person) {
	f.core(mum, dad, kid)
	f.openRated("contact", rating, 1, kid)
	f.team("CSC", mashTeam, 1, kid)
	f.mentalHealth(mum, kid)
	f.substance(dad, kid)
	f.abuse(dad, mum, kid)
	f.policing(dad, mum, kid)
	f.childHealth(kid, 30)
	if kid.age() >= 4 {
		f.school(kid, "SCH")
	}
	f.probation(dad)
	f.housing(mum)
	f.referrer(1, kid)
	f.told("FD", "CSC", "not-asked", "not-told", "Not yet reached; screening within one working day.", 1, mum, dad)
	f.put("CSC", "assessment-plan", 1, []*person{kid}, body{"kind": "screening", "start": isoDay(-1), "outcome": "rated " + rating, "analysis": "Screened with police and health. Checks asked of all partners; nil returns recorded.", "child_seen": rating == "red"}, mentions(mum, dad))
}

func tellFamilyHelp(b *builder, key string) {
	f := b.family(key, "10 Linden Grove, Northby", "NB4 9LG")
	mum := f.adult("mum", "parent", "Tina Osborne", 'f', 39)
	dad := f.adult("dad", "parent", "Graham Osborne", 'm', 43)
	josie := f.kid("josie", "Josie Osborne", 'f', 140)
	ned := f.kid("ned", "Ned Osborne", 'm', 65)
	f.couple(mum, dad, "married", josie, ned)
	f.standard(set{kind: "early-help", days: 55, home: []*person{mum, dad, josie, ned}, mh: mum, sm: dad, by: dad, to: mum, noDP: true, tenant: mum, kids: []*person{josie, ned}, lead: mum})
	f.told("EH", "SCH", "agreed", "told", "", 54, mum, dad)
	f.voice(josie, 24, "Josie asked for the helper herself, through the box at school. She wrote: \"Mum is sad, Dad is tired, Ned is loud, I am fine but\" and left it there.", "Josie, 11, asked for help for her family and finds it hard to say what she needs.")
}

func tellCare(b *builder, key string) {
	f := b.family(key, "2 Meadow Croft, Dale", "DA3 2MC")
	mum := f.adult("mum", "parent", "Lindsay Crane", 'f', 32)
	dad := f.adult("dad", "parent", "Robbie Crane", 'm', 35)
	carer := f.adult("carer", "carer", "Hilary Munro", 'f', 58)
	jas := f.kid("jas", "Jasmine Crane", 'f', 74)
	f.couple(mum, dad, "separated", jas)
	f.tie(carer, "foster-carer", jas)
	f.closed["CSC"] = "Sian Pritchard"
	f.standard(set{kind: "care", days: 160, home: []*person{carer, jas}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{jas}, lead: mum})
	f.involve("CSC", "social-worker", 160, jas)
	f.open("child-in-need", 400, jas)
	f.put("CSC", "court-papers", 20, []*person{jas}, body{"title": "Statement of the local authority for the final hearing", "court": "Family Court sitting at Dale", "case_number": "DA26C00417", "text": "The threshold is met as at {d-160} by the mother's drinking in sole care and by the father's violence. The plan is a home with her mother within six months, if sobriety holds.", "leave": "Leave given to disclose to the guardian and the parties only."}, flags("court"), mentions(mum, dad), named("statement"))
	f.put("MH", "court-papers", 9, []*person{mum}, body{"title": "Report of the expert psychiatrist", "court": "Family Court sitting at Dale", "case_number": "DA26C00417", "text": "Prognosis good with treatment over eighteen months.", "leave": "Leave to disclose to the social worker who presents the plan."}, flags("court"), named("expert"))
	f.grant("social-worker", "court-papers", "full", "Presenting the care plan at the final hearing; leave of the court of {d-9}.", mum, -9, 25)
	f.voice(jas, 8, "Jasmine drew the judge as an owl. The owl asks, \"Who?\" and Jasmine answers, \"Me.\"", "Jasmine, 6, wants the judge to know what she thinks: home to Mum when Mum is well.")
}

func tellRestricted(b *builder, key string) {
	f := b.family(key, "The Old Parsonage, Northby", "NB5 1OP")
	mum := f.adult("mum", "parent", "Arabella Stanhope", 'f', 44)
	dad := f.adult("dad", "parent", "Julian Stanhope", 'm', 50)
	kitty := f.kid("kitty", "Katherine Stanhope", 'f', 120)
	kitty.known = "Kitty"
	f.couple(mum, dad, "separated", kitty)
	f.standard(set{kind: "child-in-need", days: 41, home: []*person{mum, kitty}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, kids: []*person{kitty}, lead: mum})
	var listed [][16]byte
	for _, w := range []string{"social-worker", "team-manager", "idva", "emergency-duty"} {
		listed = append(listed, b.who(w).Worker)
	}
	for _, p := range []*person{mum, dad, kitty} {
		b.rows.restriction.add(id(b.of("restriction", p.path)), id(p.id), "restriction", listed, []string{}, "In the public eye; press have approached staff.", id(b.who("team-manager").Worker), b.day(-41), b.day(49))
	}
	b.rows.restriction.add(id(b.of("exclusion", dad.path)), id(dad.id), "exclusion", [][16]byte{b.who("Lewis Hargreave").Worker}, []string{"HOU"}, "School friend of the father; landlord is the father's company.",
		id(b.who("team-manager").Worker), b.day(-40), b.day(50))
	f.voice(kitty, 12, "Kitty googles her own name every night. She would like to be called something else at school.", "Kitty, 9, is distressed by what is written about her family.")
}
