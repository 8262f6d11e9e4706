package disclosure

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kith/internal/audit"
)

// explainedWords are the English strings of an explanation, by key: whole
// sentences with places for names, so that Welsh can be put beside them.
type explainedWords map[string]string

func (w explainedWords) known(key, otherwise string) string {
	if text, ok := w[key]; ok {
		return text
	}
	return otherwise
}

func (w explainedWords) f(key string, places ...any) string { return fmt.Sprintf(w[key], places...) }

// list is "a, b and c".
func (w explainedWords) list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	return w.f("list", strings.Join(items[:len(items)-1], ", "), items[len(items)-1])
}

func explainWords() explainedWords {
	return explainedWords{
		"list": "%s and %s", "partner": "a partner service", "restricted": "legally restricted", "nobody": "somebody who was not signed in",
		"who.damaged": "somebody whose name cannot be read any more", "allowed.unknown": "What allowed it cannot be read any more.",
		"who": "%s, %s at %s,", "who.plain": "%s at %s",

		"label.do-not-inform": "do not tell the family", "label.onward": "do not pass on without asking the owner", "label.court": "court papers: not to be passed on without the court's leave",

		"tie.allocated": "The worker is allocated to somebody of the family.",
		"tie.works":     "The worker, or the worker's team or cover, works with somebody of the family.",
		"tie.declared":  "The worker declared an involvement of at most a day; it is looked at afterwards.",
		"tie.mash":      "The worker screens contacts at the front door (MASH).",
		"tie.marac":     "The worker is on the member list of this MARAC case.",
		"tie.lead":      "The worker is the named lead for this Operation Encompass event.",
		"tie.emergency": "Emergency access to one person was open.",

		"work.some": "Work that this purpose needs was open.", "work.early-help": "family help", "work.contact": "a contact at the front door",
		"work.child-in-need": "a child in need plan", "work.section-47": "a section 47 enquiry", "work.child-protection-plan": "a child protection plan",
		"work.care": "a time in care", "work.marac": "a MARAC case", "work.encompass": "an Operation Encompass event",

		"why.summary": "The agreements give this reader the shared summary.",

		"replay.same":            "Decided again from what was recorded, under the rules of that day, the answer is the same.",
		"replay.different":       "Decided again from what was recorded, the answer is NOT the same. An alarm has been raised: treat this record as evidence and tell the hub's owner.",
		"replay.erased":          "It cannot be decided again: what the decision rested on has been erased.",
		"replay.failed-then":     "The rules could not be evaluated at the time, so nothing was shown, and there is no decision to compare.",
		"replay.nothing-decided": "Nothing in it was decided by the sharing rules, so there is nothing to decide again.",

		"did.read":              "On %s, %s opened the record of a family (%s).",
		"did.read.refused":      "On %s, %s asked for the record of a family (%s).",
		"did.print":             "On %s, %s printed from the record of a family (%s).",
		"did.search":            "On %s, %s searched for people by %s.",
		"did.search.list":       "On %s, %s looked at the list of the families that they work with.",
		"did.told-by-phone":     "On %s, %s told somebody by telephone what is on record (family %s).",
		"did.refused-to-share":  "On %s, %s recorded a refusal to share (family %s).",
		"did.emergency-access":  "On %s, %s used emergency access (family %s).",
		"did.about":             "On %s, %s acted on the record: %s.",
		"did.sign-in":           "On %s, %s signed in, or tried to.",
		"did.log-view":          "On %s, %s looked at the access log.",
		"did.policy":            "On %s, %s acted on the sharing rules (%s).",
		"did.agreement":         "On %s, %s acted on an information sharing agreement (%s).",
		"did.corrected":         "On %s, Kith told %s that an entry which they had been shown has been corrected since.",
		"did.withdrawn":         "On %s, Kith told %s that an entry which they had been shown has been withdrawn since.",
		"did.wrong-fact":        "On %s, Kith told %s that an entry which they had been shown says something wrong, as its owner has found.",
		"did.wrong-person":      "On %s, Kith told %s that an entry which they had been shown is about the wrong person, as its owner has found.",
		"did.separated":         "On %s, Kith told %s that an entry which they had been shown came from a record that had been taken for the wrong person.",
		"kind.link":             "who a record is (%s)",
		"did.other":             "On %s, %s did this: %s.",
		"kind.submission":       "a contribution in bulk",
		"kind.entry":            "an entry (%s)",
		"kind.concern":          "a concern about an entry (%s)",
		"kind.involvement":      "who works with whom (%s)",
		"kind.grant":            "a named grant (%s)",
		"kind.restriction":      "a restriction (%s)",
		"kind.membership":       "who belongs to a family (%s)",
		"kind.told-and-agreed":  "what somebody was told and agreed to (%s)",
		"kind.worker":           "a worker's access (%s)",
		"purpose":               "The purpose was: %s.",
		"children.one":          "It was about one child.",
		"children.many":         "It was about %d children.",
		"reason":                "The reason given was: “%s”",
		"declared":              "No open work was on record; the need was declared, and is looked at afterwards.",
		"emergency":             "It was an emergency access.",
		"acting-for":            "It was done on behalf of %s.",
		"not-family":            "not given",
		"allowed.work":          "Open at the time: %s.",
		"allowed.own":           "What was shown of the information of %s itself needed no agreement.",
		"allowed.by":            "What was shown of other agencies' information rests on %s.",
		"allowed.by.owner":      "What was shown of your agency's information rests on %s.",
		"allowed.clause":        "the %s, clause %s",
		"allowed.clauses":       "the %s, clauses %s",
		"allowed.grant":         "Part of it was opened by a named grant.",
		"allowed.version":       "The sharing rules in force were “%s”, version %s.",
		"allowed.version.plain": "The sharing rules in force were version %s.",
		"allowed.nothing":       "It needed no permission from the sharing rules.",
		"refused":               "It was refused.",
		"shown.full":            "Shown in full: %s.",
		"shown.summary":         "Shown as a shared summary: %s.",
		"shown.existence":       "Shown only that a service holds something: %s.",
		"shown.part":            "%s (%s)",
		"shown.masked":          "Left out of what was shown, by rule: %s.",
		"shown.nothing":         "Nothing of a record was shown.",
		"shown.nothing.owner":   "Nothing of your agency's information was shown.",
		"shown.printed":         "What the sheet held is in the event of the read that it was printed from (parts: %s).",
		"shown.sheet":           "The sheet held, at most, what the reading of the same record at that time released (event %s): %s.",
		"sheet.brief":           "the brief",
		"sheet.story":           "the children's story",
		"sheet.family":          "who is in the family",
		"sheet.involved":        "who is involved",
		"sheet.line":            "the time line",
		"sheet.parts":           "every entry in full",
		"withheld":              "Not shown, or not in full: %s.",
		"withheld.owner":        "of %s: %s",
		"withheld.none":         "Nothing was withheld.",
		"withheld.none.owner":   "Nothing of your agency's information was withheld.",
		"level.hidden":          "not shown", "level.existence": "only that it exists", "level.summary": "the shared summary", "level.full": "some fields left out",
		"labels":      "With it went these duties: %s.",
		"labels.none": "No label went with it.",
		"erased":      "Part of this event has been erased since.",
		"damaged":     "This event does not match its own seals: somebody has changed it. Verify the log before you rely on it.",
	}
}

