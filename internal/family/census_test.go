package family

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// publicSample is the synthetic census that the issue names; it is not part of
// the repository.
func publicSample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "cin-census", "fake_CIN_data.xml"))
	if err != nil {
		t.Skipf("SKIPPED, THE PUBLIC CENSUS SAMPLE IS NOT HERE: %v", err)
	}
	return b
}

func readAll(t testing.TB, r io.Reader) ([]CensusChild, Census) {
	t.Helper()
	var all []CensusChild
	c, err := ReadCensus(r, func(c CensusChild) error {
		all = append(all, c)
		return nil
	})
	if err != nil {
		t.Fatalf("ReadCensus: %v", err)
	}
	return all, c
}

// aChild is a census of one child with this inside.
func aChild(inside string) string {
	return "<Message><Header><CollectionDetails><Collection>CIN</Collection><Year>2025</Year><ReferenceDate>2025-03-31</ReferenceDate></CollectionDetails></Header><Children><Child>" +
		inside + "</Child></Children></Message>"
}

const whoIsIt = "<ChildIdentifiers><LAchildID>A1</LAchildID><PersonBirthDate>2015-01-01</PersonBirthDate></ChildIdentifiers>"

func TestCensusSampleIsTakenWhole(t *testing.T) {
	t.Parallel()
	sample := publicSample(t)
	children, census := readAll(t, bytes.NewReader(sample))
	var episodes, open, begins, ends, conferences, dead int
	people, locals := make(map[string]bool), make(map[string]bool)
	for _, c := range children {
		if c.Refused != nil {
			t.Errorf("child %s at line %d: refused: %v", c.ID, c.Line, c.Refused)
		}
		if c.Records[0].Person == nil || c.Records[0].Person.LocalID != c.ID {
			t.Errorf("child %s: the first record is not the person", c.ID)
		}
		if raw := c.Records[0].Person.Raw; !bytes.HasPrefix(raw, []byte("<Child>")) || !bytes.HasSuffix(raw, []byte("</Child>")) || !bytes.Contains(sample, raw) {
			t.Errorf("child %s: not kept as sent", c.ID)
		}
		people[c.ID] = true
		for _, r := range c.Records {
			switch {
			case r.Episode != nil:
				episodes++
				if r.Episode.Until == "" {
					open++
				}
				locals[r.Episode.LocalID] = true
			case r.Entry != nil:
				locals[r.Entry.LocalID] = true
				if diff := cmp.Diff([]string{c.ID}, r.Entry.About); diff != "" || r.Entry.Mentions != nil {
					t.Errorf("entry %s names somebody else", r.Entry.LocalID)
				}
			}
		}
		for _, w := range c.Warnings {
			switch {
			case strings.HasSuffix(w, "CINreferralDate: "+afterDeath):
				dead++
			case strings.HasSuffix(w, "CINreferralDate: "+afterReference):
				begins++
			case strings.HasSuffix(w, "CINclosureDate: "+afterReference):
				ends++
			case strings.HasSuffix(w, "DateOfInitialCPC: "+afterReference):
				conferences++
			}
		}
	}
	records := 0
	for _, c := range children {
		records += len(c.Records)
	}
	type counts struct {
		Children, People, Episodes                  int
		AfterDeath, Begins, Ends, Conferences, Same int
		Year, Reference                             string
	}
	want := counts{
		Children: 332, People: 332, Episodes: 402, AfterDeath: 30, Begins: 8, Ends: 9, Conferences: 6,
		Same: records - 332, Year: "2022", Reference: "2022-07-21",
	}
	got := counts{len(children), len(people), episodes, dead, begins, ends, conferences, len(locals), census.Year, isoDay(census.Reference)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
	t.Logf("%d records, %d open episodes", records, open)
}

// The file of our own holds what the public sample lacks; its reading is
// compared line by line with testdata/cin-2025.golden.
func TestCensusOfOurOwn(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/cin-2025.xml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	children, _ := readAll(t, f)
	var got strings.Builder
	for _, c := range children {
		fmt.Fprintf(&got, "child %q line %d\n", c.ID, c.Line)
		if c.Refused != nil {
			fmt.Fprintf(&got, "\trefused: %v\n", c.Refused)
		}
		for _, w := range c.Warnings {
			fmt.Fprintf(&got, "\twarning: %s\n", w)
		}
		for _, r := range c.Records {
			fmt.Fprintf(&got, "\t%s\n", oneLine(t, r))
		}
	}
	golden(t, "testdata/cin-2025.golden", got.String())
}

func TestCensusTwiceIsTheSame(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/cin-2025.xml")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := readAll(t, bytes.NewReader(b))
	second, _ := readAll(t, bytes.NewReader(b))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two readings differ:\n%s", diff)
	}
	// Next year's file says the same of an old case under another reference
	// date: the records must meet again, date of import or file apart.
	later := bytes.Replace(b, []byte("<ReferenceDate>2025-03-31"), []byte("<ReferenceDate>2026-03-31"), 1)
	third, _ := readAll(t, bytes.NewReader(later))
	if diff := cmp.Diff(first[0].Records, third[0].Records); diff != "" {
		t.Errorf("the same child in next year's file differs:\n%s", diff)
	}
}

