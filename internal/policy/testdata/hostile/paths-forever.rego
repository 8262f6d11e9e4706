# refused: undefined function graph.reachable_paths
package local.rule

lower contains {"entry": 0, "level": "hidden"} if count(graph.reachable_paths({}, {"a"})) > 0
