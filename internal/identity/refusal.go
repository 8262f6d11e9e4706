package identity

import (
	"errors"

	"github.com/google/uuid"
)

// Refusal is why a caller is not let in. Each check has one of its own, to be
// compared with errors.Is. Error is for the log and names no person; Shown is
// for the caller. An error of [Verifier.Verify] that is no Refusal means that
// the question could not be answered (database or issuer's keys unavailable):
// the face answers 503, and nobody is let in.
type Refusal struct {
	Code string // stable, for metrics and problem documents
	// Token says that the token itself is bad (401). Otherwise the token is
	// good, and the directory refuses the one it names (403).
	Token bool
	Shown string
}

func (r *Refusal) Error() string { return "identity refused: " + r.Code }

const shownToken = "The access token is missing, wrong or too old. Sign in again."

// What is wrong with a token. The caller is told no more than that, save that
// it has run out: details would help only a forger, and stand in the log.
var (
	ErrNoToken        = &Refusal{"token-missing", true, shownToken}
	ErrTokenSize      = &Refusal{"token-too-long", true, shownToken}
	ErrTokenForm      = &Refusal{"token-form", true, shownToken}
	ErrTokenHeader    = &Refusal{"token-header", true, shownToken}
	ErrCritical       = &Refusal{"token-critical-header", true, shownToken}
	ErrTokenType      = &Refusal{"token-type", true, shownToken}
	ErrAlgorithm      = &Refusal{"token-algorithm", true, shownToken}
	ErrClaims         = &Refusal{"token-claims", true, shownToken}
	ErrIssuer         = &Refusal{"token-issuer", true, shownToken}
	ErrUnknownKey     = &Refusal{"token-unknown-key", true, shownToken}
	ErrSignature      = &Refusal{"token-signature", true, shownToken}
	ErrAudience       = &Refusal{"token-audience", true, shownToken}
	ErrClient         = &Refusal{"token-client", true, shownToken}
	ErrExpired        = &Refusal{"token-expired", true, "The access token has run out. Sign in again."}
	ErrNotYetValid    = &Refusal{"token-not-yet-valid", true, shownToken}
	ErrIssuedInFuture = &Refusal{"token-issued-in-future", true, shownToken}
	ErrLifetime       = &Refusal{"token-lifetime", true, shownToken}
	ErrSubject        = &Refusal{"token-subject", true, shownToken}
	ErrAgencyClaim    = &Refusal{"token-agency-claim", true, shownToken}
	ErrSystemAgency   = &Refusal{"token-system-agency", true, shownToken}
)

// What the directory says against somebody whose token is good.
var (
	ErrUnknownWorker  = &Refusal{"worker-unknown", false, "Your sign-in is not in this hub's worker directory. Ask your manager to have you added."}
	ErrNotStarted     = &Refusal{"worker-not-started", false, "Your access has not started yet. Ask your manager for the start date."}
	ErrEnded          = &Refusal{"worker-ended", false, "Your access has ended. Ask your manager if you still need it."}
	ErrSuspended      = &Refusal{"worker-suspended", false, "Your access is suspended. Ask your manager."}
	ErrTraining       = &Refusal{"worker-training-lapsed", false, "Your information-governance training has lapsed. Renew it, then ask your manager to record it."}
	ErrVetting        = &Refusal{"worker-vetting-lapsed", false, "Your vetting has lapsed. Renew it, then ask your manager to record it."}
	ErrDormant        = &Refusal{"worker-dormant", false, "Your access was not used for a long time and is asleep. Ask your manager to wake it."}
	ErrNotAccepted    = &Refusal{"worker-not-accepted", false, "The agency for which you signed in has not accepted you by name. Ask its privacy officer."}
	ErrNoRole         = &Refusal{"worker-no-role", false, "You hold no role in this hub for this agency. Ask your manager."}
	ErrAgencyNotBound = &Refusal{"agency-not-bound", false, "The account that you signed in with may not speak for this agency."}
	ErrAgencyUnknown  = &Refusal{"agency-unknown", false, "Your agency is not part of this hub."}
	ErrAgencyEnded    = &Refusal{"agency-ended", false, "Your agency is not taking part in this hub at present."}
)

// ErrKeysUnavailable says that the issuer's keys could not be fetched, so that
// nothing can be said about the token: not a Refusal, and nobody is let in.
var ErrKeysUnavailable = errors.New("issuer keys unavailable")

// WorkerRefused is a directory refusal of a known worker, so that the access
// log can name who was refused. It unwraps to the Refusal.
type WorkerRefused struct {
	Worker uuid.UUID
	Agency string // whom the worker wanted to speak for
	Reason *Refusal
}

func (e *WorkerRefused) Error() string { return e.Reason.Error() }

func (e *WorkerRefused) Unwrap() error { return e.Reason }
