# refused: data is not data of local rules
package local.rule

lower contains {"entry": 0, "level": "hidden"} if count(data) > 0
