// Package audit is the access log. It hides how an event is encoded, salted,
// committed to, signed, made durable and, later, found again.
//
// Writing: a Signer seals an Event into a Row. A row becomes durable in one of
// three ways, and each fails closed:
//
//   - Recorder.Append, for what releases nothing: one transaction of its own,
//     detached from the caller's cancellation;
//   - Row.Queue, for the one door: the row goes first in the same pipeline as
//     the content that it opens, and only if the facts behind the decision
//     still stand (Guard);
//   - Recorder.AppendTx, for changes that are events: in the change's own
//     transaction.
//
// Only a committed append makes a Receipt, and only a Receipt opens sealed
// content. The encodings are those of the package proof.
//
// Reading goes through a Log, on a pool of the role kith_auditor, and always
// within a Scope; whoever reads the log appends an event of kind log-view.
package audit
