package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"kith/internal/audit/proof"
)

func readCheckpoint(path string, keys proof.KeyFile) (proof.Signed, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return proof.Signed{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	cp, err := keys.Open(data)
	if err != nil {
		return proof.Signed{}, fmt.Errorf("%s: %w", path, err)
	}
	return cp, nil
}

// verifyInclusion checks a tlog-proof. Its extra is the leaf's data: header
// and commitments.
func verifyInclusion(o options, stdout io.Writer) error {
	if err := o.need(1, "the file with the proof"); err != nil {
		return err
	}
	data, err := os.ReadFile(o.files[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	keys, independent, err := o.keys(o.files[0])
	if err != nil {
		return err
	}
	p, err := proof.ParseInclusion(data)
	if err != nil {
		return fmt.Errorf("%s: %w", o.files[0], err)
	}
	var leaf proof.Digest
	event := "event unknown"
	if len(p.Extra) > 0 {
		leaf = proof.Leaf(p.Extra)
		header, _, _ := strings.Cut(string(p.Extra), "\n")
		if h, err := proof.DecodeHeader([]byte(header)); err == nil {
			event = fmt.Sprintf("event %s, %s of %s, %s", h.ID, h.Kind, h.Agency, h.Occurred.Format("2006-01-02 15:04:05Z"))
		}
	}
	switch {
	case o.receipt != "":
		r, err := proof.ParseReceipt(strings.TrimSpace(o.receipt))
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		if err := r.Verify(proof.NewKeys(keys.Replicas...)); err != nil {
			return err
		}
		if len(p.Extra) > 0 && r.Leaf != leaf {
			return errors.New("the receipt is another entry's")
		}
		leaf = r.Leaf
	case len(p.Extra) == 0:
		return fmt.Errorf("%w: this proof does not say of what: give --receipt", errUsage)
	}
	head, err := p.Verify(leaf, keys)
	if err != nil {
		return fmt.Errorf("%s: %w", o.files[0], err)
	}
	sayCheckpoint(stdout, head)
	sayKey(stdout, independent, fingerprintOf(keys.For(head.Origin), head.Origin))
	fmt.Fprintf(stdout, "good: entry %d is in the log (%s)\n", p.Index, event)
	return nil
}

// verifyConsistency checks that NEW is OLD with entries added.
func verifyConsistency(o options, stdout io.Writer) error {
	if err := o.need(2, "the older checkpoint and the newer one, or an export"); err != nil {
		return err
	}
	keys, independent, err := o.keys(o.files[1])
	if err != nil {
		return err
	}
	old, err := readCheckpoint(o.files[0], keys)
	if err != nil {
		return err
	}
	if isExport(o.files[1]) {
		v := proof.VerifyOptions{SkipSignatures: o.fast, Held: []proof.Checkpoint{old.Checkpoint}}
		if independent {
			v.Keys = keys
		}
		_, err := checkExport(o.files[1], v, stdout)
		return err
	}
	newer, err := readCheckpoint(o.files[1], keys)
	if err != nil {
		return err
	}
	path, err := o.path(old.Checkpoint, newer.Checkpoint)
	if err != nil {
		return err
	}
	if err := proof.CheckConsistency(old.Checkpoint, newer.Checkpoint, path); err != nil {
		return err
	}
	sayCheckpoint(stdout, newer)
	sayKey(stdout, independent, fingerprintOf(keys.For(newer.Origin), newer.Origin))
	fmt.Fprintf(stdout, "good: its first %d entries are those of the older checkpoint\n", old.Size)
	return nil
}

// path is the consistency proof, as given or from tiles.
func (o *options) path(old, newer proof.Checkpoint) ([]proof.Digest, error) {
	switch {
	case old.Size >= newer.Size || old.Size == 0:
		return nil, nil
	case o.tiles != "":
		return tilesIn(o.tiles).Consistency(old.Size, newer.Size)
	case o.proof == "":
		return nil, fmt.Errorf("%w: two checkpoints alone say nothing of one another: give --proof, --tiles, or an export as NEW", errUsage)
	}
	data, err := os.ReadFile(o.proof)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	request, err := proof.ParseAddCheckpoint(append([]byte("old 0\n"+strings.TrimSpace(string(data))+"\n\n"), "-"...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.proof, err)
	}
	return request.Path, nil
}

// isExport tells an export from a checkpoint by its first byte.
func isExport(path string) bool {
	f, err := openExport(path)
	if err != nil {
		return false
	}
	defer f.Close()
	first := make([]byte, 1)
	_, err = io.ReadFull(f, first)
	return err == nil && first[0] == '{'
}
