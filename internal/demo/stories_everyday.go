package demo

import (
	"fmt"
	"time"
)

func everydayTales() []tale {
	return []tale{
		{"no-summary", "Asked, but nobody wrote it up",
			"Narrative without a shared summary shows as existence, with \"ask the owner\"; another one is past its review and says so.",
			nil, tellNoSummary},
		{"closed", "The Pembertons are not your case",
			"A family that the demo's mental health, drug, police and housing workers do not work with: for them it is not found.",
			nil, tellClosed},
		{"neglect", "Five at the Cartwrights'",
			"Long-standing neglect, four children, two schools: each school sees its own roll.",
			nil, tellNeglect},
		{"kinship", "Grandmother's house",
			"Children living with their grandmother; the uncle is the right Paul Haigh of another story.",
			nil, tellKinship},
		{"interpreter", "The Tesfayes need an interpreter",
			"Language, immigration status and public funds: what a summary leaves out, so that fear does not keep a family from help.",
			nil, tellInterpreter},
	}
}

func isoDay(n int) string { return fmt.Sprintf("iso%+d", n) }

func tellNoSummary(b *builder, key string) {
	f := b.family(key, "29 Collier Street, Northby", "NB3 2CO")
	mum := f.adult("mum", "parent", "Wendy Stubbs", 'f', 40)
	dad := f.adult("dad", "parent", "Barry Stubbs", 'm', 46)
	ryan := f.kid("ryan", "Ryan Stubbs", 'm', 125)
	f.couple(mum, dad, "together", ryan)
	f.standard(set{kind: "child-in-need", days: 59, home: []*person{mum, dad, ryan}, mh: dad, sm: mum, by: dad, to: mum, prb: dad, tenant: mum, kids: []*person{ryan}, lead: mum})
	f.voice(ryan, 20, "Ryan said a great deal on the walk to the bus and asked that it stay on the walk. Written here because of one sentence: \"He said next time he'd do the dog.\"", "")
	f.put("CSC", "case-summary", 220, []*person{ryan}, body{"text": "Summary at transfer. Two referrals in {d-400}, both no further action; the third, from the vet, was the one that was followed up.", "event_kind": "summary"}, sharedOld("Transferred between teams; three referrals in a year and a half."), mentions(mum, dad))
}

func tellClosed(b *builder, key string) {
	f := b.family(key, "66 Sandstone Road, Northby", "NB1 5SR")
	mum := f.adult("mum", "parent", "Rosie Pemberton", 'f', 29)
	dad := f.adult("dad", "parent", "Alex Pemberton", 'm', 30)
	teddy := f.kid("teddy", "Teddy Pemberton", 'm', 34)
	f.couple(mum, dad, "married", teddy)
	for agency, who := range map[string]string{"CSC": "Amara Nwosu", "MH": "Gordon Leech", "SM": "Tessa Dunmore", "DV": "Joy Mensah", "DP": "Phil Garrity", "POL": "DS Neil Forrest", "HV": "Maureen Tully", "PRB": "Adrian Cope", "HOU": "Shirley Vance"} {
		f.closed[agency] = who
	}
	f.standard(set{kind: "child-protection-plan", days: 57, home: []*person{mum, dad, teddy}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{teddy}, lead: mum})
	f.voice(teddy, 14, "Teddy has words for every vehicle and none for being picked up.", "Teddy, 2, does not ask to be held.")
}

func tellNeglect(b *builder, key string) {
	f := b.family(key, "3 Bobbin Yard, Northby", "NB2 9BY")
	mum := f.adult("mum", "parent", "Mandy Cartwright", 'f', 36)
	dad := f.adult("dad", "parent", "Terry Cartwright", 'm', 47)
	jade := f.kid("jade", "Jade Cartwright", 'f', 163)
	cody := f.kid("cody", "Cody Cartwright", 'm', 109)
	skye := f.kid("skye", "Skye Cartwright", 'f', 63)
	bobby := f.kid("bobby", "Bobby Cartwright", 'm', 19)
	f.couple(mum, dad, "together", jade, cody, skye, bobby)
	f.standard(set{kind: "child-protection-plan", days: 92, home: []*person{mum, dad, jade, cody, skye, bobby}, mh: mum, sm: dad, tenant: mum, kids: []*person{jade, cody, skye, bobby}, lead: mum})
	f.involve("POL", "detective", 60, jade, cody)
	f.put("POL", "police-events", 60, []*person{jade}, body{"kind": "missing child", "occurred_on": "iso-60", "missing_from": "{street}", "found_at": "24-hour laundrette", "caller": "laundrette staff", "summary": "Found washing her siblings' uniforms at 1 am; not reported missing.", "outcome": "referral", "children_present": true}, named("laundrette"))
	f.voice(jade, 16, "Jade does the washing at night because then nobody sees. She would like to go to sleep \"like a normal person, with homework done\".", "Jade, 13, cares for her siblings and hides how much.")
}

