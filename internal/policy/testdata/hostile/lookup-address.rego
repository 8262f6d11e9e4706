# refused: undefined function net.lookup_ip_addr
package local.rule

lower contains {"entry": 0, "level": "hidden"} if net.lookup_ip_addr("example.org")
