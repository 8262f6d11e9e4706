package kith.kernel

# METADATA
# title: The people of the family with whom the caller works
# description: The worker's own clients; without any, the agency's.
clients := own_clients if {
	count(own_clients) > 0
} else := {name | some name, person in input.people; person.ours == true}

own_clients := {name | some name, person in input.people; person.mine == true}

# METADATA
# title: People who are alleged to have harmed somebody of the family
abusers contains name if {
	some person in input.people
	some name in person.harmed_by
}

# METADATA
# title: Harmed people who are not the caller's clients
harmed contains name if {
	some name, person in input.people
	person.harmed_by[0]
	not name in clients
}

# METADATA
# title: Tied to the family only through the alleged abuser
# description: |
#   A relation, not a column. Allegations both ways wall both ways; one worker
#   for both parents is not walled. A kind whose wall nobody knows is walled.
walled if kind.wall == "always"

walled if {
	kind.wall == "by-client"
	count(clients) > 0
	count(clients - abusers) == 0
}

walled if not object.get(kind, "wall", "") in {"always", "by-client", "never"}

# METADATA
# title: The harmed person and the children with them
shielded contains name if {
	walled
	some name in harmed
}

shielded contains child if {
	walled
	some child, person in input.people
	some near in harmed
	some span in person.near[near]
	span.kind in {"parent", "carer", "household"}
	not child in clients
}

# METADATA
# title: Entries about, or mentioning, them
shielding contains i if {
	count(shielded) > 0
	some i, t in open
	some person in t.about
	person in shielded
}

shielding contains i if {
	count(shielded) > 0
	some i, t in open
	some person in t.mentions
	person in shielded
}

# METADATA
# title: What the wall hides of them, whatever the purpose or the grant
lowered[i] contains "wall" if {
	count(shielding) > 0
	some section, _ in data.version.walled
	some i in touches[section]
	i in shielding
}

lowered[i] contains "wall" if {
	some flag in {"new-name", "places"}
	some i in flagged[flag]
	i in shielding
}

# METADATA
# title: Safety plans and MARAC stay hidden from the walled, whoever they are about
lowered[i] contains "wall" if {
	walled
	some section in {"da-victim-safety", "marac"}
	some i in touches[section]
}

# METADATA
# title: Places of the harmed person and the children are withheld from the walled
masked[i] contains field if {
	some i in shielding
	some field in data.version.places[open[i].section]
}

# METADATA
# title: What a perpetrator programme may have of people who are not its clients
beyond_clients := {"identity", "care-status", "childs-story", "assessment-plan", "da-risk"}

# METADATA
# title: Entries of others that are not about the programme's clients alone
beyond contains i if {
	kind.wall == "always"
	some i, t in open
	some person in t.about
	not person in clients
}

lowered[i] contains "not-client" if {
	some i in beyond
	not open[i].section in beyond_clients
}

lowered[i] contains "not-client" if {
	some [i, section] in repeats
	i in beyond
	not section in beyond_clients
}

lowered[i] contains "not-client-summary" if some i in beyond

masked[i] contains field if {
	some i in (beyond | (shielding & always_walled))
	some field in data.version.numbers[open[i].section]
}

# METADATA
# title: Entries that a caller who is always walled reads
always_walled contains i if {
	kind.wall == "always"
	some i, _ in open
}
