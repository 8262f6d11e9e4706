package main

import "runtime/debug"

// collectLess lets the heap grow to four times what is live before it is
// collected. What lives in a hub is small and hardly changes (the compiled
// policy); what a request makes is gone with it. At Go's default a third of the
// hub's CPU goes into marking the same policy again and again. GOGC in the
// environment overrides it.
func collectLess(getenv func(string) string) {
	const percent = 400
	if getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}
