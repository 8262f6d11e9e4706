package audit

import (
	"fmt"
	"time"
)

// Why says in one sentence why a finding is in the queue, with the numbers
// behind it. No name stands in it: who and whom opens with the review.
func (r *Review) Why() string {
	n := r.Numbers
	switch r.Kind {
	case FindingSample:
		return "One of the accesses drawn at random for review."
	case FindingSameSurname:
		return "The worker has the same surname as somebody whom this access was about; " + counted(n["bearers"], "person on the hub bears it", "people on the hub bear it") + "."
	case FindingOwnRecord:
		return "The worker asked for a record in which the worker is a member of the family."
	case FindingOwnFamily:
		return "The worker asked about a family of relatives, or one with which the worker has declared a conflict."
	case FindingOwnAddress:
		return "The worker lives at the postcode of somebody whom this access was about, or has declared to be a neighbour."
	case FindingColleague:
		return "Somebody whom this access was about works for the same agency as the worker."
	case FindingNoInvolvement:
		return "The worker had no open involvement with anybody of the family, alone or in a team, when the record was opened."
	case FindingOutOfHours:
		return "Opened outside the working hours of weekdays: " + times(r.Count) + " that night or day."
	case FindingVolume:
		if n["slowed"] > 0 {
			return "The hub slowed this worker down: more families were asked for in one hour than its limit."
		}
		return fmt.Sprintf("The worker opened %d families that day; the most in a day of the four weeks before was %d.", n["today"], n["before"])
	case FindingDenials:
		return fmt.Sprintf("%d requests of the worker were refused or found nothing within 24 hours.", n["denials"])
	case FindingRestricted:
		return "The access was about somebody whose record is restricted."
	case FindingDeclared:
		return "It rests on work or on a relationship that the worker declared; nobody had allocated it."
	case FindingNewInvolvement:
		return "The worker opened the record for the first time " + counted(n["hours"], "hour", "hours") + " after an involvement with the family began."
	case FindingEmergency:
		return "Emergency access: it is looked at every time."
	case FindingProtected:
		return "Somebody's protected address was searched for."
	}
	return "Of a kind that this version has no words for."
}

// Innocence says what speaks for the worker.
func (r *Review) Innocence() []string {
	list := []string{}
	if r.Since != nil {
		list = append(list, "The worker has been allocated to the family since ("+since(r.Since.Source)+", "+r.Since.From.UTC().Format("2 January 2006 15:04")+" UTC).")
	}
	for _, e := range r.Excuses {
		list = append(list, r.excuse(e))
	}
	return list
}

func since(source string) string {
	switch source {
	case "feed":
		return "by the case system"
	case "cover":
		return "as cover"
	case "duty":
		return "as duty worker"
	}
	return "by a manager"
}

func (r *Review) excuse(e Excuse) string {
	switch e {
	case ExcuseCover:
		return "The worker was covering for a team at that time."
	case ExcuseDuty:
		return "The worker's role is on duty for every family."
	case ExcuseListed:
		return "The restriction lets this worker in by name."
	case ExcuseCommonName:
		return fmt.Sprintf("The surname is a common one: %d people on the hub bear it.", r.Numbers["bearers"])
	case ExcuseAgency:
		return "Others of the worker's agency work with the family."
	case ExcuseWork:
		return "The worker had an open involvement with the family."
	case ExcuseManager:
		return "A manager or the agency's case system made the involvement, not the worker."
	case ExcuseRefused:
		return "Nothing was shown."
	}
	return string(e)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// WorkSince is an involvement that began after the access.
type WorkSince struct {
	Source string
	From   time.Time
}
