package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Finding is one thing that is wrong. Index is -1 where no entry can be named.
type Finding struct {
	Index int64
	Event uuid.UUID
	What  string
}

// String names the entry.
func (f Finding) String() string {
	if f.Index < 0 {
		return f.What
	}
	text := "entry " + strconv.FormatInt(f.Index, 10)
	if f.Event != uuid.Nil {
		text += " (event " + f.Event.String() + ")"
	}
	return text + ": " + f.What
}

// VerifyOptions say what is trusted and how much is checked.
type VerifyOptions struct {
	Keys KeyFile // empty: those in the export
	// SkipSignatures leaves out the receipts' signatures, which take most of
	// the time. What was added by somebody without a replica's key is then
	// known only by the sequencer's mark.
	SkipSignatures bool
	Held           []Checkpoint // heads that the auditor has kept from before
	// Late is how much earlier than what stands before it an entry may say that
	// it happened. Default 10 min: a transaction may commit late.
	Late time.Duration
	// Receipts that somebody was handed; each that the log holds is removed.
	Receipts Receipts
}

// Receipts are by event.
type Receipts map[uuid.UUID]Receipt

// Add adds a receipt. False: another one for the same event is there already.
func (r Receipts) Add(x Receipt) bool {
	old, ok := r[x.Event]
	r[x.Event] = x
	return !ok || old == x
}

// Report is what an export was found to be.
type Report struct {
	Checkpoint  Signed
	Independent bool   // the log's key came from elsewhere
	LogKey      string // fingerprint of the key that verified
	Scope       string
	Shown       int64 // entries with a line of their own
	Hidden      int64 // leaves that stand for themselves by their hashes alone
	Payloads    int64 // parts whose bytes were there and fit their commitments
	Erased      int64 // parts that were erased
	Dropped     int64 // entries that were dropped under the certificates
	// Certificates under which entries of this export were dropped.
	Certificates []Disposal
	// Signers are the keys that signed the checkpoint, or receipts shown.
	Signers []Signer
	Latest  time.Time   // newest occurrence among those shown
	End     EndOfExport // the last line
	Wrong   int64       // findings
	First   []Finding
}

// maxFindings are kept; the rest is counted.
const maxFindings = 20

// Good: nothing was found.
func (r *Report) Good() bool { return r.Wrong == 0 }

func (r *Report) find(index int64, event uuid.UUID, format string, args ...any) {
	r.Wrong++
	if len(r.First) < maxFindings {
		r.First = append(r.First, Finding{Index: index, Event: event, What: fmt.Sprintf(format, args...)})
	}
}

// checked is a line once a worker has looked at it.
type checked struct {
	sum      Digest
	sumOK    bool
	broken   string // why the line cannot be used
	entry    *ExportEntry
	skip     *ExportSkip
	mark     *ExportMark
	drop     *Certificate
	names    string // of a certificate: its digest in the event that accounts for it
	leaf     Digest // computed from header and commitments
	header   *Header
	occurred time.Time
	receipt  Receipt
	signed   bool
	faults   []string
	payloads int64
}

// verification is one run over an export.
type verification struct {
	options  VerifyOptions
	header   ExportHeader
	keys     Keys
	report   Report
	frontier Frontier
	sums     hash.Hash
	lines    int64
	next     int64     // index of the leaf that must come
	latest   time.Time // newest occurrence so far
	gap      bool      // leaves are not known: the root says nothing any more
	held     []Checkpoint
	drops    drops
	signers  map[string]*Signer // receipts' keys, by id
}

