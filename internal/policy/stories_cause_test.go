package policy

import (
	"context"
	"maps"
	"regexp"
	"strings"
	"testing"

	"kith/policies"
)

// Each cause that lowers an entry is guarded by a story: with a kernel in which
// that one cause lowers nothing, some story of the shipped version fails.
func TestStoriesGuardEveryCause(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	stories, err := loadStories(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := embeddedKernel()
	if err != nil {
		t.Fatal(err)
	}
	// Causes that lower nothing by themselves: without a source the level is
	// hidden anyway, and they say why. Local rules have tests of their own.
	silent := map[string]bool{"never": true, "needs-grant": true, "no-agreement": true, "not-shared": true}

	form := regexp.MustCompile(`(?s)ceilings := \{\n(.*?)\n\}`)
	var file string
	var table []string
	for name, text := range kernel {
		if found := form.FindStringSubmatch(text); found != nil {
			file, table = name, found
		}
	}
	if table == nil {
		t.Fatal("the kernel has no table of ceilings")
	}
	row := regexp.MustCompile(`"([a-z-]+)": [0-3],`)
	causes := row.FindAllStringSubmatch(table[1], -1)
	if len(causes) < 15 {
		t.Fatalf("%s has %d causes", file, len(causes))
	}
	for _, cause := range causes {
		line, code := cause[0], cause[1]
		if silent[code] || strings.HasPrefix(code, "local-") {
			continue
		}
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			changed := maps.Clone(kernel)
			changed[file] = strings.Replace(kernel[file], line, `"`+code+`": 3,`, 1)
			active, err := Compile(version, nil, Options{Kernel: changed, Deadline: testDeadline})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range stories {
				if len(s.play(context.Background(), active)) > 0 {
					return
				}
			}
			t.Errorf("no story fails when %q lowers nothing", code)
		})
	}
}
