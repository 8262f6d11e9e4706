package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"kith/internal/policy"
	"kith/policies"
)

const policyUsage = `usage: kith policy test DIR            run the Rego tests and the stories of a policy version
       kith policy lint DIR            name what is wrong or serves nobody in its files
       kith policy diff DIR            who gains and who loses against the shipped version
                                       (--against DIR: another one)

With a hub (--url and --token, or --as NAME and --data DIR for a running demo):
       kith policy pull DIR            write the active version's files into DIR, which is new
       kith policy simulate DIR        who would gain and lose if DIR became active
       kith policy push DIR --why TEXT submit DIR for approval
                                       (--starts TIME: not active before, as 2026-12-01T06:00:00Z)
       kith policy drafts              the drafts under work
       kith policy cell DRAFT --section CODE --to KIND --purpose CODE
                                       what a cell of the matrix says; with --level LEVEL --clause "AGREEMENT NO"
                                       --why TEXT (--roles, --masks, --conditions LIST) what it shall say
       kith policy try DRAFT           what the stories' questions are answered otherwise; or with --story NAME
                                       --agency CODE --role CODE --purpose CODE (--with PEOPLE) one question
       kith policy preview DRAFT       the whole report of a draft that is not submitted
       kith policy versions            the stored versions and the submissions
       kith policy show ID             a submission, its report and who must still approve
       kith policy approve ID          approve a submission for one's own agency (--why TEXT)
       kith policy refuse ID --why TEXT    say that one's own agency does not approve it
       kith policy advise ID --why TEXT    a data protection officer's advice, which is no approval
       kith policy withdraw ID --why TEXT  take one's own submission back
       kith policy activate ID         make it the active version
       kith policy return DIGEST --why TEXT   propose an earlier version again
       kith policy agreements          the agreements as they stand
       kith policy stop AGREEMENT --why TEXT    stop one's own agency's part, at once
                                       (kith policy affected AGREEMENT: whom that would hit)
       kith policy resume AGREEMENT --why TEXT  ask to go on, or confirm it (--agency CODE)
       kith policy extend AGREEMENT --until DAY --why TEXT  by up to 30 days: ask, or confirm it
       kith policy sign AGREEMENT --post TEXT --evidence TEXT  sign for one's own agency

Exit status: 0 good, 1 the check failed, 2 usage.
`

// policyOptions are what the command line says.
type policyOptions struct {
	verb, target, against, why, agency string
	url, token, as, data               string
	starts, until, post, evidence      string
	cell                               cellOptions
	try                                tryOptions
}

// policyVerbs says of each verb whether it takes a target, needs a hub, and
// must say why.
func policyVerbs() map[string]struct{ target, hub, why bool } {
	type v = struct{ target, hub, why bool }
	return map[string]v{
		"test": {target: true}, "lint": {target: true}, "diff": {target: true},
		"pull": {target: true, hub: true}, "simulate": {target: true, hub: true}, "push": {target: true, hub: true, why: true},
		"versions": {hub: true}, "show": {target: true, hub: true}, "approve": {target: true, hub: true}, "activate": {target: true, hub: true},
		"return": {target: true, hub: true, why: true}, "agreements": {hub: true},
		"drafts": {hub: true}, "cell": {target: true, hub: true}, "try": {target: true, hub: true}, "preview": {target: true, hub: true},
		"refuse": {target: true, hub: true, why: true}, "advise": {target: true, hub: true, why: true}, "withdraw": {target: true, hub: true, why: true},
		"affected": {target: true, hub: true}, "extend": {target: true, hub: true, why: true}, "sign": {target: true, hub: true},
		"stop": {target: true, hub: true, why: true}, "resume": {target: true, hub: true, why: true},
	}
}

func policyArgs(args []string) (policyOptions, error) {
	var o policyOptions
	if len(args) == 0 {
		return o, errors.New("what should be done?")
	}
	o.verb = args[0]
	verb, ok := policyVerbs()[o.verb]
	if !ok {
		return o, fmt.Errorf("no verb %q", o.verb)
	}
	flags := flag.NewFlagSet("policy", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, to := range map[string]*string{"against": &o.against, "why": &o.why, "agency": &o.agency, "url": &o.url, "token": &o.token, "as": &o.as, "data": &o.data,
		"starts": &o.starts, "until": &o.until, "post": &o.post, "evidence": &o.evidence,
		"section": &o.cell.section, "to": &o.cell.to, "purpose": &o.cell.purpose, "level": &o.cell.level, "clause": &o.cell.clause,
		"roles": &o.cell.roles, "masks": &o.cell.masks, "conditions": &o.cell.conditions,
		"story": &o.try.story, "role": &o.try.role, "with": &o.try.with} {
		flags.StringVar(to, name, "", "")
	}
	var plain []string
	for rest := args[1:]; len(rest) > 0; { // flags may stand on either side of the target
		if err := flags.Parse(rest); err != nil {
			return o, err
		}
		if rest = flags.Args(); len(rest) > 0 {
			plain, rest = append(plain, rest[0]), rest[1:]
		}
	}
	switch {
	case verb.target && len(plain) != 1:
		return o, fmt.Errorf("%s takes one argument", o.verb)
	case !verb.target && len(plain) != 0:
		return o, fmt.Errorf("%s takes no argument", o.verb)
	case verb.why && o.why == "":
		return o, errors.New("--why is missing: every step says why")
	}
	if len(plain) == 1 {
		o.target = plain[0]
	}
	if !verb.hub || o.verb == "simulate" || o.verb == "push" {
		if info, err := os.Stat(o.target); err != nil || !info.IsDir() {
			return o, fmt.Errorf("%s is not a folder", o.target)
		}
	}
	if o.token == "" {
		o.token = os.Getenv("KITH_TOKEN")
	}
	return o, nil
}

// policyCommand is `kith policy …`: exit status 0 good, 1 the check failed, 2 usage.
func policyCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := policyArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, policyUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith policy: %v\n\n%s", err, policyUsage)
		return 2
	}
	switch o.verb {
	case "test":
		return policyTest(ctx, o.target, stdout, stderr)
	case "lint":
		return policyLint(o.target, stdout, stderr)
	case "diff":
		err = policyDiff(ctx, o, stdout)
	default:
		err = policyAtHub(ctx, o, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith policy %s: %v\n", o.verb, err)
		return 1
	}
	return 0
}

