# refused: lower to "everything"
package local.rule

lower contains {"entry": 0, "level": "everything"} if input.date > "2026-01-01"
