# METADATA
# title: A small family and a small version for the kernel's tests
# description: |
#   Kim lives with her mother, who is harmed by the father. The asker is Kim's
#   social worker under CN unless a test says otherwise.
package kith.kernel_test

import data.kith.kernel

# METADATA
# title: What a caller with these changes to the input is told
decide(changes) := got if {
	got := kernel.decision with input as object.union(asked, changes)
		with data.version as version
		with data.local as {}
}

# METADATA
# title: The answer on one entry
answer(entry, changes) := decide(object.union(changes, {"tuples": [object.union(plain_entry, entry)]})).entries[0]

level(entry, changes) := answer(entry, changes).level

asked := {
	"v": 1,
	"date": "2026-11-20",
	"caller": {
		"agency": "CSC", "kind": "CSC", "roles": ["worker"], "active": true,
		"named": false, "family_team": false, "marac": false, "lead": false,
	},
	"request": {"purpose": "CN", "children": [], "reason": true},
	"agreements": {
		"isa": {"from": "2026-01-01", "review": "2026-12-01", "end": "2026-12-31", "parties": signed},
		"over": {"from": "2026-01-01", "review": "2026-12-01", "end": "2026-12-31", "parties": signed},
	},
	"parties": {code: {"kind": code} | some code, _ in signed},
	"people": {
		"kim": person({
			"child": true, "open": ["child-in-need"], "mine": true, "ours": true, "allocated": true, "parents": ["mum", "dad"],
			"near": {
				"mum": [{"kind": "parent"}], "dad": [{"kind": "parent"}],
				"gran": [{"kind": "household", "from": "2026-02-01", "until": "2026-03-31"}],
			},
		}),
		"mum": person({"harmed_by": ["dad"]}),
		"dad": person({}),
		"gran": person({}),
	},
	"tuples": [],
}

signed := {code: "signed" | some code in ["CSC", "MH", "MH2", "DP", "SCH", "POL", "DV", "PRB"]}

person(changes) := object.union(
	{
		"child": false, "unborn": false, "told": false, "ours": false, "mine": false,
		"allocated": false, "declared": false, "restricted": false,
	},
	changes,
)

plain_entry := {
	"section": "mh-risk", "owner": "MH", "sensitivity": 2, "source": "fact", "about": ["mum"],
	"full": true, "summary": true, "schema": "s/1", "from": "2026-02-10",
}

# Who asks in place of the social worker.
nurse := {"caller": {"agency": "MH", "kind": "MH"}}

nurse_of(client) := object.union(nurse, {"people": {
	"kim": {"mine": false, "ours": false, "allocated": false},
	client: {"mine": true, "ours": true},
}})

programme := {
	"caller": {"agency": "DP", "kind": "DP"},
	"people": {"kim": {"mine": false, "ours": false, "allocated": false}, "dad": {"mine": true, "ours": true}},
}

mash_officer(rating) := {
	"caller": {"roles": ["mash"]},
	"request": {"purpose": "FD"},
	"people": {"kim": {"mine": false, "ours": false, "open": ["contact"], "rating": rating}},
}

emergency(approved) := {
	"request": {"purpose": "VI"},
	"people": {"kim": {"mine": false, "ours": false}},
	"grants": [{"id": "g1", "person": "mum", "level": "full", "break_glass": true, "approved": approved}],
}

# A grant by whoever has a say over that part of the record.
named(section, rank) := given_by(object.get({"mh-risk": "MH", "mh-involvement": "MH", "police-events": "POL"}, section, "CSC"), section, rank)

given_by(giver, section, rank) := {"grants": [{
	"id": "g2", "person": "mum", "section": section, "level": rank,
	"giver": giver, "giver_kind": giver,
}]}

