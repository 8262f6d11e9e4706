package disclosure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// Explainer explains one event of the log to whoever may see it (design.md §5):
// the auditor all of it; an agency's officer what the agency's own people were
// shown, and of what others were shown, or were not, its own part; everybody
// else their own accesses as they were answered, and nothing of what was
// withheld from them.
type Explainer struct {
	Door     *Door // words: versions, agencies
	Log      *audit.Log
	Replayer *Replayer
}

// Explanation is one event in words and in parts. Parts of the record are
// named, people stand by reference.
type Explanation struct {
	Event     uuid.UUID         `json:"event"`
	Kind      audit.Kind        `json:"kind"`
	Outcome   audit.Outcome     `json:"outcome"`
	Occurred  time.Time         `json:"occurred_at"`
	Who       ExplainedWho      `json:"who"`
	Asked     ExplainedQuestion `json:"asked"`
	Allowed   ExplainedAnswer   `json:"allowed"`
	Released  []ExplainedPart   `json:"released"`
	Withheld  *[]WithheldPart   `json:"withheld,omitempty"` // nil: not for this reader, or nothing was asked for
	Printed   *ExplainedSheet   `json:"printed,omitempty"`  // of a print: what the sheet was made from
	Replay    ExplainedReplay   `json:"replay"`
	Sentences []string          `json:"sentences"` // four paragraphs, to be read out
	Erased    bool              `json:"erased,omitempty"`
	Damaged   bool              `json:"damaged,omitempty"`
}

// ExplainedWho is who asked.
type ExplainedWho struct {
	Worker     *uuid.UUID `json:"worker,omitempty"`
	Name       string     `json:"name,omitempty"`
	Roles      []string   `json:"roles"` // in words
	Agency     string     `json:"agency"`
	AgencyName string     `json:"agency_name"`
	ActingFor  string     `json:"acting_for,omitempty"`
	Client     string     `json:"client,omitempty"`
	System     bool       `json:"system,omitempty"`
}

