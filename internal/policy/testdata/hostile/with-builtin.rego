# refused: with is for tests only
package local.rule

lower contains {"entry": 0, "level": "hidden"} if count([]) == 1 with count as 1
