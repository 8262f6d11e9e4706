package demo

import "time"

func harmTales() []tale {
	return []tale{
		{"trio", "The Doyles: three services, one bedtime",
			"The whole team at work: mother's depression, father's drinking, violence between them. Take it as mh-practitioner and as detective under FS and compare; as perpetrator-practitioner the wall hides the mother.",
			nil, tellTrio},
		{"fleeing", "Kelly Marsden and her boys have moved",
			"A protected address: only a named grant opens it (idva has one); schools, clinics and housing since the move count as address too, and the father's workers see no gap.",
			[]string{"protected-address"}, tellFleeing},
		{"surname", "The Tranters",
			"The perpetrator worker shares the alleged abuser's surname. No conflict is declared, so the record opens as usual, and the auditor's queue must find it.",
			[]string{"shared-surname"}, tellSurname},
		{"both-parents", "One nurse for both Okonkwos",
			"One mental health worker is the worker of the harmed mother and of the alleged abuser: her only client is not the abuser, so no wall; the probation officer, who knows the father alone, is walled.",
			[]string{"both-parents"}, tellBothParents},
		{"cross", "Each Whitaker says it was the other",
			"Allegations both ways wall both ways: what the mother told in safety is closed to the father's worker, and the other way round.",
			[]string{"cross-allegations"}, tellCross},
		{"harmed-here", "Shauna Reid was hurt here",
			"Shauna is the harmed person in this family, and the alleged abuser in another: who works with her is walled there and not here.",
			[]string{"harmed-and-abuser"}, tellHarmedHere},
		{"abuser-there", "Shauna Reid and the Pettits",
			"The same Shauna, here as the alleged abuser: probation and the programme, who know her alone, are walled off from Ryan and Bea.",
			[]string{"harmed-and-abuser"}, tellAbuserThere},
		{"code-c", "What the police may not say about the Lomaxes",
			"Police intelligence: one item graded P (summary for children's social care under CP), two graded C: one may be known to exist, one may not.",
			[]string{"code-c"}, tellCodeC},
		{"marac", "The Hussains were heard at MARAC",
			"A MARAC case: purpose MR opens minutes and actions to its member list; the perpetrator programme and the alleged abuser's other workers never learn that it sat.",
			[]string{"marac"}, tellMarac},
		{"three-ways", "The night of the broken door, told three ways",
			"Police, school and the domestic abuse service tell one event differently. The accounts stand side by side and are never merged.",
			[]string{"told-three-ways"}, tellThreeWays},
	}
}

func tellTrio(b *builder, key string) {
	f := b.family(key, "14 Quay Road, Northby", "NB4 7QR")
	mum := f.adult("mum", "parent", "Kayleigh Doyle", 'f', 31)
	dad := f.adult("dad", "parent", "Craig Doyle", 'm', 34)
	alfie := f.kid("alfie", "Alfie Doyle", 'm', 92)
	ruby := f.kid("ruby", "Ruby Doyle", 'f', 31)
	gran := f.adult("gran", "contact", "Sandra Doyle", 'f', 61)
	f.couple(mum, dad, "together", alfie, ruby)
	f.tie(gran, "grandparent", alfie)
	f.tie(gran, "grandparent", ruby)
	f.standard(set{kind: "child-protection-plan", days: 75, home: []*person{mum, dad, alfie, ruby}, mh: mum, sm: dad, by: dad, to: mum, prb: dad,
		tenant: mum, kids: []*person{alfie, ruby}, lead: mum})
	f.open("section-47", 20, alfie, ruby)
	f.told("CP", "CSC", "not-asked", "not-told", "Telling the father before the children were seen would have put their mother at risk. Agreed in the strategy discussion of {d-20}.", 20, dad)
	f.voice(alfie, 9, "Alfie drew the house with everybody in it and himself on the stairs. \"That's my job. I listen.\" On a good night he sleeps through because Gran is there. He would like his dad to come to football and his mum to laugh like she did in the photo. His three wishes: a lock, a dog, and for it to be Tuesday, because on Tuesdays nothing happens.",
		"Alfie, 7, keeps watch on the stairs at night and is calmest when his grandmother stays. He wants both parents well and the evenings quiet.")
	f.voice(ruby, 9, "Ruby brings a shoe to whoever looks sad. She stops playing when a key turns in the door and starts again when she sees who it is.",
		"Ruby, 2, stops play at the sound of the door and watches the adults' faces.")
	f.chronology(15, "Referred {d-115} by police after the call of {d-116}. Two earlier contacts, both closed. Mother's low mood began after Ruby's birth; her worker (mental health trust) says sertraline was raised in autumn. Father drinks at weekends and has asked for help through Turning Tide. Initial conference {d-75}: both children on plans, emotional abuse. Mother told her IDVA what she had not told us: the throat, three times.",
		"On child protection plans since {d-75} (emotional abuse). Adults' difficulties are being worked on by the team; the children's evenings are what must change.",
		[]*person{alfie, ruby}, mentions(mum, dad), contains("mh-clinical", "sm-involvement", "da-victim-safety"))
	f.worried(dad)
	f.alleges("POL", dad, alfie, 45)
	f.put("CSC", "former-names", 158, []*person{mum}, body{"name": "Kayleigh Burnett", "kind": "birth name", "used_until": "iso-3000", "source": "marriage certificate"})
}

