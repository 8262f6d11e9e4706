package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/disclosure"
)

// eventPage is one access explained.
type eventPage struct {
	auditHead
	ID         string
	When       string
	Title      string
	Paragraphs []explainedParagraph
	Parts      []explainedPart
	Withheld   []disclosure.WithheldPart
	Asked      bool // what was withheld is this reader's to know
	Trust      []trustLine
	Proof      bool // there is one to download
	Related    []relatedLink
}

type explainedParagraph struct{ Title, Text string }

// explainedPart is what was released on the same terms.
type explainedPart struct {
	Part, Owner, Level string
	Clauses            []string
	Masked, Labels     string
	Grant              bool
	Entries            []string
	People             []string
}

// trustLine is one reason to believe the page, or not to.
type trustLine struct {
	Mark  string // good, warn, bad
	Title string
	Text  string
}

type relatedLink struct{ Text, Href string }

// eventIn reads the event's id from the address.
func eventIn(r *http.Request) (uuid.UUID, error) {
	id, ok := parseUUID(chi.URLParam(r, "event"))
	if !ok {
		return uuid.Nil, notShown(disclosure.Call{})
	}
	return id, nil
}

func (s *Server) explainEvent(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := eventIn(r)
	if err != nil {
		return err
	}
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	receipt, err := s.looked(r, v, map[string]string{"event": id.String(), "what": "explanation"})
	if err != nil {
		return err
	}
	scope := logScope(v.by())
	x, err := s.Audit.Explain.Explain(r.Context(), v.by(), scope, id)
	if errors.Is(err, audit.ErrNotFound) {
		return notShown(disclosure.Call{})
	}
	if err != nil {
		return err
	}
	page := eventPage{auditHead: head, ID: id.String(), When: logTime(x.Occurred, s.Now())}
	page.Title = s.words.say("event.title", longDate(x.Occurred), x.Occurred.In(london()).Format("15:04:05"))
	titles := []string{s.words.say("explained.who"), s.words.say("explained.allowed"), s.words.say("explained.shown"), s.words.say("explained.with")}
	for i, text := range x.Sentences {
		if i == 2 && len(x.Released) > 0 {
			text = s.shownInShort(&x)
		}
		if i < len(titles) && text != "" {
			page.Paragraphs = append(page.Paragraphs, explainedParagraph{titles[i], text})
		}
	}
	released := x.Released
	if x.Printed != nil {
		released = x.Printed.Released
		page.Related = append(page.Related, relatedLink{s.words.say("explained.printed-from"), "/log/" + x.Printed.Read.String()})
	}
	for i := range released {
		page.Parts = append(page.Parts, s.explainedPart(&released[i]))
	}
	if x.Withheld != nil {
		page.Asked, page.Withheld = true, *x.Withheld
		for i := range page.Withheld {
			page.Withheld[i].Shown = s.words.say("level.was." + page.Withheld[i].Shown)
		}
	}
	if x.Asked.Family != nil {
		page.Related = append(page.Related, relatedLink{s.words.say("explained.same-family"), logFilter{About: x.Asked.Family.String()}.address()})
	}
	if x.Who.Worker != nil {
		page.Related = append(page.Related, relatedLink{s.words.say("explained.same-worker"), logFilter{Worker: x.Who.Worker.String()}.address()})
	}
	page.Trust, page.Proof, err = s.trust(r.Context(), scope, &x)
	if err != nil {
		return err
	}
	return s.write(w, v, http.StatusOK, "logevent", sheet{Title: page.Title, Page: page, Nav: "log", Receipt: receipt.String()})
}

// shownInShort says how much was shown, by level, and from how many services:
// what it was stands below in tables, not in one long sentence.
func (s *Server) shownInShort(x *disclosure.Explanation) string {
	levels, owners := map[string]int{}, map[string]bool{}
	entries := 0
	var masked []string
	for i := range x.Released {
		p := &x.Released[i]
		n := max(1, len(p.Entries)) // of what only exists no entry is named
		entries += n
		levels[p.Level] += n
		owners[p.OwnerName] = true
		if text := s.words.say("explained.masked-in", p.Section, joinWords(p.Masked)); len(p.Masked) > 0 && !slices.Contains(masked, text) {
			masked = append(masked, text)
		}
	}
	var by []string
	for _, level := range levelsDown() {
		if n := levels[level]; n > 0 {
			by = append(by, s.words.say("explained.at-"+level, n))
		}
	}
	said := []string{s.words.say("explained.shown-sum", s.words.count("log.entries", entries), s.words.count("explained.services", len(owners)), strings.Join(by, ", "))}
	said = append(said, masked...)
	if x.Withheld != nil {
		services := map[string]bool{}
		for _, w := range *x.Withheld {
			services[w.OwnerName] = true
		}
		if n := len(*x.Withheld); n > 0 {
			said = append(said, s.words.count("explained.withheld-sum", n, s.words.count("explained.services", len(services))))
		} else {
			said = append(said, s.words.say("explained.withheld-none"))
		}
	}
	return strings.Join(said, " ")
}