// sentences are the four paragraphs: who and why, what allowed it, what was
// shown, what went with it and whether it holds.
func (e *explaining) sentences(x *Explanation) []string {
	return []string{e.whoAndWhy(x), e.whatAllowed(x), e.whatWasShown(x), e.whatWentWithIt(x)}
}

func (e *explaining) whoAndWhy(x *Explanation) string {
	who := e.say["nobody"]
	if name := cmp.Or(x.Who.Name, x.Who.Client); name != "" {
		who = e.say.f("who.plain", name, x.Who.AgencyName)
		if len(x.Who.Roles) > 0 {
			who = e.say.f("who", name, e.say.list(x.Who.Roles), x.Who.AgencyName)
		}
	}
	if x.Damaged || x.Erased && x.Who.Name == "" {
		who = e.say["who.damaged"]
	}
	when := at(x.Occurred)
	family := e.say["not-family"]
	if x.Asked.Family != nil {
		family = cmp.Or(x.Asked.Ref, x.Asked.Family.String())
	}
	action := cmp.Or(x.Asked.Details["action"], "–")
	out := []string{}
	add := func(s string) { out = append(out, s) }
	switch x.Kind {
	case audit.KindRead:
		if x.Allowed.Answer == "refused" {
			add(e.say.f("did.read.refused", when, who, family))
		} else {
			add(e.say.f("did.read", when, who, family))
		}
	case audit.KindPrint, audit.KindPhone, audit.KindRefusal, audit.KindEmergency:
		add(e.say.f("did."+string(x.Kind), when, who, family))
	case audit.KindSearch:
		if len(x.Asked.SearchedBy) > 0 {
			add(e.say.f("did.search", when, who, e.say.list(inWords(x.Asked.SearchedBy))))
		} else {
			add(e.say.f("did.search.list", when, who))
		}
	case audit.KindSignIn, audit.KindSignOut, audit.KindAuthFailure, audit.KindForbidden:
		if x.Kind == audit.KindForbidden {
			add(e.say.f("did.other", when, who, x.Kind))
		} else {
			add(e.say.f("did.sign-in", when, who))
		}
	case audit.KindLogView, audit.KindLogExport:
		add(e.say.f("did.log-view", when, who))
	case audit.KindPolicy, audit.KindAgreement:
		add(e.say.f("did."+string(x.Kind), when, who, action))
	case audit.KindCorrected:
		add(fmt.Sprintf(e.say.known("did."+action, e.say["did.corrected"]), when, who))
	default:
		what := string(x.Kind)
		if words, ok := e.say["kind."+what]; ok {
			if what = words; strings.Contains(words, "%s") {
				what = fmt.Sprintf(words, action)
			}
			add(e.say.f("did.about", when, who, what))
		} else {
			add(e.say.f("did.other", when, who, what))
		}
	}
	if x.Asked.PurposeName != "" {
		add(e.say.f("purpose", x.Asked.PurposeName))
	}
	switch n := len(x.Asked.Children); {
	case n == 1:
		add(e.say["children.one"])
	case n > 1:
		add(e.say.f("children.many", n))
	}
	if x.Asked.Reason != "" {
		add(e.say.f("reason", x.Asked.Reason))
	}
	if x.Who.ActingFor != "" {
		add(e.say.f("acting-for", e.agency(x.Who.ActingFor)))
	}
	if x.Asked.Emergency {
		add(e.say["emergency"])
	}
	return strings.Join(out, " ")
}

