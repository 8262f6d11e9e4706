package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/private"
)

const demoUsage = `usage: kith demo [flags]              run the whole hub on this machine
       kith demo token --as NAME      print a bearer token from the running demo
       kith demo people [--json]      who can sign in, with agency and roles
       kith demo stories [--json]     the story families: id, title, what it shows

  --listen ADDR    where the hub answers; loopback only (default 127.0.0.1:8080)
  --data DIR       where everything lies (default ~/.kith-demo, in
                   $XDG_DATA_HOME where that is set; root: /var/lib/kith-demo)
  --fresh          throw away what lies there, and begin again
  --families N     scale the borough beyond its 40 stories, up to 100000
  --verbose        log requests to the standard error

DATABASE_URL in the environment uses a PostgreSQL server of your own, by an
administrator's address, instead of the private one.

Exit status: 0 good, 1 something failed, 2 usage.
`

func demoCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "token":
			return demoTokenCommand(ctx, args[1:], stdout, stderr)
		case "people":
			return demoList(args[1:], stdout, stderr, printPeople)
		case "stories":
			return demoList(args[1:], stdout, stderr, printStories)
		case "help":
			fmt.Fprint(stdout, demoUsage)
			return 0
		}
	}
	o, err := demoArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, demoUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith demo: %v\n\n%s", err, demoUsage)
		return 2
	}
	if err := runDemo(ctx, o, stdout, stderr); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(stderr, "kith demo: stopped before it was ready")
			return 1
		}
		fmt.Fprintf(stderr, "kith demo: %s\n", explainDemo(err, o))
		return 1
	}
	return 0
}

// demoOptions are what the command line says.
type demoOptions struct {
	listen, data string
	fresh        bool
	families     int
	verbose      bool
}

func demoArgs(args []string) (demoOptions, error) {
	var o demoOptions
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8080", "")
	flags.StringVar(&o.data, "data", "", "")
	flags.BoolVar(&o.fresh, "fresh", false, "")
	flags.IntVar(&o.families, "families", 0, "")
	flags.BoolVar(&o.verbose, "verbose", false, "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("no such subcommand: %s", flags.Arg(0))
	}
	if o.families != 0 && (o.families < demo.StoryFamilies || o.families > 100_000) {
		return o, fmt.Errorf("--families must be %d to 100000", demo.StoryFamilies)
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return o, fmt.Errorf("--listen: %q is not an address such as 127.0.0.1:8080", o.listen)
	}
	// Whoever reaches the demo may sign in as anybody.
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return o, fmt.Errorf("--listen: %s is not a loopback address; the demo has no passwords and answers this machine alone", host)
	}
	if o.data, err = demoDir(o.data); err != nil {
		return o, err
	}
	return o, nil
}

func demoDir(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	return demo.DefaultDir(os.Getenv, os.Getuid())
}

// errPortTaken: another program listens where the hub should.
var errPortTaken = errors.New("port taken")

func runDemo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) error {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	place, err := demo.Claim(o.data, rand.Reader)
	if err != nil {
		return err
	}
	defer place.Release()
	public, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: %s", errPortTaken, o.listen)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", o.listen, err)
	}
	defer public.Close()
	address := "http://" + public.Addr().String()
	say := func(format string, args ...any) { fmt.Fprintf(stdout, format+"\n", args...) }

	world, err := demo.Start(ctx, demo.Config{Place: place, HubURL: address, DatabaseURL: os.Getenv("DATABASE_URL"), Fresh: o.fresh,
		Families: o.families, Now: time.Now, Random: rand.Reader, Log: log, Progress: stderr, Say: say})
	if err != nil {
		return err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		world.Stop(end)
	}()
	// The issuers outlast the hub's last requests: the hub asks them for keys.
	around, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	ctx, quit := context.WithCancelCause(ctx)
	defer quit(nil)
	go func() { quit(world.Run(around)) }()

	c, err := demoHub(world, log)
	if err != nil {
		return err
	}
	h, err := openHub(ctx, c)
	if err != nil {
		return err
	}
	if err := recordRefusal(ctx, h.recorder, world.Filled); err != nil {
		h.close()
		return err
	}
	if err := place.Announce(demo.Running{Hub: address, Issuers: world.Issuers, Private: "http://" + world.Private.Addr().String(), Seed: demo.DefaultSeed}); err != nil {
		h.close()
		return err
	}
	welcome(stdout, o, address, world.Filled.Families)
	say("ready %s", address)
	return h.serve(ctx, public, world.Private)
}