func TestCensusRefusesWithChildFieldAndRule(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, inside string
		want         FieldError
	}{
		{"no identifiers", "", FieldError{"ChildIdentifiers/LAchildID", "is missing"}},
		{"id with a line break", "<ChildIdentifiers><LAchildID>A&#10;B</LAchildID></ChildIdentifiers>", FieldError{"ChildIdentifiers/LAchildID", "is not 1 to 64 printable characters without spaces"}},
		{"no birth date", "<ChildIdentifiers><LAchildID>A1</LAchildID></ChildIdentifiers>", FieldError{"ChildIdentifiers/PersonBirthDate", "is missing, and so is ExpectedPersonBirthDate"}},
		{"a date in words", "<ChildIdentifiers><LAchildID>A1</LAchildID><PersonBirthDate>last May</PersonBirthDate></ChildIdentifiers>", FieldError{"ChildIdentifiers/PersonBirthDate", "is not a date (YYYY-MM-DD)"}},
		{"a day that no month has", whoIsIt + "<CINdetails><CINreferralDate>2024-02-30</CINreferralDate></CINdetails>", FieldError{"CINdetails/CINreferralDate", "is not a date (YYYY-MM-DD)"}},
		{"no referral date", whoIsIt + "<CINdetails/>", FieldError{"CINdetails/CINreferralDate", "is missing"}},
		{"which of two", whoIsIt + "<CINdetails><CINreferralDate>2024-02-03</CINreferralDate></CINdetails><CINdetails><CINreferralDate>2024-03-03</CINreferralDate><Section47/></CINdetails>", FieldError{"CINdetails[2]/Section47/S47ActualStartDate", "is missing"}},
		{"too large", whoIsIt + strings.Repeat("<x>"+strings.Repeat("y", 900)+"</x>", 1200), FieldError{"Child", "is larger than 1 MiB or 20 000 elements"}},
		{"too many", whoIsIt + strings.Repeat("<x/>", maxChildTags+1), FieldError{"Child", "is larger than 1 MiB or 20 000 elements"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			children, _ := readAll(t, strings.NewReader(aChild(tt.inside)))
			if len(children) != 1 {
				t.Fatalf("%d children, want 1", len(children))
			}
			if diff := cmp.Diff(&tt.want, children[0].Refused); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if children[0].Records != nil {
				t.Error("a refused child carries records")
			}
		})
	}
}

