// Package policies embeds the kernel's Rego modules and the default policy
// version, so that one binary carries everything that its decisions rest on.
package policies

import (
	"embed"
	"io/fs"
)

//go:embed kernel
var kernel embed.FS

//go:embed default
var standard embed.FS

// Kernel is the folder of the kernel's modules and their tests.
func Kernel() fs.FS { return within(kernel, "kernel") }

// Default is the folder of the policy version that Kith ships.
func Default() fs.FS { return within(standard, "default") }

// within cannot fail: both folders are named by the embed directives above.
func within(files embed.FS, folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic("policies: embedded folder " + folder + ": " + err.Error())
	}
	return sub
}
