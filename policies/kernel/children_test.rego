package kith.kernel_test

stranger := {"people": {"kim": {"mine": false, "allocated": false}}}

test_relationship_through_parents_and_adults_in_the_household if {
	refusal(stranger) == "not-found"
	decide(object.union(stranger, {"people": {"mum": {"mine": true}}})).allow
	decide(object.union(stranger, {"people": {"gran": {"mine": true}}})).refusal == "not-found"
	decide(object.union(stranger, {"date": "2026-03-01", "people": {"gran": {"mine": true}}})).allow
	decide(object.union(stranger, {"people": {"mum": {"mine": true, "restricted": true}}})).refusal == "not-found"
}

test_brothers_school_has_nothing_to_do_with_her if {
	brother := {"people": {"kim": {"near": {"tom": [{"kind": "household"}]}}, "tom": person({"child": true, "mine": true})}}
	refusal(object.union(stranger, brother)) == "not-found"
}

test_restricted_child_is_not_there if {
	refusal({"people": {"kim": {"restricted": true}}}) == "not-found"
}

test_open_work if {
	idle := {"people": {"kim": {"open": []}}}
	refusal(idle) == "not-found"
	got := decide(object.union(idle, {"request": {"purpose": "CP"}}))
	got.allow
	got.declared
	refusal(object.union(idle, {"request": {"purpose": "CP", "reason": false}})) == "reason"
	decide({"request": {"purpose": "LC"}}).declared == false
}

twins := {"people": {
	"tom": person({"child": true, "mine": true, "open": ["section-47"]}),
	"jo": person({"child": true}),
}}

test_children_asked_for if {
	decide(twins).children == ["kim"]
	decide(object.union(twins, {"request": {"purpose": "CP"}})).children == ["tom"]
	decide(object.union(twins, {"request": {"purpose": "CP", "children": ["kim", "tom"]}})).children == ["kim", "tom"]
	refusal(object.union(twins, {"request": {"children": ["kim", "jo"]}})) == "not-found"
	refusal(object.union(twins, {"request": {"children": ["nobody"]}})) == "not-found"
}

test_other_relationships if {
	decide(mash_officer("")).allow
	refusal(object.union(mash_officer(""), {"caller": {"roles": ["worker"]}})) == "not-found"
	decide(object.union(stranger, {"request": {"purpose": "MR"}, "caller": {"marac": true}})).allow
	refusal({"request": {"purpose": "MR"}}) == "not-found"
	decide(object.union(stranger, {"request": {"purpose": "OE"}, "caller": {"lead": true}})).allow
	refusal({"request": {"purpose": "OE"}}) == "not-found"
	refusal(object.union(emergency(false), {"grants": [{"id": "g", "person": "nobody", "break_glass": true}]})) == "not-found"
}

test_purpose_without_a_reason if {
	decide({"request": {"purpose": "EH", "reason": false}}).allow
	refusal(object.union(emergency(false), {"request": {"reason": false}})) == "reason"
}
