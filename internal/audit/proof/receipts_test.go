package proof_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"kith/internal/audit/proof"
)

// twoReplicas sign n receipts in turn; the second one's key has dates.
func twoReplicas(t testing.TB, n int) (proof.Keys, []proof.Receipt) {
	t.Helper()
	first, err := proof.NewKey("hub-1", public(logKey(3)))
	if err != nil {
		t.Fatal(err)
	}
	second, err := proof.NewKey("hub-2", public(logKey(4)))
	if err != nil {
		t.Fatal(err)
	}
	second.Dates.Until = time.Unix(1700000000, 0).UTC().Add(time.Duration(n) * time.Second)
	signers := []ed25519.PrivateKey{logKey(3), logKey(4)}
	ids := []string{first.ID(), second.ID()}
	list := make([]proof.Receipt, n)
	for i := range list {
		h := sampleHeader(t)
		binary.BigEndian.PutUint64(h.ID[8:], uint64(i))
		list[i] = proof.SignReceipt(signers[i%2], ids[i%2], h.ID, time.Unix(1700000000+int64(i), 0).UTC(), digest(byte(i)))
	}
	return proof.NewKeys(first, second), list
}

// spoils are the ways in which a receipt may be bad.
var spoils = []func(*proof.Receipt){
	func(r *proof.Receipt) { r.Signature[0] ^= 1 },
	func(r *proof.Receipt) { r.Signature[31] ^= 0x80 },
	func(r *proof.Receipt) { r.Signature[32] ^= 1 },
	func(r *proof.Receipt) { r.Signature[63] |= 0xe0 }, // s beyond the group's order
	func(r *proof.Receipt) { clear(r.Signature[32:]) }, // cut short
	func(r *proof.Receipt) { clear(r.Signature[:]) },
	func(r *proof.Receipt) { r.Leaf[5] ^= 4 },
	func(r *proof.Receipt) { r.Event[5] ^= 4 },
	func(r *proof.Receipt) { r.Occurred = r.Occurred.Add(time.Microsecond) },
	func(r *proof.Receipt) { r.Replica = "hub-9+01234567" },
	func(r *proof.Receipt) { r.Occurred = r.Occurred.AddDate(3, 0, 0) },
}

// each holds what is found together against what is found one at a time.
func each(t *testing.T, keys proof.Keys, list []proof.Receipt) {
	t.Helper()
	got := proof.VerifyReceipts(keys, list)
	if len(got) != len(list) {
		t.Fatalf("%d verdicts on %d receipts", len(got), len(list))
	}
	for i := range list {
		want := list[i].Verify(keys)
		for _, kind := range []error{nil, proof.ErrSignature, proof.ErrKey, proof.ErrDates} {
			if errors.Is(want, kind) != errors.Is(got[i], kind) {
				t.Errorf("receipt %d of %d: %v together, %v alone", i, len(list), got[i], want)
				break
			}
		}
	}
}

func TestReceiptsTogetherAreWhatTheyAreAlone(t *testing.T) {
	t.Parallel()
	keys, honest := twoReplicas(t, 1300)
	each(t, keys, nil)
	each(t, keys, honest)
	each(t, nil, honest[:9])
	r := rand.New(rand.NewPCG(7, 7))
	for range 12 { // mixes of sizes around those that are checked together
		list := append([]proof.Receipt(nil), honest[:r.IntN(len(honest))]...)
		for range r.IntN(6) {
			if len(list) > 0 {
				spoils[r.IntN(len(spoils))](&list[r.IntN(len(list))])
			}
		}
		each(t, keys, list)
	}
}

func TestOneBadReceiptIsNamedInEachPlace(t *testing.T) {
	t.Parallel()
	keys, honest := twoReplicas(t, 12)
	for i := range honest {
		for n, spoil := range spoils {
			list := append([]proof.Receipt(nil), honest...)
			spoil(&list[i])
			if err := proof.VerifyReceipts(keys, list)[i]; err == nil {
				t.Errorf("spoilt %d in way %d: it is found good", i, n)
			}
			each(t, keys, list)
		}
	}
	// Two that are exchanged cancel one another in a sum that is not random.
	list := append([]proof.Receipt(nil), honest...)
	list[2].Signature, list[4].Signature = list[4].Signature, list[2].Signature
	each(t, keys, list)
}

// A key of small order fits signatures of anybody, so none is taken for good
// because others beside it are.
func TestAKeyOfSmallOrderGainsNothingTogether(t *testing.T) {
	t.Parallel()
	keys, list := twoReplicas(t, 16)
	identity := make(ed25519.PublicKey, ed25519.PublicKeySize)
	identity[0] = 1
	weak, err := proof.NewKey("hub-3", identity)
	if err != nil {
		t.Fatal(err)
	}
	keys[weak.ID()] = weak
	list[5].Replica = weak.ID()
	each(t, keys, list)
}

func BenchmarkVerifyReceipts(b *testing.B) {
	keys, list := twoReplicas(b, 512)
	for b.Loop() {
		_ = proof.VerifyReceipts(keys, list)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(list)), "ns/receipt")
}
