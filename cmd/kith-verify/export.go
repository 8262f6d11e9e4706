package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"kith/internal/audit/proof"
)

// openExport opens an export's file, or that of its folder.
func openExport(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, "events.ndjson")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return f, nil
}

// verifyOptions are those of --key, --fast and --checkpoint.
func (o *options) verifyOptions() (proof.VerifyOptions, error) {
	v := proof.VerifyOptions{SkipSignatures: o.fast}
	if o.key == "" {
		if len(o.held) > 0 {
			return v, fmt.Errorf("%w: --checkpoint needs --key, or a checkpoint proves nothing", errUsage)
		}
		return v, nil
	}
	var err error
	if v.Keys, _, err = o.keys(""); err != nil {
		return v, err
	}
	for _, path := range o.held {
		cp, err := readCheckpoint(path, v.Keys)
		if err != nil {
			return v, err
		}
		v.Held = append(v.Held, cp.Checkpoint)
	}
	return v, nil
}

func verifyExport(o options, stdout io.Writer) error {
	if err := o.need(1, "the export's folder or file"); err != nil {
		return err
	}
	v, err := o.verifyOptions()
	if err != nil {
		return err
	}
	_, err = checkExport(o.files[0], v, stdout)
	return err
}

// checkExport verifies and prints. Error: errBad.
func checkExport(path string, v proof.VerifyOptions, stdout io.Writer) (proof.Report, error) {
	f, err := openExport(path)
	if err != nil {
		return proof.Report{}, err
	}
	defer f.Close()
	r, err := proof.VerifyExport(f, v)
	if err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	sayCheckpoint(stdout, r.Checkpoint)
	sayKey(stdout, r.Independent, r.LogKey)
	fmt.Fprintf(stdout, "scope %s: %d entries shown, %d stand for themselves by their hashes alone, %d payload parts checked, %d erased\n",
		r.Scope, r.Shown, r.Hidden, r.Payloads, r.Erased)
	sayDropped(stdout, &r)
	saySigners(stdout, &r)
	if r.Independent && len(v.Keys.Replicas) == 0 {
		fmt.Fprintln(stdout, "replicas' keys: those that came with the export; your key file names none")
	}
	if v.SkipSignatures {
		fmt.Fprintln(stdout, "receipts' signatures were left out (--fast)")
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if err := sameCheckpoint(filepath.Join(path, "checkpoint"), &r); err != nil {
			return r, err
		}
	}
	if r.Good() {
		fmt.Fprintln(stdout, "good: every entry is as it was logged, in its place")
		return r, nil
	}
	fmt.Fprintf(stdout, "BAD: %d findings\n", r.Wrong)
	for _, finding := range r.First {
		fmt.Fprintln(stdout, "  "+finding.String())
	}
	if more := r.Wrong - int64(len(r.First)); more > 0 {
		fmt.Fprintf(stdout, "  and %d more\n", more)
	}
	return r, errBad
}

// sameCheckpoint holds a folder's own checkpoint against its events.
func sameCheckpoint(path string, r *proof.Report) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checkpoint of the export: %w", err)
	}
	cp, err := proof.PeekCheckpoint(data)
	if err != nil || cp != r.Checkpoint.Checkpoint {
		r.Wrong++
		r.First = append(r.First, proof.Finding{Index: -1, What: "the checkpoint beside the events is not the one that they were exported under"})
	}
	return nil
}

// receiptForm finds receipts in whatever an agency kept: lines, JSON, headers.
var receiptForm = regexp.MustCompile(`kith-receipt-1\.[0-9a-f-]{36}\.[0-9]{1,20}\.[A-Za-z0-9_-]{43}\.[a-z0-9+-]{1,60}\.[A-Za-z0-9_-]{86}`)

// verifyReceipts checks what an agency was handed against the log.
func verifyReceipts(o options, stdout io.Writer) error {
	if err := o.need(1, "the file that holds the receipts"); err != nil {
		return err
	}
	data, err := os.ReadFile(o.files[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if len(o.from) == 0 && o.key == "" && o.tiles == "" {
		return fmt.Errorf("%w: --key, --export or --tiles is needed", errUsage)
	}
	v, err := o.verifyOptions()
	if err != nil {
		return err
	}
	v.Receipts = proof.Receipts{}
	bad := 0
	found := receiptForm.FindAllString(string(data), -1)
	for _, text := range found {
		r, err := proof.ParseReceipt(text)
		if err == nil && o.key != "" {
			err = r.Verify(proof.NewKeys(v.Keys.Replicas...))
		}
		if err == nil && !v.Receipts.Add(r) {
			err = errors.New("two receipts for one event say different things")
		}
		if err != nil {
			bad++
			fmt.Fprintf(stdout, "receipt of event %s: %v\n", text[len("kith-receipt-1."):][:36], err)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: %s holds no receipt", errUsage, o.files[0])
	}
	count := len(v.Receipts)
	if o.tiles != "" {
		broken, err := receiptsInTiles(o, v.Receipts, stdout)
		if err != nil {
			return err
		}
		bad += broken
	}
	latest, broken, err := receiptsInExports(o, v, stdout)
	if err != nil {
		return err
	}
	bad += broken
	if o.tiles != "" || len(o.from) > 0 {
		bad += sayMissing(o, v.Receipts, latest, stdout)
	}
	fmt.Fprintf(stdout, "%d receipts of %d events, %d bad\n", len(found), count, bad)
	if bad > 0 {
		return errBad
	}
	return nil
}

// receiptsInExports looks for receipts in each export, and takes those that it
// holds off. latest is the newest entry of them all; bad counts exports that do
// not verify.
func receiptsInExports(o options, v proof.VerifyOptions, stdout io.Writer) (latest time.Time, bad int, err error) {
	for _, path := range o.from {
		report, err := checkExport(path, v, stdout)
		if err != nil && !errors.Is(err, errBad) {
			return latest, bad, err
		}
		if err != nil {
			bad++
		}
		if report.Latest.After(latest) {
			latest = report.Latest
		}
	}
	return latest, bad, nil
}

// sayMissing names the receipts that nothing held, and counts those that
// something should have.
func sayMissing(o options, left proof.Receipts, latest time.Time, stdout io.Writer) (bad int) {
	what := "the log does not hold it"
	if len(o.from) > 0 {
		what = "the export does not hold this entry"
	}
	for _, r := range left {
		if len(o.from) > 0 && o.tiles == "" && r.Occurred.After(latest) {
			fmt.Fprintf(stdout, "receipt of event %s, %s: newer than this export, ask again\n", r.Event, r.Occurred.Format(time.RFC3339))
			continue
		}
		bad++
		fmt.Fprintf(stdout, "receipt of event %s, %s: %s\n", r.Event, r.Occurred.Format(time.RFC3339), what)
	}
	return bad
}
