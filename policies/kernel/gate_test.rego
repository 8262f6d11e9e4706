package kith.kernel_test

refusal(changes) := decide(changes).refusal

test_purpose_missing_or_unknown if {
	refusal({"request": {"purpose": ""}}) == "purpose"
	refusal({"request": {"purpose": "XX"}}) == "purpose"
}

test_role_of_nobody if {
	refusal({"caller": {"roles": []}}) == "role"
	refusal({"caller": {"roles": ["author"]}}) == "role"
	refusal({"caller": {"roles": ["unheard-of"]}}) == "role"
	refusal({"caller": {"active": false}}) == "role"
	refusal({"caller": {"agency": "HUB", "kind": "HUB"}}) == "role"
	refusal({"caller": {"kind": "XX"}}) == "role"
	refusal({"request": {"purpose": "AU"}}) == "role"
}

test_emergency_needs_a_live_grant if {
	refusal({"request": {"purpose": "VI"}}) == "emergency"
	refusal({"request": {"purpose": "VI"}, "grants": [{"id": "g", "person": "mum", "section": "marac", "level": "full"}]}) == "emergency"
	decide(emergency(false)).allow
}

test_named_worker_gets_nothing_and_an_alert if {
	got := decide({"caller": {"named": true}})
	got.refusal == "not-found"
	got.alerts == ["named-worker"]
}

test_reason_comes_after_not_found if {
	silent := {"request": {"reason": false}, "people": {"kim": {"allocated": false}}}
	refusal(silent) == "reason"
	decide(silent).needs_reason
	refusal(object.union(silent, {"people": {"kim": {"mine": false}}})) == "not-found"
	decide({"request": {"reason": false}}).allow
}
