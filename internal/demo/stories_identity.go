package demo

import "time"

func identityTales() []tale {
	return []tale{
		{"recognition", "Robyn Sale",
			"A parent with gender-recognition history: her earlier name and number, and what her health record says of it, are shown to nobody but the service that holds them, in no emergency, and are never searched.",
			[]string{"gender-recognition"}, tellRecognition},
		{"adopted", "The Hobbses, and a brother who is not spoken of",
			"An adopted sibling: the link to the other family, which the health records office made, opens by named grant for children's social care alone (team-manager has one).",
			[]string{"adopted-sibling"}, tellAdopted},
		{"adoptive", "The Fentons",
			"The adoptive family of that brother: his name before adoption is an earlier identity; nothing here leads back.",
			[]string{"adopted-sibling"}, tellAdoptive},
		{"staff-parent", "A mother who works for the council",
			"The mother is family-support-worker in the worker directory: she cannot open her own record, and a restriction list leaves most of her colleagues out.",
			[]string{"council-staff"}, tellStaffParent},
		{"neighbour", "The Ibbotsons at number nine",
			"health-visitor has declared that she is the neighbour: for her this family is not found, and her asking raises an alert.",
			[]string{"neighbour-worker"}, tellNeighbour},
		{"twins", "Mohammed and Mohammed Rahman",
			"Two same-named twins at one address with one date of birth: only numbers and the name they are called by tell them apart.",
			[]string{"same-named-twins"}, tellTwins},
		{"unborn", "A baby expected at the Thorntons",
			"An unborn child is the mother's health data: hidden from housing, schools and the walled until birth or until told.",
			[]string{"unborn"}, tellUnborn},
		{"two-homes-mum", "Finn at his mother's",
			"A child in two homes: this is where he mostly lives. His father's household is another family.",
			[]string{"two-homes"}, tellTwoHomesMum},
		{"two-homes-dad", "Finn at his father's",
			"The same child in his father's household, with a stepmother and a baby who are nobody's business in the other home.",
			[]string{"two-homes"}, tellTwoHomesDad},
		{"half-siblings", "Tyler and Poppy have different fathers",
			"A section 47 about Tyler opens what concerns Tyler; Poppy's father, who is in mental health care, is out of reach.",
			[]string{"half-siblings"}, tellHalfSiblings},
		{"young-mother", "Chloe is sixteen and in care, and Theo's mother",
			"A child in care who is a parent: her own record and her baby's are opened for different purposes.",
			[]string{"young-mother"}, tellYoungMother},
		{"dead-parent", "After Martin Hale died",
			"A dead parent, whose entries stand and whose workers' involvements have ended.",
			[]string{"dead-parent"}, tellDeadParent},
		{"linked-wrongly", "The wrong Paul Haigh",
			"A drug service's record is linked to another man of the same name: the entries are in the wrong family, a concern has been raised, and unlinking takes all of them along.",
			[]string{"linked-wrongly"}, tellLinkedWrongly},
	}
}

func tellRecognition(b *builder, key string) {
	f := b.family(key, "11 Observatory Hill, Northby", "NB5 2OH")
	robyn := f.adult("robyn", "parent", "Robyn Sale", 'f', 38)
	dan := f.adult("dan", "parent", "Daniel Iqbal", 'm', 36)
	otis := f.kid("otis", "Otis Sale", 'm', 70)
	f.couple(robyn, dan, "separated", otis)
	f.standard(set{kind: "child-in-need", days: 58, home: []*person{robyn, otis}, mh: robyn, sm: dan, by: dan, to: robyn, prb: dan, tenant: robyn, kids: []*person{otis}, lead: robyn})
	f.put("HV", "earlier-identity", 700, []*person{robyn}, body{"name": "Robert Sale", "nhs_number": b.nhsNumber(robyn.path, "earlier"), "basis": "gender recognition certificate", "changed_on": "iso-900"}, named("earlier"))
	f.put("MH", "restricted-health", 400, []*person{robyn}, body{"category": "gender identity service", "detail": "Discharged to GP, stable on treatment since {d-800}.", "date": "iso-400"}, named("clinic"))
	f.voice(otis, 19, "Otis is making a book called \"Mum's Jobs\": cook, driver, monster-remover. His worry is who feeds the cat when he is at Dad's.", "Otis, 5, is proud of his mum and worries about the cat when he is away.")
	f.put("CSC", "worker-safety", 50, []*person{dan}, body{"marker": "hate language", "advice": "Challenge it, record it, do not carry it into notes.", "detail": "Used slurs about Robyn at the review of {d-52}.", "review_date": "iso+40"}, named("slurs"))
}

