package kith.kernel_test

isa(changes) := {"agreements": {"isa": changes}}

test_agreement_in_force if {
	refusal(isa({"end": "2026-11-19"})) == "no-agreement"
	refusal(isa({"from": "2026-11-21"})) == "no-agreement"
	refusal(isa({"from": ""})) == "no-agreement"
	refusal(isa({"parties": {"CSC": "suspended"}})) == "no-agreement"
	decide(isa({"end": "2026-11-20"})).allow
}

test_agreement_that_the_matrix_does_not_cite_is_none if {
	some_version := {"cited": {"kinds": {"CSC": {"CN": {"isa": false}}}}}
	not answer_under(some_version, {}, {})
	for_agency := object.union(some_version, {"cited": {"agencies": {"CSC": {"CN": {"isa": true}}}}})
	answer_under(for_agency, {}, {}).level == "full"
}

test_owner_stands_by_the_agreement_too if {
	hidden := answer({}, isa({"parties": {"MH": "suspended"}}))
	hidden == {"level": "hidden", "reasons": ["no-agreement"]}
}

test_emergency_outlives_a_suspended_agreement if {
	suspended := {"agreements": {"over": {"parties": {"CSC": "suspended", "MH": "suspended"}}}}
	got := answer({}, object.union(emergency(false), suspended))
	got.level == "full"
	got.clauses == ["over cl. 1"]
	refusal(object.union(emergency(false), {"agreements": {"over": {"parties": {"CSC": "ended"}}}})) == "no-agreement"
}

test_grant_beyond_a_cell_needs_a_clause_of_both if {
	grant := object.union(nurse_of("mum"), given_by("MH2", "mh-risk", "summary"))
	level({"owner": "MH2"}, grant) == "hidden"
	carried := {"purposes": {"CN": {"clause": {"agreement": "isa", "text": "isa cl. 9"}}}}
	got := answer_under(carried, {"owner": "MH2"}, grant)
	got.level == "summary"
	got.clauses == ["isa cl. 9"]
	got.grant == "g2"
	answer_under(carried, {"owner": "MH2"}, object.union(grant, isa({"parties": {"MH2": "ended"}}))).level == "hidden"
}