func newVerification(first []byte, o VerifyOptions) (*verification, error) {
	v := &verification{options: o, sums: sha256.New()}
	if err := json.Unmarshal(first, &v.header); err != nil || v.header.Export == 0 {
		return nil, ErrExport
	}
	if v.header.Export != 1 {
		return nil, fmt.Errorf("%w: %d", ErrVersion, v.header.Export)
	}
	keys := o.Keys
	v.report.Independent = len(keys.Logs) > 0
	if !v.report.Independent {
		k, err := ParseNoteKey(v.header.LogKey)
		if err != nil {
			return nil, fmt.Errorf("key in the export: %w", err)
		}
		keys.Logs = []NoteKey{k}
	}
	if len(keys.Replicas) == 0 {
		for _, text := range v.header.ReplicaKeys {
			k, err := ParseKey(text)
			if err != nil {
				return nil, fmt.Errorf("key in the export: %w", err)
			}
			keys.Replicas = append(keys.Replicas, k)
		}
	}
	v.keys = NewKeys(keys.Replicas...)
	v.signers = map[string]*Signer{}
	var err error
	if v.report.Checkpoint, err = keys.Open([]byte(v.header.Checkpoint)); err != nil {
		return nil, err
	}
	for _, k := range v.report.Checkpoint.By {
		v.report.LogKey = k.Fingerprint()
		v.report.Signers = append(v.report.Signers, Signer{Name: k.Name, Fingerprint: k.Fingerprint(), Dates: k.Dates, Log: true})
	}
	v.report.Scope = v.header.Scope
	if v.options.Late <= 0 {
		v.options.Late = 10 * time.Minute
	}
	sum, ok := checkSum(first)
	if !ok {
		v.report.find(-1, uuid.Nil, "the first line was altered in this file")
	}
	v.sums.Write(sum[:])
	v.lines = 1
	for _, h := range o.Held {
		switch {
		case h.Origin != v.report.Checkpoint.Origin:
			v.report.find(-1, uuid.Nil, "the checkpoint that you hold is of the log %q, this is %q", h.Origin, v.report.Checkpoint.Origin)
		case h.Size > v.report.Checkpoint.Size:
			v.report.find(v.report.Checkpoint.Size, uuid.Nil, "missing, and all after it: you hold a checkpoint of %d entries, this log has %d: it was rolled back", h.Size, v.report.Checkpoint.Size)
		default:
			v.held = append(v.held, h)
		}
	}
	slices.SortFunc(v.held, func(a, b Checkpoint) int { return int(a.Size - b.Size) })
	v.compareHeld(false)
	return v, nil
}

// look checks what a line says by itself. It runs beside others.
func (v *verification) look(line []byte) checked {
	var c checked
	c.sum, c.sumOK = checkSum(line)
	switch {
	case bytes.HasPrefix(line, []byte(`{"mark":`)):
		var m markLine
		if err := json.Unmarshal(line, &m); err != nil {
			c.broken = "a line between the entries was altered"
		}
		c.mark = &m.Mark
		return c
	case bytes.HasPrefix(line, []byte(`{"certificate":`)):
		c.drop = &Certificate{}
		if err := json.Unmarshal(line, c.drop); err != nil {
			c.broken = "altered: the certificate that stands here cannot be read"
		}
		return c
	case bytes.HasPrefix(line, []byte(`{"skip":`)):
		c.skip = &ExportSkip{}
		if err := json.Unmarshal(line, c.skip); err != nil || c.skip.Skip <= 0 {
			c.broken = "the line cannot be read"
		}
		return c
	}
	r := reader{b: line}
	if x := r.entry(); r.done() {
		c.entry = &x
	} else {
		c.entry = &ExportEntry{}
		if err := json.Unmarshal(line, c.entry); err != nil || !bytes.HasPrefix(line, []byte(`{"index":`)) {
			c.broken = "altered: the line cannot be read"
			return c
		}
	}
	if !c.entry.Missing && c.entry.Dropped == uuid.Nil {
		v.open(&c)
	}
	return c
}

// open recomputes an entry's leaf and receipt.
func (v *verification) open(c *checked) {
	x := c.entry
	c.leaf = LeafHash(x.Header, x.Commitments)
	h, err := DecodeHeader(x.Header)
	if err != nil {
		c.faults = append(c.faults, "altered: its header is not in the canonical form")
		return
	}
	c.header, c.occurred = &h, h.Occurred
	c.receipt = Receipt{Event: h.ID, Occurred: h.Occurred, Leaf: c.leaf, Replica: h.Replica}
	if len(x.Signature) == len(c.receipt.Signature) {
		copy(c.receipt.Signature[:], x.Signature)
	}
	c.signed = v.options.SkipSignatures && c.leaf == x.Leaf && !x.Forged
}

// lookAll is look for many lines at once: receipts are checked together.
func (v *verification) lookAll(lines [][]byte, out []checked) []checked {
	var receipts []Receipt
	for _, line := range lines {
		out = append(out, v.look(line))
		if c := &out[len(out)-1]; c.header != nil && !c.signed {
			receipts = append(receipts, c.receipt)
		}
	}
	errs := VerifyReceipts(v.keys, receipts)
	for i := range out {
		c := &out[i]
		if c.header == nil {
			continue
		}
		if !c.signed {
			c.signed = errs[0] == nil || errors.Is(errs[0], ErrDates) // which is a finding of its own
			errs = errs[1:]
		}
		v.weigh(c)
	}
	return out
}