version := {
	"purposes": {
		"CN": purpose({"open_work": {"child-in-need": true}}),
		"CP": purpose({"open_work": {"section-47": true}, "declared": true}),
		"LC": purpose({"open_work": {}, "hides_clinical": true}),
		"EH": purpose({"open_work": {}, "consent": true, "reason": "no"}),
		"FD": purpose({"letter": "FD", "inside": "CN", "relationship": "mash-role", "open_work": {"contact": true}}),
		"MR": purpose({"relationship": "marac-list", "open_work": {}}),
		"OE": purpose({"relationship": "named-lead", "open_work": {}}),
		"VI": purpose({
			"letter": "VI", "relationship": "break-glass", "open_work": {}, "reason": "always",
			"clause": {"agreement": "over", "text": "over cl. 1"},
		}),
		"AU": purpose({"relationship": "none-records", "open_work": {}}),
	},
	"covering": {
		"CN": ["isa"], "CP": ["isa"], "LC": ["isa"], "EH": ["isa"], "FD": ["isa"],
		"MR": ["isa"], "OE": ["isa"], "VI": ["over"], "AU": ["isa"],
	},
	"kinds": {
		"CSC": {"plain": true, "wall": "never", "records": true, "knows_unborn": true},
		"MH": {"plain": false, "wall": "by-client", "records": true, "knows_unborn": true, "involvement": "mh-involvement"},
		"MH2": {"plain": false, "wall": "odd", "records": true, "knows_unborn": true, "involvement": "mh-involvement"},
		"DP": {"plain": false, "wall": "always", "records": true, "knows_unborn": true, "involvement": "da-perpetrator-work"},
		"SCH": {"plain": true, "wall": "never", "records": true, "knows_unborn": false},
		"POL": {"plain": false, "wall": "never", "records": true, "knows_unborn": true},
		"HUB": {"plain": false, "wall": "never", "records": false, "knows_unborn": false},
	},
	"roles": {
		"worker": {"kinds": all_kinds, "records": true, "mash": false},
		"mash": {"kinds": all_kinds, "records": true, "mash": true},
		"author": {"kinds": all_kinds, "records": false, "mash": false},
	},
	"sections": {code: {"sensitivity": object.get(graver, code, 2), "narrative": code == "case-summary", "schema": "s/1"} |
		some code, _ in matrix
	},
	"owning": {code: owned | some code, _ in matrix; owned := object.get(owned_by, code, {"kinds": {"CSC": true}, "shared": true})},
	"clinical": {"mh-risk": true},
	"walled": {"usual-address": true, "police-events": true},
	"places": {"education": ["school"]},
	"numbers": {"identity": ["nhs_number"]},
	"fields": {"mh-risk": {"full": ["plan", "signs"], "summary": ["signs"]}, "education": {"full": [], "summary": []}},
	"index": {
		"kinds": {kind: {letter: {section: cell(rank) | some section, rank in levels} | some letter, levels in letters} |
			some kind, letters in by_kind
		},
		"agencies": {},
	},
	"cited": {"kinds": {kind: {letter: {"isa": true} | some letter in ["CN", "FD"]} | some kind, _ in by_kind}, "agencies": {}},
	"never": {"kinds": {kind: {"therapy-notes": true} | some kind, _ in by_kind}, "agencies": {}},
	"own": {"MH": {"mh-risk": true, "mh-involvement": true}},
	"by_grant": {kind: {"protected-address": true, "court-papers": true, "marac": true} | some kind, _ in by_kind},
	"masks": {"CSC": {"police-events": ["caller"]}},
}

owned_by := {
	"mh-risk": {"kinds": {"MH": true, "MH2": true}, "shared": false},
	"mh-involvement": {"kinds": {"MH": true, "MH2": true}, "shared": false},
	"therapy-notes": {"kinds": {"MH": true}, "shared": false},
	"police-events": {"kinds": {"POL": true}, "shared": false},
	"marac": {"kinds": {"POL": true}, "shared": false},
}

all_kinds := {"CSC": true, "MH": true, "MH2": true, "DP": true, "SCH": true, "POL": true, "HUB": true}

graver := {"identity": 1, "protected-address": 3, "court-papers": 4, "marac": 3, "da-victim-safety": 3}

purpose(changes) := object.union(
	{
		"letter": "CN", "declared": false, "roles": {"worker": true, "mash": true, "author": true},
		"reason": "unless-allocated", "relationship": "involvement", "consent": false, "hides_clinical": false,
	},
	changes,
)

# The wide cells of the social worker; the others differ by kind below.
matrix := {
	"identity": "full", "usual-address": "full", "housing": "full", "mh-risk": "full", "mh-involvement": "full",
	"case-summary": "full", "police-events": "full", "police-intelligence-c": "existence", "protected-address": "grant",
	"court-papers": "grant", "therapy-notes": "none", "marac": "grant", "da-victim-safety": "summary",
	"care-status": "full", "workbook": "full", "education": "full", "da-perpetrator-work": "full", "assessment-plan": "full",
}

by_kind := {
	"CSC": {"CN": matrix, "FD": object.union(matrix, {"mh-risk": "summary"}), "VI": {}},
	"MH": {"CN": object.union(matrix, {"mh-risk": "none", "mh-involvement": "none", "police-events": "summary"})},
	"MH2": {"CN": matrix},
	"DP": {"CN": object.union(matrix, {"mh-risk": "none"})},
	"SCH": {"CN": object.union(matrix, {"mh-involvement": "none", "police-intelligence-c": "none"})},
	"POL": {"CN": matrix},
}

cell("none") := {"answer": {"level": "hidden", "reasons": ["not-shared"]}, "rows": []}

cell(rank) := {"answer": {"level": "hidden", "reasons": ["no-agreement"]}, "rows": [row(rank, {})]} if rank != "none"

ranked := {"grant": 0, "existence": 1, "summary": 2, "full": 3}

row(rank, changes) := object.union(
	{
		"level": ranked[rank], "simple": true, "masks": [], "agreement": "isa", "clause": "isa cl. 1",
		"roles": {"worker": true, "mash": true}, "conditions": [], "on_entry": [], "from": "0000", "until": "9999-99-99",
		"part": rank, "answer": {"level": rank, "part": rank, "masked": [], "clauses": ["isa cl. 1"]},
	},
	changes,
)

# METADATA
# title: The answer under a version that differs
answer_under(changes, entry, request) := got.entries[0] if {
	question := object.union(object.union(asked, request), {"tuples": [object.union(plain_entry, entry)]})
	got := kernel.decision with input as question
		with data.version as object.union(version, changes)
		with data.local as {}
}

# METADATA
# title: The version with one row of CSC under CN in place of another
with_row(section, rank, changes) := {"index": {"kinds": {"CSC": {"CN": {section: {"rows": [row(rank, changes)]}}}}}}