// demoHub is the hub's configuration in the demo's world.
func demoHub(w *demo.World, log *slog.Logger) (hubConfig, error) {
	c := hubConfig{Replica: "demo", Identity: w.Identity, SignIn: w.SignIn, Demo: true, ReceiptKey: w.Key, ReferenceKey: w.Reference, Connections: 24, Drain: 5 * time.Second,
		Policy: policy.Options{Deadline: time.Second, Keep: 4096}, // a newcomer's machine may be busy with other things
		Limits: api.Limits{RequestsPerMinute: -1},
		Looks:  disclosure.LookLimits{FamiliesPerHour: -1, SearchesPerHour: -1, FoundPerHour: -1},
		Now:    time.Now, Random: rand.Reader, Log: log}
	c.Tree = treeConfig{Key: w.LogKey, Origin: demo.LogOrigin, File: w.Checkpoint}
	var err error
	for role, to := range map[string]*string{postgres.RoleApp: &c.App, postgres.RoleAuditor: &c.Auditor, postgres.RoleSequencer: &c.Sequencer, postgres.RoleReplay: &c.Replay, postgres.RoleRetention: &c.Retention} {
		if *to, err = w.DSN(role); err != nil {
			return hubConfig{}, fmt.Errorf("database address of %s: %w", role, err)
		}
	}
	return c, nil
}

// recordRefusal writes the borough's one refused disclosure into the log, the
// day that the borough is made: not sharing is a decision that is recorded as
// sharing is.
func recordRefusal(ctx context.Context, r *audit.Recorder, made demo.Result) error {
	if !made.Made {
		return nil
	}
	for _, s := range demo.Stories(demo.DefaultSeed) {
		if s.Key != "refused" {
			continue
		}
		for _, a := range demo.Accounts(demo.DefaultSeed) {
			if a.Sign != "sm-practitioner" {
				continue
			}
			_, err := r.Append(ctx, audit.Event{Kind: audit.KindRefusal, Outcome: audit.OutcomeDone, Agency: a.Agency, Family: s.ID, Purpose: "FS",
				Principal: proof.Principal{Worker: a.Worker, Name: a.Name, Roles: a.Roles, Client: demo.CommandClient, Subject: a.Subject},
				Reason:    demo.RefusalReason, Details: map[string]string{"asked_by": "SCH", "asked_for": "sm-risk"}})
			if err != nil {
				return fmt.Errorf("record the refused disclosure: %w", err)
			}
		}
	}
	return nil
}

// explainDemo turns what commonly goes wrong into what to do about it.
func explainDemo(err error, o demoOptions) string {
	switch {
	case errors.Is(err, errPortTaken):
		host, port, _ := net.SplitHostPort(o.listen)
		return fmt.Sprintf("port %s on %s is taken by another program. Stop that, or choose another port: kith demo --listen %s", port, host, net.JoinHostPort(host, "8090"))
	case errors.Is(err, demo.ErrRunning), errors.Is(err, private.ErrInUse):
		return fmt.Sprintf("a demo is running on %s already. Stop that one, or give this one a place of its own: kith demo --data DIR --listen 127.0.0.1:8090", o.data)
	case errors.Is(err, demo.ErrOtherBorough):
		return fmt.Sprintf("%v. Begin again with --fresh, or use another --data DIR", err)
	case errors.Is(err, demo.ErrNotADemo):
		return fmt.Sprintf("%v. Give DATABASE_URL a database of its own", err)
	case errors.Is(err, demo.ErrForeignRoles):
		return fmt.Sprintf("%v. Give DATABASE_URL a server of its own, or --data the directory of the demo that made them", err)
	case errors.Is(err, postgres.ErrSchemaNewer):
		return fmt.Sprintf("%v. Begin again with --fresh, or use another --data DIR", err)
	}
	return err.Error()
}

