package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// reader reads JSON as this program writes it: no white space, keys in one
// order. It knows a subset of what encoding/json knows and gives the same
// values for it, several times as fast; whoever uses it asks encoding/json
// where it gives up, so that it never decides what is good. The first thing
// that it does not know makes it fail for good.
type reader struct {
	b      []byte
	failed bool
}

// done: all of it was read, and known.
func (r *reader) done() bool { return !r.failed && len(r.b) == 0 }

// take goes past a text that must stand here.
func (r *reader) take(text string) {
	if !r.skip(text) {
		r.failed = true
	}
}

// skip goes past a text if it stands here.
func (r *reader) skip(text string) bool {
	if r.failed || len(r.b) < len(text) || string(r.b[:len(text)]) != text {
		return false
	}
	r.b = r.b[len(text):]
	return true
}

// raw gives a text without escapes, which is not copied.
func (r *reader) raw() []byte {
	r.take(`"`)
	n := bytes.IndexByte(r.b, '"')
	if r.failed || n < 0 {
		r.failed = true
		return nil
	}
	text := r.b[:n]
	r.b = r.b[n+1:]
	for _, c := range text {
		if c < 0x20 || c == '\\' {
			r.failed = true
			return nil
		}
	}
	return text
}

func (r *reader) text() string {
	text := r.raw()
	if !utf8.Valid(text) {
		r.failed = true
	}
	return string(text)
}