// weigh says what is wrong with an entry whose header could be read.
func (v *verification) weigh(c *checked) {
	x, h := c.entry, c.header
	switch {
	case c.leaf != x.Leaf && c.signed:
		c.faults = append(c.faults, "reordered: a genuine entry stands here that the log holds at another place")
	case c.leaf != x.Leaf:
		c.faults = append(c.faults, "altered: its bytes do not give the leaf that the log holds here")
	case !c.signed:
		c.faults = append(c.faults, "added: no replica of the hub has signed its receipt")
	}
	if c.signed && !v.keys[h.Replica].Dates.Hold(h.Occurred) {
		c.faults = append(c.faults, "its receipt is signed by the key "+h.Replica+", which was not in use then")
	}
	if h.ID != x.Event {
		c.faults = append(c.faults, "altered: the event's id is not that of its header")
	}
	differs := slices.Clone(x.Differs)
	if x.Copies != nil {
		differs = append(differs, x.Copies.DiffersFromHeader(h)...)
	}
	differs = append(differs, v.openParts(c)...)
	slices.Sort(differs)
	differs = slices.Compact(differs)
	if slices.Contains(differs, "occurred_at") || slices.Contains(differs, "recorded_at") {
		c.faults = append(c.faults, "back-dated: the database files it under another time than its header's")
	} else if len(differs) > 0 {
		c.faults = append(c.faults, "altered: in the database "+strings.Join(differs, ", ")+" no longer fit the entry")
	}
}

// openParts checks the payload that is there against its commitments, and
// gives the columns that do not say what the common part says.
func (v *verification) openParts(c *checked) (differs []string) {
	x := c.entry
	if len(x.Commitments) < sha256.Size || len(x.Commitments)%sha256.Size != 0 || len(x.Parts) > len(x.Commitments)/sha256.Size-1 {
		c.faults = append(c.faults, "altered: parts and commitments do not fit one another")
		return nil
	}
	if len(x.Common) > 0 {
		c.payloads++
		if len(x.CommonSalt) != SaltSize || CommitCommon(x.CommonSalt, x.Common) != Digest(x.Commitments[:sha256.Size]) {
			c.faults = append(c.faults, "altered: its payload does not fit its commitment")
		} else if common, err := readCommon(x.Common); err == nil {
			c.names = common.Details[DetailCertificate]
			if x.Copies != nil {
				differs = x.Copies.DiffersFromCommon(&common)
			}
		}
	} else if x.NoCommon && x.Copies != nil {
		differs = x.Copies.DiffersFromCommon(nil)
	}
	for i, p := range x.Parts {
		if p == nil {
			continue
		}
		c.payloads++
		if len(p.Salt) != SaltSize || CommitSubject(p.Salt, p.Part) != Digest(x.Commitments[sha256.Size*(i+1):sha256.Size*(i+2)]) {
			c.faults = append(c.faults, fmt.Sprintf("altered: the part of subject %d does not fit its commitment", i+1))
		}
	}
	return differs
}

// readCommon reads a common part whose commitment fits: its bytes are those
// that were logged, so their form needs no second look.
func readCommon(data []byte) (c Common, err error) {
	r := reader{b: data}
	if c = r.common(); r.done() {
		return c, nil
	}
	c = Common{}
	err = json.Unmarshal(data, &c)
	return c, err
}

// take puts a line into the order of the log.
func (v *verification) take(c *checked) {
	r := &v.report
	if c.mark != nil {
		v.takeMark(c)
		return
	}
	v.sums.Write(c.sum[:])
	v.lines++
	switch {
	case c.drop != nil:
		v.takeCertificate(c)
		return
	case c.broken != "":
		// It stands for one leaf, or for an unknown number of them.
		r.find(v.next, uuid.Nil, "%s", c.broken)
		v.gap = true
		if c.skip == nil {
			v.next++
		}
		return
	case c.skip != nil:
		v.takeSkip(c)
		return
	}
	x := c.entry
	if !c.sumOK {
		// Whichever byte it was, index and leaf may be it: the place in the file holds.
		c.faults = append(c.faults, "altered in this file: the line does not fit its sum")
		x.Index, v.gap = v.next, true
	}
	switch {
	case x.Index > v.next:
		r.find(v.next, uuid.Nil, "missing%s", through(v.next, x.Index-1))
		v.gap = true
	case x.Index < v.next:
		r.find(x.Index, x.Event, "reordered: it stands after entry %d", v.next-1)
		v.gap = true
		return
	}
	r.Shown++
	r.Erased += int64(x.Erased)
	r.Payloads += c.payloads
	if x.Missing {
		r.find(x.Index, x.Event, "missing: the tree has its leaf, the database no longer has the event")
	}
	if x.Dropped != uuid.Nil {
		v.takeDropped(x)
	}
	v.account(c)
	if c.signed {
		v.signedBy(&c.receipt)
	}
	for _, what := range c.faults {
		r.find(x.Index, x.Event, "%s", what)
	}
	if !c.occurred.IsZero() {
		if early := v.latest.Sub(c.occurred); early > v.options.Late {
			r.find(x.Index, x.Event, "back-dated: it says %s, entries before it say up to %s", c.occurred.Format(time.RFC3339), v.latest.Format(time.RFC3339))
		} else if c.occurred.After(v.latest) {
			v.latest = c.occurred
		}
	}
	if held, ok := v.options.Receipts[x.Event]; ok && held.Leaf == x.Leaf {
		delete(v.options.Receipts, x.Event)
	}
	v.frontier.Append(x.Leaf)
	v.next = x.Index + 1
	v.compareHeld(false)
}