func tellFleeing(b *builder, key string) {
	f := b.family(key, "3 Larch Close, Northby", "NB2 1LC")
	mum := f.adult("mum", "parent", "Kelly Marsden", 'f', 29)
	dad := f.adult("dad", "parent", "Dean Marsden", 'm', 33)
	jay := f.kid("jay", "Jay Marsden", 'm', 101)
	leo := f.kid("leo", "Leo Marsden", 'm', 40)
	f.couple(mum, dad, "separated", jay, leo)
	f.standard(set{kind: "child-protection-plan", days: 60, home: []*person{dad}, mh: dad, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{jay, leo}, lead: mum})
	for _, p := range []*person{mum, jay, leo} {
		b.rows.protection.add(id(b.of("protection", p.path)), id(p.id), b.day(-19), "DV", "Fled {d-19}")
		f.grant("idva", "protected-address", "full", "Her advocate arranges the move and the post.", p, -19, 60)
	}
	f.put("DV", "protected-address", 19, []*person{mum, jay, leo}, body{"address": "Flat 2, Rowan House, Old Ferry Lane, Saltmere", "postcode": "SM1 4OF", "safe_phone": "07700 900117",
		"setting": "refuge", "since": "iso-19", "contact_through": "Harbour helpline for professionals"}, flags("places"), named("refuge"))
	f.put("HOU", "housing", 12, []*person{mum}, body{"tenancy": "homelessness duty accepted", "tenancy_address": "temporary, Saltmere", "landlord": "Saltmere Council", "arrears": "none", "notice": "offer expected {d+20}"}, named("after-the-move"))
	f.put("SCH", "education", 5, []*person{jay}, body{"school": "Saltmere Juniors (moved {d-17})", "attendance": 100, "concerns": "Settling. Asks whether his father knows where the school is.", "dsl_contact": "Saltmere Juniors office", "collected_by": "mother only, by the side gate"}, flags("places"), named("new-school"))
	f.put("HV", "child-health", 11, []*person{leo}, body{"contact_kind": "clinic", "contact_date": "iso-11", "development": "Catching up on sleep and speech.", "gp_practice": "Ferry Road Surgery, Saltmere", "clinic": "Saltmere Family Hub", "was_not_brought": false}, flags("places"), named("new-clinic"))
	f.put("DV", "former-names", 10, []*person{mum}, body{"name": "Kelly Hartnell", "kind": "name taken since the move", "used_from": "iso-10", "source": "told by her"}, flags("new-name"), named("new-name"))
	f.voice(jay, 12, "\"I'm not allowed to say where we live. I'm good at it. I told my nan it's a castle.\" He misses his bike. He does not miss listening.", "Jay, 8, feels safer and keeps the secret of where he lives; he misses his bike and his grandmother.")
	f.chronology(17, "Mother left with the boys on {d-19} by the back gate while father was at work. Refuge place found the same night. Father has rung every service since, asking where \"his kids\" are; twice said that he was their grandfather.",
		"Mother and children left home on {d-19}. Anyone who asks where they are is to be referred to the contact desk, whoever they say they are.", []*person{mum, jay, leo}, mentions(dad), contains("protected-address"), flags("do-not-inform"))
}

