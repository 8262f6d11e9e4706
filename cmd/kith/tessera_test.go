package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"

	"kith/internal/audit/proof"
)

// Another public implementation follows our log over HTTP: Tessera's client
// reads checkpoints and tiles, proves that each checkpoint continues the one
// before, and that what a receipt promised is in the tree.
func TestTesseraFollowsTheLog(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	root, err := url.Parse(hub.url + "/v1/log/")
	if err != nil {
		t.Fatal(err)
	}
	fetch, err := client.NewHTTPFetcher(root, hub.client)
	if err != nil {
		t.Fatal(err)
	}
	fetch.SetAuthorizationHeader("Bearer " + b.token(t, "auditor"))
	v, err := note.NewVerifier(b.logKeys(t).Logs[0].String())
	if err != nil {
		t.Fatal(err)
	}

	var follow *client.LogStateTracker
	var receipts []proof.Receipt
	for range 3 { // past the first full tile of 256
		for range 100 {
			r := hub.send(t, b.reading(t, "social-worker", uuid.New(), "FS")) // not found is a row too
			receipt, err := proof.ParseReceipt(r.receipt())
			if err != nil {
				t.Fatalf("%d %.200s: %v", r.status, r.body, err)
			}
			receipts = append(receipts, receipt)
		}
		b.sequenced(t)
		if follow == nil {
			follow, err = client.NewLogStateTracker(t.Context(), fetch.ReadTile, nil, v, logOrigin, client.UnilateralConsensus(fetch.ReadCheckpoint))
			if err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, 30*time.Second, "a checkpoint of all that there is", func() bool {
			if _, _, _, err := follow.Update(t.Context()); err != nil {
				t.Fatal(err) // ErrInconsistency among them
			}
			return follow.Latest().Size >= one[uint64](t, b, `SELECT count(*) FROM kith.log_leaf`)
		})
	}
	head := follow.Latest()
	if head.Size <= 256 {
		t.Fatalf("%d leaves fill no tile", head.Size)
	}
	builder, err := client.NewProofBuilder(t.Context(), head.Size, fetch.ReadTile)
	if err != nil {
		t.Fatal(err)
	}
	for _, receipt := range []proof.Receipt{receipts[0], receipts[150], receipts[299]} {
		index := one[uint64](t, b, `SELECT index FROM kith.log_leaf WHERE event = $1`, receipt.Event)
		path, err := builder.InclusionProof(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, index, head.Size, receipt.Leaf[:], path, head.Hash); err != nil {
			t.Errorf("entry %d: %v", index, err)
		}
		other := receipt.Leaf
		other[0] ^= 1
		if merkle.VerifyInclusion(rfc6962.DefaultHasher, index, head.Size, other[:], path, head.Hash) == nil {
			t.Errorf("entry %d: another leaf verified as well", index)
		}
		// And the other way round: our tlog-proof by their arithmetic.
		r := hub.send(t, call{method: http.MethodGet, path: "/v1/access-events/" + receipt.Event.String() + "/proof", bearer: b.token(t, "auditor")})
		ours, err := proof.ParseInclusion(r.body)
		if err != nil {
			t.Fatal(err)
		}
		at, err := ours.Verify(receipt.Leaf, b.logKeys(t))
		if err != nil {
			t.Fatal(err)
		}
		steps := make([][]byte, len(ours.Path))
		for i := range ours.Path {
			steps[i] = ours.Path[i][:]
		}
		if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, uint64(ours.Index), uint64(at.Size), receipt.Leaf[:], steps, at.Root[:]); err != nil {
			t.Errorf("our proof of entry %d: %v", ours.Index, err)
		}
	}
}
