package kith.kernel_test

shelter := {"section": "protected-address", "owner": "POL", "sensitivity": 3}

test_cell_by_grant if {
	answer(shelter, {}).reasons == ["no-agreement"]
	got := answer(shelter, named("protected-address", "summary"))
	got.level == "summary"
	got.grant == "g2"
	got.clauses == ["isa cl. 1"]
	level(shelter, named("protected-address", "everything")) == "hidden"
	level(shelter, named("protected-address", "hidden")) == "hidden"
	level(shelter, named("marac", "full")) == "hidden"
}

test_grant_is_for_everyone_it_is_about if {
	both := object.union(shelter, {"about": ["mum", "kim"]})
	level(both, named("protected-address", "full")) == "hidden"
	grants := array.concat(
		named("protected-address", "full").grants,
		[{
			"id": "g3", "person": "kim", "section": "protected-address", "level": "summary",
			"giver": "CSC", "giver_kind": "CSC",
		}],
	)
	level(both, {"grants": grants}) == "summary"
}

test_grant_opens_its_givers_own if {
	closed := with_row("mh-risk", "grant", {})
	answer_under(closed, {}, given_by("MH", "mh-risk", "full")).level == "full"
	answer_under(closed, {"owner": "MH2"}, given_by("MH2", "mh-risk", "full")).level == "full"
	answer_under(closed, {"owner": "MH2"}, given_by("MH", "mh-risk", "full")).level == "hidden"
	answer_under(closed, {}, given_by("POL", "mh-risk", "full")).level == "hidden"
	answer_under(closed, {}, given_by("CSC", "mh-risk", "full")).level == "hidden"
	answer_under(closed, {}, given_by("", "mh-risk", "full")).level == "hidden"
	answer_under(closed, {"owner": "POL"}, given_by("POL", "mh-risk", "full")).level == "full"
}

test_grant_of_what_no_kind_owns if {
	level(shelter, given_by("POL", "protected-address", "full")) == "full"
	level(shelter, given_by("CSC", "protected-address", "full")) == "full"
	level(shelter, given_by("MH", "protected-address", "full")) == "hidden"
	level(object.union(shelter, {"owner": "MH"}), given_by("MH", "protected-address", "full")) == "full"
}

# The summary is the police's; what it repeats is not theirs to open.
test_grant_of_what_a_text_repeats if {
	closed := with_row("mh-risk", "grant", {})
	text := {"section": "case-summary", "owner": "POL", "tagged": true, "contains": ["mh-risk"]}
	answer_under(closed, text, {}).level == "hidden"
	answer_under(closed, text, given_by("POL", "mh-risk", "full")).level == "hidden"
	answer_under(closed, text, given_by("MH", "mh-risk", "full")).level == "full"
	shared := {"section": "case-summary", "owner": "POL", "tagged": true, "contains": ["protected-address"]}
	level(shared, given_by("MH", "protected-address", "full")) == "hidden"
	level(shared, given_by("POL", "protected-address", "full")) == "full"
}

test_grant_never_opens_x if {
	level({"section": "therapy-notes"}, named("therapy-notes", "full")) == "hidden"
}

test_grant_lower_than_the_matrix_takes_nothing if {
	got := answer({}, named("mh-risk", "summary"))
	got.level == "full"
	object.get(got, "grant", "") == ""
}

test_grant_keeps_the_masks_of_the_section if {
	answer({"section": "police-events", "owner": "POL"}, named("police-events", "full")).masked == ["caller"]
}

test_emergency_opens_sensitivity_1_to_3 if {
	got := answer({}, emergency(false))
	got.level == "full"
	got.grant == "g1"
	level({"sensitivity": 4}, emergency(true)) == "hidden"
	level({"section": "therapy-notes"}, emergency(true)) == "hidden"
	level({"section": "court-papers"}, emergency(true)) == "hidden"
}

test_emergency_on_a_grant_cell_needs_the_second_approval if {
	level(shelter, emergency(false)) == "hidden"
	level(shelter, emergency(true)) == "full"
}

test_emergency_leaves_the_owners_own if {
	level({"owner": "MH2"}, object.union(nurse, emergency(true))) == "hidden"
	level({"owner": "MH"}, object.union(nurse, emergency(true))) == "full"
}

test_emergency_is_no_named_grant if {
	grants := [{"id": "g", "person": "mum", "section": "protected-address", "level": "full", "break_glass": true}]
	level(shelter, {"grants": grants}) == "hidden"
}

test_emergency_rests_on_no_row if {
	rows_under_vi := {"index": {"kinds": {"CSC": {"VI": {"protected-address": cell("full"), "case-summary": cell("full")}}}}}
	answer_under(rows_under_vi, shelter, emergency(false)).level == "hidden"
	text := {"section": "case-summary", "owner": "POL", "tagged": true, "contains": ["protected-address"]}
	answer_under(rows_under_vi, text, emergency(false)).level == "hidden"
	answer_under(rows_under_vi, text, emergency(true)).level == "full"
}
