package kith.kernel

# METADATA
# title: How far each cause lowers an entry
# description: 0 hidden, 1 existence, 2 shared summary. A cause that is not listed hides.
ceilings := {
	"clinical": 0,
	"code-c": 1,
	"code-c-hidden": 0,
	"consent": 1,
	"legally-restricted": 0,
	"local-existence": 1,
	"local-full": 3,
	"local-hidden": 0,
	"local-summary": 2,
	"not-client": 0,
	"not-client-summary": 2,
	"out-of-reach": 0,
	"owner-hidden": 0,
	"privileged": 0,
	"protected-address": 0,
	"repeats-existence": 1,
	"repeats-hidden": 0,
	"repeats-summary": 2,
	"restricted": 0,
	"unborn": 0,
	"unknown-owner": 0,
	"untagged": 2,
	"wall": 0,
}

# METADATA
# title: One answer for each tuple of facts, in the order of the input
# description: |
#   An entry without an answer would shift the others; the host refuses a list
#   that is too short. Most entries get an answer that the version brings
#   ready-made, the others one that is built.
entries := [answers[i] | some i, _ in input.tuples]

answers := object.union(object.union(ready, built), object.union(shut, closed))

# METADATA
# title: What lowered, masked and labelled each entry
causes := {i: codes | some i, codes in lowered}

withheld := {i: fields | some i, fields in masked}

duties := {i: labels | some i, labels in labelled}

# METADATA
# title: What the own agency contributed
# description: It is its own, whatever the matrix says, but must say whom it is about.
own := {i: {"level": 3, "part": "full", "masks": [], "answer": {"level": "full", "part": "full", "reasons": ["own"]}} |
	some i, t in input.tuples
	t.owner == input.caller.agency
	t.about[0]
}

# METADATA
# title: What allows each entry
allowing := object.union(sources, own)

# METADATA
# title: Entries of which something special is known, so that their answer is built
special contains i if some i, _ in causes

special contains i if some i, _ in withheld

special contains i if some i, _ in duties

special contains i if {
	some i, _ in allowing
	input.tuples[i].flags
}

special contains i if {
	some i, t in open
	t.fields
}

# METADATA
# title: Entries that nothing lowers
# description: The row brings the answer.
ready := {i: source.answer |
	some i, source in allowing
	not i in special
	t := input.tuples[i]
	t[source.part] == true
	not i in strange
}

# METADATA
# title: Entries whose schema is not the catalogue's
strange contains i if {
	some i, t in open
	not t.schema == data.version.sections[t.section].schema
}

# METADATA
# title: Entries that nothing allows
# description: The cell brings the answer, unless there is more to tell.
shut := {i: cell.answer |
	some i, t in foreign
	not allowing[i]
	not causes[i]
	t.about[0]
	cell := table[letters[i]][t.section]
	not cell.conditional
}

closed := {i: {"level": "hidden", "reasons": array.concat(reasons(i), absence(i, t))} |
	some i, t in input.tuples
	not allowing[i]
	not shut[i]
}

absence(i, t) := ["no-subject"] if {
	not t.about[0]
} else := [code | some code in unmet[i]] if {
	unmet[i]
} else := table[letters[i]][t.section].answer.reasons if {
	foreign[i]
} else := ["not-shared"]

# METADATA
# title: All others that something allows
built := {i: answer(i, input.tuples[i]) |
	some i, _ in allowing
	not ready[i]
}

# METADATA
# title: The level that is left when every cause has lowered it
level(i) := min(array.concat([allowing[i].level], [object.get(ceilings, cause, 0) | some cause in causes[i]]))

# METADATA
# title: The part of the entry to release
# description: Where no shared summary was written, the level falls to existence.
part(i, t) := "full" if {
	level(i) == 3
	t.full == true
} else := "summary" if {
	level(i) >= 2
	t.summary == true
}

# METADATA
# title: Fields that a rule withholds, whether filled or not
masks(i) := allowing[i].masks if {
	not withheld[i]
} else := [field | some field in ({mask | some mask in allowing[i].masks} | withheld[i])]

# METADATA
# title: The only fields that may leave, where the schema is not the catalogue's
# description: A field that the catalogue does not know is withheld; none left means nothing to show.
keep(i, t, _) := [] if {
	not cut(i, t)
}

keep(i, t, which) := kept if {
	cut(i, t)
	kept := [field |
		some field in data.version.fields[t.section][which]
		not field in masks(i)
	]
	count(kept) > 0
}

cut(i, _) if i in strange

cut(i, t) if {
	not own[i]
	t.fields[0]
}

# METADATA
# title: Obligations that travel with the entry
labels(i, t) := [label |
	some label in ({flag | some flag in t.flags; flag in {"do-not-inform", "onward", "court"}} | object.get(duties, i, set()))
]

# METADATA
# title: The answer on one entry
answer(i, t) := {
	"level": which,
	"part": which,
	"masked": masks(i),
	"keep": kept,
	"clauses": clauses(i),
	"grant": object.get(allowing[i], "grant", ""),
	"labels": labels(i, t),
	"reasons": array.concat([code | own[i]; code := "own"], reasons(i)),
} if {
	which := part(i, t)
	kept := keep(i, t, which)
} else := {
	"level": "existence",
	"holder": true,
	"named": data.version.kinds[input.parties[t.owner].kind].plain,
	"clauses": clauses(i),
	"grant": object.get(allowing[i], "grant", ""),
	"reasons": array.concat(reasons(i), [code | level(i) >= 2; code := "no-summary"]),
} if {
	level(i) > 0
	not i in shielding
} else := {
	"level": "hidden",
	"reasons": array.concat(reasons(i), [code | level(i) > 0; code := "wall-holder"]),
}

reasons(i) := [cause | some cause in causes[i]]

clauses(i) := [clause | clause := allowing[i].clause]
