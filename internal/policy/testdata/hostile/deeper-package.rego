# refused: package must be local.<name>
package local.rule.deeper

lower contains {"entry": 0, "level": "hidden"}