func (e *explaining) whatAllowed(x *Explanation) string {
	var out []string
	add := func(s string) { out = append(out, s) }
	a := &x.Allowed
	if a.Answer == "not-decided" {
		add(e.say["allowed.nothing"])
	}
	if a.Answer == "refused" {
		add(e.say["refused"])
		out = append(out, a.Why...)
	}
	out = append(out, a.Relationship...)
	if len(a.OpenWork) > 0 {
		if a.OpenWork[0] == e.say["work.some"] {
			add(a.OpenWork[0])
		} else {
			add(e.say.f("allowed.work", e.say.list(a.OpenWork)))
		}
	}
	if x.Asked.Declared {
		add(e.say["declared"])
	}
	if len(a.Agreements) > 0 {
		var texts []string
		for _, g := range a.Agreements {
			key := "allowed.clauses"
			if len(g.Clauses) == 1 {
				key = "allowed.clause"
			}
			texts = append(texts, e.say.f(key, g.Title, e.say.list(g.Clauses)))
		}
		key := "allowed.by"
		if e.reader == toOwner {
			key = "allowed.by.owner"
		}
		add(e.say.f(key, e.say.list(texts)))
	}
	if slices.ContainsFunc(x.Released, func(p ExplainedPart) bool { return p.Grant != "" }) {
		add(e.say["allowed.grant"])
	}
	if e.reader != toOwner && slices.ContainsFunc(x.Released, func(p ExplainedPart) bool { return p.Owner == x.Who.Agency }) {
		add(e.say.f("allowed.own", x.Who.AgencyName))
	}
	if a.Version != nil {
		if short := a.Version.Digest.String()[:12]; a.Version.Name != "" {
			add(e.say.f("allowed.version", a.Version.Name, short))
		} else {
			add(e.say.f("allowed.version.plain", short))
		}
	}
	if len(out) == 0 {
		add(e.say["allowed.unknown"])
	}
	return strings.Join(out, " ")
}

