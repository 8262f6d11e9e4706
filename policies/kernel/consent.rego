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
	answers := {input.people[who].agreed | some who in array.concat([name], object.get(person, "parents", []))}
	"agreed" in answers
	count(answers & {"declined", "withdrawn"}) == 0
}

# METADATA
# title: Without the family's agreement only identity and holders
lowered[i] contains "consent" if {
	purpose.consent == true
	some i, t in open
	t.section != "identity"
	some person in t.about
	not person in consented
}
