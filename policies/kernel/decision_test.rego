package kith.kernel_test

import data.kith.kernel

test_nothing_known_nothing_shown if {
	kernel.decision.allow == false with input as {} with data.version as {}
}

test_refusal_carries_no_entries if {
	refused := decide({"caller": {"roles": []}, "tuples": [plain_entry]})
	refused == {"allow": false, "refusal": "role", "alerts": [], "needs_reason": false}
}

test_allowed_answers_in_order if {
	got := decide({"tuples": [plain_entry, object.union(plain_entry, {"section": "therapy-notes"})]})
	got.allow
	got.children == ["kim"]
	got.declared == false
	[entry.level | some entry in got.entries] == ["full", "hidden"]
}

test_kernel_that_cannot_decide_denies if {
	got := kernel.decision with input as object.union(asked, {"tuples": [plain_entry]})
		with data.version as version
		with data.local as {"typo": {"lower": {{"entry": 7, "level": "hidden"}}}}
	got == {"allow": false, "refusal": "policy-error"}
}
