package api

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/identity"
)

// LogTree is the log's tree as this face serves it.
type LogTree struct {
	Tree     *tree.Tree
	Reader   *tree.Reader
	Officer  tree.Officer
	Replicas []proof.Key   // that may have signed receipts
	Log      proof.NoteKey // of the log
	// Keys is the dated list of all keys, also of those that no longer sign.
	Keys proof.KeyFile
	// Announced is the same list, signed by the log's keys of today.
	Announced []byte
}

// errNoTree: this replica serves no tree.
var errNoTree = errors.New("this hub has no log tree")

// mayCheck: who may look at the log as a whole. Checkpoints and tiles name
// nobody, but their number tells how busy the hub is.
func (s *Server) mayCheck(p identity.Principal) error {
	if !p.Has(roleAuditor) && !p.Has(rolePrivacyOfficer) && !p.Has(identity.RoleSystem) && !p.System {
		return forbidden("log", "Checkpoints and tiles are for auditors, privacy officers and case systems.", nil)
	}
	if s.Tree == nil {
		return unavailable(errNoTree)
	}
	return nil
}

// logNumber is the log that a path names: an older one, which ended when the
// hub was restored from a backup, has a prefix of its own as C2SP tlog-tiles
// asks for; 0 is the present one.
func logNumber(r *http.Request) (int, error) {
	text := chi.URLParam(r, "log")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || strconv.Itoa(n) != text {
		return 0, badField("log", "must be the number of a log")
	}
	return n, nil
}

// getCheckpoint answers GET /v1/log/checkpoint and /v1/log/{log}/checkpoint.
// Neither it nor the tiles are events: they hold hashes alone, and a reader of
// tiles would fill the log with its own reading.
func (s *Server) getCheckpoint(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayCheck(p); err != nil {
		return err
	}
	number, err := logNumber(r)
	if err != nil {
		return err
	}
	note, err := s.Tree.Reader.CheckpointOf(r.Context(), number)
	if errors.Is(err, tree.ErrNoCheckpoint) && number > 0 {
		return problem(http.StatusNotFound, "no-checkpoint", "There is no such log", "/v1/log/status names the logs of this hub.")
	}
	if errors.Is(err, tree.ErrNoCheckpoint) {
		return problem(http.StatusNotFound, "no-checkpoint", "There is no checkpoint yet", "The log is empty, or its first entries wait for their leaf. Try again in a second.")
	}
	if err != nil {
		return unavailable(err)
	}
	return writeBytes(w, "text/plain; charset=utf-8", note)
}

// getTile answers GET /v1/log/tile/… and /v1/log/{log}/tile/…, paths as C2SP
// tlog-tiles has them.
func (s *Server) getTile(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayCheck(p); err != nil {
		return err
	}
	number, err := logNumber(r)
	if err != nil {
		return err
	}
	parts := []string{"tile", chi.URLParam(r, "level")}
	for _, name := range []string{"a", "b", "c", "d"} {
		if v := chi.URLParam(r, name); v != "" {
			parts = append(parts, v)
		}
	}
	level, n, width, err := proof.ParseTilePath(strings.Join(parts, "/"))
	if err != nil {
		return badField("tile", "must be a path such as 0/x001/234 or 0/x001/234.p/56")
	}
	data, err := s.Tree.Reader.TileOf(r.Context(), number, level, n, width)
	if errors.Is(err, tree.ErrNoTile) || errors.Is(err, tree.ErrNoCheckpoint) {
		return problem(http.StatusNotFound, "no-tile", "There is no such tile", "The newest checkpoint says how long the log is.")
	}
	if err != nil {
		return unavailable(err)
	}
	return writeBytes(w, "application/octet-stream", data)
}

// proveAccessEvent answers GET /v1/access-events/{event}/proof.
func (s *Server) proveAccessEvent(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := parseID(chi.URLParam(r, "event"))
	if err != nil {
		return badField("event", "must be a lower-case UUID")
	}
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	if s.Tree == nil {
		return unavailable(errNoTree)
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"event": id.String(), "what": "proof"})
	if err != nil {
		return err
	}
	w.Header().Set("Kith-Receipt", receipt.String())
	if _, err := s.Log.Get(r.Context(), scope, id); err != nil {
		if errors.Is(err, audit.ErrNotFound) {
			return problem(http.StatusNotFound, "not-shown", "Kith cannot show this", "There is no such event within your view of the log.")
		}
		return unavailable(err)
	}
	found, err := s.Tree.Reader.Prove(r.Context(), id)
	if errors.Is(err, tree.ErrNoLeaf) {
		w.Header().Set("Retry-After", "1")
		return problem(http.StatusServiceUnavailable, "not-in-tree-yet", "The event waits for its place", "It is logged, and gets its place in the tree within a second or two. Try again.").because(err)
	}
	if err != nil {
		return unavailable(err)
	}
	return writeBytes(w, "text/plain; charset=utf-8", found.Format())
}