// grant gives a worker by name one section about one person.
func (f *fam) grant(to, section, level, why string, about *person, fromDays, untilDays int) {
	w := f.b.who(to)
	giver := f.b.who("team-manager")
	f.b.rows.grant.add(id(f.b.of("grant", f.key, to, section, about.path)), id(about.id), w.Agency, id(w.Worker), section, level, false, f.say(why),
		id(giver.Worker), "CSC", nil, f.b.day(fromDays), f.b.day(untilDays))
}

func tellSurname(b *builder, key string) {
	f := b.family(key, "27 Station Parade, Northby", "NB1 2SP")
	mum := f.adult("mum", "parent", "Gemma Lacey", 'f', 36)
	dad := f.adult("dad", "parent", "Lee Tranter", 'm', 38)
	mia := f.kid("mia", "Mia Tranter", 'f', 124)
	jude := f.kid("jude", "Jude Tranter", 'm', 66)
	f.couple(mum, dad, "separated", mia, jude)
	f.standard(set{kind: "child-in-need", days: 96, home: []*person{mum, mia, jude}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{mia, jude}, lead: mum})
	f.voice(mia, 21, "Mia keeps a list of what her dad promised and what happened. She showed it to me: eleven lines, two ticks. \"He's nice when he's nice.\" She does not want to be the one who decides about contact.",
		"Mia, 10, finds her father's promises hard to trust and does not want to be asked to choose.")
	f.chronology(40, "Parents separated {d-420}. Handovers at the station were the flashpoint until grandparents took them over in summer.", "Separated parents; handovers are the moments of risk and are now done by grandparents.", []*person{mia, jude}, mentions(mum, dad), contains())
}

func tellBothParents(b *builder, key string) {
	f := b.family(key, "8 Foundry Street, Northby", "NB3 5FS")
	mum := f.adult("mum", "parent", "Chioma Okonkwo", 'f', 33)
	dad := f.adult("dad", "parent", "Emeka Okonkwo", 'm', 37)
	ada := f.kid("ada", "Adaeze Okonkwo", 'f', 80)
	obi := f.kid("obi", "Obinna Okonkwo", 'm', 20)
	f.couple(mum, dad, "married", ada, obi)
	f.standard(set{kind: "child-protection-plan", days: 50, home: []*person{mum, dad, ada, obi}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{ada, obi}, lead: mum})
	f.involve("MH", "mh-practitioner", 64, dad)
	f.put("MH", "mh-involvement", 64, []*person{dad}, body{"team": "Adult Community North", "team_base": "Cedar House, Northby", "worker": "{@mh-practitioner}", "contact": "01632 960111", "start": "iso-64", "engagement": "engaging in part"}, named("dad"))
	f.put("MH", "mh-risk", 22, []*person{dad}, body{"risk_level": "moderate", "risk_to_others": "Thoughts of following his wife when she goes out; says he would not act.", "risk_to_child": "None reported.", "relapse_signs": "Sleeps in the car.", "crisis_plan": "Duty worker; wife's worker to be told the same day.", "parenting": "Plays with the baby for hours; harsh with Adaeze about homework."}, named("dad"), mentions(mum))
	f.voice(ada, 14, "Adaeze plays school with her dolls and the strict one is always \"Daddy-teacher\". She asked whether doctors can make shouting better.", "Adaeze, 6, plays out strictness and shouting and hopes that somebody can make it better.")
	f.chronology(33, "Both parents see the same nurse, each in their own hour, by their own wish and known to both.", "Both parents accept help. What each tells in their own sessions stays with the person who told it.", []*person{ada, obi}, mentions(mum, dad), contains("mh-involvement"))
}

