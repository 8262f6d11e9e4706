package kith.kernel_test

test_text_takes_the_strictest_level if {
	text := {"section": "case-summary", "owner": "POL", "tagged": true}
	level(text, {}) == "full"
	answer(object.union(text, {"contains": ["da-victim-safety"]}), {}).reasons == ["repeats-summary"]
	level(object.union(text, {"contains": ["da-victim-safety"]}), {}) == "summary"
	level(object.union(text, {"contains": ["police-intelligence-c"], "existence": true}), {}) == "existence"
	level(object.union(text, {"contains": ["therapy-notes"]}), {}) == "hidden"
	level(object.union(text, {"contains": ["no-such"]}), {}) == "hidden"
	level(object.union(text, {"contains": ["marac"]}), given_by("POL", "marac", "full")) == "full"
	level(object.union(text, {"flags": ["court"]}), {}) == "hidden"
}

test_narrative_that_nobody_tagged if {
	level({"section": "case-summary"}, {}) == "summary"
	answer({"narrative": true}, {}).reasons == ["untagged"]
	level({"section": "case-summary", "owner": "CSC"}, {}) == "full"
}

test_legally_restricted if {
	level({"sensitivity": 4}, {}) == "hidden"
	level({"sensitivity": 9}, named("mh-risk", "full")) == "hidden"
	level({"sensitivity": 4}, named("mh-risk", "full")) == "full"
	court := {"section": "court-papers", "owner": "POL"}
	level(court, {}) == "hidden"
	level(court, named("court-papers", "full")) == "full"
	opened := with_row("court-papers", "full", {})
	answer_under(opened, court, {}).reasons == ["legally-restricted"]
}

test_legal_privilege if {
	level({"flags": ["legal"]}, named("mh-risk", "full")) == "hidden"
	level({"flags": ["legal"], "owner": "CSC"}, {}) == "full"
}

test_handling_code_c if {
	graded := {"section": "police-events", "owner": "POL", "handling": "C"}
	level(graded, {}) == "hidden"
	got := answer(object.union(graded, {"existence": true}), {})
	got.level == "existence"
	got.reasons == ["code-c"]
	got.named == false
	level(object.union(graded, {"handling": "P"}), {}) == "full"
	level(object.union(graded, {"handling": "Z"}), {}) == "hidden"
	level(object.union(graded, {"existence": true}), school) == "hidden"
	level({"section": "police-intelligence-c", "owner": "POL", "existence": true}, {}) == "existence"
	level({"section": "police-intelligence-c", "owner": "POL"}, {}) == "hidden"
}

test_clinical_information_of_adults_in_care if {
	care := {"request": {"purpose": "LC"}}
	answer({}, care).reasons == ["clinical"]
	level({"about": ["kim"]}, care) == "full"
	level({"section": "case-summary", "tagged": true, "contains": ["mh-risk"]}, care) == "hidden"
}
