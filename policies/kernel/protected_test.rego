package kith.kernel_test

fled := {"people": {"mum": {"protected": "2026-02-10"}}}

fled_with(grant) := object.union(fled, grant)

test_address_counts_as_protected if {
	address := {"section": "usual-address", "owner": "POL"}
	answer(address, fled).reasons == ["protected-address"]
	level(object.union(address, {"from": "2026-02-09"}), fled) == "full"
	level(object.union(address, {"from": "2026-02-09", "until": "2026-03-01"}), fled) == "hidden"
	level(object.union(address, {"about": ["dad"]}), fled) == "full"
	level(address, fled_with(named("protected-address", "full"))) == "full"
	level(address, fled_with(named("protected-address", "summary"))) == "hidden"
	level(object.union(address, {"section": "housing"}), fled) == "hidden"
	level(object.union(address, {"owner": "CSC"}), fled) == "full"
}

test_undated_address_counts_as_protected if {
	entry := object.union(undated, {"section": "usual-address", "owner": "POL"})
	decide(object.union(fled, {"tuples": [entry]})).entries[0].level == "hidden"
}

test_text_that_tells_places if {
	text := {"section": "case-summary", "owner": "POL", "tagged": true, "about": ["kim"], "mentions": ["mum"]}
	level(text, fled) == "full"
	level(object.union(text, {"flags": ["places"]}), fled) == "hidden"
	level(object.union(text, {"contains": ["usual-address"]}), fled) == "hidden"
	level(object.union(text, {"contains": ["mh-involvement"]}), fled) == "full"
	level(object.union(text, {"flags": ["places"]}), fled_with(named("protected-address", "full"))) == "full"
	level(object.union(text, {"flags": ["places"]}), {}) == "full"
}

test_places_are_withheld if {
	lesson := {"section": "education", "owner": "POL"}
	answer(lesson, {}).masked == []
	answer(lesson, fled).masked == ["school"]
	answer(lesson, fled_with(named("protected-address", "full"))).masked == []
	answer(object.union(lesson, {"about": ["kim"]}), fled).masked == []
}

test_emergency_with_second_approval_opens_the_address if {
	address := {"section": "usual-address", "owner": "POL"}
	level(address, object.union(emergency(false), fled)) == "hidden"
	level(address, object.union(emergency(true), fled)) == "full"
}