func tellAdopted(b *builder, key string) {
	f := b.family(key, "33 Canal Side, Northby", "NB3 7CS")
	mum := f.adult("mum", "parent", "Stacey Hobbs", 'f', 28)
	dad := f.adult("dad", "parent", "Jordan Kell", 'm', 29)
	connor := f.kid("connor", "Connor Hobbs", 'm', 27)
	f.couple(mum, dad, "together", connor)
	f.standard(set{kind: "child-protection-plan", days: 88, home: []*person{mum, dad, connor}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{connor}, lead: mum})
	f.put("HV", "adoption-links", 1400, []*person{connor}, body{"adoptive_family": "Fenton, Dale side", "birth_family": "Hobbs, Northby", "order_date": "iso-1400", "contact_arrangement": "Letterbox each {d-120}, through the adoption agency"}, named("brother"), mentions(mum))
	f.grant("team-manager", "adoption-links", "full", "Sibling assessment for the plan.", connor, -10, 50)
	f.voice(connor, 15, "Connor points at the photo of a baby on the wall and says \"me\". It is not him. Nobody has told him who it is.", "Connor, 2, is curious about family photographs.")
	f.chronology(44, "Stacey had a first child removed and placed for adoption {d-1500}. She speaks of it only on the birthday.", "", []*person{connor}, mentions(mum), contains("adoption-links"))
}

func tellAdoptive(b *builder, key string) {
	f := b.family(key, "1 Orchard Rise, Dale", "DA1 1OR")
	mum := f.adult("mum", "parent", "Judith Fenton", 'f', 45)
	dad := f.adult("dad", "parent", "Simon Fenton", 'm', 47)
	isaac := f.kid("isaac", "Isaac Fenton", 'm', 76)
	f.couple(mum, dad, "married", isaac)
	f.standard(set{kind: "child-in-need", days: 47, home: []*person{mum, dad, isaac}, mh: mum, kids: []*person{isaac}, lead: mum})
	f.put("HV", "earlier-identity", 1400, []*person{isaac}, body{"name": "Noah Hobbs", "nhs_number": b.nhsNumber(isaac.path, "earlier"), "basis": "adoption order", "changed_on": "iso-1400"}, named("before"))
	f.put("POL", "police-events", 52, []*person{isaac, mum}, body{"kind": "missing child", "occurred_on": "iso-52", "missing_from": "{street}", "found_at": "bus shelter, Dale green", "caller": "{mum.full}", "summary": "Child missing two hours, found well.", "outcome": "return interview by social care", "children_present": true}, named("missing"))
	f.involve("POL", "detective", 52, isaac)
	f.voice(isaac, 20, "Isaac says that he was \"born twice\", and the second time it was a Thursday. He ran to see whether the bus goes where he was born the first time.", "Isaac, 6, has questions about his beginnings and once went to look for answers.")
}

