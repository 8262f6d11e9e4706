package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
)

// The three states of the log, as the style has them.
const (
	logWhole  = "whole"
	logLate   = "late"
	logBroken = "broken"
)

// logState is how the log is, in one line.
type logState struct {
	Class      string // whole, late, broken
	Said       string // in words
	Why        []string
	None       bool // there is no checkpoint
	Events     string
	Signed     time.Time
	Waiting    string
	Witnesses  string
	checkpoint proof.Signed
	note       []byte
}

// keys are those that the hub gives out, with its witnesses'.
func (a *Auditing) keys() proof.KeyFile {
	keys := a.Keys
	if a.Tree == nil {
		return keys
	}
	for _, w := range a.Tree.Witnesses {
		k, err := proof.ParseNoteKey(w.Key)
		if err != nil || slices.ContainsFunc(keys.Witnesses, func(x proof.NoteKey) bool { return x.String() == k.String() }) {
			continue
		}
		keys.Witnesses = append(slices.Clone(keys.Witnesses), k)
	}
	return keys
}

// logState looks at the newest checkpoint as anybody could, and asks this
// replica's watch of the tree.
func (s *Server) logState(ctx context.Context) (logState, error) {
	a := s.Audit
	if a.Tree == nil || a.Reader == nil {
		return logState{Class: logLate, None: true, Said: s.words.say("state.late"), Why: []string{s.words.say("state.why-none")}}, nil
	}
	st := logState{Class: logWhole}
	worse := func(class, key string, slots ...any) {
		if class == logBroken || st.Class == logWhole {
			st.Class = class
		}
		st.Why = append(st.Why, s.words.say(key, slots...))
	}
	stops := map[tree.Reason]bool{}
	for _, stopped := range a.Tree.Gate().Reasons() {
		reason, detail, _ := strings.Cut(strings.TrimSuffix(stopped, ")"), " (")
		stops[tree.Reason(reason)] = true
		switch tree.Reason(reason) {
		case tree.ReasonUnchecked, tree.ReasonRolledBack, tree.ReasonBroken, tree.ReasonLag, tree.ReasonQuorum:
			worse(logBroken, "state.why-"+reason)
		default:
			worse(logBroken, "state.why-other", reason)
		}
		if detail != "" {
			st.Why[len(st.Why)-1] += " " + upperFirst(detail) + "."
		}
	}
	published, err := a.Reader.Published(ctx)
	switch {
	case errors.Is(err, tree.ErrNoCheckpoint):
		st.None = true
		worse(logLate, "state.why-new")
	case err != nil:
		return logState{}, err
	default:
		keys := a.keys()
		st.note, st.Signed = published.Note, published.At
		if st.checkpoint, err = keys.Open(published.Note); err != nil {
			worse(logBroken, "state.why-signature")
		}
	}
	now := a.Tree.Status()
	if now.Late && !stops[tree.ReasonLag] {
		worse(logLate, "state.why-late", now.Lag.Round(time.Second))
	}
	if !now.Quorum && a.Tree.Quorum > 0 && !stops[tree.ReasonQuorum] {
		worse(logLate, "state.why-witness")
	}
	agree := len(st.checkpoint.Witnesses)
	for _, w := range a.witnesses(st.checkpoint) {
		if w.State == witnessDisagrees {
			worse(logLate, "state.why-disagrees", w.Name)
		}
		if now.Leading && w.State == witnessSigned && !slices.Contains(st.checkpoint.Witnesses, w.Name) {
			agree++ // it signed the one before: the newest is a moment old
		}
	}
	st.Events = thousands(int(st.checkpoint.Size))
	st.Waiting = s.words.say("state.waiting", fmt.Sprintf("%.1f", now.Lag.Seconds()))
	if n := len(a.Tree.Witnesses); n > 0 {
		st.Witnesses = s.words.say("state.witnesses", min(agree, n), n)
	} else {
		st.Witnesses = s.words.say("state.witnesses-none")
	}
	st.Said = s.words.say("state." + st.Class)
	return st, nil
}

type logStatePage struct {
	auditHead
	Origin    string
	Root      string
	Note      string
	Leading   bool
	Replica   string
	Named     []witnessLine
	Known     proof.Checkpoint
	Remembers bool // this replica's own file has a checkpoint
	Agrees    bool // and it is not longer than what the database has
	LogKeys   []keyLine
	Alerts    []alertLine
}

