package identity

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	tokenMost = 16 << 10 // bytes; Entra's with many groups are the longest seen
	claimMost = 512      // bytes of a claim that is kept or compared
	listMost  = 500      // values of a list claim
)

// object is a JSON object whose names are unique: encoding/json would take the
// last of two and fold their case, and another reader of the same token the
// first (RFC 8725 §2.5 and 3.12 tell what follows from such differences).
type object map[string]json.RawMessage

func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("not a name")
		}
		if _, twice := o[name]; twice {
			return nil, errors.New("a name stands twice")
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		o[name] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more after the object")
	}
	return o, nil
}

// has says whether the name stands there with a value.
func (o object) has(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// text is a string claim; absent is "", another type or a strange text an error.
func (o object) text(name string) (string, error) {
	if !o.has(name) {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(o[name], &s); err != nil {
		return "", errors.New("not a string")
	}
	return s, plain(s)
}

// list is a claim that is a string or a list of strings.
func (o object) list(name string) ([]string, error) {
	if !o.has(name) {
		return nil, nil
	}
	var many []string
	if err := json.Unmarshal(o[name], &many); err != nil {
		one, err := o.text(name)
		if err != nil {
			return nil, err
		}
		return []string{one}, nil
	}
	if len(many) > listMost {
		return nil, errors.New("too many values")
	}
	for _, s := range many {
		if err := plain(s); err != nil {
			return nil, err
		}
	}
	return many, nil
}

// moment is a NumericDate (RFC 7519 §2), fractions cut off; absent is zero.
func (o object) moment(name string) (time.Time, error) {
	if !o.has(name) {
		return time.Time{}, nil
	}
	var f float64
	if err := json.Unmarshal(o[name], &f); err != nil {
		return time.Time{}, errors.New("not a number")
	}
	const year10000 = 253402300800
	if math.IsNaN(f) || f < 0 || f >= year10000 {
		return time.Time{}, errors.New("out of range")
	}
	return time.Unix(int64(f), 0), nil
}

// plain refuses what no claim that we keep has reason to hold: such text would
// end in comparisons, log lines and database columns.
func plain(s string) error {
	if len(s) > claimMost {
		return errors.New("too long")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) {
			return errors.New("control character")
		}
	}
	return nil
}

// compact is a JWS in compact form, not verified.
type compact struct {
	header, payload object
}

// split reads the form of a token and nothing of its truth.
func split(raw string) (compact, error) {
	switch {
	case raw == "":
		return compact{}, ErrNoToken
	case len(raw) > tokenMost:
		return compact{}, ErrTokenSize
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 || parts[2] == "" {
		return compact{}, ErrTokenForm
	}
	var decoded [3][]byte
	for i, p := range parts {
		// Strict: the trailing bits must be zero, so that a token has one form
		// only; and Go's decoder would skip line breaks.
		if strings.ContainsAny(p, "\r\n") {
			return compact{}, ErrTokenForm
		}
		b, err := base64.RawURLEncoding.Strict().DecodeString(p)
		if err != nil {
			return compact{}, ErrTokenForm
		}
		decoded[i] = b
	}
	h, err := parseObject(decoded[0])
	if err != nil {
		return compact{}, ErrTokenHeader
	}
	p, err := parseObject(decoded[1])
	if err != nil {
		return compact{}, ErrClaims
	}
	return compact{header: h, payload: p}, nil
}