func tellStaffParent(b *builder, key string) {
	f := b.family(key, "5 Rectory Gardens, Northby", "NB6 1RG")
	mum := f.adult("mum", "parent", "Leanne Fairley", 'f', 34)
	dad := f.adult("dad", "parent", "Gareth Fairley", 'm', 36)
	lola := f.kid("lola", "Lola Fairley", 'f', 83)
	f.couple(mum, dad, "separated", lola)
	f.standard(set{kind: "child-in-need", days: 40, home: []*person{mum, lola}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{lola}, lead: mum})
	var listed [][16]byte
	for _, w := range []string{"social-worker", "team-manager", "mh-practitioner", "idva", "detective", "emergency-duty", "health-visitor", "safeguarding-lead"} {
		listed = append(listed, b.who(w).Worker)
	}
	b.rows.restriction.add(id(b.of("restriction", mum.path)), id(mum.id), "restriction", listed, []string{}, "Member of staff of the council; only those who work with her.",
		id(b.who("team-manager").Worker), b.day(-40), b.day(50))
	b.rows.conflict.add(id(b.of("conflict", mum.path)), id(b.who("family-support-worker").Worker), id(mum.id), id(f.id), "self", b.day(-40))
	f.voice(lola, 11, "Lola knows that her mum helps other families. \"Who helps us? Is it somebody Mum knows?\"", "Lola, 6, wonders who helps her family, since her mother helps others.")
}

func tellNeighbour(b *builder, key string) {
	f := b.family(key, "9 Chapel Rise, Northby", "NB6 4CR")
	mum := f.adult("mum", "parent", "Beth Ibbotson", 'f', 26)
	dad := f.adult("dad", "parent", "Carl Ibbotson", 'm', 28)
	finley := f.kid("finley", "Finley Ibbotson", 'm', 25)
	rose := f.kid("rose", "Rose Ibbotson", 'f', 64)
	f.couple(mum, dad, "married", rose, finley)
	f.closed["HV"] = "Maureen Tully"
	f.standard(set{kind: "child-in-need", days: 71, home: []*person{mum, dad, finley, rose}, mh: dad, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{rose, finley}, lead: mum})
	b.rows.conflict.add(id(b.of("conflict", key)), id(b.who("health-visitor").Worker), nil, id(f.id), "neighbour", b.day(-70))
	f.involve("HV", "health-visitor", 300, finley) // from before she said so; her declaration closes the record all the same
	f.voice(rose, 18, "Rose waves to the nurse next door through the hedge. She asked her not to tell Daddy that they had talked.", "Rose, 5, is careful about whom she is seen talking to.", contains())
}

func tellTwins(b *builder, key string) {
	f := b.family(key, "72 Hawthorn Road, Northby", "NB2 2HR")
	mum := f.adult("mum", "parent", "Shabnam Rahman", 'f', 32)
	dad := f.adult("dad", "parent", "Tariq Rahman", 'm', 38)
	mum.language = "Bengali"
	yusuf := f.kid("yusuf", "Mohammed Rahman", 'm', 68)
	yusuf.known = "Yusuf"
	yunus := f.person("yunus", "Mohammed Rahman", 'm', yusuf.born)
	yunus.known, yunus.child, yunus.upn = "Yunus", true, b.upn(yunus.path)
	f.join(yunus, "child")
	f.couple(mum, dad, "married", yusuf, yunus)
	f.tie(yusuf, "twin", yunus)
	f.standard(set{kind: "child-in-need", days: 62, home: []*person{mum, dad, yusuf, yunus}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{yusuf, yunus}, lead: mum})
	f.childHealth(yunus, 47)
	f.put("HV", "restricted-health", 90, []*person{yunus}, body{"category": "blood-borne virus test", "detail": "Negative, after a needle was found in the park.", "date": "iso-90"}, named("needle"))
	f.voice(yusuf, 22, "\"I'm the left Mohammed.\" In every drawing he stands on the left and holds his brother's hand.", "Mohammed (called Yusuf), 5, draws himself hand in hand with his twin.")
	f.voice(yunus, 22, "\"I'm the right one, and I get the injections they owe him.\" He laughs, and then asks whether that happened.", "Mohammed (called Yunus), 5, has been taken for his brother at appointments.")
}