func tellCross(b *builder, key string) {
	f := b.family(key, "51 Marlowe Avenue, Northby", "NB5 8MA")
	mum := f.adult("mum", "parent", "Jo Whitaker", 'f', 40)
	dad := f.adult("dad", "parent", "Stephen Whitaker", 'm', 42)
	tilly := f.kid("tilly", "Tilly Whitaker", 'f', 110)
	sam := f.kid("sam", "Sam Whitaker", 'm', 155)
	f.couple(mum, dad, "separated", tilly, sam)
	f.standard(set{kind: "child-in-need", days: 84, home: []*person{mum, tilly, sam}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{tilly, sam}, lead: dad})
	f.alleges("POL", mum, dad, 140)
	f.put("POL", "police-events", 140, []*person{mum, dad}, body{"kind": "assault", "occurred_on": "iso-140", "place": "{street}", "caller": "{dad.full}", "summary": "Adult scalded with tea; each says that the other began.", "account": "{dad} had reddening to the forearm. {mum} said that he had taken her keys and blocked the door. Both accounts recorded; no further action.", "children_present": true, "outcome": "no further action"}, source("allegation"), named("tea"))
	f.put("DV", "da-risk", 60, []*person{dad}, body{"dash_level": "standard", "dash_score": 6, "pattern": "{dad} reports scalding and name-calling, twice in a year.", "risk_to_child": "Children heard it.", "last_incident": "iso-140", "escalation": false}, source("allegation"), mentions(mum), named("dad"))
	f.put("DV", "da-victim-safety", 58, []*person{dad}, body{"plan": "Keeps his keys on him, stays at his brother's when it gets loud.", "disclosures": "Ashamed to say it. Told his sister first.", "contacts": []string{"brother"}, "safe_times": "weekday lunch", "do_not": "Do not write to the house.", "ask_through": "Harbour helpline for professionals"}, named("dad"), mentions(mum))
	f.involve("DV", "idva", 60, dad)
	f.involve("MH", "mh-practitioner", 60, mum)
	f.voice(sam, 17, "Sam says both of them want him to say who started it. \"I've stopped seeing things.\" He spends the evenings at the skate ramp, whatever the weather.", "Sam, 12, feels asked to take sides and stays out of the house.")
	f.voice(tilly, 17, "Tilly has two drawings of the same evening and in each another parent is the big one. \"Both are true,\" she said.", "")
}

func tellHarmedHere(b *builder, key string) {
	f := b.family(key, "6 Tanner's Yard, Northby", "NB1 9TY")
	shauna := f.adult("shauna", "parent", "Shauna Reid", 'f', 35)
	marc := f.adult("marc", "parent", "Marc Ellwood", 'm', 41)
	kian := f.kid("kian", "Kian Ellwood", 'm', 144)
	f.couple(shauna, marc, "separated", kian)
	f.standard(set{kind: "child-in-need", days: 130, home: []*person{marc, kian}, mh: shauna, sm: marc, by: marc, to: shauna, prb: marc, tenant: marc, kids: []*person{kian}, lead: shauna})
	f.voice(kian, 25, "Kian lives with his dad and sees his mum on Sundays at the library. He counts the Sundays she came: nine of twelve.", "Kian, 12, values the Sundays with his mother and counts them.")
	f.put("DV", "da-victim-safety", 28, []*person{shauna}, body{"plan": "Meets Kian only where staff are about.", "disclosures": "Says that she learnt to hit first.", "contacts": []string{"library desk"}, "do_not": "Do not tell either household about the other.", "ask_through": "Harbour helpline for professionals"}, named("sundays"))
	f.chronology(50, "Marc was convicted {d-300}. Shauna left without Kian because she had nowhere to take him; she says that this is what she will never forgive herself.", "Kian lives with his father; time with his mother is supervised for her safety.", []*person{kian}, mentions(shauna, marc), contains("police-offences"))
}

