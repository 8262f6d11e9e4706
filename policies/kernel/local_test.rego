package kith.kernel_test

import data.kith.kernel

local_answer(rules) := got.entries[0] if {
	got := kernel.decision with input as object.union(asked, {"tuples": [plain_entry]})
		with data.version as version
		with data.local as {"rules": rules}
}

refused_by(rules) := got.refusal if {
	got := kernel.decision with input as object.union(asked, {"tuples": [plain_entry]})
		with data.version as version
		with data.local as {"rules": rules}
}

test_local_rules_lower if {
	local_answer({"lower": {{"entry": 0, "level": "hidden"}}}) == {"level": "hidden", "reasons": ["local-hidden"]}
	local_answer({"lower": {{"entry": 0, "level": "existence"}}}).level == "existence"
	local_answer({"lower": {{"entry": 0, "level": "summary"}}}).level == "summary"
	local_answer({"lower": {{"entry": 0, "level": "more"}}}).level == "hidden"
	local_answer({"lower": {{"entry": 0}}}).level == "hidden"
}

test_local_rules_never_raise if {
	local_answer({"lower": {{"entry": 0, "level": "full"}, {"entry": 0, "level": "summary"}}}).level == "summary"
}

test_local_masks_and_labels if {
	local_answer({"mask": {{"entry": 0, "field": "plan"}}}).masked == ["plan"]
	local_answer({"label": {{"entry": 0, "label": "onward"}}}).labels == ["onward"]
}

test_local_rule_that_misses if {
	refused_by({"lower": {{"entry": 1, "level": "hidden"}}}) == "policy-error"
	refused_by({"lower": {{"level": "hidden"}}}) == "policy-error"
	refused_by({"mask": {{"entry": 0}}}) == "policy-error"
	refused_by({"mask": {{"entry": "x", "field": "plan"}}}) == "policy-error"
	refused_by({"label": {{"entry": 0, "label": 7}}}) == "policy-error"
}
