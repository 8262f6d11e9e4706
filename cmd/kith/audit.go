package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const auditUsage = `usage: kith audit export --out DIR [flags]   take the access log home, with its proofs
       kith audit keys [flags]               print the keys that verify it
       kith audit replay --from TIME --to TIME [flags]
                                             make all decisions of a time again
       kith audit resume --reason TEXT       ask that a stopped log go on after a restore
       kith audit hold|lift|erase|retention|drop|certificates
                                             what must be kept and what may go: see
                                             kith audit hold --help

export writes DIR/events.ndjson, DIR/checkpoint, DIR/keys and, for the whole
log, its tiles below DIR/tile; kith-verify checks them without the hub. With
--resume it goes on where an export was cut off. keys
belongs somewhere else: fetch it once, on the day when the hub is set up. resume
takes two officers, each in their own name, within an hour. replay has the hub
decide each event again, from the recorded input under the recorded version of
the rules, and names those whose answer is another: exit status 1.

  --from TIME        only what happened since, such as 2026-11-02T00:00:00Z
  --to TIME          and before
  --log N            which log, where it was resumed before
  --format FORMAT    ndjson (default), csv or fhir; with the last two the tiles of
                     the log come along, and kith-verify receipts checks them;
                     those of older logs lie below DIR/logs
  --resume           go on with an export that was cut off
  --as NAME          sign in to a running demo, for example auditor
  --data DIR         where that demo keeps its data
  --url URL          the hub (default that of the demo, else http://127.0.0.1:8080)
  --token TOKEN      a bearer token; KITH_TOKEN in the environment does as well

Exit status: 0 good, 1 something failed, 2 usage.
`

// auditOptions are what the command line says.
type auditOptions struct {
	out, reason, from, to, log string
	format                     string
	resume                     bool
	url, token, as, data       string
}

// auditCommand is `kith audit …`.
func auditCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, auditUsage)
		return 2
	}
	if run, ok := disposals()[args[0]]; ok {
		return disposalCommand(ctx, args, run, stdout, stderr)
	}
	o, err := auditArgs(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, auditUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith audit: %v\n\n%s", err, auditUsage)
		return 2
	}
	if o.url, o.token, err = signInAs(ctx, o.data, o.as, o.url, o.token); err != nil {
		fmt.Fprintf(stderr, "kith audit: %v\n", err)
		return 1
	}
	switch args[0] {
	case "export":
		err = auditExport(ctx, o, stdout, stderr)
	case "keys":
		err = auditKeys(ctx, o, stdout)
	case "resume":
		err = auditResume(ctx, o, stdout)
	case "replay":
		err = auditReplay(ctx, o, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith audit %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

func auditArgs(command string, args []string) (auditOptions, error) {
	var o auditOptions
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, to := range map[string]*string{"url": &o.url, "token": &o.token, "as": &o.as, "data": &o.data} {
		flags.StringVar(to, name, "", "")
	}
	switch command {
	case "export":
		for name, to := range map[string]*string{"out": &o.out, "from": &o.from, "to": &o.to, "log": &o.log, "format": &o.format} {
			flags.StringVar(to, name, "", "")
		}
		flags.BoolVar(&o.resume, "resume", false, "")
	case "resume":
		flags.StringVar(&o.reason, "reason", "", "")
	case "replay":
		for name, to := range map[string]*string{"from": &o.from, "to": &o.to} {
			flags.StringVar(to, name, "", "")
		}
	case "keys":
	case "help", "-h", "--help":
		return o, flag.ErrHelp
	default:
		return o, fmt.Errorf("no command %q", command)
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case command == "export" && o.out == "":
		return o, errors.New("--out is needed: the folder to write")
	case o.format != "" && o.format != "ndjson" && o.format != "csv" && o.format != "fhir":
		return o, errors.New("--format must be ndjson, csv or fhir")
	case command == "resume" && len(o.reason) < 10:
		return o, errors.New("--reason is needed: what happened, in ten characters or more")
	case command == "replay" && (o.from == "" || o.to == ""):
		return o, errors.New("--from and --to are needed")
	case o.as != "" && o.token != "":
		return o, errors.New("give --as or --token, not both")
	}
	for name, text := range map[string]string{"from": o.from, "to": o.to} {
		if _, err := time.Parse(time.RFC3339, text); text != "" && err != nil {
			return o, fmt.Errorf("--%s must be a time such as 2026-11-02T00:00:00Z", name)
		}
	}
	if o.as == "" {
		o.token = cmp.Or(o.token, os.Getenv("KITH_TOKEN"))
		o.url = cmp.Or(o.url, "http://127.0.0.1:8080")
		if o.token == "" {
			return o, errors.New("--as, --token or KITH_TOKEN is needed")
		}
	}
	return o, nil
}

// askHub sends one request with the caller's token; any other status than want
// is an error.
func (o *auditOptions) askHub(ctx context.Context, method, path string, query url.Values, header map[string]string, body io.Reader, want int) (*http.Response, error) {
	hub, err := hubAddress(o.url)
	if err != nil {
		return nil, err
	}
	hub = hub.JoinPath(path)
	hub.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, hub.String(), body)
	if err != nil {
		return nil, fmt.Errorf("address the hub: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+o.token)
	for k, v := range header {
		req.Header.Set(k, v)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the hub: %w", err)
	}
	if res.StatusCode != want {
		defer res.Body.Close()
		return nil, problem(res)
	}
	return res, nil
}

// logState is what /v1/log/status says.
type logState struct {
	Stopped   []string        `json:"stopped"`
	LastKnown json.RawMessage `json:"last_known"`
	Keys      string          `json:"keys"`
	Logs      []logNamed      `json:"logs"`
}

// logNamed is one of the hub's logs: it has several where it was restored.
type logNamed struct {
	Number int    `json:"number"`
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
}

func (o *auditOptions) state(ctx context.Context) (logState, error) {
	var st logState
	res, err := o.askHub(ctx, http.MethodGet, "/v1/log/status", nil, nil, nil, http.StatusOK)
	if err != nil {
		return st, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&st); err != nil {
		return st, fmt.Errorf("read the log's state: %w", err)
	}
	return st, nil
}

// auditKeys prints the dated list of keys, signed by those of today.
func auditKeys(ctx context.Context, o auditOptions, stdout io.Writer) error {
	res, err := o.askHub(ctx, http.MethodGet, "/v1/log/keys", nil, nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, err = io.Copy(stdout, io.LimitReader(res.Body, 1<<20))
	return err
}

// auditResume is one officer's word. It names the head that the hub remembers,
// so that two officers mean the same.
func auditResume(ctx context.Context, o auditOptions, stdout io.Writer) error {
	st, err := o.state(ctx)
	if err != nil {
		return err
	}
	if len(st.Stopped) == 0 {
		fmt.Fprintln(stdout, "the log is not stopped: there is nothing to resume")
		return nil
	}
	fmt.Fprintf(stdout, "reads are stopped: %s\nlast known head: %s\n", strings.Join(st.Stopped, "; "), st.LastKnown)
	header := map[string]string{"Kith-Reason": url.PathEscape(o.reason), "Content-Type": "application/json"}
	res, err := o.askHub(ctx, http.MethodPost, "/v1/log/resumptions", nil, header, bytes.NewReader(st.LastKnown), http.StatusAccepted)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var taken struct {
		Next string `json:"next"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&taken); err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	fmt.Fprintln(stdout, taken.Next)
	return nil
}