// The states of a witness, as the words have them.
const (
	witnessSigned    = "signed"
	witnessUnasked   = "unasked"
	witnessSilent    = "silent"
	witnessDisagrees = "disagrees"
)

type witnessLine struct {
	Name, State, Text string
}

// witnesses are those of the configuration and what each says: as this replica
// was answered where it asks, else by what the checkpoint carries.
func (a *Auditing) witnesses(cp proof.Signed) []witnessLine {
	var out []witnessLine
	for _, w := range a.Tree.Answers() {
		line := witnessLine{Name: w.Name, State: witnessSilent}
		switch {
		case w.Disagrees:
			line.State = witnessDisagrees
		case w.Signed || slices.Contains(cp.Witnesses, w.Name):
			line.State = witnessSigned
		case w.At.IsZero():
			line.State = witnessUnasked
		}
		out = append(out, line)
	}
	return out
}

type keyLine struct{ Name, Fingerprint string }

type alertLine struct {
	Reference, What string
	Raised          time.Time
	Review          string
	Settle          string // where it stands in no review
	Taken           bool   // somebody looks into it
}

// showLogState is the log as a whole: what anybody may check, and how.
func (s *Server) showLogState(w http.ResponseWriter, r *http.Request, v visit) error {
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	page := logStatePage{auditHead: head}
	st := head.State
	page.Origin, page.Note = st.checkpoint.Origin, string(st.note)
	if st.checkpoint.Size > 0 {
		page.Root = st.checkpoint.Root.String()
	}
	sh := sheet{Title: s.words.say("state.title"), Nav: "logstate"}
	if a := s.Audit; a.Tree != nil {
		page.Leading = a.Tree.Status().Leading
		keys := a.keys()
		for _, k := range keys.Logs {
			page.LogKeys = append(page.LogKeys, keyLine{k.Name, k.Fingerprint()})
		}
		page.Named = a.witnesses(st.checkpoint)
		for i, w := range page.Named {
			page.Named[i].Text = s.words.say("state.partner-"+w.State, w.Name)
		}
		if known, err := a.Tree.LastKnown(); err == nil && known.Size > 0 {
			page.Known, page.Remembers = known, true
			page.Agrees = known.Origin == st.checkpoint.Origin && known.Size <= st.checkpoint.Size
		}
	}
	list, err := s.Audit.Reviews.Alerts(r.Context(), v.by(), v.request, audit.AlertFilter{Standing: true}, audit.Page{Limit: 50})
	if err != nil {
		return s.reviewFault(err)
	}
	sh.Receipt, page.Alerts = list.Receipt, s.alertLines(list.Alerts, "/log")
	sh.Page = page
	return s.write(w, v, http.StatusOK, "logstate", sh)
}

// alertLines are alerts with where each is settled: under this address, or in its
// review.
func (s *Server) alertLines(list []audit.Alert, under string) []alertLine {
	var out []alertLine
	for _, a := range list {
		line := alertLine{Reference: a.Reference(), What: s.words.known("alert."+a.Kind, a.Kind), Raised: a.Raised}
		if a.Review != nil {
			line.Review = "/log/reviews/" + a.Review.String()
		} else {
			line.Settle = under + "/alerts/" + a.ID.String()
		}
		line.Taken = a.Taken != nil
		out = append(out, line)
	}
	return out
}

// fileCheckpoint and fileKeys give what a verifier needs. They name nobody, so
// that taking them is no event.
func (s *Server) fileCheckpoint(w http.ResponseWriter, r *http.Request, _ visit) error {
	if s.Audit.Reader == nil {
		return &fault{status: http.StatusServiceUnavailable, key: "error.no-tree"}
	}
	note, err := s.Audit.Reader.Checkpoint(r.Context())
	if errors.Is(err, tree.ErrNoCheckpoint) {
		return &fault{status: http.StatusNotFound, key: "error.no-tree"}
	}
	if err != nil {
		return err
	}
	return giveFile(w, "checkpoint.txt", note)
}

func (s *Server) fileKeys(w http.ResponseWriter, _ *http.Request, _ visit) error {
	keys := s.Audit.keys()
	return giveFile(w, "keys.txt", []byte(keys.String()))
}

// giveFile answers with a small text to be kept.
func giveFile(w http.ResponseWriter, name string, body []byte) error {
	return giveAs(w, "text/plain; charset=utf-8", name, body)
}

// giveAs answers with a small file to be kept.
func giveAs(w http.ResponseWriter, kind, name string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body) // an answer that nobody reads any more is not our failure
	return nil
}