func tellAbuserThere(b *builder, key string) {
	shauna := b.from("harmed-here", "shauna")
	f := b.family(key, "Flat 5, Mill Court, Northby", "NB2 6MC")
	f.also("shauna", shauna, "parent", true)
	ryan := f.adult("ryan", "parent", "Ryan Pettit", 'm', 30)
	bea := f.kid("bea", "Bea Pettit", 'f', 28)
	f.couple(shauna, ryan, "together", bea)
	f.standard(set{kind: "child-protection-plan", days: 44, home: []*person{shauna, ryan, bea}, mh: shauna, sm: ryan, by: shauna, to: ryan, prb: shauna, tenant: ryan, kids: []*person{bea}, lead: ryan})
	f.voice(bea, 13, "Bea goes rigid when a cup is put down hard. On Ryan's shoulder she sleeps.", "Bea, 2, is frightened by sudden noise and calm with her father.")
	f.chronology(38, "Ryan called {d-45} from the hallway. He had not told anyone before: \"Who'd believe me?\"", "Concern for Bea and her father after an incident on {d-45}.", []*person{bea}, mentions(shauna, ryan), contains("police-events", "da-risk"))
}

func tellCodeC(b *builder, key string) {
	f := b.family(key, "19 Gasworks Lane, Northby", "NB3 3GL")
	mum := f.adult("mum", "parent", "Tracey Lomax", 'f', 39)
	dad := f.adult("dad", "parent", "Vince Lomax", 'm', 45)
	toby := f.kid("toby", "Toby Lomax", 'm', 88)
	ivy := f.kid("ivy", "Ivy Lomax", 'f', 58)
	f.couple(mum, dad, "married", toby, ivy)
	f.standard(set{kind: "child-in-need", days: 66, home: []*person{mum, dad, toby, ivy}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{toby, ivy}, lead: mum})
	f.open("section-47", 11, toby, ivy)
	f.put("POL", "police-intelligence-c", 8, []*person{dad}, body{"text": "Human source: {dad} stores a firearm for another at an address linked to the family. Disclosure would identify the source.", "grading": "1 A C", "handling": "No dissemination without the originator."}, codeC(true), source("third-party"), named("marked"))
	f.put("POL", "police-intelligence-c", 7, []*person{dad}, body{"text": "Technical product places {dad} at the yard on three nights. Operation live.", "grading": "1 A C", "handling": "Originator only; existence not to be disclosed."}, codeC(false), source("third-party"), named("unmarked"))
	f.put("POL", "police-intelligence-p", 10, []*person{dad}, body{"text": "Two callers say that unknown men visit at night and the children are sent upstairs.", "grading": "2 C P", "handling": "May be shared for safeguarding of the children."}, codeP, source("third-party"), named("visitors"),
		shared("Information that unknown adults visit late in the evening while the children are at home."))
	f.voice(toby, 10, "Toby knows the men by their shoes. \"Red laces gives us crisps. We go upstairs and put the telly loud.\"", "Toby, 7, describes visitors at night, when the children are sent upstairs.")
}

