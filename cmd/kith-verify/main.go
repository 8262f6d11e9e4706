// Command kith-verify checks a hub's access log without trusting the hub: no
// database, no policy engine, no network (save `witness`, which is a server).
// Exit status: 0 good, 1 the check failed, 2 usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"kith/internal/audit/proof"
)

const usage = `usage: kith-verify export DIR|FILE        re-hash an export, name what is wrong in it
       kith-verify inclusion PROOF         one entry's place in the log (C2SP tlog-proof)
       kith-verify consistency OLD NEW     a newer log is the older one with entries added
       kith-verify receipts FILE           receipts that you were handed
       kith-verify keys FILE               a newer list of keys, announced by one you trust
       kith-verify certificate FILE        what was erased, dropped or held, by whom
       kith-verify witness                 a server that cosigns a hub's log

  --key FILE         keys that you trust, one a line: "log KEY", "replica KEY",
                     "witness KEY", each with from=TIME until=TIME where it has
                     dates. Have them from the hub's owner, not with what they
                     verify: else the output says "key not independent".

export:
  --checkpoint FILE  a checkpoint that you kept from before; may be repeated
  --fast             leave out the receipts' signatures
inclusion:
  --receipt TEXT     the receipt that this entry must have
consistency:         OLD is a checkpoint; NEW is an export, or a checkpoint with
  --proof FILE       the hashes that lead from OLD to it, one a line, or
  --tiles DIR        the log's tiles, as an export's folder has them
receipts:
  --export DIR|FILE  the export that must hold them; repeated where the hub was
                     restored and has several logs: one of them must, or
  --tiles DIR        the folder of a csv or fhir export, with all the logs
witness:
  --name NAME        of this witness, for example witness.police.example
  --private FILE     its own key; made at the first start
  --state DIR        where it remembers what it has cosigned
  --listen ADDR      default 127.0.0.1:8090

Flags stand before or after what they belong to. Exit status: 0 good, 1 the
check failed, 2 usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code := run(ctx, os.Args[1:], time.Now, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUsage ends with status 2.
var errUsage = errors.New("usage")

// errBad ends with status 1, once what is wrong was printed.
var errBad = errors.New("the check failed")

// run is every subcommand.
func run(ctx context.Context, args []string, now func() time.Time, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	o, err := parse(args[1:])
	if err == nil {
		switch args[0] {
		case "export":
			err = verifyExport(o, stdout)
		case "inclusion":
			err = verifyInclusion(o, stdout)
		case "consistency":
			err = verifyConsistency(o, stdout)
		case "receipts":
			err = verifyReceipts(o, stdout)
		case "keys":
			err = verifyKeys(o, stdout)
		case "certificate":
			err = verifyCertificate(o, stdout)
		case "witness":
			err = witness(ctx, o, now, stdout)
		case "help", "--help", "-h":
			err = flag.ErrHelp
		default:
			err = fmt.Errorf("%w: no command %q", errUsage, args[0])
		}
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "kith-verify: %v\n\n%s", err, usage)
		return 2
	case errors.Is(err, errBad):
		return 1
	}
	fmt.Fprintf(stderr, "kith-verify: %v\n", err)
	return 1
}

// options are what the command line says.
type options struct {
	files                        []string
	key, receipt, proof, tiles   string
	name, private, state, listen string
	held, from                   []string
	fast                         bool
}

func parse(args []string) (options, error) {
	o := options{listen: "127.0.0.1:8090"}
	flags := flag.NewFlagSet("kith-verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.key, "key", "", "")
	flags.StringVar(&o.receipt, "receipt", "", "")
	flags.StringVar(&o.proof, "proof", "", "")
	flags.StringVar(&o.tiles, "tiles", "", "")
	flags.Func("export", "", func(s string) error { o.from = append(o.from, s); return nil })
	flags.StringVar(&o.name, "name", "", "")
	flags.StringVar(&o.private, "private", "", "")
	flags.StringVar(&o.state, "state", "", "")
	flags.StringVar(&o.listen, "listen", o.listen, "")
	flags.BoolVar(&o.fast, "fast", false, "")
	flags.Func("checkpoint", "", func(s string) error { o.held = append(o.held, s); return nil })
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return o, err
			}
			return o, fmt.Errorf("%w: %w", errUsage, err)
		}
		if args = flags.Args(); len(args) > 0 {
			o.files, args = append(o.files, args[0]), args[1:]
		}
	}
	return o, nil
}

// need refuses another number of files.
func (o *options) need(n int, what string) error {
	if len(o.files) != n {
		return fmt.Errorf("%w: name %s", errUsage, what)
	}
	return nil
}

// keys are those of --key; without it those that lie beside what they verify.
func (o *options) keys(beside string) (keys proof.KeyFile, independent bool, err error) {
	path := o.key
	if path == "" {
		path = filepath.Join(filepath.Dir(beside), "keys")
		if info, err := os.Stat(beside); err == nil && info.IsDir() {
			path = filepath.Join(beside, "keys")
		}
		if _, err := os.Stat(path); err != nil {
			return keys, false, fmt.Errorf("%w: --key is needed: there is no key in a checkpoint or a proof", errUsage)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return keys, false, fmt.Errorf("%w: %w", errUsage, err)
	}
	if keys, err = proof.ParseKeyFile(data); err != nil {
		return keys, false, fmt.Errorf("%w: %s: %w", errUsage, path, err)
	}
	return keys, o.key != "", nil
}

// sayKey tells whether the key that verified came from elsewhere.
func sayKey(w io.Writer, independent bool, fingerprint string) {
	if independent {
		fmt.Fprintf(w, "key: yours, %s\n", fingerprint)
		return
	}
	fmt.Fprintf(w, "key not independent: it came with what it verifies; compare its fingerprint with the hub's owner: %s\n", fingerprint)
}

func fingerprintOf(keys []proof.NoteKey, origin string) string {
	for _, k := range keys {
		if k.Name == origin {
			return k.Fingerprint()
		}
	}
	return ""
}

func sayCheckpoint(w io.Writer, s proof.Signed) {
	fmt.Fprintf(w, "log %s: %d entries, root %s", s.Origin, s.Size, s.Root)
	if len(s.Witnesses) > 0 {
		fmt.Fprintf(w, ", cosigned by %s", strings.Join(s.Witnesses, ", "))
	}
	fmt.Fprintln(w)
}
