package proof

import (
	"crypto/ed25519"

	batch "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// together is how many signatures are checked in one equation. Twice as many
// would save little more; half as many cost a tenth more.
const together = 512

// VerifyReceipts gives for each receipt what its Verify gives, at about a
// quarter of the time where they are good: the signatures are checked together
// in one random linear combination, and one at a time only where that fails,
// so that the bad one is named.
//
// The two ways agree on every signature that somebody makes who has not the
// private key. They may differ on one that the key's own holder makes on
// purpose, by adding a point of small order to R: the combination is checked
// with the cofactor (RFC 8032 §5.1.7), crypto/ed25519 checks without, so such a
// signature is good in a batch of good ones and bad alone. Nobody gains by it:
// the holder could have signed the same receipt as everybody does, and R is
// hashed into what is signed, so that nobody else can bring it about.
func VerifyReceipts(keys Keys, list []Receipt) []error {
	errs := make([]error, len(list))
	expanded := make(map[string]*batch.ExpandedPublicKey, len(keys))
	batches := (len(list) + together - 1) / together
	for n := range batches { // of one size, so that none is left that is too small
		from, until := n*len(list)/batches, (n+1)*len(list)/batches
		if !goodTogether(keys, list[from:until], expanded) {
			for i := from; i < until; i++ {
				errs[i] = list[i].Verify(keys)
			}
			continue
		}
		for i := from; i < until; i++ {
			errs[i] = list[i].within(keys[list[i].Replica])
		}
	}
	return errs
}

// goodTogether: each signature is one of the key that its receipt names. False
// says nothing about any one of them.
func goodTogether(keys Keys, list []Receipt, expanded map[string]*batch.ExpandedPublicKey) bool {
	if len(list) < 4 {
		return false // alone they are as fast
	}
	b := batch.NewBatchVerifierWithCapacity(len(list))
	for i := range list {
		r := &list[i]
		key, ok := expanded[r.Replica]
		if !ok {
			var err error
			if key, err = expand(keys[r.Replica]); err != nil {
				return false
			}
			expanded[r.Replica] = key
		}
		b.AddExpanded(key, r.message(), r.Signature[:])
	}
	return b.VerifyBatchOnly(nil) // its randomness is the system's: nobody who makes signatures may foresee it
}

// expand prepares a key. One of small order, which fits signatures of anybody,
// or in a second spelling is never good in a batch.
func expand(k Key) (*batch.ExpandedPublicKey, error) {
	if len(k.Public) != ed25519.PublicKeySize {
		return nil, ErrKey
	}
	return batch.NewExpandedPublicKey(batch.PublicKey(k.Public))
}
