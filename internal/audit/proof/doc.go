// Package proof holds the encodings of Kith's access log and the checks that
// need nothing but bytes: no database, no policy engine, no network. It hides
// how an event becomes a leaf of the tree, so that the hub that writes and the
// auditor who distrusts it run the same few lines.
//
// # Canonical form
//
// Header and payload parts are JSON in the canonical form of RFC 8785: keys in
// ascending order, no white space, the shortest string escapes, integers only.
// Values that are empty (no text, no items, false, zero) are left out, save the
// fields marked * below. Times are RFC 3339 in UTC with exactly six decimals
// ("2026-11-02T09:30:00.000000Z"), ids are lower-case UUIDs, digests lower-case
// hexadecimal. Every document carries its version as "v"; this is version 1. A
// decoder accepts exactly the bytes that the encoder would write and nothing
// else: no unknown key, no second spelling.
//
// # One event
//
// Header, which names no person:
//
//	acting_for   agency on whose behalf the caller acted, where not its own
//	agency       agency for which the caller spoke
//	decision     digest of the decision (see Sealed input)
//	id*          the event, a random UUID
//	input        digest of the recorded input
//	kind*        read, search, submission, policy, sign-in, log-view, …
//	occurred*    the hub's clock
//	outcome*     released, denied, not-found, done, …
//	partnership* code
//	policy       digest of the policy version that decided
//	replica*     id of the key that signed the receipt (NAME+HASH)
//	v*           1
//
// Common part, one per event: who asked (principal), purpose, reason, search
// terms, family, children, refusal code and its causes, declared and emergency
// marks, kind-specific details, how many entries were released (count), and
// what was released that is about nobody.
//
// Subject part, one per person concerned: the person and what was released
// about that person as terms: section, owner, level, part, clauses, masked
// fields, labels, grant, sensitivity, and the entries ("ID/VERSION") opened on
// those terms. An entry about two people stands in both their parts, so that
// one part can be erased and the other stands.
//
// # Commitments, leaf, receipt
//
//	commitment(common)  = SHA-256("kith-common/1\n"  ‖ salt ‖ part)
//	commitment(subject) = SHA-256("kith-subject/1\n" ‖ salt ‖ part)
//	leaf data           = header ‖ "\n" ‖ commitment(common) ‖ commitment(subject)…
//	leaf hash           = SHA-256(0x00 ‖ leaf data)                      (RFC 6962)
//	receipt             = Ed25519("kith-receipt/1\n" ‖ id ‖ leaf hash ‖ occurred)
//
// A salt is 32 random bytes of its own for each part; id is the UUID's 16
// bytes; occurred is microseconds since 1970 as 8 bytes, big-endian. The header
// holds no line feed, so the first one ends it. Erasing a part destroys its
// bytes and its salt; its commitment, and with it the leaf and every proof,
// stays.
//
// # Sealed input
//
// What a decision depended on is kept for the replayer alone, as salt ‖ input.
// The header holds SHA-256("kith-input/1\n" ‖ salt ‖ input) and
// SHA-256("kith-decision/1\n" ‖ salt ‖ decision): once the input and its salt
// are gone, neither digest can be tried against guesses.
//
// # Certificates and marks
//
//	certificate = Ed25519("kith-certificate/1\n" ‖ event ‖ body)
//	export      = Ed25519("kith-export/1\n" ‖ digest of the sums)
//	mark        = Ed25519("kith-export/1\n" ‖ SHA-256("kith-export-mark/1\n" ‖ mark without its signature))
//
// The body of a certificate is JSON, signed as its bytes are; the event that
// accounts for it carries its SHA-256. The digest of what was dropped is over
// index (8 bytes, big-endian) ‖ leaf hash ‖ event of each leaf, in order.
//
// # Keys
//
// A key file has a line for each key: the word log, replica or witness, the
// key, and from=TIME until=TIME where it has dates. A replica's public key is written as a C2SP verifier key, NAME+HASH+KEY
// (golang.org/x/mod/sumdb/note); NAME+HASH is its id.
package proof
