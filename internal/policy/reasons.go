package policy

// Reasons gives the plain sentence for each code that an Entry or a refusal
// may carry. Explanations are built from it; a code that is missing here is a
// mistake that a test finds.
func Reasons() map[string]string {
	reasons := map[string]string{
		"own":                "Your own agency contributed this.",
		"never":              "This is never shared with this kind of agency, not even in an emergency.",
		"needs-grant":        "This is shared only by a named grant, and there is none.",
		"not-shared":         "The agreements share nothing of this with this reader for this purpose.",
		"no-agreement":       "The agreement behind this is not in force for both agencies.",
		"no-subject":         "The entry does not say whom it is about.",
		"out-of-reach":       "It is about somebody who was not a parent, carer, household member or contact of the children asked for at that time.",
		"restricted":         "It concerns somebody whose record is kept from this reader.",
		"unborn":             "It concerns an unborn child of whom the family has not been told that this agency may know.",
		"unknown-owner":      "The agency that contributed it is not in the catalogue.",
		"owner-hidden":       "This reader may not know that the agency which contributed it is involved.",
		"repeats-hidden":     "Its text repeats information that this reader may not see.",
		"repeats-existence":  "Its text repeats information of which this reader may only know that it exists.",
		"repeats-summary":    "Its text repeats information that this reader sees only as a shared summary.",
		"untagged":           "Nobody has said yet what else the text repeats, so only the shared summary leaves its owner.",
		"legally-restricted": "It is legally restricted.",
		"privileged":         "It is legally privileged.",
		"code-c":             "Police graded it with handling code C: at most that it exists.",
		"code-c-hidden":      "Police graded it with handling code C.",
		"clinical":           "In care and in proceedings, parents' clinical information stays with its owner.",
		"protected-address":  "It would tell where somebody with a protected address can be found.",
		"wall":               "The reader works with the alleged abuser, and this concerns the harmed person or the children with them.",
		"wall-holder":        "The reader works with the alleged abuser and is not told who holds information about the harmed person.",
		"not-client":         "The programme sees this only of its own client.",
		"not-client-summary": "Of people who are not its clients the programme sees shared summaries alone.",
		"consent":            "The family has not agreed to it for this purpose.",
		"no-summary":         "No shared summary has been written: ask the owner.",
		"local-hidden":       "A local rule hides it.",
		"local-existence":    "A local rule shows only that it exists.",
		"local-summary":      "A local rule shows the shared summary.",
		"local-full":         "A local rule leaves it as it is.",
		RefusalNotFound:      "There is no such family for this reader.",
		RefusalRole:          "No role of the reader may use this purpose.",
		RefusalPurpose:       "The purpose is missing or unknown.",
		RefusalEmergency:     "Emergency access was not opened.",
		RefusalReason:        "A reason is required.",
		RefusalError:         "The policy could not be evaluated.",
	}
	for _, c := range Conditions() {
		reasons[unmetReason(c.Code)] = "The agreements share this only where " + c.Meaning + ", and that is not so here."
	}
	return reasons
}
