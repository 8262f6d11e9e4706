package kith.kernel_test

test_walled_by_the_only_client if {
	event := {"section": "police-events", "owner": "POL"}
	level(event, nurse_of("mum")) == "summary"
	answer(event, nurse_of("dad")).reasons == ["wall"]
	level(object.union(event, {"about": ["kim"]}), nurse_of("dad")) == "hidden"
	level(object.union(event, {"about": ["dad"]}), nurse_of("dad")) == "summary"
	level(object.union(event, {"about": ["dad"], "mentions": ["mum"]}), nurse_of("dad")) == "hidden"
}

test_one_worker_for_both_parents if {
	both := object.union(nurse_of("dad"), {"people": {"mum": {"mine": true}}})
	level({"section": "police-events", "owner": "POL"}, both) == "summary"
}

test_agencys_client_where_the_worker_has_none if {
	mash := object.union(mash_officer("red"), {"caller": {"agency": "MH", "kind": "MH"}, "people": {"dad": {"ours": true}}})
	fd := {"index": {"kinds": {"MH": {"FD": version.index.kinds.MH.CN}}}, "purposes": {"FD": {"letter": "CN"}}}
	answer_under(fd, {"section": "police-events", "owner": "POL"}, mash).level == "hidden"
}

test_allegations_both_ways_wall_both_ways if {
	crossed := {"people": {"dad": {"harmed_by": ["mum"]}}}
	event := {"section": "police-events", "owner": "POL"}
	level(event, object.union(nurse_of("dad"), crossed)) == "hidden"
	level(object.union(event, {"about": ["dad"]}), object.union(nurse_of("mum"), crossed)) == "hidden"
}

test_kind_whose_wall_nobody_knows_is_walled if {
	odd := object.union(nurse_of("mum"), {"caller": {"agency": "MH2", "kind": "MH2"}})
	level({"section": "marac", "owner": "POL"}, object.union(odd, given_by("POL", "marac", "full"))) == "hidden"
	level({"section": "police-events", "owner": "POL", "about": ["kim"]}, odd) == "full"
}

test_text_of_the_walled_off if {
	text := {"section": "case-summary", "owner": "POL", "tagged": true}
	level(text, nurse_of("dad")) == "full"
	level(object.union(text, {"contains": ["police-events"]}), nurse_of("dad")) == "hidden"
	level(object.union(text, {"flags": ["new-name"]}), nurse_of("dad")) == "hidden"
	level(object.union(text, {"flags": ["places"]}), nurse_of("dad")) == "hidden"
	level(object.union(text, {"flags": ["places"]}), nurse_of("mum")) == "full"
}

test_safety_plan_and_marac_hidden_whoever_they_are_about if {
	plan := {"section": "da-victim-safety", "owner": "POL", "about": ["dad"], "sensitivity": 3}
	level(plan, nurse_of("mum")) == "summary"
	level(plan, nurse_of("dad")) == "hidden"
	level(object.union(plan, {"section": "marac"}), object.union(nurse_of("dad"), {"grants": [{
		"id": "g", "person": "dad", "section": "marac", "level": "full", "giver": "POL", "giver_kind": "POL",
	}]})) == "hidden"
}

test_grants_and_emergencies_do_not_lift_the_wall if {
	event := {"section": "police-events", "owner": "POL"}
	level(event, object.union(nurse_of("dad"), named("police-events", "full"))) == "hidden"
	level(event, object.union(emergency(true), nurse_of("dad"))) == "hidden"
}

test_places_and_holders if {
	lesson := {"section": "education", "owner": "POL", "about": ["kim"]}
	answer(lesson, nurse_of("dad")).masked == ["school"]
	answer(lesson, nurse_of("mum")).masked == []
	unwritten := {"section": "education", "owner": "POL", "full": false, "summary": false}
	answer(unwritten, nurse_of("dad")) == {"level": "hidden", "reasons": ["wall-holder"]}
	level(unwritten, nurse_of("mum")) == "existence"
}

test_perpetrator_programme if {
	name := {"section": "identity", "owner": "CSC"}
	beyond := answer(name, programme)
	beyond.level == "summary"
	beyond.masked == ["nhs_number"]
	own_client := answer(object.union(name, {"about": ["dad"]}), programme)
	own_client.level == "full"
	own_client.masked == []
	mentioned := answer(object.union(name, {"about": ["dad"], "mentions": ["mum"]}), programme)
	mentioned.masked == ["nhs_number"]
	answer({"section": "workbook", "owner": "CSC"}, programme).reasons == ["not-client", "not-client-summary"]
	level({"section": "workbook", "owner": "CSC", "about": ["dad"]}, programme) == "full"
	level({"section": "assessment-plan", "owner": "CSC", "contains": ["workbook"]}, programme) == "hidden"
	level({"section": "assessment-plan", "owner": "CSC", "contains": ["identity"]}, programme) == "summary"
}

test_child_who_is_a_client_is_not_walled_off if {
	level({"section": "police-events", "owner": "POL", "about": ["kim"]}, programme) == "hidden"
	with_kim := object.union(programme, {"people": {"kim": {"mine": true}}})
	answer({"section": "education", "owner": "POL", "about": ["kim"]}, with_kim).masked == []
	answer({"section": "education", "owner": "POL", "about": ["kim"]}, with_kim).level == "full"
}
