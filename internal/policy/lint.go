package policy

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"go.yaml.in/yaml/v3"
)

// Lint names what is wrong or suspicious in a version's files: what does not
// load or compile, and what loads but can serve nobody. It evaluates nothing.
// The error is of files that cannot be read.
func Lint(fsys fs.FS) ([]string, error) {
	bundle, err := Pack(fsys)
	if err != nil {
		return nil, err
	}
	version, err := Load(fsys)
	if err != nil {
		return problemLines(err), nil
	}
	var found []string
	local := bundle.modules(localFolder)
	if _, err := Compile(version, local, Options{}); err != nil {
		found = append(found, problemLines(err)...)
	}
	for _, file := range sortedKeys(local) {
		found = append(found, lintModule(localFolder+file, local[file])...)
	}
	found = append(found, lintLocal(local)...)
	if _, err := loadStories(fsys); err != nil {
		found = append(found, problemLines(err)...)
	}
	return append(found, lintVersion(version)...), nil
}

// LintFile checks one file while it is typed: the form of a local rule, and of
// anything else whether it is well-formed. It evaluates nothing and knows
// nothing of the other files.
func LintFile(file, text string) []string {
	if len(text) > maxFileBytes || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return []string{file + ": a file is plain UTF-8 text of at most 256 KiB"}
	}
	switch path.Ext(file) {
	case ".rego":
		return slices.Concat(lintModule(file, text), gated(file, text))
	case ".yaml":
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(text), &root); err != nil {
			return []string{file + ": " + strings.TrimPrefix(err.Error(), "yaml: ")}
		}
	}
	return nil
}

// gated tells where a module leaves what a local rule may read.
func gated(file, text string) []string {
	if isTest(file) {
		return nil // lintModule has
	}
	module, err := parseModule(file, text)
	if err != nil {
		return nil // lintModule has said so
	}
	if err := gateLocal(file, module); err != nil {
		return problemLines(err)
	}
	return nil
}

// Format writes a local rule as opa fmt does; text that does not parse stays.
func Format(file, text string) string {
	if path.Ext(file) != ".rego" {
		return text
	}
	if _, err := parseModule(file, text); err != nil {
		return text
	}
	formatted, err := format.SourceWithOpts(file, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return text
	}
	return string(formatted)
}

// problemLines gives the lines of an error that reports several things together.
func problemLines(err error) []string {
	var lines []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// lintModule checks the form of a local rule's module: formatted, gated (its
// tests too), and each rule with a title that says why.
func lintModule(file, text string) []string {
	module, err := parseModule(file, text)
	if err != nil {
		return problemLines(err)
	}
	var found []string
	if isTest(file) { // Compile gates the others
		if err := gateLocal(file, module); err != nil {
			found = append(found, problemLines(err)...)
		}
	}
	formatted, err := format.SourceWithOpts(file, []byte(text), format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		found = append(found, fmt.Sprintf("%s: %v", file, err))
	} else if string(formatted) != text {
		found = append(found, file+": not formatted (opa fmt)")
	}
	if isTest(file) {
		return found
	}
	notes, errs := ast.BuildAnnotationSet([]*ast.Module{module})
	if len(errs) > 0 {
		return append(found, problemLines(errs)...)
	}
	titled := map[string]bool{}
	for _, rule := range module.Rules {
		name := rule.Head.Ref().String()
		for _, note := range notes.Chain(rule) {
			if note.Annotations != nil && note.Annotations.Title != "" {
				titled[name] = true
			}
		}
	}
	for _, rule := range module.Rules {
		if name := rule.Head.Ref().String(); !titled[name] {
			titled[name] = true // once is enough
			found = append(found, fmt.Sprintf("%s:%d: rule %s has no title (# METADATA)", file, rule.Location.Row, name))
		}
	}
	return found
}

// lintVersion looks for what stands in the catalogue and serves nobody.
func lintVersion(v *Version) []string {
	var found []string
	warn := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	for _, s := range v.Sections {
		if !s.Never && !slices.ContainsFunc(v.Matrix, func(r Row) bool { return r.Section == s.Code }) {
			warn("sections/%s.yaml: no row of the matrix speaks of it: only its owner will see it", s.Code)
		}
		if !s.Narrative && len(v.SummaryFields(s.Code)) == 0 && v.summarised(s.Code) {
			warn("sections/%s.yaml: shared as a summary, but no field belongs to the summary", s.Code)
		}
	}
	for _, p := range v.Purposes {
		if p.Relationship == NoRecords {
			continue
		}
		if !slices.ContainsFunc(v.Agreements, func(a AgreementText) bool { return slices.Contains(a.Purposes, p.Code) }) {
			warn("purposes.yaml: no agreement covers %s: nobody can use it", p.Code)
		}
		if len(p.Roles) == 0 {
			warn("purposes.yaml: no role may state %s", p.Code)
		}
	}
	for _, r := range v.Roles {
		if r.Records && !slices.ContainsFunc(v.Purposes, func(p Purpose) bool { return slices.Contains(p.Roles, r.Code) }) {
			warn("roles.yaml: %s opens records, but may state no purpose", r.Code)
		}
	}
	cited := map[string]bool{}
	for _, r := range v.Matrix {
		cited[r.Clause] = true
	}
	for _, p := range v.Purposes {
		cited[p.Clause] = true
	}
	for _, a := range v.Agreements {
		used := slices.ContainsFunc(a.Clauses, func(c Clause) bool { return cited[a.ID+" "+c.No] })
		if !used {
			warn("agreements/%s.yaml: nothing cites any of its clauses", a.ID)
		}
	}
	return found
}

// summarised tells whether a row shares the section as a summary.
func (v *Version) summarised(section string) bool {
	return slices.ContainsFunc(v.Matrix, func(r Row) bool { return r.Section == section && r.Level == "summary" })
}