func (r *reader) number() int64 {
	n := 0
	for n < len(r.b) && (r.b[n] >= '0' && r.b[n] <= '9' || n == 0 && r.b[n] == '-') {
		n++
	}
	v, err := strconv.ParseInt(string(r.b[:n]), 10, 64)
	if r.failed || err != nil || strconv.FormatInt(v, 10) != string(r.b[:n]) {
		r.failed = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) digest() (d Digest) {
	text := r.raw()
	if len(text) != hex.EncodedLen(len(d)) {
		r.failed = true
		return Digest{}
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		r.failed = true
	}
	return d
}

func (r *reader) id() uuid.UUID {
	text := r.raw()
	if len(text) != 36 { // of its four spellings the one that is written
		r.failed = true
		return uuid.Nil
	}
	id, err := uuid.ParseBytes(text)
	if err != nil {
		r.failed = true
	}
	return id
}

func (r *reader) time() (t time.Time) {
	if err := t.UnmarshalText(r.raw()); err != nil {
		r.failed = true
	}
	return t
}

func (r *reader) bytes() []byte {
	text := r.raw()
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(data, text)
	if err != nil {
		r.failed = true
	}
	return data[:n]
}

// value gives the bytes of any value, which are not copied.
func (r *reader) value() json.RawMessage {
	from := r.b
	r.pass(0)
	if r.failed {
		return nil
	}
	return json.RawMessage(from[: len(from)-len(r.b) : len(from)-len(r.b)])
}

// pass goes past a value, deep values in it.
func (r *reader) pass(depth int) {
	if r.failed || len(r.b) == 0 || depth > 100 {
		r.failed = true
		return
	}
	switch c := r.b[0]; {
	case c == '{' && !r.skip("{}"):
		r.items("{", "}", depth, true)
	case c == '[' && !r.skip("[]"):
		r.items("[", "]", depth, false)
	case c == '{' || c == '[':
	case c == '"':
		r.escaped()
	case c == 't':
		r.take("true")
	case c == 'f':
		r.take("false")
	case c == 'n':
		r.take("null")
	default:
		r.number()
	}
}

func (r *reader) items(open, end string, depth int, keys bool) {
	r.take(open)
	for !r.failed {
		if keys {
			r.escaped()
			r.take(":")
		}
		r.pass(depth + 1)
		if !r.skip(",") {
			r.take(end)
			return
		}
	}
}

// escaped goes past a text in which escapes may stand.
func (r *reader) escaped() {
	r.take(`"`)
	for i := 0; i < len(r.b) && !r.failed; i++ {
		switch c := r.b[i]; {
		case c == '"':
			r.b = r.b[i+1:]
			return
		case c == '\\':
			i++
			if i == len(r.b) || bytes.IndexByte([]byte(`"\/bfnrt`), r.b[i]) < 0 {
				r.failed = true // an escape by number too: it is seldom written
			}
		case c < 0x20:
			r.failed = true
		}
	}
	r.failed = true
}

// members reads those of an object that are written in one order, each
// only where it has a value: a comma stands before all but the first.
type members struct {
	*reader
	any bool // one was read
}

func (m *members) key(name string) bool {
	rest := m.b
	if m.any && !m.skip(`,`) || !m.skip(name) {
		m.b = rest
		return false
	}
	m.any = true
	return true
}

func (m *members) str(name string) string {
	if !m.key(name) {
		return ""
	}
	return m.text()
}

func (m *members) strs(name string) []string {
	if !m.key(name) {
		return nil
	}
	return list(m.reader, m.text)
}

func (m *members) id(name string) uuid.UUID {
	if !m.key(name) {
		return uuid.Nil
	}
	return m.reader.id()
}

func (m *members) digest(name string) Digest {
	if !m.key(name) {
		return Digest{}
	}
	return m.reader.digest()
}

func (m *members) time(name string) time.Time {
	if !m.key(name) {
		return time.Time{}
	}
	return m.reader.time()
}

func (m *members) bytes(name string) []byte {
	if !m.key(name) {
		return nil
	}
	return m.reader.bytes()
}

func (m *members) value(name string) json.RawMessage {
	if !m.key(name) {
		return nil
	}
	return m.reader.value()
}

func (m *members) version() int {
	if !m.key(`"v":1`) {
		return 0
	}
	return 1
}

// header reads one as Encode writes it; Encode says whether it is.
func (r *reader) header() (h Header) {
	r.take(`{`)
	m := members{reader: r}
	h.ActingFor = m.str(`"acting_for":`)
	h.Agency = m.str(`"agency":`)
	h.Decision = m.digest(`"decision":`)
	h.ID = m.id(`"id":`)
	h.Input = m.digest(`"input":`)
	h.Kind = m.str(`"kind":`)
	h.Occurred = m.time(`"occurred":`)
	h.Outcome = m.str(`"outcome":`)
	h.Partnership = m.str(`"partnership":`)
	h.Policy = m.digest(`"policy":`)
	h.Replica = m.str(`"replica":`)
	h.V = m.version()
	r.take(`}`)
	return h
}

// entry reads a line of an export as ExportWriter writes it, save what is
// seldom there: parts, which no scope gives out, and columns that differ.
func (r *reader) entry() (x ExportEntry) {
	r.take(`{"index":`)
	x.Index = r.number()
	m := members{reader: r, any: true}
	x.Leaf = m.digest(`"leaf":`)
	x.Event = m.id(`"event":`)
	x.Missing = m.key(`"missing":true`)
	x.Dropped = m.id(`"dropped":`)
	x.Header = m.value(`"header":`)
	x.Commitments = m.bytes(`"commitments":`)
	x.Signature = m.bytes(`"signature":`)
	x.Common = m.value(`"common":`)
	x.CommonSalt = m.bytes(`"common_salt":`)
	if m.key(`"erased":`) {
		x.Erased = int(r.number())
	}
	x.NoCommon = m.key(`"no_common":true`)
	if m.key(`"copies":`) {
		x.Copies = r.copies()
	}
	x.Forged = m.key(`"forged":true`)
	x.View = m.value(`"view":`)
	r.take(`,"sum":`)
	r.raw() // checkSum looks at it
	r.take(`}`)
	return x
}

func (r *reader) copies() *Copies {
	c := &Copies{}
	r.take(`{`)
	m := members{reader: r}
	c.Occurred = m.time(`"occurred_at":`)
	c.Recorded = m.time(`"recorded_at":`)
	c.Kind = m.str(`"kind":`)
	c.Outcome = m.str(`"outcome":`)
	c.Agency = m.str(`"agency":`)
	c.ActingFor = m.str(`"acting_for":`)
	c.Partnership = m.str(`"partnership":`)
	c.Replica = m.str(`"replica":`)
	c.Worker = m.id(`"worker":`)
	c.Principal = m.str(`"principal":`)
	c.Purpose = m.str(`"purpose":`)
	c.Family = m.id(`"family":`)
	c.Declared = m.key(`"declared":true`)
	c.Emergency = m.key(`"emergency":true`)
	c.Request = m.str(`"request_id":`)
	r.take(`}`)
	return c
}
