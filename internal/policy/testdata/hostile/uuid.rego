# refused: undefined function uuid.rfc4122
package local.rule

lower contains {"entry": 0, "level": uuid.rfc4122("seed")}
