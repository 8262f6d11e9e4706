package kith.kernel_test

conditional(code, entry, request) := answer_under(
	with_row("mh-risk", "full", {"simple": false, "conditions": [code]}),
	entry,
	request,
).level

on_entry(code, entry) := answer_under(with_row("mh-risk", "full", {"simple": false, "on_entry": [code]}), entry, {}).level

test_conditions_on_the_caller if {
	conditional("marac-member", {}, {}) == "hidden"
	conditional("marac-member", {}, {"caller": {"marac": true}}) == "full"
	conditional("named-lead", {}, {}) == "hidden"
	conditional("named-lead", {}, {"caller": {"lead": true}}) == "full"
	conditional("no-such", {}, {}) == "hidden"
}

test_conditions_on_the_entry if {
	on_entry("encompass-event", {}) == "hidden"
	on_entry("encompass-event", {"flags": ["encompass"]}) == "full"
	on_entry("handling-p", {}) == "hidden"
	on_entry("handling-p", {"handling": "P"}) == "full"
	on_entry("about-child", {}) == "hidden"
	on_entry("about-child", {"about": ["kim"]}) == "full"
	on_entry("no-such", {}) == "hidden"
}
