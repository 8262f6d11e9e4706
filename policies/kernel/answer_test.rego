package kith.kernel_test

test_own_entries_need_no_row if {
	got := answer({"section": "therapy-notes", "owner": "CSC", "sensitivity": 4}, {})
	got.level == "full"
	not got.clauses
	got.reasons == ["own"]
	level({"owner": "CSC", "full": false}, {}) == "summary"
	level({"owner": "CSC", "full": false, "summary": false}, {}) == "existence"
	answer({"owner": "CSC", "about": []}, {}).reasons == ["no-subject"]
}

test_part_that_is_there if {
	got := answer({"full": false}, {})
	got.level == "summary"
	got.part == "summary"
	unwritten := answer({"full": false, "summary": false}, {})
	unwritten.level == "existence"
	unwritten.holder
	unwritten.reasons == ["no-summary"]
	answer({"section": "police-intelligence-c", "owner": "POL", "existence": true}, {}).reasons == ["code-c"]
}

test_full_is_not_released_at_summary if {
	answer({"section": "da-victim-safety", "owner": "POL"}, {}).part == "summary"
	level({"section": "da-victim-safety", "owner": "POL", "summary": false}, {}) == "existence"
}

test_holder_is_named_for_plain_kinds_alone if {
	answer({"owner": "SCH", "full": false, "summary": false}, {}).named
	answer({"owner": "MH", "full": false, "summary": false}, {}).named == false
}

test_unknown_schema_is_cut if {
	answer({"schema": "s/2"}, {}).keep == ["plan", "signs"]
	answer({"schema": "s/2", "full": false}, {}).keep == ["signs"]
	answer({"fields": ["surprise"]}, {}).keep == ["plan", "signs"]
	level({"section": "education", "owner": "POL", "schema": "s/2"}, {}) == "existence"
	answer({"schema": "s/2", "owner": "CSC", "flags": ["onward"]}, {}).keep == []
}

test_labels_travel if {
	answer({"flags": ["onward", "encompass", "do-not-inform"]}, {}).labels == ["do-not-inform", "onward"]
}
