// Package tree is the log's Merkle tree. It hides how committed events, which
// come in any order and late, become leaves in one order that never changes;
// how that order is fenced against a second sequencer and against a database
// that was rolled back; and how partners' witnesses are asked to cosign it.
//
// One replica at a time sequences, elected by an advisory lock of its session;
// a compare-and-swap on the head fences whoever believes wrongly to be the
// one. Each replica watches: it compares the head with the checkpoint in its
// own file and with the witnesses, and closes its Gate when the log cannot be
// what it was.
//
// The formats are C2SP signed-note, tlog-checkpoint, tlog-tiles, tlog-witness
// and tlog-proof over RFC 6962; the pure part of them is in the package proof.
package tree