func TestCensusTakesWithWarning(t *testing.T) {
	t.Parallel()
	cin := func(inside string) string {
		return whoIsIt + "<CINdetails><CINreferralDate>2024-05-01</CINreferralDate>" + inside + "</CINdetails>"
	}
	tests := []struct{ name, inside, want string }{
		{"unknown element", whoIsIt + "<Hobbies><Hobby>chess</Hobby></Hobbies>", "Hobbies: is not known; passed over"},
		{"unknown element deep inside", cin("<Section47><S47ActualStartDate>2024-05-02</S47ActualStartDate><Mood>3</Mood></Section47>"), "CINdetails/Section47/Mood: is not known; passed over"},
		{"a name made to be read", whoIsIt + "<К>1</К>", "an element that is not known: passed over"},
		{"stray text", whoIsIt + "hello", "Child: stray text: passed over"},
		{"an open case in the future", cin("<CINclosureDate>2025-04-01</CINclosureDate>"), "CINdetails/CINclosureDate: is after the reference date"},
		{"closed before it began", cin("<CINclosureDate>2024-04-01</CINclosureDate>"), "CINdetails/CINclosureDate: is before CINreferralDate"},
		{"text for a code", cin("<PrimaryNeedCode>Jo Bloggs drinks</PrimaryNeedCode>"), "CINdetails/PrimaryNeedCode: is not a code; left out"},
		{"a factor of a later year", cin("<Assessments><AssessmentActualStartDate>2024-05-01</AssessmentActualStartDate><FactorsIdentifiedAtAssessment><AssessmentFactors>99Z</AssessmentFactors></FactorsIdentifiedAtAssessment></Assessments>"), "CINdetails/Assessments/FactorsIdentifiedAtAssessment/AssessmentFactors: is a code that is not in the list; kept without words"},
		{"neither yes nor no", cin("<ReferralNFA>perhaps</ReferralNFA>"), "CINdetails/ReferralNFA: is neither true nor false; left out"},
		{"two of one", cin("<CINclosureDate>2024-06-01</CINclosureDate><CINclosureDate>2024-07-01</CINclosureDate>"), "CINdetails/CINclosureDate: stands more than once; the first is taken"},
		{"sex and gender", "<ChildIdentifiers><LAchildID>A1</LAchildID><PersonBirthDate>2010-01-01</PersonBirthDate><Sex>F</Sex><GenderCurrent>1</GenderCurrent></ChildIdentifiers>", "ChildIdentifiers/Sex: differs from GenderCurrent; neither is taken"},
		{"dead before birth", "<ChildIdentifiers><LAchildID>A1</LAchildID><PersonBirthDate>2010-01-01</PersonBirthDate><PersonDeathDate>2009-01-01</PersonDeathDate></ChildIdentifiers>", "ChildIdentifiers/PersonDeathDate: is before the birth date; the child is not taken as dead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			children, _ := readAll(t, strings.NewReader(aChild(tt.inside)))
			c := children[0]
			if c.Refused != nil {
				t.Fatalf("refused: %v", c.Refused)
			}
			if !slices.Contains(c.Warnings, tt.want) {
				t.Errorf("warnings %q, want %q among them", c.Warnings, tt.want)
			}
		})
	}
}

// What a reader of the record must never see has a place of its own.
func TestCensusKeepsEarlierLifeApart(t *testing.T) {
	t.Parallel()
	children, _ := readAll(t, strings.NewReader(aChild(
		"<ChildIdentifiers><LAchildID>A1</LAchildID><UPN>T999200110015</UPN><FormerUPN>T999200110023</FormerUPN><PersonBirthDate>2015-01-01</PersonBirthDate></ChildIdentifiers>"+
			"<CINdetails><CINreferralDate>2024-05-01</CINreferralDate><CINclosureDate>2024-06-01</CINclosureDate><ReasonForClosure>RC1</ReasonForClosure></CINdetails>")))
	for _, r := range children[0].Records {
		line := oneLine(t, r)
		if strings.Contains(line, "T999200110023") && r.Entry.Section != "earlier-identity" {
			t.Errorf("former number in %s", r.Entry.Section)
		}
		if strings.Contains(line, "RC1") && r.Entry.Section != "adoption-links" {
			t.Errorf("adoption in %s", r.Entry.Section)
		}
	}
}