func tellUnborn(b *builder, key string) {
	f := b.family(key, "16 Priory Walk, Northby", "NB1 6PW")
	mum := f.adult("mum", "parent", "Hayley Thornton", 'f', 24)
	dad := f.adult("dad", "parent", "Josh Thornton", 'm', 25)
	evie := f.kid("evie", "Evie Thornton", 'f', 54)
	baby := f.unborn("baby", "Thornton", 73, false)
	f.couple(mum, dad, "separated", evie)
	f.tie(mum, "parent", baby, "pr")
	f.standard(set{kind: "child-in-need", days: 54, home: []*person{mum, evie}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{evie}, lead: mum})
	f.open("child-in-need", 25, baby)
	f.allocated(25, baby)
	f.put("CSC", "assessment-plan", 13, []*person{baby}, body{"kind": "pre-birth assessment", "start": "iso-25", "analysis": "Hayley has told nobody but her midwife and us. She is afraid of what Josh will do when he knows. She wants this baby and is eating and resting.", "goals": "A safe birth, and a plan that holds in the first six weeks.", "actions": []string{"Midwife and health visitor: joint visit {d+12}", "IDVA: safety plan for the birth"}, "review_date": "iso+30", "child_seen": false}, mentions(mum, dad), flags("do-not-inform"), named("pre-birth"))
	f.put("HV", "child-health", 17, []*person{baby}, body{"contact_kind": "antenatal contact", "contact_date": "iso-17", "development": "Growth as expected at 29 weeks.", "concerns": "Came alone; asked that letters go to her mother's.", "gp_practice": "Mill Lane Surgery", "clinic": "Northby maternity"}, mentions(mum), flags("do-not-inform"), named("antenatal"))
	f.involve("HV", "health-visitor", 20, baby)
	f.voice(evie, 16, "Evie put a cushion under her jumper and said \"Mummy's secret\". Then she looked at the door.", "", contains("child-health"))
}

func tellTwoHomesMum(b *builder, key string) {
	f := b.family(key, "20 Beacon View, Northby", "NB5 5BV")
	mum := f.adult("mum", "parent", "Caroline Ashdown", 'f', 37)
	dad := f.adult("dad", "parent", "Nick Ashdown", 'm', 39)
	finn := f.kid("finn", "Finn Ashdown", 'm', 105)
	f.couple(mum, dad, "divorced", finn)
	f.tieFor(mum, "household", finn, finn.born, time.Time{})
	f.standard(set{kind: "child-in-need", days: 52, home: []*person{mum, finn}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{finn}, lead: mum})
	f.voice(finn, 23, "Finn has two toothbrushes, two beds and one pair of football boots, \"and they're always in the wrong house\".", "Finn, 8, moves between two homes and would like one plan for both.")
}

func tellTwoHomesDad(b *builder, key string) {
	finn := b.from("two-homes-mum", "finn")
	dad := b.from("two-homes-mum", "dad")
	f := b.family(key, "Flat 9, Granary Wharf, Northby", "NB1 9GW")
	f.also("finn", finn, "child", false)
	f.also("dad", dad, "parent", true)
	step := f.adult("step", "parent", "Marta Kowalska", 'f', 33)
	step.language = "Polish"
	iris := f.kid("iris", "Iris Ashdown", 'f', 14)
	f.parents([]*person{dad, step}, iris)
	f.tie(step, "step-parent", finn)
	f.tie(dad, "partner", step, "together")
	f.tie(finn, "half-sibling", iris)
	f.links(step, "mother", true, true, "", iris)
	f.standard(set{kind: "child-in-need", days: 39, home: []*person{dad, step, iris}, mh: step, sm: dad, by: dad, to: step, prb: dad, tenant: step, kids: []*person{iris}, lead: step})
	f.voice(iris, 21, "Iris laughs when Finn's bag lands in the hall. On the days he leaves she sits by the bag's place.", "Iris, 1, is attached to her half-brother and unsettled when he leaves.", mentions(finn))
}

