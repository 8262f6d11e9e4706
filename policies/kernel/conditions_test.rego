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

# What the answer on an entry about these people is, with a condition, when more is known of them.
on_people(code, about, people) := answer_under(
	with_row("mh-risk", "full", {"simple": false, "on_entry": [code]}),
	{"about": about},
	{"people": people},
).level

test_consent_of_everyone if {
	on_people("consent", ["mum"], {}) == "hidden"
	on_people("consent", ["mum"], {"mum": {"agreed": "agreed"}}) == "full"
	every answered in ["declined", "withdrawn", "not-asked", "perhaps"] {
		on_people("consent", ["mum"], {"mum": {"agreed": answered}}) == "hidden"
	}
	on_people("consent", ["mum", "dad"], {"mum": {"agreed": "agreed"}}) == "hidden"
	on_people("consent", ["mum", "dad"], {"mum": {"agreed": "agreed"}, "dad": {"agreed": "agreed"}}) == "full"
	on_people("consent", ["kim"], {"mum": {"agreed": "agreed"}}) == "full"
	on_people("consent", ["kim"], {"mum": {"agreed": "agreed"}, "dad": {"agreed": "withdrawn"}}) == "hidden"
	on_people("consent", ["nobody"], {"mum": {"agreed": "agreed"}}) == "hidden"
}

test_nobody_was_asked_and_why if {
	on_people("not-asked-with-reason", ["mum"], {}) == "hidden"
	on_people("not-asked-with-reason", ["mum"], {"mum": {"agreed": "not-asked"}}) == "full"
	on_people("not-asked-with-reason", ["mum"], {"mum": {"agreed": "declined"}}) == "hidden"
	on_people("not-asked-with-reason", ["kim"], {"mum": {"agreed": "not-asked"}}) == "full"
	on_people("not-asked-with-reason", ["kim"], {"mum": {"agreed": "not-asked"}, "dad": {"agreed": "declined"}}) == "hidden"
	on_people("not-asked-with-reason", ["kim"], {"mum": {"agreed": "not-asked"}, "dad": {"agreed": "agreed"}}) == "hidden"
}

test_told_or_not_and_why if {
	on_people("told", ["mum"], {}) == "hidden"
	on_people("told", ["mum"], {"mum": {"informed": "told"}}) == "full"
	on_people("told", ["mum"], {"mum": {"informed": "not-told"}}) == "hidden"
	on_people("told", ["mum", "dad"], {"mum": {"informed": "told"}}) == "hidden"
	on_people("told", ["kim"], {"mum": {"informed": "told"}}) == "full"
	on_people("told", ["kim"], {"mum": {"informed": "told"}, "dad": {"informed": "not-told"}}) == "hidden"
	on_people("not-told-with-reason", ["mum"], {}) == "hidden"
	on_people("not-told-with-reason", ["mum"], {"mum": {"informed": "told"}}) == "hidden"
	on_people("not-told-with-reason", ["mum"], {"mum": {"informed": "not-told"}}) == "full"
	on_people("not-told-with-reason", ["kim"], {"mum": {"informed": "told"}, "dad": {"informed": "not-told"}}) == "full"
	on_people("not-told-with-reason", ["mum", "dad"], {"dad": {"informed": "not-told"}}) == "hidden"
}

# The conditions on age that hold for each band, of all there are.
test_age_of_everyone if {
	holding := {
		"under-13": {"under-13", "under-16", "under-18", "under-25"},
		"13-15": {"under-16", "under-18", "under-25"},
		"16-17": {"under-18", "under-25", "from-16"},
		"18-24": {"under-25", "from-16", "from-18"},
		"25-over": {"from-16", "from-18"},
		"": set(),
		"of age": set(),
	}
	every band, codes in holding {
		codes == {code | some code in {"under-13", "under-16", "under-18", "under-25", "from-16", "from-18"}; on_people(code, ["kim"], {"kim": {"age": band}}) == "full"}
	}
	on_people("under-18", ["kim"], {}) == "hidden"
	on_people("under-18", ["kim", "mum"], {"kim": {"age": "13-15"}, "mum": {"age": "25-over"}}) == "hidden"
	on_people("under-18", ["kim", "mum"], {"kim": {"age": "13-15"}, "mum": {"age": "16-17"}}) == "full"
}

test_own_clients if {
	on_people("own-client", ["kim"], {}) == "full"
	on_people("own-client", ["mum"], {}) == "hidden"
	on_people("own-client", ["kim", "mum"], {}) == "hidden"
	on_people("own-client", ["kim", "mum"], {"mum": {"ours": true}}) == "full"
}

# What does not hold is why: in a cell with conditions, for rows in force alone.
closed_for(row_changes, entry, request) := answer_under(
	{"index": {"kinds": {"CSC": {"CN": {"mh-risk": {"conditional": true, "rows": [row("full", object.union(
		{"simple": false, "lacking": {"consent": "unmet-consent", "family-team": "unmet-family-team"}},
		row_changes,
	))]}}}}}},
	entry,
	request,
)

test_why_a_conditional_row_did_not_open if {
	both := {"conditions": ["family-team"], "on_entry": ["consent"]}
	closed_for(both, {}, {}) == {"level": "hidden", "reasons": ["unmet-consent", "unmet-family-team"]}
	closed_for(both, {}, {"caller": {"family_team": true}}).reasons == ["unmet-consent"]
	closed_for(both, {}, {"people": {"mum": {"agreed": "agreed"}}}).reasons == ["unmet-family-team"]
	closed_for(both, {}, {"people": {"mum": {"agreed": "agreed"}}, "caller": {"family_team": true}}).level == "full"
	closed_for(both, {"about": []}, {}).reasons == ["no-subject"]
	every changes in [{"agreement": "other"}, {"until": "2026-01-01"}, {"from": "2027-01-01"}, {"roles": {"worker": false}}, {"level": 0}] {
		closed_for(object.union(both, changes), {}, {}).reasons == ["no-agreement"]
	}
	closed_for(both, {}, {"agreements": {"isa": {"parties": {"MH": "ended"}}}}).reasons == ["no-agreement"]
	"out-of-reach" in closed_for(both, {"about": ["stranger"]}, {}).reasons
}
