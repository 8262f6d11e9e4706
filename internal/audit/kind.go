package audit

// Kind says what happened.
type Kind string

// The kinds of events. A new one needs a retention class below.
const (
	KindRead         Kind = "read"
	KindSearch       Kind = "search"
	KindPrint        Kind = "print"
	KindPhone        Kind = "told-by-phone"
	KindRefusal      Kind = "refused-to-share"
	KindSubmission   Kind = "submission"
	KindEntry        Kind = "entry"
	KindConcern      Kind = "concern"
	KindInvolvement  Kind = "involvement"
	KindEpisode      Kind = "episode"
	KindMembership   Kind = "membership"
	KindRelationship Kind = "relationship"
	KindLink         Kind = "link"
	KindConsent      Kind = "told-and-agreed"
	KindRestriction  Kind = "restriction"
	KindGrant        Kind = "grant"
	KindEmergency    Kind = "emergency-access"
	KindPolicy       Kind = "policy"
	KindAgreement    Kind = "agreement"
	KindWorker       Kind = "worker"
	KindAgency       Kind = "agency"
	KindSignIn       Kind = "sign-in"
	KindSignOut      Kind = "sign-out"
	KindAuthFailure  Kind = "auth-failure"
	KindForbidden    Kind = "forbidden" // a verified caller at a door that is not theirs
	KindLogView      Kind = "log-view"
	KindLogExport    Kind = "log-export"
	KindLogResume    Kind = "log-resume"
	KindReview       Kind = "review"
	KindErasure      Kind = "erasure"
	KindHold         Kind = "legal-hold"
	KindDrop         Kind = "log-drop"
	KindCorrected    Kind = "corrected-after-release" // tells a reader that what they were shown was wrong
)

// ClassAccess is the retention class of the accesses to records.
const ClassAccess = "access"

// class is the retention class: how long an event of this kind must live
// differs by what it protects. Empty means the kind is not known. Content is
// opened by events of the class "access" alone (released_by in the schema).
func (k Kind) class() string {
	switch k {
	case KindRead, KindSearch, KindPrint, KindPhone, KindRefusal, KindEmergency:
		return ClassAccess
	case KindSubmission, KindEntry, KindConcern, KindInvolvement, KindEpisode, KindMembership, KindRelationship,
		KindLink, KindConsent, KindRestriction, KindGrant, KindCorrected:
		return "contribution"
	case KindPolicy, KindAgreement:
		return "policy"
	case KindWorker, KindAgency, KindSignIn, KindSignOut, KindAuthFailure, KindForbidden:
		return "security"
	case KindLogView, KindLogExport, KindLogResume, KindReview, KindErasure, KindHold, KindDrop:
		return "log"
	}
	return ""
}

// Outcome says how it ended.
type Outcome string

// The outcomes. Whatever depends on a family's facts and ends in a refusal is
// OutcomeNotFound: hidden and absent have one name here too.
const (
	OutcomeReleased Outcome = "released"
	OutcomeNothing  Outcome = "nothing-found"
	OutcomeNotFound Outcome = "not-found"
	OutcomeDenied   Outcome = "denied"
	OutcomeInvalid  Outcome = "invalid"
	OutcomeDone     Outcome = "done"
	OutcomePartly   Outcome = "partly-done"
	OutcomeFailed   Outcome = "failed"
)

func (o Outcome) known() bool {
	switch o {
	case OutcomeReleased, OutcomeNothing, OutcomeNotFound, OutcomeDenied, OutcomeInvalid, OutcomeDone, OutcomePartly, OutcomeFailed:
		return true
	}
	return false
}
