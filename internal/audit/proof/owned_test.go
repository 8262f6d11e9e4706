package proof_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kith/internal/audit/proof"
)

// A count of use reads of an entry what Open gives of one agency's, the first
// time and when the same parts come again, and trusts no part that was changed.
func TestOwnedReader(t *testing.T) {
	t.Parallel()
	e := sampleEntry(t)
	whole, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	owners := map[string]bool{"NOBODY": true}
	for _, s := range whole.Subjects {
		for _, x := range s.Released {
			owners[x.Owner] = true
		}
	}
	if len(owners) < 2 {
		t.Fatal("the sample releases nothing")
	}
	for owner := range owners {
		others := func(x proof.Terms) bool { return x.Owner != owner }
		var want []*proof.Subject
		for _, s := range whole.Subjects {
			kept := *s
			if kept.Released = slices.DeleteFunc(slices.Clone(s.Released), others); len(kept.Released) > 0 {
				want = append(want, &kept)
			}
		}
		common := *whole.Common
		common.Released = slices.DeleteFunc(slices.Clone(common.Released), others)
		reader := proof.ReadOwned(owner)
		for range 2 {
			got, err := reader.Open(&e)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Subjects); diff != "" {
				t.Errorf("%s: %s", owner, diff)
			}
			if diff := cmp.Diff(&common, got.Common, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: %s", owner, diff)
			}
		}
		if owner == "NOBODY" {
			continue
		}
		for i := range e.SubjectParts {
			changed := sampleEntry(t)
			changed.SubjectSalts[i] = slices.Clone(changed.SubjectSalts[i])
			changed.SubjectSalts[i][0] ^= 1
			if _, err := reader.Open(&changed); len(want) == len(e.SubjectParts) && !errors.Is(err, proof.ErrCommitment) {
				t.Errorf("%s: part %d does not match its commitment: %v", owner, i, err)
			}
		}
	}
}
