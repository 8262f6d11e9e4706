# refused: is what the kernel reads
package local.rule

lower contains {"entry": 0} if input.date > "2026-01-01"
