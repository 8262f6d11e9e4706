package kith.kernel_test

early_help(agreed) := {
	"request": {"purpose": "EH"},
	"people": {name: {"agreed": answered} | some name, answered in agreed},
}

test_without_agreement_only_identity_and_holders if {
	asked_nobody := early_help({})
	answer({}, asked_nobody).level == "existence"
	answer({}, asked_nobody).reasons == ["consent"]
	level({"section": "identity"}, asked_nobody) == "full"
	level({"section": "therapy-notes"}, asked_nobody) == "hidden"
	level({"owner": "CSC"}, asked_nobody) == "full"
	level({}, early_help({"mum": "agreed"})) == "full"
	level({}, early_help({"mum": "declined"})) == "existence"
}

test_a_parent_or_the_child_agrees_for_a_child if {
	child := {"about": ["kim"]}
	level(child, early_help({"mum": "agreed"})) == "full"
	level(child, early_help({"kim": "agreed"})) == "full"
	level(child, early_help({"mum": "agreed", "dad": "withdrawn"})) == "existence"
	level(child, early_help({"dad": "not-asked"})) == "existence"
}

test_one_who_declined_counts_against_the_child_too if {
	level({"about": ["kim"]}, early_help({"kim": "agreed", "dad": "declined"})) == "existence"
}
