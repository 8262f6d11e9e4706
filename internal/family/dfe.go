package family

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"
)

// FormatDfE is the Department for Education's daily children's social care
// payload (JSON).
const FormatDfE = "dfe-csc"

// maxDfEChild bounds what one child of the payload may take.
const maxDfEChild = 4 << 20

// ErrNotDfE: the body is not a JSON array of children.
var ErrNotDfE = errors.New("is not a JSON array of children")

// DfEChild is one child of the payload. Workers stand beside it and are taken
// one by one: a worker whom the directory does not know refuses no child.
type DfEChild struct {
	CensusChild
	Workers []Record
}

// ReadDfE reads the daily payload, an array with one object per child, and
// yields each child as it ends, so that a body of any length takes the memory
// of its largest child.
//
// A child becomes a person with an identity and an equality entry; each social
// care episode an episode with its entry; assessments (with their factors),
// plans, section 47 enquiries and placements become entries, and episodes
// where they are open work. Everything goes by the payload's own ids, under
// "dfe-csc:<child>/". A factor names no adult: every entry is about the child
// alone. Where a child is placed is a protected address.
//
// "purge": true withdraws what was sent before under that id: of a child
// everything, of an episode all that hangs on it. A worker goes by the
// directory's case-system id "dfe:<worker_id>". Unknown members are passed over
// with a warning; a date that is none refuses the child. An error of yield ends
// the reading and is returned as it is; what was yielded before an error stands.
func ReadDfE(r io.Reader, yield func(DfEChild) error) error {
	in := &lineReader{from: bufio.NewReaderSize(r, 64<<10)}
	dec := json.NewDecoder(in)
	in.left = maxDfEChild
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		if errors.Is(err, errTooLong) || in.err != nil && !errors.Is(in.err, io.EOF) {
			return in.err
		}
		return ErrNotDfE
	}
	seen := map[string]bool{}
	line := 1
	for dec.More() {
		in.left = maxDfEChild
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			if in.err != nil && !errors.Is(in.err, io.EOF) {
				return in.err
			}
			return fmt.Errorf("after line %d: is not JSON", line)
		}
		line = in.lineAt(dec.InputOffset() - int64(len(raw)))
		child := readDfEChild(raw)
		child.Line = line
		if child.Refused == nil && seen[child.ID] {
			child.Refused = &FieldError{"la_child_id", "stands more than once in this file"}
		}
		if child.ID != "" {
			seen[child.ID] = true
		}
		if err := yield(child); err != nil {
			return err
		}
	}
	in.left = maxDfEChild
	if _, err := dec.Token(); err != nil {
		return errors.New("ends before its end: the array is not closed")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("holds more than one JSON value")
	}
	return nil
}

var errTooLong = errors.New("holds a child of more than 4 MiB")

// lineReader counts lines and ends a child that is too long.
type lineReader struct {
	from  io.Reader
	left  int
	at    int64   // bytes read
	lines int     // newlines before the first of ahead
	ahead []int64 // offsets of newlines not yet counted
	err   error
}

// Read implements io.Reader.
func (l *lineReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.err = errTooLong
		return 0, errTooLong
	}
	n, err := l.from.Read(p[:min(len(p), l.left)])
	l.left -= n
	for i, b := range p[:n] {
		if b == '\n' {
			l.ahead = append(l.ahead, l.at+int64(i))
		}
	}
	l.at += int64(n)
	if err != nil {
		l.err = err
	}
	return n, err
}

// lineAt is the line of an offset; offsets come in order.
func (l *lineReader) lineAt(offset int64) int {
	i := 0
	for i < len(l.ahead) && l.ahead[i] <= offset {
		i++
	}
	l.lines += i
	l.ahead = append(l.ahead[:0], l.ahead[i:]...)
	return l.lines + 1
}

