# refused: is not an input of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if {
	some key
	input[key]
}
