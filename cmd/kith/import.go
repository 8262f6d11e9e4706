package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

const importUsage = `usage: kith import --format FORMAT [flags] FILE

Sends a file to a running hub and prints the hub's report: a line per record,
then how many were taken, refused, new, changed and unchanged. FILE may be -.

  --format cin-census   the Children in Need census (XML)
  --format dfe-csc      the daily children's social care payload (JSON)
  --format ndjson       the native format, one record a line

  --as NAME             sign in to a running demo, for example system-csc
  --data DIR            where that demo keeps its data
  --url URL             the hub (default that of the demo, else http://127.0.0.1:8080)
  --token TOKEN         a bearer token; KITH_TOKEN in the environment does as well
  --key KEY             idempotency key: the same key with the same file changes
                        nothing (default a new one for each run)

Exit status: 0 all taken, 1 something was refused or failed, 2 usage.
`

// importOptions are what the command line says.
type importOptions struct {
	format, url, token, as, data, key, file string
}

// importCommand streams a file to POST /v1/submissions and prints the report.
func importCommand(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := importArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, importUsage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith import: %v\n\n%s", err, importUsage)
		return 2
	}
	if o.url, o.token, err = signInAs(ctx, o.data, o.as, o.url, o.token); err != nil {
		fmt.Fprintf(stderr, "kith import: %v\n", err)
		return 1
	}
	body := stdin
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			fmt.Fprintf(stderr, "kith import: %v\n", err)
			return 2
		}
		defer f.Close()
		body = f
	}
	refused, err := sendFile(ctx, o, body, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "kith import: %v\n", err)
		return 1
	case refused:
		fmt.Fprintln(stderr, "kith import: something was refused; see the report")
		return 1
	}
	return 0
}

func importArgs(args []string) (importOptions, error) {
	var o importOptions
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.format, "format", "", "")
	flags.StringVar(&o.url, "url", "", "")
	flags.StringVar(&o.token, "token", "", "")
	flags.StringVar(&o.as, "as", "", "")
	flags.StringVar(&o.data, "data", "", "")
	flags.StringVar(&o.key, "key", "", "")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case importType(o.format) == "":
		return o, errors.New("--format must be cin-census, dfe-csc or ndjson")
	case flags.NArg() != 1:
		return o, errors.New("name one FILE, or - for the standard input; flags stand before it")
	case o.as != "" && o.token != "":
		return o, errors.New("give --as or --token, not both")
	}
	o.file = flags.Arg(0)
	if o.as == "" {
		o.token = cmp.Or(o.token, os.Getenv("KITH_TOKEN"))
		o.url = cmp.Or(o.url, "http://127.0.0.1:8080")
		if o.token == "" {
			return o, errors.New("--as, --token or KITH_TOKEN is needed")
		}
	}
	o.key = cmp.Or(o.key, uuid.NewString())
	return o, nil
}

// importType is the media type of a format; "" = unknown.
func importType(format string) string {
	switch format {
	case "cin-census":
		return "application/xml"
	case "dfe-csc":
		return "application/json"
	case "ndjson":
		return "application/x-ndjson"
	}
	return ""
}

// sendFile sends the body as it is read and writes the report as it comes;
// refused tells whether the hub refused any of it.
func sendFile(ctx context.Context, o importOptions, body io.Reader, report io.Writer) (refused bool, err error) {
	hub, err := hubAddress(o.url)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// NopCloser: the file is the caller's. Its type is hidden so that a file of
	// any length goes in chunks and is not held.
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, hub.JoinPath("v1", "submissions").String(), io.NopCloser(body))
	if err != nil {
		return false, fmt.Errorf("address the hub: %w", err)
	}
	req.Header.Set("Content-Type", importType(o.format))
	req.Header.Set("Idempotency-Key", o.key)
	req.Header.Set("Authorization", "Bearer "+o.token)
	client := http.Client{
		// A hub does not redirect; whoever does would get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return false, fmt.Errorf("send to the hub: %w (try again with --key %s)", err, o.key)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, problem(res)
	}
	last := ""
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		last = lines.Text()
		if _, err := fmt.Fprintln(report, last); err != nil {
			return false, fmt.Errorf("write report: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read report: %w (try again with --key %s)", err, o.key)
	}
	m := totalsLine.FindStringSubmatch(last)
	if m == nil {
		return false, fmt.Errorf("the report ends without its totals: the hub did not finish (try again with --key %s)", o.key)
	}
	return m[1] != "0", nil
}

var totalsLine = regexp.MustCompile(`^taken [0-9]+ refused ([0-9]+) new [0-9]+ changed [0-9]+ unchanged [0-9]+$`)

// hubAddress accepts plain HTTP on this machine only: a token must not cross a
// network in the open.
func hubAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, errors.New("--url must be like https://hub.example")
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, errors.New("--url must begin with https://; http:// is for this machine alone")
	}
	return u, nil
}

// problem turns a refusal of the hub into an error.
func problem(res *http.Response) error {
	var p struct {
		Title     string `json:"title"`
		Detail    string `json:"detail"`
		RequestID string `json:"request_id"`
	}
	b, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&p); err != nil || p.Title == "" {
		return fmt.Errorf("the hub answered %s", res.Status)
	}
	words := []string{p.Title}
	if p.Detail != "" {
		words = append(words, p.Detail)
	}
	text := fmt.Sprintf("the hub answered %d: %s", res.StatusCode, strings.Join(words, ": "))
	if p.RequestID != "" {
		text += " (request " + p.RequestID + ")"
	}
	return errors.New(text)
}
