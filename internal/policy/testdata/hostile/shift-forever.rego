# refused: undefined function bits.lsh
package local.rule

lower contains {"entry": 0, "level": "hidden"} if bits.lsh(1, 1000000000000) > 0
