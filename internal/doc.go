// Package internal is the house of Kith. One request goes through it one way:
// principal, facts, decision, log row, content, view.
//
//	postgres    pool, transactions, migrations; private = the embedded default server; pgtest = a fresh database per test
//	outbox      word to those who must act: mail and web hooks, at least once; never a name
//	audit       the access log: append, read, export; tree = sequencer, tiles, checkpoints, witnesses; proof = pure encodings
//	            and checks that an auditor runs too
//	identity    agencies, workers, principals; who may speak for whom; issuer = the small provider of the demo and the tests
//	agreement   information sharing agreements: text and live state
//	policy      the OPA host: versions, the matrix, decisions, gate, tests
//	family      source records, people, families, facts, sealed content, contribution
//	disclosure  the one door: facts → decision → committed row → content
//	api         the JSON face
//	web         the HTML face
//	demo        the synthetic borough and the demo's wiring
//
// Imports go left to right and never back:
//
//	postgres → outbox → audit → identity → agreement → policy → family → disclosure → api | web → demo → cmd
//
// Fences: OPA only in policy (and tests in policies), tlog and note only in
// audit, chi only in the faces, the OIDC library only in identity, pgx never
// in the faces. A test holds all of this.
package internal
