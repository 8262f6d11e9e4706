# refused: undefined function regex.match
package local.rule

lower contains {"entry": 0, "level": "hidden"} if regex.match("(a*)*b", input.date)
