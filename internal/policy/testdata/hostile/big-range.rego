# refused: undefined function numbers.range
package local.rule

lower contains {"entry": 0, "level": "hidden"} if count(numbers.range(1, 1000000000)) > 0
