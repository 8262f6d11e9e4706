package proof

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Errors of the decoders.
var (
	ErrVersion   = errors.New("encoding of a version that this program does not know")
	ErrCanonical = errors.New("not the canonical form")
)

// maxPart bounds what a decoder looks at. The largest honest part, a family of
// hundreds of entries, stays far below.
const maxPart = 4 << 20

const timeForm = "2006-01-02T15:04:05.000000Z"

// enc appends RFC 8785 JSON. Keys must be written in ascending order; a test
// checks that they are. The first fault is kept and reported by done.
type enc struct {
	b   []byte
	err error
}

func (e *enc) done() ([]byte, error) {
	if e.err != nil {
		return nil, e.err
	}
	return e.b, nil
}

func (e *enc) fail(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

func (e *enc) open(c byte)  { e.b = append(e.b, c) }
func (e *enc) close(c byte) { e.b = append(e.b, c) }

// sep writes the comma before all but the first item.
func (e *enc) sep() {
	if n := len(e.b); n > 0 && e.b[n-1] != '{' && e.b[n-1] != '[' {
		e.b = append(e.b, ',')
	}
}

func (e *enc) key(k string) {
	e.sep()
	e.text(k)
	e.b = append(e.b, ':')
}

// text appends one string: RFC 8785 §3.2.2.2 escapes only what it must.
func (e *enc) text(s string) {
	if !utf8.ValidString(s) {
		e.fail("text is not UTF-8")
		return
	}
	const digits = "0123456789abcdef"
	e.b = append(e.b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		e.b = append(e.b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			e.b = append(e.b, '\\', c)
		case '\b':
			e.b = append(e.b, '\\', 'b')
		case '\t':
			e.b = append(e.b, '\\', 't')
		case '\n':
			e.b = append(e.b, '\\', 'n')
		case '\f':
			e.b = append(e.b, '\\', 'f')
		case '\r':
			e.b = append(e.b, '\\', 'r')
		default:
			e.b = append(e.b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	e.b = append(e.b, s[start:]...)
	e.b = append(e.b, '"')
}

func (e *enc) str(k, v string) {
	if v != "" {
		e.key(k)
		e.text(v)
	}
}

func (e *enc) num(k string, v int) {
	if v < 0 || v > 1<<53-1 {
		e.fail("%s: %d is outside 0 to 2^53-1", k, v)
	}
	if v != 0 {
		e.key(k)
		e.b = strconv.AppendInt(e.b, int64(v), 10)
	}
}

func (e *enc) flag(k string, v bool) {
	if v {
		e.key(k)
		e.b = append(e.b, "true"...)
	}
}

func (e *enc) uuid(v uuid.UUID) {
	e.b = append(e.b, '"')
	for i, part := range [5][]byte{v[:4], v[4:6], v[6:8], v[8:10], v[10:]} {
		if i > 0 {
			e.b = append(e.b, '-')
		}
		e.b = hex.AppendEncode(e.b, part)
	}
	e.b = append(e.b, '"')
}

func (e *enc) id(k string, v uuid.UUID) {
	if v != uuid.Nil {
		e.key(k)
		e.uuid(v)
	}
}

func (e *enc) digest(k string, v Digest) {
	if v != (Digest{}) {
		e.key(k)
		e.b = append(e.b, '"')
		e.b = hex.AppendEncode(e.b, v[:])
		e.b = append(e.b, '"')
	}
}

func (e *enc) time(k string, v time.Time) {
	v = v.UTC()
	if v.Nanosecond()%1000 != 0 {
		e.fail("%s: times have whole microseconds", k)
	}
	if y := v.Year(); y < 1 || y > 9999 {
		e.fail("%s: year %d has no RFC 3339 form", k, y)
	}
	e.key(k)
	e.b = append(e.b, '"')
	e.b = v.AppendFormat(e.b, timeForm)
	e.b = append(e.b, '"')
}

func (e *enc) strs(k string, v []string) {
	if len(v) == 0 {
		return
	}
	e.key(k)
	e.open('[')
	for _, s := range v {
		e.sep()
		e.text(s)
	}
	e.close(']')
}

func (e *enc) ids(k string, v []uuid.UUID) {
	if len(v) == 0 {
		return
	}
	e.key(k)
	e.open('[')
	for _, id := range v {
		e.sep()
		e.uuid(id)
	}
	e.close(']')
}

// pairs writes a map. Its keys are kept to plain ASCII, where byte order is the
// order that RFC 8785 asks for.
func (e *enc) pairs(k string, v map[string]string) {
	if len(v) == 0 {
		return
	}
	keys := make([]string, 0, len(v))
	for name := range v {
		if !plainKey(name) {
			e.fail("%s: key %q is not lower-case ASCII", k, name)
		}
		keys = append(keys, name)
	}
	slices.Sort(keys)
	e.key(k)
	e.open('{')
	for _, name := range keys {
		e.key(name)
		e.text(v[name])
	}
	e.close('}')
}

func plainKey(s string) bool {
	if s == "" || len(s) > 60 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// document is what every encoded value can do.
type document interface{ Encode() ([]byte, error) }

// decode reads exactly the canonical form into v: whatever would be written
// differently (unknown or repeated keys, other order, other escapes, floats,
// another spelling of a time or an id) is refused by writing it again.
func decode(data []byte, v document) error {
	if len(data) > maxPart {
		return fmt.Errorf("%w: %d bytes", ErrCanonical, len(data))
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("%w: not JSON with a version", ErrCanonical)
	}
	if head.V != 1 {
		return fmt.Errorf("%w: %d", ErrVersion, head.V)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: a field is unknown or of another type", ErrCanonical)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: something follows", ErrCanonical)
	}
	again, err := v.Encode()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCanonical, err)
	}
	if !bytes.Equal(again, data) {
		return fmt.Errorf("%w: it would be written differently", ErrCanonical)
	}
	return nil
}

// written: data is what Encode gives for v. Where it is, it is in the canonical
// form, whoever read v from it.
func written(v document, data []byte) bool {
	if len(data) > maxPart {
		return false
	}
	again, err := v.Encode()
	return err == nil && bytes.Equal(again, data)
}
