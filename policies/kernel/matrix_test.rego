package kith.kernel_test

test_row_opens_with_its_clause if {
	got := answer({}, {})
	got.level == "full"
	got.clauses == ["isa cl. 1"]
}

test_no_row_no_release if {
	answer({"section": "therapy-notes"}, {}) == {"level": "hidden", "reasons": ["not-shared"]}
	answer({"section": "no-such"}, {}) == {"level": "hidden", "reasons": ["not-shared"]}
}

narrow(changes, request) := answer_under(with_row("mh-risk", "full", object.union({"simple": false}, changes)), {}, request).level

test_row_for_roles_dates_and_conditions if {
	narrow({}, {}) == "full"
	narrow({"from": "2026-11-21"}, {}) == "hidden"
	narrow({"until": "2026-11-19"}, {}) == "hidden"
	narrow({"roles": {"worker": false}}, {}) == "hidden"
	narrow({"conditions": ["family-team"]}, {}) == "hidden"
	narrow({"conditions": ["family-team"]}, {"caller": {"family_team": true}}) == "full"
}

test_rows_of_the_agency_replace_those_of_its_kind if {
	narrowed := {"index": {"agencies": {"CSC": {"CN": {"mh-risk": {"rows": [], "answer": {"level": "hidden", "reasons": ["not-shared"]}}}}}}}
	answer_under(narrowed, {}, {}) == {"level": "hidden", "reasons": ["not-shared"]}
	answer_under(narrowed, {"section": "identity"}, {}).level == "full"
}

test_inside_the_ring_of_the_mash if {
	level({}, mash_officer("")) == "summary"
	level({}, mash_officer("green")) == "summary"
	level({}, mash_officer("red")) == "full"
	level({"about": ["kim"]}, mash_officer("amber")) == "full"
	level({"about": ["gran"]}, mash_officer("amber")) == "full"
	other := {"people": {"tom": person({"child": true, "open": ["contact"], "near": {"gran": [{"kind": "parent"}]}})}}
	level({"about": ["tom"]}, object.union(mash_officer("red"), other)) == "summary"
	level({"about": ["gran"], "from": "2026-05-01"}, object.union(mash_officer("red"), other)) == "summary"
}

test_owner_must_be_known if {
	answer({"owner": "XX"}, isa({"parties": {"XX": "signed"}})).reasons == ["unknown-owner"]
}

test_owner_whose_involvement_is_hidden if {
	answer({"section": "identity"}, school).reasons == ["owner-hidden"]
	level({"section": "identity", "owner": "CSC"}, object.union(school, nurse_of("mum"))) == "full"
	level({"section": "identity"}, object.union(school, named("identity", "full"))) == "full"
	level({"section": "identity"}, object.union(school, named("mh-involvement", "full"))) == "full"
}

test_owner_whose_involvement_is_known_of_some_people if {
	on_consent := with_row("mh-involvement", "existence", {"simple": false, "on_entry": ["consent"]})
	agreed := {"people": {"mum": {"agreed": "agreed"}}}
	every section in ["identity", "mh-involvement"] {
		answer_under(on_consent, {"section": section}, {}).level == "hidden"
	}
	answer_under(on_consent, {"section": "identity"}, agreed).level == "full"
	answer_under(on_consent, {"section": "mh-involvement"}, agreed).level == "existence"
	answer_under(on_consent, {"section": "identity", "about": ["mum", "gran"]}, agreed).reasons == ["owner-hidden"]
	graded := with_row("mh-involvement", "full", {"simple": false, "on_entry": ["handling-p"]})
	answer_under(graded, {"section": "identity", "handling": "P"}, {}).reasons == ["owner-hidden"]
}

test_never_by_agency if {
	shut := {"never": {"agencies": {"CSC": {"mh-risk": true}}}, "index": {"kinds": {"CSC": {"CN": {"mh-risk": {"rows": []}}}}}}
	answer_under(shut, {}, named("mh-risk", "full")).level == "hidden"
}
