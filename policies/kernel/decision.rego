# METADATA
# title: The kernel of the sharing policy
# description: |
#   Answers one question about one family: what may this caller see of each
#   entry. It reads input (the recorded facts) and data.version (the compiled
#   catalogue and matrix) and nothing else, so the same input and the same
#   version give the same answer. The one entry point is `decision`. Only the
#   matrix, a named grant or an emergency can allow; everything else lowers.
# scope: package
package kith.kernel

# METADATA
# title: The decision on the whole request
# description: |
#   A refusal says nothing of the family; an allowed request carries one answer
#   for each tuple of facts, in the order of the input.
# entrypoint: true
default decision := {"allow": false, "refusal": "policy-error"}

decision := {
	"allow": false,
	"refusal": refusal,
	"alerts": [alert | some alert in alerts],
	"needs_reason": refusal == "reason",
} if {
	refusal
} else := {
	"allow": true,
	"children": [child | some child in answered],
	"declared": declared,
	"entries": entries,
} if {
	not local_broken
}
