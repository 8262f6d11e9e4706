# refused: undefined function trace
package local.rule

lower contains {"entry": 0, "level": "hidden"} if trace("x")