func (e *explaining) whatWasShown(x *Explanation) string {
	var out []string
	add := func(s string) { out = append(out, s) }
	shown := map[string][]string{}
	var masked []string
	released := x.Released
	if x.Printed != nil {
		released = x.Printed.Released
		add(e.say.f("shown.sheet", x.Printed.Read, e.say.list(x.Printed.Blocks)))
	}
	for i := range released {
		p := &released[i]
		text := p.OwnerName
		if p.Section != "" {
			text = e.say.f("shown.part", p.Section, p.OwnerName)
		}
		if !slices.Contains(shown[p.Level], text) {
			shown[p.Level] = append(shown[p.Level], text)
		}
		for _, m := range p.Masked {
			if !slices.Contains(masked, m) {
				masked = append(masked, m)
			}
		}
	}
	for _, level := range []string{"full", "summary", "existence"} {
		if list := shown[level]; len(list) > 0 {
			slices.Sort(list)
			add(e.say.f("shown."+level, e.say.list(list)))
		}
	}
	switch {
	case len(released) > 0:
	case x.Kind == audit.KindPrint && x.Asked.Details["parts"] != "":
		add(e.say.f("shown.printed", e.say.list(strings.Fields(x.Asked.Details["parts"]))))
	case e.reader == toOwner:
		add(e.say["shown.nothing.owner"])
	default:
		add(e.say["shown.nothing"])
	}
	if len(masked) > 0 {
		slices.Sort(masked)
		add(e.say.f("shown.masked", e.say.list(masked)))
	}
	if x.Withheld == nil {
		return strings.Join(out, " ")
	}
	var kept, of []string // by owner, as the list has them
	for i, w := range *x.Withheld {
		if text := e.say.f("shown.part", w.Section, e.say["level."+w.Shown]); !slices.Contains(of, text) {
			of = append(of, text)
		}
		if i+1 == len(*x.Withheld) || (*x.Withheld)[i+1].OwnerName != w.OwnerName {
			kept = append(kept, e.say.f("withheld.owner", w.OwnerName, e.say.list(of)))
			of = nil
		}
	}
	switch {
	case len(kept) > 0:
		add(e.say.f("withheld", strings.Join(kept, "; ")))
	case e.reader == toAuditor:
		add(e.say["withheld.none"])
	default:
		add(e.say["withheld.none.owner"])
	}
	return strings.Join(out, " ")
}

func (e *explaining) whatWentWithIt(x *Explanation) string {
	var out, labels []string
	for _, p := range x.Released {
		for _, l := range p.Labels {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	switch {
	case len(labels) > 0:
		slices.Sort(labels)
		out = append(out, e.say.f("labels", e.say.list(labels)))
	case len(x.Released) > 0:
		out = append(out, e.say["labels.none"])
	}
	out = append(out, x.Replay.Words)
	if x.Erased {
		out = append(out, e.say["erased"])
	}
	if x.Damaged {
		out = append(out, e.say["damaged"])
	}
	return strings.Join(out, " ")
}

// at is a time as one says it in a meeting: 12 November 2026 at 1.56pm.
func at(t time.Time) string {
	if london, err := time.LoadLocation("Europe/London"); err == nil {
		t = t.In(london)
	}
	return t.Format("2 January 2006 at 3.04pm")
}

// inWords turns field names into words: given_name is "given name".
func inWords(fields []string) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = strings.ReplaceAll(f, "_", " ")
	}
	return out
}

// compareClauses orders 4.2 before 4.10.
func compareClauses(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		if errM != nil || errN != nil {
			return strings.Compare(a, b)
		}
		if c := cmp.Compare(m, n); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(x), len(y))
}