func writeBytes(w http.ResponseWriter, kind string, data []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, err := w.Write(data)
	return ignoreGone(err)
}

// logStatus is how the log is, for the officers who look after it.
type logStatus struct {
	Stopped   []string       `json:"stopped"` // why reads are stopped; empty while they are not
	LagMillis int64          `json:"lag_ms"`
	Leading   bool           `json:"leading"` // this replica sequences
	Quorum    bool           `json:"quorum"`
	LastKnown checkpointView `json:"last_known"`
	Keys      string         `json:"keys"` // that verify the log: a key file of kith-verify
	Logs      []logView      `json:"logs"` // of this hub, the oldest first
}

// logView is one log of a hub that was restored and resumed, or its only one.
type logView struct {
	Number int    `json:"number"` // of /v1/log/{log}/checkpoint
	Origin string `json:"origin"`
	Size   int64  `json:"size"`
}

type checkpointView struct {
	Origin string       `json:"origin"`
	Size   int64        `json:"size"`
	Root   proof.Digest `json:"root"`
}

// getLogStatus answers GET /v1/log/status.
func (s *Server) getLogStatus(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayCheck(p); err != nil {
		return err
	}
	last, err := s.Tree.Tree.LastKnown()
	if err != nil {
		return unavailable(err)
	}
	logs, err := s.Tree.Reader.Logs(r.Context())
	if err != nil {
		return unavailable(err)
	}
	views := make([]logView, 0, len(logs))
	for _, l := range logs {
		views = append(views, logView(l))
	}
	st := s.Tree.Tree.Status()
	return writeJSON(w, "", logStatus{
		Stopped: s.Tree.Tree.Gate().Reasons(), LagMillis: st.Lag.Milliseconds(), Leading: st.Leading, Quorum: st.Quorum,
		LastKnown: checkpointView{Origin: last.Origin, Size: last.Size, Root: last.Root},
		Keys:      s.Tree.Keys.String(), Logs: views,
	})
}

// getLogKeys answers GET /v1/log/keys: the dated list of the log's keys, as a
// signed note, so that who trusts an old key learns of the new one by it.
func (s *Server) getLogKeys(w http.ResponseWriter, _ *http.Request, p identity.Principal) error {
	if err := s.mayCheck(p); err != nil {
		return err
	}
	return writeBytes(w, "text/plain; charset=utf-8", s.Tree.Announced)
}

// resumeLog answers POST /v1/log/resumptions: one officer's word that a
// stopped log may go on under a new origin. It takes two.
func (s *Server) resumeLog(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if p.Worker == uuid.Nil || !p.Has(roleAuditor) && !p.Has(rolePrivacyOfficer) {
		return forbidden("log", "Only an auditor or a privacy officer, in person, may ask that the log be resumed.", nil)
	}
	if s.Tree == nil {
		return unavailable(errNoTree)
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	if len(reason) < 10 {
		return badField("Kith-Reason", "must say why, in ten characters or more")
	}
	var last checkpointView
	d := json.NewDecoder(io.LimitReader(r.Body, 4096))
	d.DisallowUnknownFields()
	if err := d.Decode(&last); err != nil || last.Origin == "" || last.Size < 0 {
		return badField("body", "must be the last_known of /v1/log/status")
	}
	if len(s.Tree.Tree.Gate().Reasons()) == 0 {
		return problem(http.StatusConflict, "not-stopped", "The log is not stopped", "There is nothing to resume.")
	}
	e := eventBy(r.Context(), p, audit.KindLogResume, audit.OutcomeDone)
	e.Reason = reason
	receipt, err := s.Tree.Officer.Ask(r.Context(), e, proof.Checkpoint{Origin: last.Origin, Size: last.Size, Root: last.Root})
	if err != nil {
		return unavailable(err)
	}
	return writeJSONStatus(w, http.StatusAccepted, receipt.String(), map[string]string{
		"receipt": receipt.String(), "next": "Another officer must ask for the same within an hour. The log then goes on under a new name, whose first entry says so.",
	})
}
