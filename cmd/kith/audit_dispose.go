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
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"kith/internal/audit/proof"
)

const disposalUsage = `usage: kith audit hold                       legal holds that stand
       kith audit hold --person ID|--family ID|--agency CODE --review-on DAY --reason TEXT
       kith audit lift ID --reason TEXT      end a hold
       kith audit erase                      erasures that wait for a second officer
       kith audit erase --person ID --rule LAW --reason TEXT
                                             ask that a person's parts be destroyed
       kith audit erase --confirm ID         confirm it, for another agency
       kith audit erase --withdraw ID --reason TEXT
       kith audit retention                  the months of the log, and what is due
       kith audit drop --month 2019-03 --class access --export DIR --reason TEXT
                                             drop a month that is past its retention
       kith audit certificates [--out DIR]   what was done, signed

drop verifies the export first (kith audit export, as the auditor, of the whole
month); with --key FILE by keys that you trust. Keep that export: it is all that
is left. A month that lies in two logs, since the log was resumed within it, needs
an export of each (--log N): give --export twice. Each command prints the certificate of what was done; keep it.

  --as NAME --data DIR   sign in to a running demo, for example auditor
  --url URL --token TOKEN  or to a hub (KITH_TOKEN in the environment)

Exit status: 0 good, 1 something failed, 2 usage.
`

// disposal is what the command line of one of these says.
type disposal struct {
	auditOptions
	id                                        string
	person, family, agency, reviewOn, rule    string
	confirm, withdraw, month, class, key, dir string
	exports                                   []string
	stdout                                    io.Writer
}

type disposalRun func(ctx context.Context, d disposal) error

func disposals() map[string]disposalRun {
	return map[string]disposalRun{"hold": auditHold, "lift": auditLift, "erase": auditErase, "retention": auditRetention, "drop": auditDrop, "certificates": auditCertificates}
}

// disposalCommand is `kith audit hold|lift|erase|retention|drop|certificates`.
func disposalCommand(ctx context.Context, args []string, run disposalRun, stdout, stderr io.Writer) int {
	d := disposal{stdout: stdout}
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, to := range map[string]*string{
		"url": &d.url, "token": &d.token, "as": &d.as, "data": &d.data, "reason": &d.reason, "person": &d.person, "family": &d.family, "agency": &d.agency,
		"review-on": &d.reviewOn, "rule": &d.rule, "confirm": &d.confirm, "withdraw": &d.withdraw, "month": &d.month, "class": &d.class, "key": &d.key, "out": &d.dir,
	} {
		flags.StringVar(to, name, "", "")
	}
	flags.Func("export", "", func(path string) error { d.exports = append(d.exports, path); return nil })
	rest := args[1:]
	if args[0] == "lift" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		d.id, rest = rest[0], rest[1:]
	}
	err := flags.Parse(rest)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, disposalUsage)
		return 0
	}
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	case d.as != "" && d.token != "":
		err = errors.New("give --as or --token, not both")
	case d.as == "" && cmp.Or(d.token, os.Getenv("KITH_TOKEN")) == "":
		err = errors.New("--as, --token or KITH_TOKEN is needed")
	case args[0] == "lift" && d.id == "":
		err = errors.New("name the hold")
	case args[0] == "drop" && (d.month == "" || d.class == "" || len(d.exports) == 0):
		err = errors.New("--month, --class and --export are needed")
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith audit %s: %v\n\n%s", args[0], err, disposalUsage)
		return 2
	}
	if d.as == "" {
		d.url, d.token = cmp.Or(d.url, "http://127.0.0.1:8080"), cmp.Or(d.token, os.Getenv("KITH_TOKEN"))
	}
	if d.url, d.token, err = signInAs(ctx, d.data, d.as, d.url, d.token); err == nil {
		err = run(ctx, d)
	}
	if err != nil {
		fmt.Fprintf(stderr, "kith audit %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

// get reads a JSON answer.
func (d *disposal) get(ctx context.Context, path string, into any) error {
	res, err := d.askHub(ctx, http.MethodGet, path, nil, nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(into); err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	return nil
}

// disposed is the hub's answer to what was done.
type disposed struct {
	ID          string          `json:"id"`
	Certificate json.RawMessage `json:"certificate"`
	Next        string          `json:"next"`
}

// post sends a change, and prints the certificate.
func (d *disposal) post(ctx context.Context, path string, body any, want int) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	res, err := d.askHub(ctx, http.MethodPost, path, nil, map[string]string{"Content-Type": "application/json"}, bytes.NewReader(raw), want)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var done disposed
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(&done); err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	if done.Next != "" {
		fmt.Fprintf(d.stdout, "%s\n%s\n", done.ID, done.Next)
		return nil
	}
	if len(done.Certificate) > 0 {
		fmt.Fprintf(d.stdout, "%s\n", done.Certificate)
	}
	return nil
}

func (d *disposal) table(head string, rows func(line func(cells ...any))) error {
	t := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, head)
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, c)
		}
		fmt.Fprintln(t)
	})
	return t.Flush()
}

func auditHold(ctx context.Context, d disposal) error {
	if d.person+d.family+d.agency != "" {
		body := map[string]string{"reason": d.reason, "review_on": d.reviewOn}
		for name, v := range map[string]string{"person": d.person, "family": d.family, "agency": d.agency} {
			if v != "" {
				body[name] = v
			}
		}
		return d.post(ctx, "/v1/holds", body, http.StatusCreated)
	}
	var list struct {
		Holds []struct {
			ID, Person, Family, Agency, Reason string
			ReviewOn                           string `json:"review_on"`
			Overdue                            bool
		}
	}
	if err := d.get(ctx, "/v1/holds", &list); err != nil {
		return err
	}
	return d.table("HOLD\tCOVERS\tREVIEW\tREASON", func(line func(...any)) {
		for _, h := range list.Holds {
			covers, review := "agency "+h.Agency, h.ReviewOn
			if h.Person != "" {
				covers = "person " + h.Person
			} else if h.Family != "" {
				covers = "family " + h.Family
			}
			if h.Overdue {
				review += " (past)"
			}
			line(h.ID, covers, review, h.Reason)
		}
	})
}

