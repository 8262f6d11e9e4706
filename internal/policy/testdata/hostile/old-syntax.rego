# refused: `if` keyword is required
package local.rule

lower[x] { x := {"entry": 0, "level": "hidden"} }
