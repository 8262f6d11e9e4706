# refused: is not data of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if {
	some key
	data[key]
}
