package kith.kernel

# METADATA
# title: Children of the family of whom this caller may know
candidates contains child if {
	some child, person in input.people
	person.child == true
	person.restricted == false
	not child in concealed_unborn
}

# METADATA
# title: A span of time that holds today
live(span) if {
	object.get(span, "from", "") <= today
	today <= object.get(span, "until", "9999")
}

# METADATA
# title: The people through whom somebody has to do with a child
# description: |
#   The child, its parents and carers, and the adults who live with it now. A
#   brother's school has nothing to do with her, and contacts do not count.
ties[child] contains child if some child in candidates

ties[child] contains near if {
	some child in candidates
	some near, spans in input.people[child].near
	some span in spans
	tying(span.kind, near)
	live(span)
	input.people[near].restricted == false
}

tying(relation, _) if relation in {"parent", "carer"}

tying("household", near) if input.people[near].child == false

# METADATA
# title: Children with whom the caller has the relationship that the purpose asks for
related contains child if {
	purpose.relationship == "involvement"
	some child, people in ties
	some person in people
	input.people[person].mine == true
}

related contains child if {
	purpose.relationship == "mash-role"
	mash
	some child in candidates
}

related contains child if {
	purpose.relationship == "marac-list"
	input.caller.marac == true
	some child in candidates
}

related contains child if {
	purpose.relationship == "named-lead"
	input.caller.lead == true
	some child in candidates
}

related contains child if {
	break_glass
	some child, people in ties
	count(people & emergency_people) > 0
}

# METADATA
# title: The caller acts in a MASH role
mash if {
	some role in acting
	data.version.roles[role].mash == true
}

# METADATA
# title: Related children who have the open work that the purpose needs
working contains child if {
	count(purpose.open_work) == 0
	some child in related
}

working contains child if {
	some child in related
	some work in input.people[child].open
	purpose.open_work[work]
}

# METADATA
# title: Children for whom the caller may be answered at all
answerable := related if {
	purpose.declared == true
} else := working

# METADATA
# title: The children whom the caller named
asked := {child | some child in input.request.children}

# METADATA
# title: The children for whom the answer is given
# description: |
#   Whoever names a child that is not answerable gets nothing. Whoever names
#   none gets those with open work, and only without any (and where the purpose
#   allows it) the others, declared.
answered := set() if {
	count(asked - answerable) > 0
} else := asked if {
	count(asked) > 0
} else := working if {
	count(working) > 0
} else := answerable

# METADATA
# title: The purpose is used without its open work, so it is flagged and reviewed
default declared := false

declared if count(answered - working) > 0

# METADATA
# title: The caller is the allocated worker of a child or of somebody near it
allocated if {
	some child in answered
	some person in ties[child]
	input.people[person].allocated == true
}

# METADATA
# title: A reason was given, or none is needed
reason_settled if input.request.reason == true

reason_settled if {
	purpose.reason == "no"
	not declared
}

reason_settled if {
	purpose.reason == "unless-allocated"
	allocated
	not declared
}
