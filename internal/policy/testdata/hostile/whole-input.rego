# refused: input is not an input of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if count(input) > 0
