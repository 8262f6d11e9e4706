# refused: lower to "full"
package local.rule

lower contains {"entry": 0, "level": "full"} if input.date > "2026-01-01"