func tellMarac(b *builder, key string) {
	f := b.family(key, "40 Jubilee Terrace, Northby", "NB4 1JT")
	mum := f.adult("mum", "parent", "Farzana Hussain", 'f', 27)
	dad := f.adult("dad", "parent", "Imran Hussain", 'm', 32)
	zara := f.kid("zara", "Zara Hussain", 'f', 75)
	ali := f.kid("ali", "Ali Hussain", 'm', 16)
	f.couple(mum, dad, "separated", zara, ali)
	f.standard(set{kind: "child-protection-plan", days: 30, home: []*person{mum, zara, ali}, mh: dad, sm: dad, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{zara, ali}, lead: mum})
	cases := f.open("marac", 21, mum, zara, ali)
	for _, s := range [][2]string{{"POL", "marac-coordinator"}, {"POL", "detective"}, {"CSC", "social-worker"}, {"CSC", "team-manager"}, {"DV", "idva"}, {"HV", "health-visitor"}, {"HOU", "housing-officer"}, {"SCH", "safeguarding-lead"}} {
		f.sits(cases, s[0], s[1])
	}
	f.put("POL", "marac", 14, []*person{mum}, body{"heard_on": "iso-14", "referred_by": "Harbour Domestic Abuse Service", "minutes": "Imran has said to two people that he will find her before the hearing. Locks, marker and safe route agreed. Nobody is to tell him, or any service that works with him, that the case was heard.",
		"actions": []string{"Police: marker on the address, patrol at school times", "Housing: door and letterbox by {d-10}", "IDVA: daily call", "Social care: children's plan does not name this meeting"}, "next_hearing": "iso+14"}, mentions(dad, zara, ali), flags("do-not-inform"), contains("da-victim-safety"), named("heard"))
	f.put("POL", "marac", 42, []*person{mum}, body{"heard_on": "iso-42", "referred_by": "Dale Constabulary", "minutes": "First hearing after the strangulation of {d-45}.", "actions": []string{"IDVA allocated"}, "next_hearing": "iso-14"}, mentions(dad), flags("do-not-inform"), named("first"))
	f.voice(zara, 16, "Zara practises the way to school that goes past the fire station. She says it is a game. She taught it to her doll.", "Zara, 6, has learnt a safe way to school as a game.")
	f.told("MR", "CSC", "not-asked", "not-told", "The alleged abuser must not learn that the case was heard; the mother was told by her advocate.", 21, dad)
}

func tellThreeWays(b *builder, key string) {
	f := b.family(key, "2 Weavers Row, Northby", "NB2 8WR")
	mum := f.adult("mum", "parent", "Lorna Capstick", 'f', 30)
	dad := f.adult("dad", "parent", "Darryl Capstick", 'm', 31)
	ellie := f.kid("ellie", "Ellie Capstick", 'f', 97)
	max := f.kid("max", "Max Capstick", 'm', 50)
	f.couple(mum, dad, "together", ellie, max)
	f.standard(set{kind: "child-protection-plan", days: 36, home: []*person{mum, dad, ellie, max}, mh: dad, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{ellie, max}, lead: mum})
	f.put("POL", "police-events", 40, []*person{mum, dad, ellie, max}, body{"kind": "domestic incident", "occurred_on": "iso-40", "place": "{street}", "caller": "a neighbour, name withheld", "summary": "Front door broken; loud argument; no injuries seen.",
		"account": "20:41: {dad} outside, calm, said that he had lost his key and leant on the door. {mum} inside, said that it was an accident. Two children in pyjamas on the stairs. No complaint.", "children_present": true, "outcome": "no further action"}, words("about 8.40pm"), eventOf("door"), named("door"), source("fact"))
	f.put("SCH", "childs-story", 39, []*person{ellie}, body{"text": "Ellie told Miss Arden before register: \"Daddy kicked the door till it came in because Mummy wouldn't open. Max was sick. Mummy said say it was the wind.\"", "observed_by": "Miss Arden", "in_own_words": true, "place": "classroom"},
		shared("Ellie told her teacher that a parent broke down the door the evening before and that she was asked to say otherwise."), eventOf("door"), named("door"), words("last night, when it was dark"), mentions(mum, dad, max))
	f.put("DV", "da-victim-safety", 38, []*person{mum}, body{"disclosures": "{mum} says that she had locked him out after he took the phone. He kicked the door in and stood over her for an hour after police had gone. She did not speak to the officers because he was behind them.", "plan": "New door by the landlord without a fault claim. Text word is \"kettle\".", "do_not": "Do not quote this to anyone who works with him.", "ask_through": "Harbour helpline for professionals"},
		eventOf("door"), named("door"), mentions(dad))
	f.voice(ellie, 12, "Ellie says that a door should be on both sides the same. She would like one that Max can reach.", "Ellie, 8, speaks of doors and of looking after Max.")
	f.involvement("POL", b.who("mash-officer").Worker, "", "feed", "", b.day(-40).Add(22*time.Hour), b.day(-20), ellie)
}