// ExplainedQuestion is what was asked for, and why.
type ExplainedQuestion struct {
	Family      *uuid.UUID        `json:"family,omitempty"`
	Ref         string            `json:"ref,omitempty"`      // of a family that was shown; else for the auditor alone
	Children    []string          `json:"children,omitempty"` // references; in one's own accesses the ids that were asked with
	Purpose     string            `json:"purpose,omitempty"`
	PurposeName string            `json:"purpose_name,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	SearchedBy  []string          `json:"searched_by,omitempty"` // fields, never what was typed
	Details     map[string]string `json:"details,omitempty"`
	Declared    bool              `json:"declared,omitempty"`
	Emergency   bool              `json:"emergency,omitempty"`
}

// ExplainedAnswer is what allowed it, or why it was refused.
type ExplainedAnswer struct {
	Answer       string               `json:"answer"` // allowed, refused, not-decided
	Refusal      string               `json:"refusal,omitempty"`
	Why          []string             `json:"why,omitempty"` // in words
	Relationship []string             `json:"relationship,omitempty"`
	OpenWork     []string             `json:"open_work,omitempty"`
	Agreements   []ExplainedAgreement `json:"agreements,omitempty"`
	Version      *ExplainedVersion    `json:"version,omitempty"`
}

// ExplainedAgreement is an agreement with the clauses that allowed something.
type ExplainedAgreement struct {
	ID      string   `json:"id"`
	Title   string   `json:"title"`
	Clauses []string `json:"clauses"`
}

// ExplainedVersion names the policy version that decided.
type ExplainedVersion struct {
	Digest policy.Digest `json:"digest"`
	Name   string        `json:"name,omitempty"`
}

// ExplainedPart is what was released on the same terms.
type ExplainedPart struct {
	Section   string   `json:"section,omitempty"` // its name; "" where the reader was told of a service alone
	Owner     string   `json:"owner,omitempty"`
	OwnerName string   `json:"owner_name"`
	Level     string   `json:"level"`
	Part      string   `json:"part,omitempty"`
	Clauses   []string `json:"clauses,omitempty"`
	Masked    []string `json:"masked,omitempty"` // labels of fields
	Labels    []string `json:"labels,omitempty"` // obligations, in words
	Grant     string   `json:"grant,omitempty"`
	Entries   []string `json:"entries,omitempty"` // ID/VERSION
	Subjects  []string `json:"subjects,omitempty"`
}

// ExplainedSheet is what a sheet was printed from: the read whose answer it
// shows, and what that read released. A sheet holds no more than that.
type ExplainedSheet struct {
	Read     uuid.UUID       `json:"read"`
	Blocks   []string        `json:"blocks"` // of the sheet, in words
	Released []ExplainedPart `json:"released"`
}

// WithheldPart is what was there and not shown, or not in full.
type WithheldPart struct {
	Section   string   `json:"section"`
	Owner     string   `json:"owner"`
	OwnerName string   `json:"owner_name"`
	Shown     string   `json:"shown"` // the level that was shown instead
	Why       []string `json:"why"`   // in words
}

// ExplainedReplay is the decision made again.
type ExplainedReplay struct {
	Result ReplayResult `json:"result"`
	Why    string       `json:"why,omitempty"`
	Words  string       `json:"words"`
}

// Explain explains one event. The caller has logged that it is asked for.
// Error: audit.ErrNotFound, for what is unknown and for what is out of scope.
func (x *Explainer) Explain(ctx context.Context, p identity.Principal, s audit.Scope, id uuid.UUID) (Explanation, error) {
	rec, err := x.Log.Explain(ctx, s, id, false)
	if err != nil && (!errors.Is(err, audit.ErrNotFound) || s.Officer() == "") {
		return Explanation{}, err
	}
	replay, again := x.Replayer.Event(ctx, id)
	if again != nil {
		return Explanation{}, again
	}
	if err != nil {
		// Nothing of the officer's agency was released; something of it may have
		// been withheld. That is its business only where a record was asked for.
		concerned := replay.Kind == audit.KindRead && replay.owns(s.Officer())
		if rec, err = x.Log.Explain(ctx, s, id, concerned); err != nil {
			return Explanation{}, err
		}
	}
	e := explaining{rec: &rec, replay: &replay, version: replay.version, say: explainWords(), reader: readerOf(s, &rec), officer: s.Officer()}
	if read, bad := uuid.Parse(rec.Details["read"]); rec.Kind == audit.KindPrint && bad == nil {
		printed, err := x.Log.Get(ctx, s, read)
		switch {
		case err == nil && printed.Kind == audit.KindRead && printed.Worker == rec.Worker && printed.Family == rec.Family:
			e.printed = &printed
		case err != nil && !errors.Is(err, audit.ErrNotFound):
			return Explanation{}, err
		}
	}
	if e.version == nil {
		if e.version, err = x.Door.Version(ctx, p.Partnership); err != nil {
			return Explanation{}, fmt.Errorf("words for event %s: %w", id, err)
		}
	}
	agencies, err := x.Door.directory(p).Agencies(ctx)
	if err != nil {
		return Explanation{}, err
	}
	e.agencies = map[string]identity.Agency{}
	for _, a := range agencies {
		e.agencies[a.Code] = a
	}
	if rec.Family != uuid.Nil && (e.reader == toAuditor || rec.Outcome == audit.OutcomeReleased) {
		// A family that is none has no reference: to whoever was refused that would tell.
		err := x.Door.Pool.QueryRow(ctx, `SELECT ref FROM family WHERE id = $1 AND partnership = $2`, rec.Family, p.Partnership).Scan(&e.ref)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return Explanation{}, fmt.Errorf("reference of the family of event %s: %w", id, postgres.Redact(err))
		}
	}
	return e.explanation(), nil
}

// explained readers: what each is told differs.
type explainedTo uint8

const (
	toOneself explainedTo = iota // own access, as it was answered; the least of all
	toOwner                      // officer of an agency whose information it was, or would have been
	toOfficer                    // officer of the agency that asked
	toAuditor
)

func readerOf(s audit.Scope, rec *audit.Record) explainedTo {
	switch {
	case s.All():
		return toAuditor
	case s.Officer() == "":
		return toOneself
	case s.Officer() == rec.Agency:
		return toOfficer
	}
	return toOwner
}

// explaining puts one explanation together. It is pure.
type explaining struct {
	rec      *audit.Record
	replay   *Replay
	version  *policy.Version
	agencies map[string]identity.Agency
	reader   explainedTo
	officer  string        // agency of the officer
	ref      string        // of the family
	printed  *audit.Record // the read that a sheet was printed from
	say      explainedWords
}

func (e *explaining) explanation() Explanation {
	r := e.rec
	out := Explanation{
		Event: r.ID, Kind: r.Kind, Outcome: r.Outcome, Occurred: r.Occurred.UTC(), Who: e.who(), Asked: e.asked(), Erased: r.Erased, Damaged: r.Damaged,
		Released: []ExplainedPart{}, Replay: ExplainedReplay{Result: e.replay.Result, Why: e.replay.Why, Words: e.say["replay."+string(e.replay.Result)]},
	}
	for i := range r.Released {
		out.Released = append(out.Released, e.part(&r.Released[i]))
	}
	if e.printed != nil {
		out.Printed = e.sheet()
	}
	out.Allowed = e.allowed()
	if e.reader != toOneself && r.Kind == audit.KindRead && len(e.replay.again) > 0 {
		withheld := e.withheld()
		out.Withheld = &withheld
	}
	out.Sentences = e.sentences(&out)
	return out
}

func (e *explaining) who() ExplainedWho {
	r := e.rec
	w := ExplainedWho{Name: r.Name, Roles: []string{}, Agency: r.Agency, AgencyName: e.agency(r.Agency), ActingFor: r.ActingFor, Client: r.Client, System: r.System}
	if r.Worker != uuid.Nil {
		w.Worker = &r.Worker
	}
	for _, code := range r.Roles {
		name := code
		if role, ok := e.version.Role(code); ok {
			name = role.Name
		}
		if (code == "practitioner" || code == "manager") && len(r.Roles) > 1 {
			continue // what opens doors; the profession says more
		}
		w.Roles = append(w.Roles, name)
	}
	return w
}

func (e *explaining) agency(code string) string {
	if a, ok := e.agencies[code]; ok && a.Name != "" {
		return a.Name
	}
	return code
}

func (e *explaining) asked() ExplainedQuestion {
	r := e.rec
	q := ExplainedQuestion{Ref: e.ref, Children: r.Children, Purpose: r.Purpose, Reason: r.Reason, Details: r.Details, Declared: r.Declared, Emergency: r.Emergency, SearchedBy: r.SearchedBy}
	if r.Family != uuid.Nil {
		q.Family = &r.Family
	}
	if purpose, ok := e.version.Purpose(r.Purpose); ok {
		q.PurposeName = purpose.Name
	}
	return q
}

// part names what a line of the log released.
func (e *explaining) part(x *audit.Released) ExplainedPart {
	out := ExplainedPart{Owner: x.Owner, OwnerName: e.agency(x.Owner), Level: x.Level.String(), Part: x.Part, Clauses: x.Clauses, Grant: x.Grant, Subjects: x.Subjects}
	switch {
	case x.Owner == "":
		out.OwnerName = e.say["partner"]
	case x.Section == audit.LegallyRestricted:
		out.Section, out.Clauses = e.say["restricted"], nil // a clause may name what it opens
	default:
		out.Section = e.section(x.Section)
	}
	section, _ := e.version.Section(x.Section)
	for _, name := range x.Masked {
		label := name
		for _, f := range section.Fields {
			if f.Name == name && f.Label != "" {
				label = f.Label
			}
		}
		out.Masked = append(out.Masked, label)
	}
	for _, code := range x.Labels {
		out.Labels = append(out.Labels, e.say.known("label."+code, code))
	}
	for _, ref := range x.Entries {
		out.Entries = append(out.Entries, ref.String())
	}
	return out
}

func (e *explaining) sheet() *ExplainedSheet {
	out := &ExplainedSheet{Read: e.printed.ID, Blocks: []string{}, Released: []ExplainedPart{}}
	for _, block := range strings.Fields(e.rec.Details["parts"]) {
		out.Blocks = append(out.Blocks, e.say.known("sheet."+block, block))
	}
	for i := range e.printed.Released {
		out.Released = append(out.Released, e.part(&e.printed.Released[i]))
	}
	return out
}

func (e *explaining) section(code string) string {
	if s, ok := e.version.Section(code); ok {
		return s.Name
	}
	return code
}

func (e *explaining) allowed() ExplainedAnswer {
	r := e.rec
	a := ExplainedAnswer{Answer: "not-decided"}
	switch {
	case r.Outcome == audit.OutcomeDenied || r.Outcome == audit.OutcomeNotFound || r.Outcome == audit.OutcomeInvalid || r.Outcome == audit.OutcomeFailed:
		a.Answer, a.Refusal = "refused", r.Refusal
	case len(e.replay.again) > 0 || r.Outcome == audit.OutcomeReleased:
		a.Answer = "allowed"
	}
	reasons := policy.Reasons()
	add := func(code string) {
		if words := reasons[code]; words != "" && !slices.Contains(a.Why, words) {
			a.Why = append(a.Why, words)
		}
	}
	add(a.Refusal)
	for _, code := range r.Causes { // the auditor's alone
		add(code)
	}
	if !e.replay.policy.IsZero() {
		a.Version = &ExplainedVersion{Digest: e.replay.policy}
		if e.replay.version != nil {
			a.Version.Name = e.replay.version.Name
		}
	}
	a.Agreements = e.agreements()
	// Who works with whom is not the owner's to know, and of a refused request
	// nobody but the auditor learns whether there was anything to work with.
	if e.reader == toAuditor || a.Answer == "allowed" && e.reader != toOwner {
		a.Relationship = e.relationship()
		a.OpenWork = e.openWork()
	}
	return a
}

// agreements are those that allowed what this reader sees.
func (e *explaining) agreements() []ExplainedAgreement {
	var out []ExplainedAgreement
	for i := range e.rec.Released {
		x := &e.rec.Released[i]
		if x.Section == audit.LegallyRestricted {
			continue
		}
		for _, clause := range x.Clauses {
			id, no, ok := strings.Cut(clause, " cl. ")
			if !ok {
				id, no = clause, ""
			}
			at := slices.IndexFunc(out, func(a ExplainedAgreement) bool { return a.ID == id })
			if at < 0 {
				at = len(out)
				text, _ := e.version.Agreement(id)
				out = append(out, ExplainedAgreement{ID: id, Title: text.Title})
				if text.Title == "" {
					out[at].Title = id
				}
			}
			if no != "" && !slices.Contains(out[at].Clauses, no) {
				out[at].Clauses = append(out[at].Clauses, no)
			}
		}
	}
	slices.SortFunc(out, func(a, b ExplainedAgreement) int { return strings.Compare(a.ID, b.ID) })
	for i := range out {
		slices.SortFunc(out[i].Clauses, compareClauses)
	}
	return out
}

// relationship says in words how the caller is tied to those asked about.
func (e *explaining) relationship() []string {
	var out []string
	add := func(code string) {
		if words := e.say["tie."+code]; !slices.Contains(out, words) {
			out = append(out, words)
		}
	}
	for i := range e.replay.again {
		in := &e.replay.again[i].in
		purpose, _ := e.version.Purpose(in.Request.Purpose)
		for _, person := range in.People {
			switch {
			case !person.Mine:
			case person.Allocated:
				add("allocated")
			case person.Declared:
				add("declared")
			default:
				add("works")
			}
		}
		switch {
		case purpose.Relationship == policy.ByMashRole:
			add("mash")
		case purpose.Relationship == policy.ByMaracList && in.Caller.Marac:
			add("marac")
		case purpose.Relationship == policy.ByNamedLead && in.Caller.Lead:
			add("lead")
		case slices.ContainsFunc(in.Grants, func(g policy.Grant) bool { return g.BreakGlass }):
			add("emergency")
		}
	}
	slices.Sort(out)
	return out
}

// openWork says what was open for the children asked about. Which plan a child
// is on is itself a part of the record: beside the auditor, readers are told
// only that there was what the purpose needs.
func (e *explaining) openWork() []string {
	var out []string
	for i := range e.replay.again {
		x := &e.replay.again[i]
		purpose, _ := e.version.Purpose(x.in.Request.Purpose)
		for _, child := range x.decision.Children {
			for _, kind := range x.in.People[child].Open {
				if slices.Contains(purpose.OpenWork, kind) && !slices.Contains(out, kind) {
					out = append(out, kind)
				}
			}
		}
	}
	if len(out) > 0 && e.reader != toAuditor {
		return []string{e.say["work.some"]}
	}
	slices.Sort(out)
	for i, kind := range out {
		out[i] = e.say.known("work."+kind, kind)
	}
	return out
}

// withheld lists what was there and was not shown, or not in full: to its owner
// and to the auditor. Equal lines are one: how many entries there were is told
// to nobody.
func (e *explaining) withheld() []WithheldPart {
	out := []WithheldPart{}
	reasons := policy.Reasons()
	for i := range e.replay.again {
		x := &e.replay.again[i]
		for j := range x.in.Tuples {
			t := &x.in.Tuples[j]
			own := t.Owner == e.officer
			if e.reader != toAuditor && !own {
				continue
			}
			v := policy.Entry{Reasons: append([]string{x.decision.Refusal}, x.decision.Reasons...)}
			if e.reader != toAuditor {
				v.Reasons = v.Reasons[:1] // what lies behind a refusal is for the auditor alone
			}
			if x.decision.Allow {
				v = x.decision.Entries[j]
			}
			if v.Part == "full" && v.Level == policy.Full && len(v.Keep) == 0 {
				continue
			}
			line := WithheldPart{Section: e.section(t.Section), Owner: t.Owner, OwnerName: e.agency(t.Owner), Shown: shownAs(&v), Why: []string{}}
			codes := v.Reasons
			if t.Sensitivity >= 4 && !own {
				line.Section, codes = e.say["restricted"], []string{"legally-restricted"} // why would tell what
			}
			for _, code := range codes {
				if words := reasons[code]; words != "" && !slices.Contains(line.Why, words) {
					line.Why = append(line.Why, words)
				}
			}
			if len(line.Why) == 0 && v.Level == policy.Summary {
				line.Why = []string{e.say["why.summary"]}
			}
			if !slices.ContainsFunc(out, func(w WithheldPart) bool {
				return w.Section == line.Section && w.Owner == line.Owner && w.Shown == line.Shown && slices.Equal(w.Why, line.Why)
			}) {
				out = append(out, line)
			}
		}
	}
	slices.SortFunc(out, func(a, b WithheldPart) int {
		return strings.Compare(a.OwnerName+"\x00"+a.Section+"\x00"+a.Shown, b.OwnerName+"\x00"+b.Section+"\x00"+b.Shown)
	})
	return out
}

// shownAs is what was shown of it: nothing is opened that has no part.
func shownAs(v *policy.Entry) string {
	switch {
	case v.Part != "":
		return v.Part
	case v.Holder:
		return policy.Existence.String()
	}
	return policy.Hidden.String()
}