func tellKinship(b *builder, key string) {
	f := b.family(key, "21 Lime Kiln Road, Northby", "NB6 2LK")
	gran := f.adult("gran", "carer", "Eileen Haigh", 'f', 66)
	mum := f.adult("mum", "parent", "Donna Haigh", 'f', 37)
	paul := f.adult("paul", "contact", "Paul Haigh", 'm', 45)
	dad := f.adult("dad", "parent", "Lee Orton", 'm', 40)
	leah := f.kid("leah", "Leah Haigh", 'f', 86)
	sonny := f.kid("sonny", "Sonny Haigh", 'm', 57)
	f.parents([]*person{mum, dad}, leah, sonny)
	f.tie(gran, "grandparent", leah)
	f.tie(gran, "carer", leah, "pr")
	f.tie(gran, "carer", sonny, "pr")
	f.tie(paul, "contact", leah)
	f.links(gran, "grandmother", true, true, "Special guardianship order", leah, sonny)
	f.links(mum, "mother", false, true, "Calls on Sundays", leah, sonny)
	f.standard(set{kind: "child-in-need", days: 65, home: []*person{gran, leah, sonny}, mh: mum, sm: mum, by: dad, to: mum, prb: dad, tenant: gran, kids: []*person{leah, sonny}, lead: gran})
	f.tieFor(mum, "household", leah, leah.born, b.day(-700))
	f.voice(leah, 18, "Leah calls it \"Nan's house, my house\". She does her mum's hair over the phone by telling her what to do.", "Leah, 7, feels at home with her grandmother and stays close to her mother by phone.")
	f.put("CSC", "case-summary", 0, []*person{leah, sonny}, body{"text": "{gran} remembers that the children first stayed with her in the summer that {mum} lost the flat; nobody wrote the day down.", "event_kind": "move"},
		undated, words("summer, two years ago"), contains("housing"), shared("The children have lived with their grandmother since a summer about two years ago."), mentions(mum))
	f.put("SCH", "education", 30, []*person{leah}, body{"school": "Millbrook Primary School", "attendance": 71, "concerns": "Absent for two weeks; at her mother's, it turned out."}, lasting(12), named("absent"))
	f.involvement("SM", b.who("Tessa Dunmore").Worker, "", "feed", "", b.day(-90).Add(10*time.Hour), time.Time{}, mum)
}

func tellInterpreter(b *builder, key string) {
	f := b.family(key, "Room 14, Beaufort House, Northby", "NB1 1BH")
	mum := f.adult("mum", "parent", "Selam Tesfaye", 'f', 28)
	dad := f.adult("dad", "parent", "Yonas Tesfaye", 'm', 34)
	mum.language, dad.language = "Tigrinya", "Tigrinya"
	hana := f.kid("hana", "Hana Tesfaye", 'f', 77)
	abel := f.kid("abel", "Abel Tesfaye", 'm', 18)
	f.couple(mum, dad, "married", hana, abel)
	f.standard(set{kind: "child-in-need", days: 43, home: []*person{mum, dad, hana, abel}, mh: mum, sm: dad, by: dad, to: mum, prb: dad, tenant: dad, kids: []*person{hana, abel}, lead: mum})
	f.put("CSC", "equality", 43, []*person{mum, dad, hana, abel}, body{"ethnicity": "Black African", "religion": "Ethiopian Orthodox", "immigration_status": "asylum claim refused {d-90}, appeal lodged", "public_funds": "no recourse; section 17 support"}, flags("do-not-inform"), named("status"))
	f.voice(hana, 12, "Through an interpreter, the first that was not her father: \"The office lady thinks I don't understand her. I understand everybody.\"", "Hana, 6, has been interpreting for adults and understands more than they think.")
}
