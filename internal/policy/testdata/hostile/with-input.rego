# refused: with is for tests only
package local.rule

lower contains {"entry": 0, "level": "hidden"} if own with input.date as "2026-01-01"

own if input.date == "2026-01-01"
