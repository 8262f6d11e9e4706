# refused: assigned var x unused
package local.rule

lower contains {"entry": 0, "level": "hidden"} if x := 1
