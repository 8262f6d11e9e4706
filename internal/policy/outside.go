package policy

import (
	"encoding/json"
	"fmt"
	"maps"
)

// Outside gives the kernel's modules by file name and the compiled version as
// the data document that they read: what another engine needs to answer the
// same inputs, for comparison.
func Outside(v *Version) (modules map[string]string, data []byte, err error) {
	modules, err = embeddedKernel()
	if err != nil {
		return nil, nil, err
	}
	modules = maps.Clone(modules)
	maps.DeleteFunc(modules, func(file, _ string) bool { return isTest(file) })
	if data, err = json.Marshal(document{"version": compiled(v)}); err != nil {
		return nil, nil, fmt.Errorf("encode policy data: %w", err)
	}
	return modules, data, nil
}