func through(from, to int64) string {
	if from == to {
		return ""
	}
	return ", and all up to entry " + strconv.FormatInt(to, 10)
}

func (v *verification) takeSkip(c *checked) {
	r := &v.report
	from, until := v.next, v.next+c.skip.Skip
	if !c.sumOK {
		r.find(from, uuid.Nil, "altered in this file: the line that stands for %d entries from here does not fit its sum", c.skip.Skip)
	}
	if v.header.Scope == "all" && from < v.header.End && until > v.header.First {
		lo, hi := max(from, v.header.First), min(until, v.header.End)
		r.find(lo, uuid.Nil, "missing%s: the export says that it holds them all", through(lo, hi-1))
	}
	r.Hidden += c.skip.Skip
	cover := Cover(from, until)
	if v.gap || len(cover) != len(c.skip.Hashes) {
		v.gap = true
	} else {
		for i, s := range cover {
			if v.frontier.AppendSubtree(s.Level, c.skip.Hashes[i]) != nil {
				v.gap = true
			}
		}
	}
	v.next = until
	v.compareHeld(true)
}

// compareHeld compares with the checkpoints that the auditor holds as their
// sizes come by. One that falls into leaves that are not shown is passed over.
func (v *verification) compareHeld(skipped bool) {
	for len(v.held) > 0 && v.held[0].Size <= v.next {
		h := v.held[0]
		v.held = v.held[1:]
		if h.Size == v.next && !v.gap && v.frontier.Root() != h.Root {
			v.report.find(-1, uuid.Nil, "the first %d entries are not those of the checkpoint that you hold", h.Size)
		} else if h.Size < v.next && skipped {
			v.report.find(-1, uuid.Nil, "the checkpoint of %d entries that you hold cannot be compared: the export does not show the entries around it", h.Size)
		}
	}
}

// finish checks the end: nothing is cut off, and the tree is the signed one.
func (v *verification) finish(last []byte) {
	r := &v.report
	var end ExportEnd
	var digest Digest
	v.sums.Sum(digest[:0])
	err := json.Unmarshal(last, &end)
	r.End = end.End
	switch {
	case last == nil || err != nil || !bytes.HasPrefix(last, []byte(`{"end":`)):
		r.find(v.next, uuid.Nil, "missing, or what follows is: the file ends before its end")
	case end.End.Lines != v.lines:
		r.find(-1, uuid.Nil, "the file had %d lines when it was made, now it has %d", end.End.Lines, v.lines)
	case !SignedExport(v.keys[end.End.Replica], end.End.Digest, end.End.Signature):
		r.find(-1, uuid.Nil, "no replica of the hub has signed this file")
	case end.End.Digest != digest:
		r.find(-1, uuid.Nil, "the file is not the one that the hub made")
	}
	v.finishDrops()
	v.finishSigners()
	cp := &r.Checkpoint
	switch {
	case v.next < cp.Size:
		r.find(v.next, uuid.Nil, "missing%s: the checkpoint counts %d entries", through(v.next, cp.Size-1), cp.Size)
	case v.next > cp.Size:
		r.find(cp.Size, uuid.Nil, "added: the checkpoint counts %d entries", cp.Size)
	case !v.gap && v.frontier.Root() != cp.Root:
		r.find(-1, uuid.Nil, "the entries do not give the root that the checkpoint signs: the stored tree was rewritten")
	}
}
