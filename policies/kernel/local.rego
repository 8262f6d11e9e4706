package kith.kernel

# METADATA
# title: Local rules may only narrow
# description: |
#   Each module `package local.<name>` may define the partial sets `lower`
#   ({"entry": index, "level": level}), `mask` ({"entry": index, "field": name})
#   and `label` ({"entry": index, "label": code}). The kernel takes the lower of
#   the two; a level that nobody knows hides.
lowered[i] contains code if {
	some name
	some rule in data.local[name].lower
	i := rule.entry
	code := object.get(local_ceilings, object.get(rule, "level", ""), "local-hidden")
}

local_ceilings := {"existence": "local-existence", "summary": "local-summary", "full": "local-full"}

masked[i] contains rule.field if {
	some name
	some rule in data.local[name].mask
	i := rule.entry
}

labelled[i] contains rule.label if {
	some name
	some rule in data.local[name].label
	i := rule.entry
}

# METADATA
# title: A local rule that misses its mark narrows nothing, so nothing is released
local_broken if {
	some name
	some rule in data.local[name].lower
	not aimed(rule)
}

local_broken if {
	some name
	some rule in data.local[name].mask
	not masking(rule)
}

local_broken if {
	some name
	some rule in data.local[name].label
	not labelling(rule)
}

aimed(rule) if input.tuples[rule.entry]

masking(rule) if {
	aimed(rule)
	is_string(rule.field)
}

labelling(rule) if {
	aimed(rule)
	is_string(rule.label)
}
