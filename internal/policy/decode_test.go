package policy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// sameAsJSON compares an engine value with the JSON form of what it was made of.
func sameAsJSON(value ast.Value, of any) error {
	encoded, err := json.Marshal(of)
	if err != nil {
		return err
	}
	parsed, err := ast.ValueFromReader(strings.NewReader(string(encoded)))
	if err != nil {
		return err
	}
	if value.Compare(parsed) != 0 {
		return fmt.Errorf("the engine reads\n%s\nand the record holds\n%s", value, parsed)
	}
	return nil
}

// An answer that is not understood denies: an obligation that nobody knows is
// one that nobody keeps.
func TestDecodeIsStrict(t *testing.T) {
	t.Parallel()
	a := compileDefault(t)
	in := Input{Tuples: []Tuple{{Section: "police-events"}}}
	const entry = `{"allow": true, "children": ["kim"], "entries": [%s]}`
	good := fmt.Sprintf(entry, `{"level": "full", "part": "full", "masked": ["caller"], "labels": ["onward"]}`)
	if d, err := a.decode(ast.MustParseTerm(good).Value, in); err != nil || d.Entries[0].Level != Full {
		t.Fatalf("got %+v, %v", d, err)
	}
	for name, answer := range map[string]string{
		"not an object":        `[]`,
		"unknown key":          `{"allow": false, "refusal": "role", "entires": []}`,
		"unknown refusal":      `{"allow": false, "refusal": "maybe"}`,
		"no refusal":           `{"allow": false}`,
		"could not decide":     `{"allow": false, "refusal": "policy-error"}`,
		"allowed with refusal": `{"allow": true, "refusal": "role", "children": ["kim"], "entries": [{"level": "hidden"}]}`,
		"for nobody":           `{"allow": true, "children": [], "entries": [{"level": "hidden"}]}`,
		"too few entries":      `{"allow": true, "children": ["kim"], "entries": []}`,
		"too many entries":     fmt.Sprintf(entry, `{"level": "hidden"}, {"level": "hidden"}`),
		"entries in a set":     `{"allow": true, "children": ["kim"], "entries": {{"level": "hidden"}}}`,
		"unknown level":        fmt.Sprintf(entry, `{"level": "most"}`),
		"no level":             fmt.Sprintf(entry, `{}`),
		"level as a number":    fmt.Sprintf(entry, `{"level": 3}`),
		"unknown entry key":    fmt.Sprintf(entry, `{"level": "full", "part": "full", "redact": ["caller"]}`),
		"unknown mask":         fmt.Sprintf(entry, `{"level": "full", "part": "full", "masked": ["colour"]}`),
		"unknown label":        fmt.Sprintf(entry, `{"level": "full", "part": "full", "labels": ["secret"]}`),
		"part above level":     fmt.Sprintf(entry, `{"level": "summary", "part": "full"}`),
		"hidden with a part":   fmt.Sprintf(entry, `{"level": "hidden", "part": "full"}`),
		"existence, no holder": fmt.Sprintf(entry, `{"level": "existence"}`),
		"holder of the hidden": fmt.Sprintf(entry, `{"level": "hidden", "holder": true}`),
		"named, no holder":     fmt.Sprintf(entry, `{"level": "full", "part": "full", "named": true}`),
		"hidden by a clause":   fmt.Sprintf(entry, `{"level": "hidden", "clauses": ["isa cl. 1"]}`),
		"flag as text":         `{"allow": "true", "children": ["kim"], "entries": [{"level": "hidden"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := a.decode(ast.MustParseTerm(answer).Value, in)
			if err == nil || d.Allow || d.Entries != nil {
				t.Errorf("got %+v, %v", d, err)
			}
		})
	}
}
