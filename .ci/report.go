//go:build ignore

// The report reads the events of "go test -json" and prints what "go test"
// prints, then every test that was skipped with its reason: a skipped test is
// none that passed. A test that lacks a tool which make test installs (browser,
// Node, PostgreSQL) says "SKIPPED, NOT PASSED"; with -installed such a skip is a
// failure. What is left out on purpose (a soak, a shared sample that is not
// beside the repository, what needs another system) is listed and no more.
//
//	go test -json ./... | go run .ci/report.go [-installed] [-v]
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// lacking begins the reason of a test that would have run with every tool installed.
const lacking = "SKIPPED, NOT PASSED"

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output string
}

type test struct{ pkg, name string }

// report collects what is not printed at once.
type report struct {
	out     io.Writer
	all     bool // print every test's output
	output  map[test][]string
	skipped []string
	lacking int
}

func main() {
	installed := flag.Bool("installed", false, "fail where a test was skipped for want of a tool")
	all := flag.Bool("v", false, "print the output of every test")
	flag.Parse()
	r := &report{out: os.Stdout, all: *all, output: map[test][]string{}}
	failed, err := r.read(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	r.tell()
	if failed || *installed && r.lacking > 0 {
		os.Exit(1)
	}
}

func (r *report) read(from io.Reader) (failed bool, err error) {
	in := bufio.NewScanner(from)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Fprintln(r.out, in.Text()) // not an event: go itself speaks
			continue
		}
		r.take(e)
		failed = failed || e.Action == "fail" || e.Action == "build-fail"
	}
	return failed, in.Err()
}

func (r *report) take(e event) {
	of := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		if r.all {
			fmt.Fprint(r.out, e.Output)
		}
		r.output[of] = append(r.output[of], e.Output)
	case "fail":
		r.failure(of)
	case "skip":
		r.skip(of)
	case "pass":
		if e.Test == "" {
			r.print(of, func(line string) bool { return strings.HasPrefix(line, "ok") })
		}
		delete(r.output, of)
	}
}

// failure prints a failed test; of a package also what its tests said that never
// came to an end.
func (r *report) failure(of test) {
	if of.name == "" {
		for other := range r.output {
			if other.pkg == of.pkg && other.name != "" {
				r.print(other, nil)
			}
		}
	}
	r.print(of, func(line string) bool { return !strings.HasPrefix(line, "=== ") })
}

func (r *report) skip(of test) {
	reason := ""
	for _, line := range r.output[of] {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "=== ") && !strings.HasPrefix(text, "--- ") {
			reason = text
		}
	}
	if of.name != "" {
		r.skipped = append(r.skipped, fmt.Sprintf("%s %s: %s", of.pkg, of.name, reason))
	}
	if strings.Contains(reason, lacking) {
		r.lacking++
	}
	delete(r.output, of)
}

func (r *report) print(of test, keep func(line string) bool) {
	for _, line := range r.output[of] {
		if !r.all && (keep == nil || keep(line)) {
			fmt.Fprint(r.out, line)
		}
	}
	delete(r.output, of)
}

func (r *report) tell() {
	if len(r.skipped) == 0 {
		fmt.Fprintln(r.out, "no test was skipped")
		return
	}
	slices.Sort(r.skipped)
	fmt.Fprintf(r.out, "%d tests were skipped, %d of them for want of a tool:\n", len(r.skipped), r.lacking)
	for _, s := range r.skipped {
		fmt.Fprintln(r.out, "  "+s)
	}
}
