package proof

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// DetailCertificate is under which name an event carries the digest of the
// certificate that it accounts for.
const DetailCertificate = "certificate"

// drops are the certificates that an export holds.
type drops struct {
	byID    map[uuid.UUID]*dropped
	byEvent map[uuid.UUID]*dropped
}

// dropped is one certificate with what the export says was dropped under it.
type dropped struct {
	certificate Certificate
	disposal    Disposal
	part        *Drop // of this log; nil where it has none
	leaves      LeafList
	accounted   bool // its event was seen
}

// takeMark compares the sums so far with what the hub signed.
func (v *verification) takeMark(c *checked) {
	var digest Digest
	v.sums.Sum(digest[:0])
	switch m := c.mark; {
	case c.broken != "" || !c.sumOK:
		v.report.find(-1, uuid.Nil, "a line between the entries, before entry %d, was altered in this file", v.next)
	case m.Digest != digest || m.Lines != v.lines:
		v.report.find(-1, uuid.Nil, "before entry %d the file is not the one that the hub made", v.next)
	case m.Verify(v.keys) != nil:
		v.report.find(-1, uuid.Nil, "the mark before entry %d is not signed by a replica of the hub", v.next)
	}
	v.sums.Reset()
	v.sums.Write(c.mark.Digest[:])
	v.sums.Write(c.sum[:])
	v.lines++
}

// takeCertificate keeps a certificate for the entries that refer to it.
func (v *verification) takeCertificate(c *checked) {
	if c.broken != "" || !c.sumOK {
		v.report.find(v.next, uuid.Nil, "altered: the certificate that stands before it")
		return
	}
	d, err := c.drop.Open(v.keys)
	if err != nil || d.Kind != "drop" {
		v.report.find(v.next, uuid.Nil, "altered: no replica of the hub has signed the certificate that stands before it")
		return
	}
	if old, ok := v.drops.byID[d.ID]; ok {
		if !bytes.Equal(old.certificate.Body, c.drop.Body) {
			v.report.find(v.next, uuid.Nil, "altered: two certificates have one name")
		}
		return
	}
	if v.drops.byID == nil {
		v.drops = drops{byID: map[uuid.UUID]*dropped{}, byEvent: map[uuid.UUID]*dropped{}}
	}
	x := &dropped{certificate: *c.drop, disposal: d}
	for i := range d.Logs {
		if d.Logs[i].Log == v.report.Checkpoint.Origin {
			x.part = &d.Logs[i]
		}
	}
	v.drops.byID[d.ID], v.drops.byEvent[c.drop.Event] = x, x
	v.report.Certificates = append(v.report.Certificates, d)
}

// takeDropped checks an entry that says that it was dropped.
func (v *verification) takeDropped(x *ExportEntry) {
	d, ok := v.drops.byID[x.Dropped]
	switch {
	case !ok:
		v.report.find(x.Index, x.Event, "missing: it is said to be dropped, and no certificate of the hub says so")
	case d.part == nil || !d.part.Covers(x.Index):
		v.report.find(x.Index, x.Event, "missing: the certificate of %s says that it stayed", d.disposal.Month)
	default:
		v.report.Dropped++
		d.leaves.Add(x.Index, x.Leaf, x.Event)
	}
}

// account holds an event against the certificate that it accounts for.
func (v *verification) account(c *checked) {
	d, ok := v.drops.byEvent[c.entry.Event]
	if !ok {
		return
	}
	d.accounted = true
	sum := d.certificate.Sum()
	if c.names != "" && c.names != sum.String() {
		v.report.find(c.entry.Index, c.entry.Event, "it accounts for another certificate than the one in this export")
	}
}

// finishDrops compares what is gone with what the certificates list.
func (v *verification) finishDrops() {
	for _, certificate := range v.report.Certificates {
		d := v.drops.byID[certificate.ID]
		p := d.part
		if p == nil || v.header.Scope != "all" {
			continue
		}
		if p.First >= v.header.First && p.End <= v.header.End && (d.leaves.Count() != p.Count || d.leaves.Digest() != p.Digest) {
			v.report.find(p.First, uuid.Nil, "altered, or one up to entry %d is: the certificate of %s lists %d entries as dropped, and they are not those that are gone (%d)",
				p.End-1, certificate.Month, p.Count, d.leaves.Count())
		}
		whole := v.header.First == 0 && v.header.End == v.report.Checkpoint.Size
		// The youngest events may not have their leaf yet.
		if whole && !d.accounted && certificate.Log == v.report.Checkpoint.Origin && v.latest.Sub(certificate.Made) > v.options.Late {
			v.report.find(-1, d.certificate.Event, "the event that accounts for the drop of %s is not in the log", certificate.Month)
		}
	}
}

// Signer is a key that signed, and when what it signed is from. The checkpoint
// has no time of its own: that of the newest entry shown stands for it.
type Signer struct {
	Name        string
	Fingerprint string
	Log         bool // it signed the checkpoint; else receipts
	Dates       Dates
	From, Until time.Time // of what it signed here; zero where nothing is shown
	Signed      int64
}

// Within tells whether all that was signed here lies within the key's dates.
func (s *Signer) Within() bool {
	return s.Dates.Hold(s.From) && s.Dates.Hold(s.Until)
}

// signedBy counts a receipt for the key that signed it.
func (v *verification) signedBy(r *Receipt) {
	s, ok := v.signers[r.Replica]
	if !ok {
		s = &Signer{Name: r.Replica, Dates: v.keys[r.Replica].Dates, From: r.Occurred, Until: r.Occurred}
		v.signers[r.Replica] = s
	}
	s.Signed++
	if r.Occurred.Before(s.From) {
		s.From = r.Occurred
	}
	if r.Occurred.After(s.Until) {
		s.Until = r.Occurred
	}
}

// finishSigners reports who signed. A receipt outside its key's dates was a
// finding already; a checkpoint that no key in use signed is one now.
func (v *verification) finishSigners() {
	inUse := v.latest.IsZero()
	for i := range v.report.Signers {
		s := &v.report.Signers[i]
		s.From, s.Until, s.Signed = v.latest, v.latest, 1
		inUse = inUse || s.Within()
	}
	if !inUse {
		v.report.find(-1, uuid.Nil, "the checkpoint is signed by a key that was not in use on %s", v.latest.Format(time.RFC3339))
	}
	replicas := make([]Signer, 0, len(v.signers))
	for _, s := range v.signers {
		replicas = append(replicas, *s)
	}
	slices.SortFunc(replicas, func(a, b Signer) int { return cmp.Compare(a.Name, b.Name) })
	v.report.Signers = append(v.report.Signers, replicas...)
}
