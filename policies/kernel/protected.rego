package kith.kernel

# METADATA
# title: People with a protected address, and since when
sheltered := {name: person.protected |
	some name, person in input.people
	person.protected != ""
}

# METADATA
# title: The entry tells of the time since then, or of no known time
since(t, _) if not t.from

since(t, day) if t.from >= day

since(t, day) if t.until >= day

# METADATA
# title: Address and housing count as protected address
lowered[i] contains "protected-address" if {
	count(sheltered) > 0
	some section in {"usual-address", "housing"}
	some i in touches[section]
	some person in open[i].about
	since(open[i], sheltered[person])
	not may_find(person, open[i])
}

# METADATA
# title: Text that tells where somebody can be found, or repeats an address, counts as protected address
# description: For those whom it mentions as for those whom it is about.
lowered[i] contains "protected-address" if {
	count(sheltered) > 0
	some i in tells_places
	some person, day in sheltered
	concerns(open[i], person)
	since(open[i], day)
	not may_find(person, open[i])
}

tells_places contains i if some i in flagged.places

tells_places contains i if {
	some [i, section] in repeats
	section in {"usual-address", "housing"}
}

# METADATA
# title: School, clinic and other places are withheld since that day
masked[i] contains field if {
	count(sheltered) > 0
	some i, t in open
	some person in t.about
	since(t, sheltered[person])
	not may_find(person, t)
	some field in data.version.places[t.section]
}
