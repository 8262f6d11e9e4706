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

holds("about-child", t) if {
	every person in t.about {
		input.people[person].child == true
	}
}
