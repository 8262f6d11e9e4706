# refused: undefined function time.now_ns
package local.rule

lower contains {"entry": 0, "level": "hidden"} if time.now_ns() > 0
