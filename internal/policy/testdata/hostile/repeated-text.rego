# refused: undefined function strings.repeat
package local.rule

lower contains {"entry": 0, "level": strings.repeat("hidden", 1000000000)}