// readDfEChild turns one object of the payload into records.
func readDfEChild(raw []byte) DfEChild {
	b := &dfeReader{childReader: childReader{taken: map[string]int{}}}
	refused := func(rule string) DfEChild {
		return DfEChild{CensusChild: CensusChild{Refused: &FieldError{"child", rule}}}
	}
	if !utf8.Valid(raw) {
		return refused("is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := checkNames(dec, "", 0); err != nil {
		var field *FieldError
		if errors.As(err, &field) {
			return DfEChild{CensusChild: CensusChild{Refused: field}}
		}
		return refused("is not JSON")
	}
	dec = json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var fields map[string]any
	if err := dec.Decode(&fields); err != nil || fields == nil {
		return refused("is not a JSON object")
	}
	b.child(&dfeObject{of: b, fields: fields, used: map[string]bool{}})
	out := DfEChild{CensusChild: CensusChild{ID: b.id, Records: b.records, Warnings: b.warnings, Refused: b.refused}, Workers: b.workers}
	if len(out.Records) > 0 && out.Records[0].Person != nil {
		out.Records[0].Person.Raw, out.Records[0].Person.MediaType = raw, mediaTypeJSON
	}
	return out
}

// dfeReader gathers what one child gives.
type dfeReader struct {
	childReader
	workers []Record
}

// dfeObject is one object of the payload, and which of its members were read.
type dfeObject struct {
	of     *dfeReader
	path   string
	fields map[string]any
	used   map[string]bool
}

func (o *dfeObject) place(name string) string {
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

func (o *dfeObject) warn(name, text string) { o.of.warn(o.place(name), text) }

// text reads a member that is a text, a number or missing.
func (o *dfeObject) text(name string) string {
	o.used[name] = true
	switch v := o.fields[name].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case nil:
		return ""
	}
	o.of.refuse(o.place(name), "is neither a text nor a number")
	return ""
}

// date reads a day; a time of day behind it is passed over.
func (o *dfeObject) date(name string) time.Time {
	text := o.text(name)
	if text == "" {
		return time.Time{}
	}
	if len(text) > 10 && text[10] == 'T' {
		text = text[:10]
	}
	day, rule := parseDay(text)
	if rule != "" {
		o.of.refuse(o.place(name), rule)
	}
	return day
}

// end reads a day that should not lie before began.
func (o *dfeObject) end(name string, began time.Time) time.Time {
	t := o.date(name)
	if !t.IsZero() && !began.IsZero() && t.Before(began) {
		o.warn(name, "lies before its beginning")
	}
	return t
}

func (o *dfeObject) flag(name string) (yes, known bool) {
	o.used[name] = true
	switch v := o.fields[name].(type) {
	case bool:
		return v, true
	case nil:
		return false, false
	}
	switch o.text(name) {
	case "1", "true", "Y":
		return true, true
	case "0", "false", "N":
		return false, true
	}
	o.warn(name, "is neither true nor false; left out")
	return false, false
}

// purged tells whether the object withdraws what was sent before.
func (o *dfeObject) purged() bool {
	yes, _ := o.flag("purge")
	return yes
}

// coded reads a code and puts it beside its words.
func (o *dfeObject) coded(name string, words func(string) string) string {
	return codeWithWords(o.text(name), words)
}

func codeWithWords(code string, words func(string) string) string {
	if w := words(code); w != "" {
		return code + " " + w
	}
	return code
}

// codes reads a list of codes.
func (o *dfeObject) codes(name string, words func(string) string) []any {
	o.used[name] = true
	items, ok := o.fields[name].([]any)
	if !ok && o.fields[name] != nil {
		o.of.refuse(o.place(name), "is not a list")
	}
	var out []any
	for _, x := range items {
		code, ok := x.(string)
		if !ok {
			o.of.refuse(o.place(name), "holds what is not a text")
			return nil
		}
		if code != "" {
			out = append(out, codeWithWords(code, words))
		}
	}
	return out
}

// object reads a member that is an object; a missing one is empty.
func (o *dfeObject) object(name string) *dfeObject {
	o.used[name] = true
	child := &dfeObject{of: o.of, path: o.place(name), used: map[string]bool{}}
	switch v := o.fields[name].(type) {
	case map[string]any:
		child.fields = v
	case nil:
	default:
		o.of.refuse(o.place(name), "is not an object")
	}
	return child
}

// objects reads a list of objects.
func (o *dfeObject) objects(name string) []*dfeObject {
	o.used[name] = true
	items, ok := o.fields[name].([]any)
	if !ok && o.fields[name] != nil {
		o.of.refuse(o.place(name), "is not a list")
	}
	var out []*dfeObject
	for i, x := range items {
		place := fmt.Sprintf("%s[%d]", o.place(name), i)
		fields, ok := x.(map[string]any)
		if !ok {
			o.of.refuse(place, "is not an object")
			continue
		}
		out = append(out, &dfeObject{of: o.of, path: place, fields: fields, used: map[string]bool{}})
	}
	return out
}

// rest warns about members that nobody asked for.
func (o *dfeObject) rest() {
	for _, name := range sortedKeys(o.fields) {
		if !o.used[name] {
			o.of.unknown(o.place(name))
		}
	}
}