func tellHalfSiblings(b *builder, key string) {
	f := b.family(key, "45 Albert Road, Northby", "NB4 5AR")
	mum := f.adult("mum", "parent", "Donna Sykes", 'f', 38)
	steve := f.adult("steve", "parent", "Steve Rudge", 'm', 43)
	neil := f.adult("neil", "parent", "Neil Baines", 'm', 40)
	tyler := f.kid("tyler", "Tyler Rudge", 'm', 128)
	poppy := f.kid("poppy", "Poppy Baines", 'f', 61)
	f.parents([]*person{mum}, tyler, poppy)
	f.parents([]*person{steve}, tyler)
	f.parents([]*person{neil}, poppy)
	f.tie(tyler, "half-sibling", poppy)
	f.tie(tyler, "household", poppy)
	f.links(mum, "mother", true, true, "", tyler, poppy)
	f.links(steve, "father", false, true, "Every other weekend", tyler)
	f.links(neil, "father", false, true, "Video calls", poppy)
	f.standard(set{kind: "child-in-need", days: 83, home: []*person{mum, tyler, poppy}, mh: neil, sm: steve, by: steve, to: mum, prb: steve, tenant: mum, kids: []*person{tyler, poppy}, lead: mum})
	f.open("section-47", 6, tyler)
	f.status("section-47", 6, tyler)
	f.told("CP", "CSC", "not-asked", "not-told", "His father is the one whom Tyler spoke about; he is told after the medical.", 6, steve)
	f.put("SCH", "childs-story", 7, []*person{tyler}, body{"text": "Tyler showed a mark on his back when changing for PE. \"I fell on the step. It was the step. Can you write step?\"", "observed_by": "Mr Dane", "in_own_words": true},
		shared("Tyler has a mark on his back and gave an account that did not seem his own."), named("mark"))
	f.voice(tyler, 5, "Seen alone at school. Tyler talked for an hour about bikes, and for one minute about weekends. \"If I tell you, do I still go on Friday?\"", "Tyler, 10, is anxious about weekends and about what follows from telling.")
}

func tellYoungMother(b *builder, key string) {
	f := b.family(key, "7 Saffron Close, Dale", "DA2 7SC")
	chloe := f.kid("chloe", "Chloe Barker", 'f', 16*12+4)
	theo := f.kid("theo", "Theo Barker", 'm', 7)
	carer := f.adult("carer", "carer", "Patricia Lund", 'f', 56)
	gran := f.adult("gran", "parent", "Michelle Barker", 'f', 35)
	kyle := f.adult("kyle", "parent", "Kyle Dent", 'm', 19)
	f.member(chloe, "parent", true, theo.born, time.Time{})
	f.parents([]*person{chloe, kyle}, theo)
	f.parents([]*person{gran}, chloe)
	f.tie(carer, "foster-carer", chloe)
	f.tie(carer, "household", theo)
	f.links(gran, "mother", false, true, "Fortnightly, supervised", chloe)
	f.links(chloe, "mother", true, true, "Placed together", theo)
	f.standard(set{kind: "child-in-need", days: 64, home: []*person{carer, chloe, theo}, mh: gran, sm: kyle, by: kyle, to: chloe, prb: kyle, kids: []*person{theo}, lead: chloe})
	f.open("care", 500, chloe)
	f.status("care", 500, chloe)
	f.allocated(500, chloe)
	f.school(chloe, "SCH2")
	for _, p := range []*person{chloe, theo} {
		b.rows.protection.add(id(b.of("protection", p.path)), id(p.id), b.day(-200), "CSC", "Placed {d-200}")
	}
	f.put("CSC", "protected-address", 200, []*person{chloe, theo}, body{"address": "{street}", "postcode": "DA2 7SC", "setting": "foster placement, parent and child", "since": "iso-200", "contact_through": "Children in Care team"}, flags("places"), named("placement"))
	f.voice(chloe, 10, "\"At the review they talked about me as a risk and then as a child and nobody noticed it was the same sentence.\" She wants her maths grade and her own front door, in that order.", "Chloe, 16, wants to be seen both as a young person in care and as Theo's mother.")
	f.voice(theo, 10, "Theo settles on Chloe's voice before she is through the door.", "Theo, 7 months, knows and settles to his mother's voice.")
}