func auditLift(ctx context.Context, d disposal) error {
	return d.post(ctx, "/v1/holds/"+d.id+"/lift", map[string]string{"reason": d.reason}, http.StatusOK)
}

func auditErase(ctx context.Context, d disposal) error {
	switch {
	case d.person != "":
		return d.post(ctx, "/v1/people/"+d.person+"/erasure", map[string]string{"rule": d.rule, "reason": d.reason}, http.StatusAccepted)
	case d.confirm != "":
		return d.post(ctx, "/v1/erasures/"+d.confirm+"/confirmation", struct{}{}, http.StatusOK)
	case d.withdraw != "":
		return d.post(ctx, "/v1/erasures/"+d.withdraw+"/withdrawal", map[string]string{"reason": d.reason}, http.StatusOK)
	}
	var list struct {
		Erasures []struct {
			ID, Person, Rule, Reason string
			AskedBy                  proof.Officer `json:"asked_by"`
			AskedAt                  time.Time     `json:"asked_at"`
		}
	}
	if err := d.get(ctx, "/v1/erasures", &list); err != nil {
		return err
	}
	return d.table("ERASURE\tPERSON\tRULE\tASKED BY\tASKED AT\tREASON", func(line func(...any)) {
		for _, e := range list.Erasures {
			line(e.ID, e.Person, e.Rule, e.AskedBy.Name+" ("+e.AskedBy.Agency+")", e.AskedAt.Format(time.RFC3339), e.Reason)
		}
	})
}

func auditRetention(ctx context.Context, d disposal) error {
	var list struct {
		Months []struct {
			Class, Month, Due    string
			IsDue                bool `json:"is_due"`
			Events, Held, Record int64
			Exported             bool
		}
	}
	if err := d.get(ctx, "/v1/log/retention", &list); err != nil {
		return err
	}
	return d.table("MONTH\tCLASS\tMAY GO\tEVENTS\tSTAY (HELD, RECORD)\tEXPORTED", func(line func(...any)) {
		for _, m := range list.Months {
			if !m.IsDue {
				line(m.Month, m.Class, cmp.Or(m.Due, "never"), "", "", "")
				continue
			}
			line(m.Month, m.Class, "now", m.Events, fmt.Sprintf("%d, %d", m.Held, m.Record), map[bool]string{true: "yes", false: "no"}[m.Exported])
		}
	})
}

// auditDrop verifies the exports that hold the month, then asks the hub to drop
// it. The hub compares the digests with what it has signed, and the month with
// what it has logged.
func auditDrop(ctx context.Context, d disposal) error {
	var exports []map[string]any
	for _, path := range d.exports {
		end, err := d.verified(path)
		if err != nil {
			return err
		}
		exports = append(exports, map[string]any{"digest": end.Digest, "replica": end.Replica, "signature": end.Signature})
	}
	return d.post(ctx, "/v1/log/drops", map[string]any{"class": d.class, "month": d.month, "reason": d.reason, "exports": exports}, http.StatusCreated)
}

// verified gives the last line of an export that verifies.
func (d *disposal) verified(path string) (end proof.EndOfExport, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "events.ndjson")
	}
	f, err := os.Open(path)
	if err != nil {
		return end, err
	}
	defer f.Close()
	var keys proof.KeyFile
	if d.key != "" {
		data, err := os.ReadFile(d.key)
		if err != nil {
			return end, err
		}
		if keys, err = proof.ParseKeyFile(data); err != nil {
			return end, fmt.Errorf("%s: %w", d.key, err)
		}
	}
	report, err := proof.VerifyExport(f, proof.VerifyOptions{Keys: keys})
	switch {
	case err != nil:
		return end, fmt.Errorf("%s: %w", path, err)
	case !report.Good():
		return end, fmt.Errorf("%s does not verify: %s", path, report.First[0])
	case report.Scope != "all":
		return end, fmt.Errorf("%s is an export of the scope %q: the auditor's is needed", path, report.Scope)
	}
	fmt.Fprintf(d.stdout, "%s: good, %d entries\n", path, report.Shown)
	return report.End, nil
}

func auditCertificates(ctx context.Context, d disposal) error {
	var list struct{ Certificates []proof.Certificate }
	if err := d.get(ctx, "/v1/log/certificates", &list); err != nil {
		return err
	}
	if d.dir != "" {
		for _, c := range list.Certificates {
			x, err := c.Read()
			if err != nil {
				return err
			}
			raw, err := json.Marshal(c)
			if err != nil {
				return err
			}
			if err := writeFiles(d.dir, map[string]string{x.ID.String() + ".json": string(raw) + "\n"}); err != nil {
				return err
			}
		}
	}
	return d.table("MADE\tKIND\tOF\tEVENTS\tPARTS\tHELD\tBY\tCERTIFICATE", func(line func(...any)) {
		for _, c := range list.Certificates {
			x, err := c.Read()
			if err != nil {
				line("cannot be read", "", "", "", "", "", "", c.Event)
				continue
			}
			var by []string
			for _, o := range x.By {
				by = append(by, o.Name+" ("+o.Agency+")")
			}
			line(x.Made.Format(time.RFC3339), x.Kind, cmp.Or(x.Of, x.Class+" "+x.Month), x.Events, x.Parts, x.Held, strings.Join(by, ", "), x.ID)
		}
	})
}