func (s *Server) explainedPart(x *disclosure.ExplainedPart) explainedPart {
	p := explainedPart{Part: upperFirst(x.Section), Owner: x.OwnerName, Level: s.words.say("level.was." + x.Level), Clauses: x.Clauses, Masked: joinWords(x.Masked), Labels: joinWords(x.Labels),
		Grant: x.Grant != "", People: x.Subjects}
	for _, e := range x.Entries {
		id, version, _ := strings.Cut(e, "/")
		p.Entries = append(p.Entries, s.words.say("explained.entry", shortID(id), version))
	}
	return p
}

// trust looks at each thing that lets a reader believe the explanation: the
// decision made again, the event's receipt, and its place in the log.
func (s *Server) trust(ctx context.Context, scope audit.Scope, x *disclosure.Explanation) ([]trustLine, bool, error) {
	var lines []trustLine
	add := func(mark, key string, slots ...any) {
		lines = append(lines, trustLine{mark, s.words.say(key + ".title"), s.words.say(key+".text", slots...)})
	}
	switch version := x.Allowed.Version; {
	case x.Replay.Result == disclosure.ReplaySame && version != nil:
		add("good", "trust.same", version.Digest.String()[:12])
	case x.Replay.Result == disclosure.ReplayDifferent:
		add("bad", "trust.different")
	default:
		lines = append(lines, trustLine{"warn", s.words.say("trust.not-again.title"), x.Replay.Words})
	}
	rec, err := s.Log.Get(ctx, scope, x.Event)
	if errors.Is(err, audit.ErrNotFound) {
		return lines, false, nil // explained to the owner of what was withheld: the event itself is not theirs to prove
	}
	if err != nil {
		return nil, false, err
	}
	if s.Audit.Tree == nil {
		add("warn", "trust.no-tree")
		return lines, false, nil
	}
	keys := s.Audit.keys()
	receipt, err := proof.ParseReceipt(rec.Receipt)
	if err == nil {
		err = receipt.Verify(proof.NewKeys(keys.Replicas...))
	}
	receiptGood := err == nil && receipt.Event == x.Event

	place, err := s.Audit.Reader.Prove(ctx, x.Event)
	if errors.Is(err, tree.ErrNoLeaf) || errors.Is(err, tree.ErrNoCheckpoint) {
		add("warn", "trust.waits")
		return lines, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	leaf := proof.Leaf(place.Extra)
	signed, err := place.Verify(leaf, keys)
	if err != nil {
		add("bad", "trust.not-in")
	} else {
		add("good", "trust.in", thousands(int(place.Index)+1), thousands(int(signed.Size)))
	}
	if receiptGood && receipt.Leaf == leaf {
		add("good", "trust.receipt", receipt.Replica)
	} else {
		add("bad", "trust.receipt-bad")
	}
	switch n := len(s.Audit.Tree.Witnesses); {
	case n == 0:
		add("warn", "trust.no-witness")
	case len(signed.Witnesses) == 0:
		add("warn", "trust.unwitnessed", n)
	default:
		add("good", "trust.witnessed", len(signed.Witnesses), n, strings.Join(signed.Witnesses, ", "))
	}
	return lines, err == nil || len(place.Extra) > 0, nil
}

// fileProof gives the place of one event in the log, to be checked elsewhere.
func (s *Server) fileProof(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := eventIn(r)
	if err != nil {
		return err
	}
	if s.Audit.Tree == nil {
		return &fault{status: http.StatusServiceUnavailable, key: "error.no-tree"}
	}
	if _, err := s.looked(r, v, map[string]string{"event": id.String(), "what": "proof"}); err != nil {
		return err
	}
	if _, err := s.Log.Get(r.Context(), logScope(v.by()), id); err != nil {
		if errors.Is(err, audit.ErrNotFound) {
			return notShown(disclosure.Call{})
		}
		return err
	}
	found, err := s.Audit.Reader.Prove(r.Context(), id)
	if errors.Is(err, tree.ErrNoLeaf) {
		return &fault{status: http.StatusServiceUnavailable, key: "error.waits"}
	}
	if err != nil {
		return err
	}
	return giveFile(w, fmt.Sprintf("proof-%s.txt", id.String()[:8]), found.Format())
}
