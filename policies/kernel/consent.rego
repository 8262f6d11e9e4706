package kith.kernel

# METADATA
# title: People whose family agreed to help with this purpose
# description: |
#   An adult agrees for themselves. For a child a parent or the child does, and
#   nobody of them declined or withdrew.
consented contains name if {
	some name, person in input.people
	not person.child == true
	person.agreed == "agreed"
}

consented contains name if {
	some name, person in input.people
	person.child == true
	answers := {input.people[who].agreed | some who in speaking(name, person)}
	"agreed" in answers
	count(answers & {"declined", "withdrawn"}) == 0
}

# METADATA
# title: People of whom nobody was asked to agree, for a reason that is on record
unasked contains name if {
	some name, person in input.people
	answers := {input.people[who].agreed | some who in speaking(name, person)}
	"not-asked" in answers
	count(answers & {"agreed", "declined", "withdrawn"}) == 0
}

# METADATA
# title: People who were told of sharing for this purpose, and nobody of them was not
informed contains name if {
	some name, person in input.people
	words := {input.people[who].informed | some who in speaking(name, person)}
	"told" in words
	not "not-told" in words
}

# METADATA
# title: People of whom somebody was not told, for a reason that is on record
uninformed contains name if {
	some name, person in input.people
	some who in speaking(name, person)
	input.people[who].informed == "not-told"
}

# METADATA
# title: Who speaks for somebody
# description: An adult for themselves; for a child it and its parents.
speaking(name, person) := [name] if {
	not person.child == true
} else := array.concat([name], object.get(person, "parents", []))

# METADATA
# title: Without the family's agreement only identity and holders
lowered[i] contains "consent" if {
	purpose.consent == true
	some i, t in open
	t.section != "identity"
	some person in t.about
	not person in consented
}
