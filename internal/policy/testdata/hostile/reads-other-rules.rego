# refused: data.local.other.lower is not data of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if data.local.other.lower
