package kith.kernel

# METADATA
# title: The purpose that was stated, from the catalogue
purpose := data.version.purposes[input.request.purpose]

# METADATA
# title: The caller's kind of agency, from the catalogue
kind := data.version.kinds[input.caller.kind]

# METADATA
# title: The day of the request
today := input.date

# METADATA
# title: Roles in which the caller may act here
# description: |
#   A role acts only if the catalogue gives it to this kind of agency, lets it
#   open records and lets it state this purpose. An empty list means nobody.
acting contains role if {
	input.caller.active == true
	kind.records == true
	purpose.relationship != "none-records"
	some role in input.caller.roles
	purpose.roles[role]
	data.version.roles[role].records == true
	data.version.roles[role].kinds[input.caller.kind]
}

# METADATA
# title: Emergency access
break_glass if purpose.relationship == "break-glass"

# METADATA
# title: People for whom emergency access was opened to this caller
emergency_people contains grant.person if {
	some grant in input.grants
	grant.break_glass == true
}

# METADATA
# title: Why the whole request is refused
# description: |
#   In this order, so that what depends on the caller alone is told before
#   anything that depends on the family, and a missing reason only to somebody
#   who would get an answer.
refusal := "purpose" if {
	not purpose
} else := "role" if {
	count(acting) == 0
} else := "emergency" if {
	break_glass
	count(emergency_people) == 0
} else := "no-agreement" if {
	count(covering) == 0
} else := "not-found" if {
	not input.caller.named == false
} else := "not-found" if {
	count(answered) == 0
} else := "reason" if {
	not reason_settled
}

# METADATA
# title: Somebody who is named in the family asked for it
alerts contains "named-worker" if {
	refusal == "not-found"
	not input.caller.named == false
}
