package kith.kernel

# METADATA
# title: The rank of each level
ranks := {"hidden": 0, "existence": 1, "summary": 2, "full": 3}

# METADATA
# title: Named grants that open a part of the record about one person
# description: |
#   Never where the cell is X; a level that nobody knows opens nothing, nor does
#   a grant by an agency that has no say over what the entry tells.
named_grants(section, person, t) := [[rank, grant.id] |
	not never(section)
	some grant in input.grants
	not grant.break_glass == true
	grant.section == section
	grant.person == person
	may_give(grant, section, t)
	rank := ranks[grant.level]
	rank > 0
]

# METADATA
# title: What a grant's giver has a say over
# description: |
#   Its own entries of that part of the record. Of other agencies' entries
#   children's social care too, where no kind of agency owns that part. Where an
#   entry only repeats it, the kind whose information that is.
may_give(grant, section, t) if {
	grant.giver == t.owner
	own_word(section, t)
}

may_give(grant, section, t) if {
	data.version.owning[section].kinds[grant.giver_kind]
	others_word(section, t)
}

own_word(section, t) if section == t.section

own_word(section, _) if data.version.owning[section].shared == true

others_word(section, t) if section != t.section

others_word(section, _) if data.version.owning[section].shared == true

# METADATA
# title: How far named grants open a part of the record for everyone an entry is about
granted(section, t) := min(best) if {
	best := [max(found) |
		some person in t.about
		found := named_grants(section, person, t)
		count(found) > 0
	]
	count(best) == count(t.about)
}

# METADATA
# title: Emergency access opens this part of the record
# description: |
#   It raises what the matrix leaves closed, for sensitivity 1 to 3. What is
#   open only by named grant needs the second approval; what is the owner's
#   own, legally restricted, or X, stays closed.
emergency(section, t) := min(opened) if {
	break_glass
	not never(section)
	not data.version.own[input.caller.kind][section]
	data.version.sections[section].sensitivity in {1, 2, 3}
	t.sensitivity in {1, 2, 3}
	opened := [max(found) |
		some person in t.about
		found := [[3, grant.id] |
			some grant in input.grants
			grant.break_glass == true
			grant.person == person
			opens(section, grant)
		]
		count(found) > 0
	]
	count(opened) == count(t.about)
}

opens(section, grant) if {
	data.version.by_grant[input.caller.kind][section]
	grant.approved == true
}

opens(section, _) if not data.version.by_grant[input.caller.kind][section]

# METADATA
# title: The live exception for a part of the record, as rank and grant
exception(section, t) := emergency(section, t) if {
	break_glass
} else := granted(section, t)

exception_levels(section, t) := [found[0] |
	input.grants[0]
	found := exception(section, t)
]

# METADATA
# title: Entries that an exception opens at least as wide as the matrix
exceptions := {i: source |
	some i, t in foreign
	t.about[0]
	found := exception(t.section, t)
	found[0] >= object.get(shared, [i, "level"], 0)
	source := {
		"level": found[0],
		"grant": found[1],
		"masks": object.get(data.version.masks, [input.caller.kind, t.section], []),
		"clause": exception_clause(i, t),
	}
}

# METADATA
# title: The clause behind an exception
# description: That of a row of the cell, such as the one that asks for the grant, else the purpose's own.
exception_clause(i, t) := array.concat(
	[row.clause | some row in fitting(letters[i], t.section, t)],
	[clause | clause := fallback_clause(t.owner)],
)[0]

# METADATA
# title: A grant of protected address in full opens where this person can be found
may_find(person, t) if {
	some found in named_grants("protected-address", person, t)
	found[0] == 3
}

may_find(person, _) if emergency("protected-address", {"about": [person], "sensitivity": 3})
