package kith.kernel_test

test_household_member_at_the_time if {
	gran := {"about": ["gran"]}
	level(object.union(gran, {"from": "2026-02-10"}), {}) == "full"
	level(object.union(gran, {"from": "2026-01-10", "until": "2026-02-01"}), {}) == "full"
	answer(object.union(gran, {"from": "2026-04-01"}), {}) == {"level": "hidden", "reasons": ["out-of-reach"]}
	level(object.union(gran, {"from": "2026-01-31"}), {}) == "hidden"
}

undated := {key: value | some key, value in plain_entry; key != "from"}

test_undated_counts_as_today if {
	gran := {"tuples": [object.union(undated, {"about": ["gran"]})]}
	decide(gran).entries[0].level == "hidden"
	decide(object.union(gran, {"date": "2026-03-01"})).entries[0].level == "full"
}

test_about_nobody_or_a_stranger if {
	answer({"section": "therapy-notes", "about": ["nobody"]}, {}).reasons == ["out-of-reach", "not-shared"]
	level({"about": []}, {}) == "hidden"
	level({"about": [], "owner": "CSC"}, {}) == "hidden"
	level({"about": ["mum", "nobody"]}, {}) == "hidden"
}

test_restricted_people_hide_what_concerns_them if {
	answer({"about": ["gran"]}, {"people": {"gran": {"restricted": true}}}) == {"level": "hidden", "reasons": ["restricted"]}
	level({"mentions": ["gran"]}, {"people": {"gran": {"restricted": true}}}) == "hidden"
	level({"mentions": ["nobody"]}, {}) == "hidden"
	level({"owner": "CSC", "mentions": ["gran"]}, {"people": {"gran": {"restricted": true}}}) == "hidden"
	level({"mentions": ["gran"]}, {}) == "full"
}

baby := {"people": {
	"kim": {"near": {"baby": [{"kind": "household"}]}},
	"baby": person({"child": true, "unborn": true, "open": ["child-in-need"], "near": {"mum": [{"kind": "parent"}]}}),
}}

school := {"caller": {"agency": "SCH", "kind": "SCH"}}

test_unborn_child if {
	about := {"section": "identity", "owner": "CSC", "about": ["baby"]}
	level(about, object.union(baby, {"caller": {"agency": "POL", "kind": "POL"}})) == "full"
	answer(about, object.union(baby, school)).reasons == ["unborn"]
	level({"section": "identity", "owner": "CSC", "mentions": ["baby"]}, object.union(baby, school)) == "hidden"
	level(about, object.union(object.union(baby, school), {"people": {"baby": {"told": true}}})) == "full"
	level(about, object.union(object.union(baby, school), {"people": {"baby": {"unborn": false}}})) == "full"
	level(about, object.union(baby, nurse_of("dad"))) == "hidden"
	not "baby" in decide(object.union(baby, nurse_of("dad"))).children
}

test_emergency_reaches_one_person if {
	level({}, emergency(false)) == "full"
	level({"about": ["dad"]}, emergency(false)) == "hidden"
	level({"about": ["mum", "kim"]}, emergency(false)) == "hidden"
}

test_emergency_for_a_child_reaches_no_parent if {
	for_kim := object.union(emergency(false), {"grants": [{"id": "g", "person": "kim", "level": "full", "break_glass": true}]})
	level({"about": ["kim"]}, for_kim) == "full"
	level({"about": ["mum"]}, for_kim) == "hidden"
}
