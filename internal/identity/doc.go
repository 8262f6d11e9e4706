// Package identity answers one question: who is calling, and for which agency
// may they speak? It hides the bearer tokens of many issuers and the worker
// directory, and gives out a [Principal] or a [Refusal].
//
// A token proves a sign-in at an issuer, nothing more. Configuration binds each
// issuer to the agencies and roles that it may assert; the worker directory
// says who still works there; an agency's own acceptance, by name, lets a
// worker of another employer speak for it. A principal is what all three
// allow (design.md, promise 7). The agency never comes from a header or a
// request body.
//
// go-oidc checks less than one expects, so it is used for the signature
// alone and every other check stands here under its own name
// ([Verifier.Verify]; RFC 8725, RFC 9068).
package identity
