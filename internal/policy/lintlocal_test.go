package policy

import (
	"slices"
	"strings"
	"testing"
)

func TestLocalRulesAreLinted(t *testing.T) {
	t.Parallel()
	const head = "# METADATA\n# title: why\npackage local.rule\n\n# METADATA\n# title: why\n"
	const lower = "lower contains {\"entry\": i, \"level\": \"hidden\"} if {\n\tsome i, _ in input.tuples\n}\n"
	const test = "package local.rule_test\n\ntest_it if {\n\tcount(data.local.rule.lower) == 0 with input as {\"tuples\": []}\n}\n"
	for name, c := range map[string]struct {
		rule, test string
		want       string // "" = nothing
	}{
		"well":               {lower, test, ""},
		"no test":            {lower, "", "local/rule.rego:7: no test evaluates lower"},
		"a test of another":  {lower, strings.ReplaceAll(test, "local.rule.lower", "local.rule.mask"), "no test evaluates lower"},
		"unused":             {lower + "\nhelper if {\n\tinput.date == \"2026-01-01\"\n}\n", test, "rule helper has no effect"},
		"speaks of itself":   {lower + "\nallow if {\n\tinput.date == \"2026-01-01\"\n}\n", test, "rule allow has no effect: nothing uses it, and the kernel reads lower, mask, label alone"},
		"used":               {"helper if {\n\tinput.date == \"2026-01-01\"\n}\n\n" + strings.Replace(lower, "some i", "helper\n\tsome i", 1), test, ""},
		"used as a function": {"late(d) if {\n\td > \"2026-01-01\"\n}\n\n" + strings.Replace(lower, "some i", "late(input.date)\n\tsome i", 1), test, ""},
		"shadows":            {"day := \"2026-01-01\"\n\n" + strings.Replace(lower, "some i, _ in input.tuples", "input.date == day\n\tsome day, _ in [1]\n\tsome i, _ in input.tuples", 1), test, "day shadows the rule"},
		"shadows by some":    {"i := 1\n\n" + strings.Replace(lower, "some i, _", "input.date == i\n\tsome i, _", 1), test, "i shadows the rule"},
		"scans":              {strings.Replace(lower, "some i", "\"detective\" == input.caller.roles[_]\n\tsome i", 1), test, "goes through all of input.caller.roles"},
		"looks up":           {strings.Replace(lower, "some i", "\"detective\" in input.caller.roles\n\tsome i", 1), test, ""},
	} {
		files := map[string]string{"rule.rego": head + c.rule}
		if c.test != "" {
			files["rule_test.rego"] = c.test
		}
		found := lintLocal(files)
		switch {
		case c.want == "" && len(found) > 0:
			t.Errorf("%s: %v", name, found)
		case c.want != "" && !slices.ContainsFunc(found, func(line string) bool { return strings.Contains(line, c.want) }):
			t.Errorf("%s: %v, want %q", name, found, c.want)
		}
	}
}
