package kith.kernel

# METADATA
# title: Conditions of matrix rows that hold for this caller
# description: The closed list of the catalogue; a code that is not here never holds.
met contains "family-team" if input.caller.family_team == true

met contains "marac-member" if input.caller.marac == true

met contains "named-lead" if input.caller.lead == true

# METADATA
# title: Conditions of matrix rows that hold for an entry
holds("encompass-event", t) if "encompass" in t.flags

holds("handling-p", t) if t.handling == "P"

holds(code, t) if holds_for(code, t.about)

# METADATA
# title: Conditions that hold for everyone whom an entry is about
# description: What is not known of somebody does not hold.
holds_for("about-child", about) if {
	every person in about {
		input.people[person].child == true
	}
}

holds_for("own-client", about) if {
	every person in about {
		input.people[person].ours == true
	}
}

holds_for("consent", about) if {
	every person in about {
		person in consented
	}
}

holds_for("not-asked-with-reason", about) if {
	every person in about {
		person in unasked
	}
}

holds_for("told", about) if {
	every person in about {
		person in informed
	}
}

holds_for("not-told-with-reason", about) if {
	every person in about {
		person in uninformed
	}
}

holds_for(code, about) if {
	bands := ages[code]
	every person in about {
		input.people[person].age in bands
	}
}

# METADATA
# title: The bands of age on the day that each condition on age takes in
# description: Somebody whose date of birth nobody knows is in no band.
ages := {
	"under-13": {"under-13"},
	"under-16": {"under-13", "13-15"},
	"under-18": {"under-13", "13-15", "16-17"},
	"under-25": {"under-13", "13-15", "16-17", "18-24"},
	"from-16": {"16-17", "18-24", "25-over"},
	"from-18": {"18-24", "25-over"},
}

# METADATA
# title: Conditions for want of which rows that are in force do not open an entry
# description: They say why it is closed, and open nothing.
unmet[i] contains row.lacking[code] if {
	some i, missed in near_misses
	some row in missed
	some code in row.conditions
	not code in met
}

unmet[i] contains row.lacking[code] if {
	some i, missed in near_misses
	some row in missed
	some code in row.on_entry
	not holds(code, foreign[i])
}

near_misses := {i: missed |
	not break_glass
	some i, t in foreign
	cell := table[letters[i]][t.section]
	cell.conditional == true
	not allowing[i]
	missed := [row |
		some row in cell.rows
		in_force(row, t.owner)
	]
}

in_force(row, owner) if {
	row.level > 0
	row.agreement in live_agreements
	input.agreements[row.agreement].parties[owner] == "signed"
	row.from <= today
	today <= row.until
	some role in acting
	row.roles[role]
}
