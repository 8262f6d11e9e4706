package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"kith/internal/policy"
)

// versionCommand says what was built from what: the first question after an
// incident.
func versionCommand(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "usage: kith version")
		return 2
	}
	fmt.Fprintf(stdout, "kith %s, policy engine %s\n", buildVersion(), policy.Engine())
	return 0
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = ", modified"
		}
	}
	version := info.Main.Version
	if version == "" {
		version = "(devel)"
	}
	if revision == "" {
		return version + ", " + info.GoVersion
	}
	return fmt.Sprintf("%s, revision %.12s%s, %s", version, revision, dirty, info.GoVersion)
}
