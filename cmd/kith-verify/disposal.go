package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kith/internal/audit/proof"
)

// sayDropped tells what is gone by right, and under which certificates.
func sayDropped(w io.Writer, r *proof.Report) {
	for i := range r.Certificates {
		sayDisposal(w, &r.Certificates[i])
	}
	if r.Dropped > 0 {
		fmt.Fprintf(w, "dropped after their retention: %d entries; their leaves stand\n", r.Dropped)
	}
}

func sayDisposal(w io.Writer, d *proof.Disposal) {
	by := make([]string, 0, len(d.By))
	for _, o := range d.By {
		by = append(by, o.Name+" of "+o.Agency)
	}
	what := d.Of
	if d.Kind == "drop" {
		what = d.Month + " of the class " + d.Class
	}
	fmt.Fprintf(w, "certificate %s: %s of %s on %s by %s, %s: %d events, %d parts, %d stayed held, %d stayed with a record\n",
		d.ID, d.Kind, what, d.Made.UTC().Format(time.RFC3339), strings.Join(by, " and "), d.Rule, d.Events, d.Parts, d.Held, d.Record)
}

// saySigners tells which keys signed, and whether within their dates.
func saySigners(w io.Writer, r *proof.Report) {
	for i := range r.Signers {
		s := &r.Signers[i]
		dates := s.Dates.String()
		switch {
		case dates == "":
			dates = " the key list gives no dates"
		case s.Within():
			dates = dates + ": within them"
		default:
			dates = dates + ": NOT within them"
		}
		if s.Log {
			fmt.Fprintf(w, "checkpoint signed by %s, %s;%s\n", s.Name, s.Fingerprint, dates)
			continue
		}
		fmt.Fprintf(w, "%d receipts signed by %s, %s to %s;%s\n", s.Signed, s.Name, s.From.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339), dates)
	}
}

// verifyKeys checks that a newer list of keys is announced by a key of the
// list that is trusted.
func verifyKeys(o options, stdout io.Writer) error {
	if err := o.need(1, "the newer list"); err != nil {
		return err
	}
	if o.key == "" {
		return fmt.Errorf("%w: --key is needed: the list that you trust", errUsage)
	}
	trusted, _, err := o.keys("")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(o.files[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	fresh, by, err := trusted.Announced(data)
	if err != nil {
		return fmt.Errorf("%s: %w", o.files[0], err)
	}
	for _, k := range by {
		fmt.Fprintf(stdout, "announced by %s, %s\n", k.Name, k.Fingerprint())
	}
	old := trusted.String()
	for _, k := range fresh.Logs {
		sayListed(stdout, "log", k.Name, k.Fingerprint(), k.Dates, strings.Contains(old, k.String()))
	}
	for _, k := range fresh.Replicas {
		sayListed(stdout, "replica", k.ID(), "", k.Dates, strings.Contains(old, k.String()))
	}
	fmt.Fprintln(stdout, "good: a key that you trust has signed this list")
	return nil
}

func sayListed(w io.Writer, word, name, fingerprint string, dates proof.Dates, known bool) {
	note := "new"
	if known {
		note = "known"
	}
	fmt.Fprintln(w, strings.Join(strings.Fields(fmt.Sprintf("%s: %s %s %s %s", note, word, name, fingerprint, dates)), " "))
}

// verifyCertificate checks a certificate of an erasure, a drop or a hold.
func verifyCertificate(o options, stdout io.Writer) error {
	if err := o.need(1, "the certificate's file"); err != nil {
		return err
	}
	keys, _, err := o.keys(o.files[0])
	if err != nil {
		return err
	}
	data, err := os.ReadFile(o.files[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	var c proof.Certificate
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%s: %w", o.files[0], proof.ErrCertificate)
	}
	d, err := c.Open(proof.NewKeys(keys.Replicas...))
	if err != nil {
		return fmt.Errorf("%s: %w", o.files[0], err)
	}
	sayDisposal(stdout, &d)
	fmt.Fprintf(stdout, "good: signed by %s; event %s accounts for it\n", c.Replica, c.Event)
	return nil
}
