package kith.kernel

# METADATA
# title: What counts as signed
# description: |
#   Emergency access rests on the overarching agreement alone and outlives a
#   suspended one: a life at risk does not wait for a signature.
standing := {"signed", "suspended"} if {
	break_glass
} else := {"signed"}

# METADATA
# title: An agency stands by an agreement
signed(id, agency) if input.agreements[id].parties[agency] in standing

# METADATA
# title: Agreements in force today to which the caller's agency is party
live_agreements contains id if {
	some id, agreement in input.agreements
	agreement.from != ""
	agreement.from <= today
	today <= agreement.end
	signed(id, input.caller.agency)
}

# METADATA
# title: Of those, the ones that the caller's access rests on
# description: |
#   They cover the purpose, and the matrix cites them to the caller's kind or
#   agency: who is party to another service's agreement alone has none. In an
#   emergency there are no rows, and covering is enough.
covering contains id if {
	some id in data.version.covering[input.request.purpose]
	id in live_agreements
	relied_on(id)
}

relied_on(_) if break_glass

relied_on(id) if data.version.cited.kinds[input.caller.kind][purpose.letter][id]

relied_on(id) if data.version.cited.agencies[input.caller.agency][purpose.letter][id]

# METADATA
# title: The clause that carries what no matrix row carries
# description: Emergency access, and a named grant beyond a cell; both agencies stand by it.
fallback_clause(owner) := purpose.clause.text if {
	purpose.clause.agreement in data.version.covering[input.request.purpose]
	purpose.clause.agreement in live_agreements
	signed(purpose.clause.agreement, owner)
}