// welcome says who can sign in and what to try first.
func welcome(out io.Writer, o demoOptions, address string, families int) {
	data := ""
	if d, err := demo.DefaultDir(os.Getenv, os.Getuid()); err != nil || d != o.data {
		data = " --data " + o.data
	}
	fmt.Fprintf(out, "\nThe borough of Northby: %d families. Nobody in it exists. Sign in as anybody:\n\n", families)
	printPeopleTable(out, func(a demo.Account) bool {
		return !a.System && !strings.HasPrefix(a.Sign, "ig-") && !strings.HasPrefix(a.Sign, "privacy-")
	})
	fmt.Fprintf(out, `
More names: kith demo people. The families and what each shows: kith demo stories.

  TOKEN=$(kith demo token%s --as mh-practitioner)
  curl -H "Authorization: Bearer $TOKEN" -H "Kith-Purpose: FS" \
       -H "Kith-Reason: preparing the core group" %s/v1/families/%s

`, data, address, demo.Stories(demo.DefaultSeed)[0].ID)
}

func demoTokenCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo token", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	as := flags.String("as", "", "")
	data := flags.String("data", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, demoUsage)
		return 0
	}
	if err != nil || *as == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "usage: kith demo token --as NAME [--data DIR]")
		return 2
	}
	_, token, err := demoToken(ctx, *data, *as)
	switch {
	case errors.Is(err, demo.ErrNoSuchName):
		fmt.Fprintf(stderr, "kith demo token: %v\n", err)
		return 2
	case err != nil:
		fmt.Fprintf(stderr, "kith demo token: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, token)
	return 0
}

// signInAs fills in address and token for --as NAME from a running demo; an
// address that was given stays. Without a name nothing changes.
func signInAs(ctx context.Context, data, name, url, token string) (string, string, error) {
	if name == "" {
		return url, token, nil
	}
	hub, token, err := demoToken(ctx, data, name)
	if err != nil {
		return "", "", fmt.Errorf("sign in as %s: %w", name, err)
	}
	return cmp.Or(url, hub), token, nil
}

// demoToken signs in at the running demo of a data directory ("" = the default
// one) and says where its hub is.
func demoToken(ctx context.Context, data, name string) (hub, token string, err error) {
	dir, err := demoDir(data)
	if err != nil {
		return "", "", err
	}
	hub, token, err = demo.Token(ctx, dir, name)
	if errors.Is(err, demo.ErrNotRunning) {
		return "", "", fmt.Errorf("%w: start it with `kith demo`, or say with --data where it lies", err)
	}
	return hub, token, err
}

func demoList(args []string, stdout, stderr io.Writer, print func(io.Writer, bool) error) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
	_ = flags.String("data", "", "") // the lists are the same everywhere; taken so that scripts may give it throughout
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, demoUsage)
		return 0
	}
	if err != nil || flags.NArg() > 0 {
		fmt.Fprint(stderr, demoUsage)
		return 2
	}
	if err := print(stdout, *asJSON); err != nil {
		fmt.Fprintf(stderr, "kith demo: %v\n", err)
		return 1
	}
	return 0
}

func printPeople(out io.Writer, asJSON bool) error {
	if !asJSON {
		printPeopleTable(out, func(demo.Account) bool { return true })
		return nil
	}
	type person struct {
		Name   string   `json:"name"`
		Person string   `json:"person"`
		Agency string   `json:"agency"`
		Kind   string   `json:"kind"`
		Roles  []string `json:"roles"`
		System bool     `json:"system,omitempty"`
	}
	var all []person
	for _, a := range demo.Accounts(demo.DefaultSeed) {
		if a.Sign != "" {
			all = append(all, person{a.Sign, a.Name, a.Agency, a.Kind, a.Roles, a.System})
		}
	}
	return printJSON(out, all)
}

func printPeopleTable(out io.Writer, want func(demo.Account) bool) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tPERSON\tAGENCY\tROLES")
	for _, a := range demo.Accounts(demo.DefaultSeed) {
		if a.Sign != "" && want(a) {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", a.Sign, a.Name, a.Agency, strings.Join(a.Roles, ", "))
		}
	}
	_ = table.Flush()
}

func printStories(out io.Writer, asJSON bool) error {
	stories := demo.Stories(demo.DefaultSeed)
	if asJSON {
		type story struct {
			ID    string   `json:"id"`
			Ref   string   `json:"ref"`
			Key   string   `json:"key"`
			Title string   `json:"title"`
			Shows string   `json:"shows"`
			Cases []string `json:"cases"`
		}
		var all []story
		for _, s := range stories {
			all = append(all, story{s.ID.String(), s.Ref, s.Key, s.Title, s.Shows, append([]string{}, s.Cases...)})
		}
		return printJSON(out, all)
	}
	for _, s := range stories {
		fmt.Fprintf(out, "%s  %s\n    %s\n", s.ID, s.Title, s.Shows)
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
