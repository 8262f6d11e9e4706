# refused: undefined function rand.intn
package local.rule

lower contains {"entry": 0, "level": "hidden"} if rand.intn("seed", 2) == 1
