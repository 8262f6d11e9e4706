package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

func seed(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func sampleKey(t testing.TB) (ed25519.PrivateKey, proof.Key) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(seed(7))
	public, err := proof.NewKey("hub-1", private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

func digest(b byte) proof.Digest { return proof.Digest(seed(b)) }

func sampleHeader(t testing.TB) proof.Header {
	_, key := sampleKey(t)
	return proof.Header{
		ID: uuid.MustParse("6f3c1a52-9f0e-4a51-8d5b-0a4c2f7be001"), Kind: "read", Outcome: "released",
		Occurred: time.Date(2026, 11, 2, 9, 30, 0, 120000, time.UTC), Agency: "NHFT", ActingFor: "NHFT",
		Partnership: "borough", Replica: key.ID(), Policy: digest(1), Input: digest(2), Decision: digest(3), V: 1,
	}
}

func sampleTerms() []proof.Terms {
	return []proof.Terms{
		{
			Section: "mh-risk", Owner: "NHFT", Level: proof.Full, Part: "full", Sensitivity: 2, Clauses: []string{"own"},
			Entries: []proof.EntryRef{{Entry: uuid.MustParse("0d3c1a52-9f0e-4a51-8d5b-0a4c2f7be0aa"), Version: 3}},
		},
		{Section: "sm-involvement", Owner: "TURN", Level: proof.Existence, Sensitivity: 2, Clauses: []string{"isa-family-safeguarding 4.2"}},
		{
			Section: "identity", Owner: "CSC", Level: proof.Summary, Part: "summary", Sensitivity: 1, Masked: []string{"nhs_number", "upn"},
			Labels: []string{"do-not-inform"}, Grant: "7d3c1a52-9f0e-4a51-8d5b-0a4c2f7be0bb", Clauses: []string{"isa-family-safeguarding 3.1"},
			Entries: []proof.EntryRef{{Entry: uuid.MustParse("1d3c1a52-9f0e-4a51-8d5b-0a4c2f7be0aa"), Version: 1}, {Entry: uuid.MustParse("2d3c1a52-9f0e-4a51-8d5b-0a4c2f7be0aa"), Version: 12}},
		},
	}
}

func sampleCommon() proof.Common {
	return proof.Common{
		Causes: []string{"no-open-work"}, Children: []uuid.UUID{uuid.MustParse("9a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc")}, Count: 3, Declared: true, Emergency: true,
		Details: map[string]string{"b-key": "2", "a.key": "1"}, Family: uuid.MustParse("8a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0dd"),
		Principal: proof.Principal{
			ACR: "mfa", Client: "case-system", Issuer: "https://login.example/realm", Name: "Siân \"Sue\" O’Dea", Roles: []string{"mh-practitioner", "practitioner"},
			Subject: "oid-1", System: true, Worker: uuid.MustParse("5a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0ee"),
		},
		Purpose: "FS", Reason: "line one\nline two\t<b>&\u2028\\ \x01 \U0001f600", Refusal: "not-found", Released: sampleTerms()[:1], Request: "req-1",
		Search: map[string]string{"family_name": "Dea", "date_of_birth": "2019"}, V: 1,
	}
}

func sampleSubject() proof.Subject {
	return proof.Subject{Person: uuid.MustParse("9a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc"), Released: sampleTerms(), V: 1}
}

// The bytes of version 1 are fixed for ever: a golden file that changes means
// that old events no longer verify. KITH_UPDATE_GOLDEN=1 writes new files.
func TestGolden(t *testing.T) {
	t.Parallel()
	private, key := sampleKey(t)
	header, common, subject := sampleHeader(t), sampleCommon(), sampleSubject()
	encoded := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	h, c, s := encoded(header.Encode()), encoded(common.Encode()), encoded(subject.Encode())
	cc, cs := proof.CommitCommon(seed(10), c), proof.CommitSubject(seed(11), s)
	leaf := proof.LeafHash(h, append(cc[:], cs[:]...))
	sealed, err := proof.SealInput(seed(12), []byte(`{"v":1}`), []byte(`{"allow":true}`))
	if err != nil {
		t.Fatal(err)
	}
	receipt := proof.SignReceipt(private, key.ID(), header.ID, header.Occurred, leaf)
	hashes := strings.Join([]string{
		"common " + cc.String(), "subject " + cs.String(), "leaf " + leaf.String(), "input " + sealed.Input.String(), "decision " + sealed.Decision.String(),
		"sealed " + hex.EncodeToString(sealed.Bytes), "key " + key.String(), "receipt " + receipt.String(),
	}, "\n")
	for name, got := range map[string][]byte{"header.json": h, "common.json": c, "subject.json": s, "hashes.txt": []byte(hashes)} {
		file := filepath.Join("testdata", name)
		if os.Getenv("KITH_UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(file, append(slices.Clone(got), '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	header, common, subject := sampleHeader(t), sampleCommon(), sampleSubject()
	h, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.DecodeHeader(h); err != nil || cmp.Diff(header, got) != "" {
		t.Errorf("header: %v %s", err, cmp.Diff(header, got))
	}
	c, err := common.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.DecodeCommon(c); err != nil || cmp.Diff(common, got) != "" {
		t.Errorf("common: %v %s", err, cmp.Diff(common, got))
	}
	s, err := subject.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.DecodeSubject(s); err != nil || cmp.Diff(subject, got) != "" {
		t.Errorf("subject: %v %s", err, cmp.Diff(subject, got))
	}
	for name, v := range map[string]any{"header": header, "common": common, "subject": subject} {
		if field := zeroField(reflect.ValueOf(v), name); field != "" {
			t.Errorf("%s is empty in the sample: the round trip does not cover it", field)
		}
	}
	for _, doc := range [][]byte{h, c, s} {
		keysAscend(t, doc)
	}
}

// zeroField names a field that the sample leaves empty. Terms are left out:
// the sample's three fill all fields between them.
func zeroField(v reflect.Value, path string) string {
	switch {
	case v.IsZero():
		return path
	case v.Type() == reflect.TypeFor[time.Time](), v.Type() == reflect.TypeFor[[]proof.Terms]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if f := zeroField(v.Field(i), path+"."+v.Type().Field(i).Name); f != "" {
				return f
			}
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if f := zeroField(v.Index(i), path+"[]"); f != "" {
				return f
			}
		}
	}
	return ""
}

func keysAscend(t *testing.T, doc []byte) {
	t.Helper()
	type frame struct {
		object bool
		last   string
		key    bool // the next token is a key
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var stack []*frame
	value := func() {
		if n := len(stack); n > 0 && stack[n-1].object {
			stack[n-1].key = true
		}
	}
	for {
		tok, err := d.Token()
		if err != nil {
			return
		}
		switch x := tok.(type) {
		case json.Delim:
			switch x {
			case '{', '[':
				stack = append(stack, &frame{object: x == '{', key: x == '{'})
			default:
				stack = stack[:len(stack)-1]
				value()
			}
		case string:
			if top := stack[len(stack)-1]; top.object && top.key {
				if x <= top.last {
					t.Errorf("key %q stands after %q", x, top.last)
				}
				top.last, top.key = x, false
				continue
			}
			value()
		default:
			value()
		}
	}
}

func TestDecodeRefusesOtherSpellings(t *testing.T) {
	t.Parallel()
	header := sampleHeader(t)
	b, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, tc := range map[string]struct {
		doc  string
		want error
	}{
		"white space":     {strings.Replace(good, `,"id"`, `, "id"`, 1), proof.ErrCanonical},
		"unknown key":     {strings.Replace(good, `,"v":1`, `,"u":1,"v":1`, 1), proof.ErrCanonical},
		"repeated key":    {strings.Replace(good, `"kind":"read"`, `"kind":"read","kind":"read"`, 1), proof.ErrCanonical},
		"capital key":     {strings.Replace(good, `"kind"`, `"Kind"`, 1), proof.ErrCanonical},
		"capital id":      {strings.Replace(good, "6f3c1a52-9f0e", "6F3C1A52-9F0E", 1), proof.ErrCanonical},
		"escape":          {strings.Replace(good, `"read"`, `"r\u0065ad"`, 1), proof.ErrCanonical},
		"zone":            {strings.Replace(good, "000120Z", "000120+00:00", 1), proof.ErrCanonical},
		"short time":      {strings.Replace(good, "000120Z", "00012Z", 1), proof.ErrCanonical},
		"long time":       {strings.Replace(good, "000120Z", "0001200Z", 1), proof.ErrCanonical},
		"empty given":     {strings.Replace(good, `"acting_for":"NHFT"`, `"acting_for":""`, 1), proof.ErrCanonical},
		"null":            {strings.Replace(good, `"acting_for":"NHFT"`, `"acting_for":null`, 1), proof.ErrCanonical},
		"float":           {strings.Replace(good, `"v":1`, `"v":1.0`, 1), proof.ErrCanonical},
		"something after": {good + "{}", proof.ErrCanonical},
		"line feed":       {good + "\n", proof.ErrCanonical},
		"version 2":       {strings.Replace(good, `"v":1`, `"v":2`, 1), proof.ErrVersion},
		"no version":      {strings.Replace(good, `,"v":1`, ``, 1), proof.ErrVersion},
		"nothing":         {"", proof.ErrCanonical},
		"no id":           {strings.Replace(good, `"id":"6f3c1a52-9f0e-4a51-8d5b-0a4c2f7be001",`, "", 1), proof.ErrCanonical},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.doc == good {
				t.Fatal("the case changes nothing")
			}
			if _, err := proof.DecodeHeader([]byte(tc.doc)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*proof.Common){
		"not UTF-8":      func(c *proof.Common) { c.Reason = "a\xff" },
		"negative count": func(c *proof.Common) { c.Count = -1 },
		"odd key":        func(c *proof.Common) { c.Search = map[string]string{"Größe": "x"} },
		"level":          func(c *proof.Common) { c.Released = []proof.Terms{{Level: 9}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := sampleCommon()
			change(&c)
			if _, err := c.Encode(); err == nil {
				t.Error("encoded")
			}
		})
	}
}

func sampleEntry(t testing.TB) proof.Entry {
	t.Helper()
	private, key := sampleKey(t)
	header, common, subject := sampleHeader(t), sampleCommon(), sampleSubject()
	other := proof.Subject{Person: uuid.MustParse("aa3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc")}
	h, err1 := header.Encode()
	c, err2 := common.Encode()
	s, err3 := subject.Encode()
	o, err4 := other.Encode()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	e := proof.Entry{Header: h, Common: c, CommonSalt: seed(10), SubjectParts: [][]byte{s, o}, SubjectSalts: [][]byte{seed(11), seed(12)}}
	for _, d := range []proof.Digest{proof.CommitCommon(seed(10), c), proof.CommitSubject(seed(11), s), proof.CommitSubject(seed(12), o)} {
		e.Commitments = append(e.Commitments, d[:]...)
	}
	r := proof.SignReceipt(private, key.ID(), header.ID, header.Occurred, e.Leaf())
	e.Signature = r.Signature[:]
	return e
}

func TestEntry(t *testing.T) {
	t.Parallel()
	_, key := sampleKey(t)
	e := sampleEntry(t)
	leaf := e.Leaf()
	o, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Receipt.Verify(proof.NewKeys(key)); err != nil {
		t.Error(err)
	}
	if o.Common == nil || o.Common.Reason != sampleCommon().Reason || len(o.Subjects) != 2 {
		t.Errorf("opened %+v", o)
	}

	erased := sampleEntry(t)
	erased.SubjectParts[0], erased.SubjectSalts[0] = nil, nil
	erased.Common, erased.CommonSalt = nil, nil
	o, err = erased.Open()
	if err != nil {
		t.Fatal(err)
	}
	if o.Common != nil || o.Subjects[0] != nil || o.Subjects[1] == nil || erased.Leaf() != leaf {
		t.Error("erasing one person and the common part changed more than those")
	}
	if err := o.Receipt.Verify(proof.NewKeys(key)); err != nil {
		t.Errorf("receipt after erasure: %v", err)
	}
}

func TestEntryNamesTampering(t *testing.T) {
	t.Parallel()
	_, key := sampleKey(t)
	flip := func(b []byte) []byte { b = slices.Clone(b); b[len(b)/2] ^= 1; return b }
	for name, tc := range map[string]struct {
		change func(*proof.Entry)
		want   error
	}{
		"common":        {func(e *proof.Entry) { e.Common = flip(e.Common) }, proof.ErrCommitment},
		"common salt":   {func(e *proof.Entry) { e.CommonSalt = flip(e.CommonSalt) }, proof.ErrCommitment},
		"subject":       {func(e *proof.Entry) { e.SubjectParts[0] = flip(e.SubjectParts[0]) }, proof.ErrCommitment},
		"swapped":       {func(e *proof.Entry) { p := e.SubjectParts; p[0], p[1] = p[1], p[0] }, proof.ErrCommitment},
		"part, no salt": {func(e *proof.Entry) { e.SubjectSalts[0] = nil }, proof.ErrCommitment},
		"salt, no part": {func(e *proof.Entry) { e.SubjectParts[0] = nil }, proof.ErrCommitment},
		"one left out":  {func(e *proof.Entry) { e.SubjectParts, e.SubjectSalts = e.SubjectParts[:1], e.SubjectSalts[:1] }, proof.ErrForm},
		"no signature":  {func(e *proof.Entry) { e.Signature = nil }, proof.ErrForm},
		"commitment":    {func(e *proof.Entry) { e.Commitments = flip(e.Commitments) }, proof.ErrCommitment},
		"signature":     {func(e *proof.Entry) { e.Signature = flip(e.Signature) }, proof.ErrSignature},
		"both cut": {func(e *proof.Entry) {
			e.SubjectParts, e.SubjectSalts, e.Commitments = e.SubjectParts[:1], e.SubjectSalts[:1], e.Commitments[:64]
		}, proof.ErrSignature},
		"header": {func(e *proof.Entry) { e.Header = bytes.Replace(e.Header, []byte("NHFT"), []byte("MHFT"), 1) }, proof.ErrSignature},
		"time":   {func(e *proof.Entry) { e.Header = bytes.Replace(e.Header, []byte("09:30"), []byte("08:30"), 1) }, proof.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := sampleEntry(t)
			tc.change(&e)
			o, err := e.Open()
			if err == nil {
				err = o.Receipt.Verify(proof.NewKeys(key))
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	private, key := sampleKey(t)
	h := sampleHeader(t)
	r := proof.SignReceipt(private, key.ID(), h.ID, h.Occurred, digest(4))
	got, err := proof.ParseReceipt(r.String())
	if err != nil || cmp.Diff(r, got) != "" {
		t.Fatalf("%v %s", err, cmp.Diff(r, got))
	}
	if strings.ContainsAny(r.String(), " ,;\"\n") {
		t.Errorf("%q does not fit a header field", r.String())
	}
	if err := got.Verify(proof.NewKeys(key)); err != nil {
		t.Error(err)
	}
	if err := got.Verify(nil); !errors.Is(err, proof.ErrKey) {
		t.Errorf("unknown key: %v", err)
	}
	for name, change := range map[string]func(*proof.Receipt){
		"event": func(r *proof.Receipt) { r.Event[3] ^= 1 }, "time": func(r *proof.Receipt) { r.Occurred = r.Occurred.Add(time.Microsecond) },
		"leaf": func(r *proof.Receipt) { r.Leaf[0] ^= 1 }, "signature": func(r *proof.Receipt) { r.Signature[0] ^= 1 },
	} {
		x := r
		change(&x)
		if err := x.Verify(proof.NewKeys(key)); !errors.Is(err, proof.ErrSignature) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
	for _, text := range []string{"", "kith-receipt-1", r.String() + ".", r.String() + "A", strings.Replace(r.String(), "receipt-1", "receipt-2", 1), strings.ToUpper(r.String())} {
		if _, err := proof.ParseReceipt(text); !errors.Is(err, proof.ErrReceipt) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var none proof.Receipt
	if none.String() != "" || none.Verify(proof.NewKeys(key)) == nil {
		t.Error("the zero receipt is worth something")
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	_, key := sampleKey(t)
	got, err := proof.ParseKey(key.String())
	if err != nil || cmp.Diff(key, got) != "" {
		t.Errorf("%v %s", err, cmp.Diff(key, got))
	}
	for _, text := range []string{"", "hub-1", key.ID(), strings.Replace(key.String(), "hub-1", "hub-2", 1), key.String() + "A"} {
		if _, err := proof.ParseKey(text); !errors.Is(err, proof.ErrKey) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := proof.NewKey("Hub 1", key.Public); !errors.Is(err, proof.ErrKey) {
		t.Errorf("name with a blank: %v", err)
	}
	// Keys whose base64 holds a plus sign keep their id whole.
	for b := range byte(60) {
		k, err := proof.NewKey("hub-1", ed25519.NewKeyFromSeed(seed(b)).Public().(ed25519.PublicKey))
		if err != nil || !strings.HasPrefix(k.String(), k.ID()+"+") || len(k.ID()) != len("hub-1+01234567") {
			t.Fatalf("seed %d: id %q of %q (%v)", b, k.ID(), k, err)
		}
	}
}

func TestSealedInput(t *testing.T) {
	t.Parallel()
	s, err := proof.SealInput(seed(5), []byte("input"), []byte("decision"))
	if err != nil {
		t.Fatal(err)
	}
	h := proof.Header{Input: s.Input, Decision: s.Decision}
	if got, err := proof.OpenInput(s.Bytes, h); err != nil || string(got) != "input" {
		t.Errorf("%q %v", got, err)
	}
	if !proof.SameDecision(s.Bytes, []byte("decision"), h) || proof.SameDecision(s.Bytes, []byte("Decision"), h) || proof.SameDecision(s.Bytes, nil, h) {
		t.Error("the decision is not told from another")
	}
	for _, sealed := range [][]byte{nil, s.Bytes[:len(s.Bytes)-1], append([]byte{1}, s.Bytes[1:]...)} {
		if _, err := proof.OpenInput(sealed, h); !errors.Is(err, proof.ErrInput) {
			t.Errorf("%x opened: %v", sealed, err)
		}
	}
	if none, err := proof.SealInput(seed(5), nil, nil); err != nil || none.Bytes != nil || none.Input != (proof.Digest{}) {
		t.Errorf("nothing sealed gave %+v, %v", none, err)
	}
	if _, err := proof.SealInput(seed(5), nil, []byte("decision")); err == nil {
		t.Error("a decision without input was sealed")
	}
}

// A decoder accepts only what the encoder would write, whatever it is given.
func FuzzDecode(f *testing.F) {
	header, common, subject := sampleHeader(f), sampleCommon(), sampleSubject()
	for _, d := range []interface{ Encode() ([]byte, error) }{&header, &common, &subject} {
		b, err := d.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"v":1}`))
	f.Add([]byte(`{"v":1,"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		same := func(name string, b []byte, err error) {
			if err != nil || !bytes.Equal(b, data) {
				t.Errorf("%s: accepted %q but writes %q (%v)", name, data, b, err)
			}
			keysAscend(t, data)
		}
		if v, err := proof.DecodeHeader(data); err == nil {
			b, err := v.Encode()
			same("header", b, err)
		}
		if v, err := proof.DecodeCommon(data); err == nil {
			b, err := v.Encode()
			same("common", b, err)
		}
		if v, err := proof.DecodeSubject(data); err == nil {
			b, err := v.Encode()
			same("subject", b, err)
		}
	})
}

func FuzzParseReceipt(f *testing.F) {
	private, key := sampleKey(f)
	h := sampleHeader(f)
	f.Add(proof.SignReceipt(private, key.ID(), h.ID, h.Occurred, digest(4)).String())
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := proof.ParseReceipt(text); err == nil && r.String() != text {
			t.Errorf("accepted %q but writes %q", text, r)
		}
	})
}
