# refused: undefined function http.send
package local.rule

lower contains {"entry": 0, "level": level} if {
	level := http.send({"method": "get", "url": "http://127.0.0.1/"}).body
}
