package kith.kernel

# METADATA
# title: People in reach whatever the date of the entry
# description: |
#   Purposes belong to a child: the answered children and their parents. In an
#   emergency only the person for whom it was opened.
in_reach contains child if {
	not break_glass
	some child in answered
}

in_reach contains near if {
	not break_glass
	some child in answered
	some near, spans in input.people[child].near
	some span in spans
	span.kind == "parent"
}

in_reach contains person if {
	break_glass
	some person in emergency_people
}

# METADATA
# title: When somebody was near an answered child
near_spans[near] contains span if {
	not break_glass
	some child in answered
	some near, spans in input.people[child].near
	some span in spans
	span.kind in {"carer", "household", "contact"}
}

spans_of := {near: spans | some near, spans in near_spans}

# METADATA
# title: The span holds at the time of the event
# description: An event without a date counts as today.
at_the_time(span, t) if {
	not t.from
	live(span)
}

at_the_time(span, t) if {
	object.get(span, "from", "") <= object.get(t, "until", t.from)
	t.from <= object.get(span, "until", "9999")
}

near_then(person, t) if {
	some span in spans_of[person]
	at_the_time(span, t)
}

# METADATA
# title: About somebody out of reach
lowered[i] contains "out-of-reach" if {
	some i, t in input.tuples
	some person in t.about
	not person in in_reach
	not near_then(person, t)
}

# METADATA
# title: People who are not kept from this caller
unrestricted contains name if {
	some name, person in input.people
	person.restricted == false
}

# METADATA
# title: About or mentioning somebody who is restricted, or unknown
lowered[i] contains "restricted" if {
	count(input.people) != count(unrestricted)
	some i, t in input.tuples
	some person in t.about
	not person in unrestricted
}

lowered[i] contains "restricted" if {
	some i, t in input.tuples
	some person in t.mentions
	not person in unrestricted
}

# METADATA
# title: Unborn children of whom this caller must not learn yet
# description: |
#   An unborn child is the mother's health data: hidden from the walled, and
#   from kinds that may not know, until birth or until the family was told.
concealed_unborn contains name if {
	conceals_unborn
	some name, person in input.people
	person.unborn == true
	not person.told == true
}

conceals_unborn if not kind.knows_unborn == true

conceals_unborn if walled

lowered[i] contains "unborn" if {
	count(concealed_unborn) > 0
	some i, t in open
	some person in concealed_unborn
	concerns(t, person)
}

# METADATA
# title: The entry is about this person or mentions them
concerns(t, person) if person in t.about

concerns(t, person) if person in t.mentions
