package family

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update rewrites golden files: go test ./internal/family -run Own -update.
var update = flag.Bool("update", false, "rewrite the golden files of testdata")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update accepts):\n%s", file, diff)
	}
}

func oneLine(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type ndjsonLine struct {
	Record  Record
	Refused *FieldError
}

func readLines(t testing.TB, b []byte) []ndjsonLine {
	t.Helper()
	var lines []ndjsonLine
	err := ReadNDJSON(bytes.NewReader(b), func(r Record, refused *FieldError) error {
		lines = append(lines, ndjsonLine{r, refused})
		return nil
	})
	if err != nil {
		t.Fatalf("ReadNDJSON: %v", err)
	}
	return lines
}

func TestNDJSONExampleIsTakenWhole(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/example.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	sent := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines := readLines(t, b)
	if len(lines) != len(sent) {
		t.Fatalf("%d records from %d lines", len(lines), len(sent))
	}
	for i, l := range lines {
		if l.Refused != nil {
			t.Errorf("line %d: %v", i+1, l.Refused)
			continue
		}
		if l.Record.Line != i+1 {
			t.Errorf("line %d says it is line %d", i+1, l.Record.Line)
		}
		// What was read says what was sent; null stands for an absent list.
		var want, got any
		if err := errors.Join(json.Unmarshal([]byte(sent[i]), &want), json.Unmarshal([]byte(oneLine(t, l.Record)), &got)); err != nil {
			t.Fatal(err)
		}
		if entry, ok := got.(map[string]any)["entry"].(map[string]any); ok && entry["contains"] == nil {
			delete(entry, "contains")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("line %d (-sent +read):\n%s", i+1, diff)
		}
	}
	if p := lines[0].Record.Person; string(p.Raw) != sent[0] || p.MediaType != "application/json" {
		t.Error("the person is not kept as sent")
	}
}

func TestNDJSONRefusesALineAndGoesOn(t *testing.T) {
	t.Parallel()
	const good = `{"person": {"local_id": "P", "about": "child"}}`
	tests := []struct {
		name, line string
		want       FieldError
	}{
		{"not JSON", `{"person": `, FieldError{"line", "is not a JSON object"}},
		{"a list", `[]`, FieldError{"line", "is not a JSON object"}},
		{"a number", `7`, FieldError{"line", "is not a JSON object"}},
		{"two objects", good + good, FieldError{"line", "holds more than one JSON object"}},
		{"nothing inside", `{}`, FieldError{"line", "must hold exactly one of person, membership, relationship, alleged_harm, episode, involvement, told_and_agreed, entry, worker"}},
		{"null", `{"person": null}`, FieldError{"line", "must hold exactly one of person, membership, relationship, alleged_harm, episode, involvement, told_and_agreed, entry, worker"}},
		{"two inside", `{"person": {"local_id": "P"}, "episode": {"local_id": "E"}}`, FieldError{"line", "must hold exactly one of person, membership, relationship, alleged_harm, episode, involvement, told_and_agreed, entry, worker"}},
		{"unknown kind", `{"people": {}}`, FieldError{"people", "is not known"}},
		{"unknown field", `{"person": {"local_id": "P", "name": "Jo"}}`, FieldError{"name", "is not known"}},
		{"another case", `{"Person": {"local_id": "P"}}`, FieldError{"line", "has a name that is not known"}},
		{"another case inside", `{"person": {"LOCAL_ID": "P"}}`, FieldError{"person", "has a name that is not known"}},
		{"a letter that folds to another", `{"person": {"local_id": "P", "born\u017f": "x"}}`, FieldError{"person", "has a name that is not known"}},
		{"a name twice", `{"person": {"local_id": "P", "local_id": "Q"}}`, FieldError{"person.local_id", "stands more than once"}},
		{"a name twice in the content", `{"entry": {"local_id": "E", "content": {"text": "a", "text": "b"}}}`, FieldError{"entry.content", "stands more than once"}},
		{"a number for a text", `{"person": {"local_id": 7}}`, FieldError{"person.local_id", "must be a text"}},
		{"a text for a list", `{"entry": {"about": "P"}}`, FieldError{"entry.about", "must be a list"}},
		{"a number that would change", `{"entry": {"content": {"phone": 12345678901234567890}}}`, FieldError{"entry.content", "is a number of more than 15 characters; send it as text"}},
		{"too deep", `{"entry": {"content": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}}`, FieldError{"entry.content", "is nested deeper than 32"}},
		{"not UTF-8", "{\"person\": {\"local_id\": \"\xff\"}}", FieldError{"line", "is not UTF-8"}},
		{"too long", `{"person": {"local_id": "` + strings.Repeat("x", maxLine) + `"}}`, FieldError{"line", "is longer than 1 MiB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			lines := readLines(t, []byte(good+"\n\n"+tt.line+"\r\n"+good))
			if len(lines) != 3 {
				t.Fatalf("%d lines, want 3", len(lines))
			}
			if diff := cmp.Diff(&tt.want, lines[1].Refused); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if lines[1].Record.Line != 3 || lines[2].Record.Line != 4 || lines[2].Refused != nil {
				t.Errorf("lines %d and %d, the last refused: %v", lines[1].Record.Line, lines[2].Record.Line, lines[2].Refused)
			}
		})
	}
}

func TestNDJSONTaggedAndUntaggedDiffer(t *testing.T) {
	t.Parallel()
	lines := readLines(t, []byte(`{"entry": {"local_id": "1", "contains": []}}`+"\n"+`{"entry": {"local_id": "2"}}`))
	if lines[0].Record.Entry.Contains == nil || lines[1].Record.Entry.Contains != nil {
		t.Error("an empty list and an absent one read the same")
	}
}

func TestNDJSONLongestLine(t *testing.T) {
	t.Parallel()
	const head, tail = `{"entry": {"content": {"text": "`, `"}}}`
	line := head + strings.Repeat("x", maxLine-len(head)-len(tail)) + tail
	for _, end := range []string{"", "\n", "\r\n"} {
		if lines := readLines(t, []byte(line+end)); len(lines) != 1 || lines[0].Refused != nil {
			t.Errorf("a line of exactly 1 MiB with %q is refused: %v", end, lines[0].Refused)
		}
	}
}

func TestNDJSONStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	if err := ReadNDJSON(strings.NewReader("{}\n{}"), func(Record, *FieldError) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("error %v, want the one of yield", err)
	}
}

func FuzzReadNDJSON(f *testing.F) {
	if b, err := os.ReadFile("testdata/example.ndjson"); err == nil {
		f.Add(b)
	}
	f.Add([]byte("\xEF\xBB\xBF{\"person\": {\"local_id\": \"\u202e\"}}\n"))
	f.Add([]byte(`{"entry": {"content": {"a": [1e400, null, {"b": "\ud800"}]}}}`))
	f.Add([]byte("{}\r\n\n \n[]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		last := 0
		err := ReadNDJSON(bytes.NewReader(b), func(r Record, refused *FieldError) error {
			if r.Line <= last {
				t.Errorf("line %d after line %d", r.Line, last)
			}
			last = r.Line
			if refused != nil {
				if strings.ContainsAny(refused.Error(), "\n\r") {
					t.Errorf("refusal of several lines: %q", refused.Error())
				}
				return nil
			}
			if _, err := json.Marshal(r); err != nil {
				t.Errorf("line %d was taken and cannot be written: %v", r.Line, err)
			}
			return nil
		})
		if err != nil {
			t.Errorf("reading bytes from memory failed: %v", err)
		}
	})
}
