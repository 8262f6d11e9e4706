// Command kith runs an agency partnership's family information hub: `kith
// demo` shows it with a synthetic borough, `kith serve` runs it, and the other
// subcommands look after its database, policy and log. Exit status: 0 good, 1
// the check failed, 2 usage.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"kith/internal/policy"
)

const usage = `usage: kith COMMAND [flags]

  demo      the whole hub on this machine, with a synthetic borough
            (also: demo token, demo people, demo stories)
  serve     run a hub from its configuration
  migrate   bring a database to this version's schema
  import    send a file of records to a hub
  policy    test, lint, compare, push and activate policy versions
  audit     take the access log home; resume a stopped one
  bench     measure reads against the least that they could cost
  version   what this binary is

kith COMMAND --help says more.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second Ctrl-C ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is every subcommand, on one screen.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	switch rest := args[1:]; args[0] {
	case "demo":
		return demoCommand(ctx, rest, stdout, stderr)
	case "serve":
		return serveCommand(ctx, rest, stdout, stderr)
	case "migrate":
		return migrateCommand(ctx, rest, stdout, stderr)
	case "import":
		return importCommand(ctx, rest, stdin, stdout, stderr)
	case "policy":
		return policyCommand(ctx, rest, stdout, stderr)
	case "audit":
		return auditCommand(ctx, rest, stdout, stderr)
	case "bench":
		return benchCommand(ctx, rest, stdout, stderr)
	case policy.SandboxCommand: // hidden: the hub runs drafts in it
		return policy.SandboxMain(ctx, stdin, stdout)
	case "version":
		return versionCommand(rest, stdout, stderr)
	case "help", "-h", "--help":
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprintf(stderr, "kith: no command %q\n\n%s", args[0], usage)
	return 2
}
