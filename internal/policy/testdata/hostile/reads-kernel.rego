# refused: data.kith.kernel.walled is not data of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if data.kith.kernel.walled