func tellDeadParent(b *builder, key string) {
	f := b.family(key, "38 Windmill Lane, Northby", "NB6 8WL")
	mum := f.adult("mum", "parent", "Alison Hale", 'f', 41)
	martin := f.adult("martin", "parent", "Martin Hale", 'm', 44)
	ben := f.kid("ben", "Ben Hale", 'm', 134)
	daisy := f.kid("daisy", "Daisy Hale", 'f', 90)
	gran := f.adult("gran", "household", "Maud Hale", 'f', 72)
	f.died(martin, 118)
	f.couple(mum, martin, "married", ben, daisy)
	f.tie(gran, "grandparent", ben)
	f.tie(gran, "household", ben)
	f.tie(gran, "household", daisy)
	f.standard(set{kind: "child-in-need", days: 90, home: []*person{mum, ben, daisy, gran}, mh: mum, sm: mum, tenant: mum, kids: []*person{ben, daisy}, lead: mum})
	f.put("SM", "sm-involvement", 260, []*person{martin}, body{"team": "Recovery", "worker": "Tessa Dunmore", "start": "iso-400", "end": "iso-118", "engagement": "ended by death"}, author("Tessa Dunmore"), named("martin"))
	f.involvement("SM", b.who("Tessa Dunmore").Worker, "", "feed", "", b.day(-400), b.day(-118), martin)
	f.put("POL", "police-events", 118, []*person{martin, mum}, body{"kind": "sudden death", "occurred_on": "iso-118", "place": "{street}", "caller": "{mum.full}", "summary": "Adult found dead at home; no other person involved.", "account": "Found in the garage by the older child. Coroner informed.", "children_present": true, "outcome": "coroner"}, mentions(ben), named("death"))
	f.involve("POL", "detective", 118, ben, daisy)
	f.voice(ben, 28, "Ben found his father. He has told it once, with his back to me, and asked that Daisy never hear it from a form.", "Ben, 11, carries what he saw and wants to protect his sister from it.", flags("do-not-inform"))
	f.voice(daisy, 28, "Daisy sets four places. \"In case.\"", "Daisy, 7, still makes room for her father.")
}

func tellLinkedWrongly(b *builder, key string) {
	f := b.family(key, "60 Tramway Street, Northby", "NB3 1TS")
	mum := f.adult("mum", "parent", "Nicola Haigh", 'f', 39)
	dad := f.adult("dad", "parent", "Paul Haigh", 'm', 42)
	lucy := f.kid("lucy", "Lucy Haigh", 'f', 115)
	f.couple(mum, dad, "married", lucy)
	other := &person{b: b, path: "kinship/paul-as-sent", given: "Paul", last: "Haigh", born: dad.born.AddDate(-3, 0, 9)}
	b.sent(dad, "SM", other, "same name and town, date of birth near")
	f.standard(set{kind: "child-in-need", days: 45, home: []*person{mum, dad, lucy}, mh: mum, sm: dad, kids: []*person{lucy}, tenant: mum, lead: mum})
	wrong := f.put("SM", "sm-risk", 9, []*person{dad}, body{"pattern": "Heroin, smoked, most days; lives alone in a hostel.", "storage": "None at the hostel.", "relapse_signs": "Sells his phone.", "parenting": "No contact with his nephew's family at present.", "overdose_risk": "high", "injecting": false}, questioned, named("other-paul"))
	b.rows.concern.add(id(b.of("concern", key)), id(wrong), int32(1), "wrong-person", "This Paul Haigh has never lived in a hostel and works nights at the depot. The date of birth is three years out.",
		id(b.who("social-worker").Worker), "CSC")
	f.voice(lucy, 13, "Lucy heard a worker ask her dad about heroin. \"He cried. He doesn't even take tablets.\"", "", contains("sm-involvement"))
}
