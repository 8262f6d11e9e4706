package proof

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// What the reader takes, encoding/json takes too and understands alike.
func same(t *testing.T, line []byte) (read bool) {
	t.Helper()
	r := reader{b: line}
	got := r.entry()
	if !r.done() {
		return false
	}
	var want ExportEntry
	if err := json.Unmarshal(line, &want); err != nil {
		t.Fatalf("read, and it is not JSON: %v\n%q", err, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read as another entry (-json +read):\n%s\n%q", diff, line)
	}
	return true
}

const sampleLine = `{"index":7,"leaf":"0101010101010101010101010101010101010101010101010101010101010101","event":"4efd348b-8cf2-4391-90b3-246ecc8d6997",` +
	`"header":{"agency":"MH","id":"4efd348b-8cf2-4391-90b3-246ecc8d6997","v":1},"commitments":"AAAA","signature":"AQID","common":{"a":[1,-2,{"b":"\n\"x"}],"c":null},"common_salt":"BAUG","erased":2,"no_common":true,` +
	`"copies":{"occurred_at":"2026-11-02T09:30:00.12Z","recorded_at":"2026-11-02T09:30:00Z","kind":"read","outcome":"released","agency":"MH","partnership":"northby","replica":"hub-1+01234567",` +
	`"worker":"4efd348b-8cf2-4391-90b3-246ecc8d6997","principal":"Zoë (MH)","purpose":"FS","declared":true,"request_id":"r1"},"forged":true,"view":{"id":[],"x":{},"y":true},"sum":"AAAA"}`

func TestTheReaderReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	if !same(t, []byte(sampleLine)) {
		t.Fatal("the reader gives up on a line as the writer writes it")
	}
	for i := range sampleLine { // a byte changed, and cut off there
		same(t, []byte(sampleLine[:i]))
		for _, c := range []byte("\"\\{}[],:0a \n\x00\xff") {
			changed := []byte(sampleLine)
			changed[i] = c
			same(t, changed)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(sampleLine))
	f.Add([]byte(`{"index":0,"leaf":"0101010101010101010101010101010101010101010101010101010101010101","event":"4efd348b-8cf2-4391-90b3-246ecc8d6997","missing":true,"sum":""}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		same(t, line)
		alike(t, line, (*reader).header, func(v *Header) document { return v })
		alike(t, line, (*reader).common, func(v *Common) document { return v })
		alike(t, line, (*reader).subject, func(v *Subject) document { return v })
	})
}

// alike: where the reader takes a document that is in the canonical form, the
// decoder takes it too and understands it alike.
func alike[T any](t *testing.T, data []byte, read func(*reader) T, as func(*T) document) {
	t.Helper()
	r := reader{b: data}
	got := read(&r)
	if !r.done() || !written(as(&got), data) {
		return
	}
	var want T
	if err := decode(data, as(&want)); err != nil {
		t.Fatalf("read, and it is not canonical: %v\n%q", err, data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read as another document (-decoded +read):\n%s\n%q", diff, data)
	}
}

func TestTheReaderReadsWholeDocuments(t *testing.T) {
	t.Parallel()
	person := uuid.MustParse("4efd348b-8cf2-4391-90b3-246ecc8d6997")
	released := []Terms{
		{Clauses: []string{"isa 4.2", "isa 4.3"}, Entries: []EntryRef{{person, 2}, {person, 13}}, Grant: "g", Labels: []string{"l"}, Level: Full, Masked: []string{"m"}, Owner: "MH", Part: "full", Section: "mh-risk", Sensitivity: 4},
		{Level: Existence, Section: "x"},
	}
	common := Common{Causes: []string{"a"}, Children: []uuid.UUID{person}, Count: 3, Declared: true, Details: map[string]string{"a": "b", "c": "Zoë"}, Emergency: true, Family: person,
		Principal: Principal{ACR: "1", Client: "c", Issuer: "i", Name: "Ada", Roles: []string{"r", "s"}, Subject: "s", System: true, Worker: person},
		Purpose:   "FS", Reason: "why", Refusal: "no", Released: released, Request: "r", Search: map[string]string{"given": "Zoë"}, V: 1}
	subject := Subject{Person: person, Released: released, V: 1}
	header := Header{ActingFor: "CSC", Agency: "MH", Decision: Digest{1}, ID: person, Input: Digest{2}, Kind: "read", Occurred: time.Unix(1700000000, 5000).UTC(), Outcome: "released",
		Partnership: "northby", Policy: Digest{3}, Replica: "hub-1+01234567", V: 1}
	for _, v := range []document{&common, &Common{V: 1}, &Common{Reason: "why", V: 1}, &subject, &Subject{Person: person, V: 1}, &header} {
		data, err := v.Encode()
		if err != nil {
			t.Fatal(err)
		}
		r := reader{b: data}
		var got any
		switch v.(type) {
		case *Common:
			c := r.common()
			got = &c
		case *Subject:
			s := r.subject()
			got = &s
		case *Header:
			h := r.header()
			got = &h
		}
		if !r.done() {
			t.Errorf("the reader gives up on %s", data)
		} else if diff := cmp.Diff(any(v), got); diff != "" {
			t.Errorf("read as another document (-want +read):\n%s", diff)
		}
		alike(t, data, (*reader).header, func(v *Header) document { return v })
		alike(t, data, (*reader).common, func(v *Common) document { return v })
		alike(t, data, (*reader).subject, func(v *Subject) document { return v })
	}
}
