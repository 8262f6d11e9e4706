package family

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The native format is NDJSON: one JSON object a line, in UTF-8, at most 1 MiB
// a line. Each line holds exactly one record under the name of its kind:
//
//	{"person": {…}}           a person as the agency holds them
//	{"membership": {…}}       that person in a family
//	{"relationship": {…}}     two people
//	{"alleged_harm": {…}}     an allegation of harm, by one to the other
//	{"episode": {…}}          a child's open work
//	{"involvement": {…}}      who works with a person
//	{"told_and_agreed": {…}}  what a person was told and agreed to
//	{"entry": {…}}            one entry of the record
//	{"worker": {…}}           a worker of the agency, for its allocations
//
// The fields of each are those of PersonRecord, MembershipRecord and so on in
// record.go. People, families, episodes, involvements and entries go by the
// agency's own ids (local_id): sent again with the same content a record is
// unchanged, with other content it becomes a new version. A line may refer to
// those before it and to what was sent earlier, so people come first. Each line
// stands by itself: a person says in "member" to which family they belong, and
// an adult who belongs to no child with open work is refused, so a child and
// the child's episode come before the adults.
//
// Dates are days, "2024-06-03"; the event of an entry may also be a month,
// "2024-06", or words, "summer 2024". "contains" lists the sections whose
// information the entry's text repeats: [] says that it repeats nothing, and a
// line without it is untagged, which keeps its full text with the sender.
// {"entry": {…, "purge": true}} withdraws an entry.
//
// Names are exact and lower-case; an unknown or repeated one refuses the line.
// A line that is refused is named in the report with field and rule, and the
// rest is taken. Empty lines count for the line number only. The file
// testdata/example.ndjson has a line of every kind.

// maxLine is the length of an NDJSON line.
const maxLine = 1 << 20

// maxNumber is how long a number may be before it no longer comes back as sent.
const maxNumber = 15

// maxJSONDepth is how deep the content of an entry may be nested.
const maxJSONDepth = 32

// ReadNDJSON reads records line by line and yields each with its line number,
// or the reason why the line is none. It goes on after a refused line. An
// error of yield ends the reading and is returned as it is; any other error is
// the reader's.
func ReadNDJSON(r io.Reader, yield func(Record, *FieldError) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	var buf []byte
	for number := 1; ; number++ {
		line, long, err := readLine(in, buf[:0])
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read line %d: %w", number, err)
		}
		buf = line
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xEF\xBB\xBF"))
		}
		line = bytes.TrimSpace(line)
		if long || len(line) > 0 {
			var rec Record
			refused := &FieldError{Field: "line", Rule: "is longer than 1 MiB"}
			if !long {
				rec, refused = parseLine(line)
			}
			rec.Line = number
			if err := yield(rec, refused); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine appends one line to buf; of a line that is too long it reads the
// rest and keeps nothing.
func readLine(in *bufio.Reader, buf []byte) (line []byte, long bool, err error) {
	for {
		piece, err := in.ReadSlice('\n')
		if !long {
			buf = append(buf, piece...)
		}
		if len(buf) > maxLine+2 { // with CR and LF
			long, buf = true, buf[:0]
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return buf, long, err
		}
	}
}

// parseLine turns one line into a record.
func parseLine(line []byte) (Record, *FieldError) {
	if !utf8.Valid(line) {
		return Record{}, &FieldError{Field: "line", Rule: "is not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.UseNumber()
	if err := checkNames(dec, "", 0); err != nil {
		var field *FieldError
		if errors.As(err, &field) {
			return Record{}, field
		}
		return Record{}, &FieldError{Field: "line", Rule: "is not a JSON object"}
	}
	if line[0] != '{' {
		return Record{}, &FieldError{Field: "line", Rule: "is not a JSON object"}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, &FieldError{Field: "line", Rule: "holds more than one JSON object"}
	}
	var rec Record
	dec = json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rec); err != nil {
		return Record{}, explainJSON(err)
	}
	kinds := 0
	for _, set := range []bool{
		rec.Person != nil, rec.Membership != nil, rec.Relationship != nil, rec.Harm != nil,
		rec.Episode != nil, rec.Involvement != nil, rec.Told != nil, rec.Entry != nil, rec.Worker != nil,
	} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return Record{}, &FieldError{Field: "line", Rule: "must hold exactly one of person, membership, relationship, alleged_harm, episode, involvement, told_and_agreed, entry, worker"}
	}
	if rec.Person != nil {
		rec.Person.Raw, rec.Person.MediaType = bytes.Clone(line), "application/json"
	}
	return rec, nil
}

var recordName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// freeContent is where an entry's content stands: its names are the section's,
// and the catalogue judges them.
const freeContent = "entry.content"

// checkNames walks one JSON value. The standard decoder takes a repeated name
// (the last one wins) and any case of it, so that two readers of one line may
// see two records; here such a line is refused.
func checkNames(dec *json.Decoder, at string, depth int) error {
	if depth > maxJSONDepth {
		return &FieldError{Field: at, Rule: "is nested deeper than 32"}
	}
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if n, ok := t.(json.Number); ok && len(n) > maxNumber {
		return &FieldError{Field: at, Rule: "is a number of more than 15 characters; send it as text"}
	}
	switch t {
	case json.Delim('{'):
		names := make(map[string]bool)
		for dec.More() {
			t, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			inside := name
			if at != "" {
				inside = at + "." + name
			}
			free := strings.HasPrefix(at, freeContent)
			if free {
				inside = freeContent // a name in there may be anything: it is not repeated in a report
			}
			switch {
			case !free && !recordName.MatchString(name):
				return &FieldError{Field: cmp.Or(at, "line"), Rule: "has a name that is not known"}
			case names[name]:
				return &FieldError{Field: inside, Rule: "stands more than once"}
			}
			names[name] = true
			if err := checkNames(dec, inside, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	case json.Delim('['):
		for dec.More() {
			if err := checkNames(dec, at, depth+1); err != nil {
				return err
			}
		}
		_, err = dec.Token()
	}
	return err
}

// explainJSON names field and rule of what the decoder found.
func explainJSON(err error) *FieldError {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return &FieldError{Field: wrong.Field, Rule: "must be " + kindWords(wrong.Type.Kind().String())}
	}
	// The decoder has no type for this one; the names were checked to be harmless.
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return &FieldError{Field: strings.Trim(name, `"`), Rule: "is not known"}
	}
	return &FieldError{Field: "line", Rule: "is not a record"}
}

func kindWords(kind string) string {
	switch kind {
	case "string":
		return "a text"
	case "bool":
		return "true or false"
	case "slice":
		return "a list"
	case "struct", "map", "ptr":
		return "an object"
	case "int":
		return "a whole number"
	}
	return "another type"
}