func policyTest(ctx context.Context, folder string, stdout, stderr io.Writer) int {
	report, err := policy.RunTests(ctx, os.DirFS(folder))
	if err != nil {
		fmt.Fprintf(stderr, "kith policy test: %v\n", err)
		return 1
	}
	for _, f := range report.Failures {
		fmt.Fprintf(stdout, "FAIL %s: %s: %s\n", f.File, f.Name, f.Problem)
	}
	for _, line := range report.NotCovered {
		fmt.Fprintf(stdout, "not covered: %s\n", line)
	}
	fmt.Fprintf(stdout, "%d Rego tests (%.1f %% of the kernel covered), %d stories with %d questions, %d failures\n",
		report.RegoTests, report.KernelCoverage, report.Stories, report.Asks, len(report.Failures))
	if !report.Passed() {
		return 1
	}
	return 0
}

func policyLint(folder string, stdout, stderr io.Writer) int {
	found, err := policy.Lint(os.DirFS(folder))
	if err != nil {
		fmt.Fprintf(stderr, "kith policy lint: %v\n", err)
		return 1
	}
	for _, line := range found {
		fmt.Fprintln(stdout, line)
	}
	if len(found) > 0 {
		return 1
	}
	fmt.Fprintln(stdout, "nothing found")
	return 0
}

// policyDiff compares two folders without a hub: the agencies are the parties
// of their agreements, one of each kind.
func policyDiff(ctx context.Context, o policyOptions, stdout io.Writer) error {
	var from fs.FS = policies.Default()
	if o.against != "" {
		from = os.DirFS(o.against)
	}
	before, err := policy.Pack(from)
	if err != nil {
		return err
	}
	after, err := policy.Pack(os.DirFS(o.target))
	if err != nil {
		return err
	}
	version, err := policy.Load(os.DirFS(o.target))
	if err != nil {
		return err
	}
	space := policy.Space{Date: time.Now().UTC().Format(time.DateOnly), Agencies: map[string]string{}}
	for _, k := range version.Kinds {
		space.Agencies[k.Code] = k.Code
	}
	report, err := policy.Compare(ctx, before, after, o.agency, space)
	if err != nil {
		return err
	}
	printReport(stdout, report)
	return nil
}

// printReport says a change report in words.
func printReport(out io.Writer, r policy.ChangeReport) {
	for _, c := range r.Changes {
		fmt.Fprintln(out, c.Words)
	}
	for _, line := range r.Rules {
		fmt.Fprintln(out, line)
	}
	if len(r.Changes)+len(r.Rules) == 0 {
		fmt.Fprintln(out, "Nobody gains or loses anything.")
	}
	for _, line := range r.Refused {
		fmt.Fprintln(out, "Refused:", line)
	}
	for _, f := range r.Tests[1].Failures {
		fmt.Fprintf(out, "FAIL %s: %s: %s\n", f.File, f.Name, f.Problem)
	}
	for _, n := range r.Needs {
		agency := n.Agency
		if agency == "" {
			agency = "a second person"
		}
		fmt.Fprintf(out, "Must approve: %s\n", agency)
	}
	fmt.Fprintf(out, "%d stories before, %d after; %d decisions compared in %s\n", r.Tests[0].Stories, r.Tests[1].Stories, r.Walked.Decisions, r.Took)
}

// sentFile is a file as the hub takes it.
type sentFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// folderFiles reads a version's files.
func folderFiles(folder string) ([]sentFile, error) {
	b, err := policy.Pack(os.DirFS(folder))
	if err != nil {
		return nil, err
	}
	var files []sentFile
	for path, content := range b.Files {
		if !isKernel(path) {
			files = append(files, sentFile{path, string(content)})
		}
	}
	return files, nil
}

func isKernel(path string) bool { return len(path) > 7 && path[:7] == "kernel/" }

func decodeInto(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	return nil
}