func TestCensusHostileFiles(t *testing.T) {
	t.Parallel()
	const inside = "<Message><Children></Children></Message>"
	bomb := `<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><Message><Children><Child><ChildIdentifiers><LAchildID>&b;</LAchildID></ChildIdentifiers></Child></Children></Message>`
	tests := []struct {
		name, file string
		want       error // nil: any error
	}{
		{"entity bomb", bomb, ErrDoctype},
		{"external entity", `<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + inside, ErrDoctype},
		{"external subset", `<!DOCTYPE Message SYSTEM "http://127.0.0.1/x.dtd">` + inside, ErrDoctype},
		{"doctype after the root", inside + "<!DOCTYPE Message>", ErrDoctype},
		{"an entity that nobody declared", aChild("<ChildIdentifiers><LAchildID>&x;</LAchildID></ChildIdentifiers>"), nil},
		{"another document", "<html></html>", ErrNotCensus},
		{"another collection", "<Message><Header><CollectionDetails><Collection>SSDA903</Collection></CollectionDetails></Header><Children/></Message>", ErrNotCensus},
		{"no children element", "<Message></Message>", ErrNotCensus},
		{"empty", "", ErrNotCensus},
		{"nothing but text", strings.Repeat("a", 1000), nil},
		{"deep", aChild(strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)), ErrXMLTooDeep},
		{"one endless text", aChild("<a>" + strings.Repeat("x", maxXMLToken+1) + "</a>"), ErrXMLTooLarge},
		{"one endless tag", aChild("<a " + strings.Repeat("x", maxXMLToken+1) + "='1'/>"), ErrXMLTooLarge},
		{"one endless comment", aChild("<!--" + strings.Repeat("x", maxXMLToken+1) + "-->"), ErrXMLTooLarge},
		{"another encoding", `<?xml version="1.0" encoding="UTF-16"?>` + inside, nil},
		{"cut short", aChild(whoIsIt)[:220], nil},
		{"wrong end", "<Message><Children></Message>", nil},
		{"not UTF-8", aChild("<a>\xff\xfe</a>"), nil},
		{"NUL", aChild("<a>\x00</a>"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadCensus(strings.NewReader(tt.file), func(CensusChild) error { return nil })
			if err == nil {
				t.Fatal("taken without an error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %q, want %q", err, tt.want)
			}
			if errors.Is(err, io.EOF) {
				t.Errorf("error %q reads as the end of the file", err)
			}
		})
	}
}

func TestCensusStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	_, err := ReadCensus(strings.NewReader(aChild(whoIsIt)), func(CensusChild) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want the one of yield", err)
	}
}

// endless makes a census of n bytes or a little more.
type endless struct {
	left, at int
	rest     []byte
	ended    bool
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		switch {
		case e.at == 0:
			e.rest = []byte("<Message><Children>")
		case e.left > 0:
			e.rest = fmt.Appendf(nil, "<Child><ChildIdentifiers><LAchildID>C%d</LAchildID><PersonBirthDate>2015-01-01</PersonBirthDate></ChildIdentifiers>%s</Child>\n", e.at,
				strings.Repeat("<CINdetails><CINreferralDate>2024-01-02</CINreferralDate><ReferralSource>6</ReferralSource></CINdetails>", 30))
		case !e.ended:
			e.ended = true
			e.rest = []byte("</Children></Message>")
		default:
			return 0, io.EOF
		}
		e.at++
	}
	n := copy(p, e.rest)
	e.rest, e.left = e.rest[n:], e.left-n
	return n, nil
}

// A file of 100 MB must take no more memory than a small one. Not parallel:
// it looks at the heap of the whole process.
func TestCensusMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100 MB")
	}
	var most uint64
	children := 0
	look := func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	look()
	before := most
	began := time.Now()
	_, err := ReadCensus(&endless{left: 100 << 20}, func(CensusChild) error {
		if children++; children%5000 == 0 {
			look()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d children, %.1f s, heap %.1f MiB above the start", children, time.Since(began).Seconds(), float64(most-before)/(1<<20))
	if children < 30_000 {
		t.Errorf("only %d children", children)
	}
	if most-before > 16<<20 {
		t.Errorf("the heap grew by %d MiB while 100 MiB were read", (most-before)>>20)
	}
}

func FuzzReadCensus(f *testing.F) {
	if b, err := os.ReadFile("testdata/cin-2025.xml"); err == nil {
		f.Add(b)
	}
	f.Add([]byte(aChild(whoIsIt)))
	f.Add([]byte(aChild(whoIsIt + "<CINdetails><CINreferralDate>0000-00-00</CINreferralDate></CINdetails>")))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a 'b'>]><Message/>"))
	f.Add([]byte("<a:Message xmlns:a='b'><Children><Child/></Children></a:Message>"))
	f.Add([]byte("\xEF\xBB\xBF<?xml version='1.0'?><Message><Children/></Message>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := ReadCensus(bytes.NewReader(b), func(c CensusChild) error {
			switch {
			case c.Refused != nil && c.Records != nil:
				t.Error("a refused child carries records")
			case c.Refused == nil && (c.ID == "" || len(c.Records) < 2 || c.Records[0].Person == nil):
				t.Error("a taken child has no id, person or identity")
			case c.Refused == nil && !bytes.Contains(b, c.Records[0].Person.Raw):
				t.Error("the bytes kept are not in the file")
			}
			for _, w := range c.Warnings {
				if strings.ContainsAny(w, "\n\r") {
					t.Errorf("warning of several lines: %q", w)
				}
			}
			for _, r := range c.Records {
				if e := r.Entry; e != nil && (len(e.About) != 1 || e.About[0] != c.ID || len(e.Mentions) > 0) {
					t.Error("an entry is about somebody else")
				}
			}
			return nil
		})
		if errors.Is(err, io.EOF) {
			t.Error("an error reads as the end of the file")
		}
	})
}
