package policy

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// copyDefault gives the shipped version as files in memory that a test may change.
func copyDefault(t *testing.T) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{}
	root := os.DirFS("../../policies/default")
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		files[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// problems loads the files and gives what is wrong with them, one line each.
func problems(t *testing.T, files fstest.MapFS) []string {
	t.Helper()
	v, err := Load(files)
	if err == nil {
		return nil
	}
	if v != nil {
		t.Error("a version that is not valid was given out")
	}
	var wrong *LoadError
	if !errors.As(err, &wrong) {
		t.Fatalf("not a LoadError: %v", err)
	}
	var lines []string
	for _, p := range wrong.Problems {
		lines = append(lines, p.String())
	}
	return lines
}

// Each change to the shipped files is refused, in words that name file, row and column.
func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const risk = "matrix/mh-risk.yaml"
	const row = "\n  - {to: HV, purposes: [EH], level: summary, clause: isa-family-safeguarding 4.5}\n"
	with := func(old, new string) string { return strings.Replace(row, old, new, 1) }

	tests := []struct {
		name, file string
		old, new   string // old "" appends
		want       []string
	}{
		{"unknown field in a row", risk, "", with("level:", "levle:"), []string{risk, "levle: unknown field"}},
		{"unknown receiver", risk, "", with("to: HV", "to: GPS"), []string{risk, "row ", "to: unknown kind or agency \"GPS\""}},
		{"receiver twice", risk, "", with("to: HV", "to: [HV, HV]"), []string{risk, "to: \"HV\" stands twice"}},
		{"nobody", risk, "", with("to: HV", "to: []"), []string{risk, "to: is missing"}},
		{"kind without records", risk, "", with("to: HV", "to: HUB"), []string{risk, "HUB opens no records"}},
		{"unknown purpose", risk, "", with("[EH]", "[XX]"), []string{risk, "purposes: unknown purpose \"XX\""}},
		{"no purpose", risk, "", with("[EH]", "[]"), []string{risk, "purposes: is missing"}},
		{"purpose that reads another's rows", risk, "", with("[EH]", "[FS]"), []string{risk, "FS has no rows of its own: it reads those of CN"}},
		{"purpose without records", risk, "", with("[EH]", "[AU]"), []string{risk, "AU opens no records"}},
		{"emergency row", risk, "", with("[EH]", "[VI]"), []string{risk, "VI has no rows"}},
		{"unknown level", risk, "", with("summary", "all"), []string{risk, "level: unknown \"all\""}},
		{"no level", risk, "", with("level: summary, ", ""), []string{risk, "level: unknown \"\""}},
		{"no clause", risk, "", with(", clause: isa-family-safeguarding 4.5", ""), []string{risk, "clause: is missing"}},
		{"clause on a hidden row", risk, "", with("summary", "hidden"), []string{risk, "clause: a row that is hidden releases nothing"}},
		{"unknown agreement", risk, "", with("isa-family-safeguarding", "isa-nobody"), []string{risk, "unknown agreement \"isa-nobody\""}},
		{"unknown clause", risk, "", with("4.5", "9.9"), []string{risk, "has no clause \"9.9\""}},
		{"malformed clause", risk, "", with("isa-family-safeguarding 4.5", "isa-family-safeguarding"), []string{risk, "is not \"agreement number\""}},
		{"agreement that does not cover", risk, "", with("isa-family-safeguarding 4.5", "isa-marac 2.1"), []string{risk, "isa-marac does not cover EH"}},
		{"agreement that does not cover a purpose that reads the row", risk, "  - {to: [DV, HV], purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}",
			"  - {to: [DV, HV], purposes: [CN], level: summary, clause: isa-mash 3.1}", []string{risk, "isa-mash does not cover FS", "isa-mash does not cover LC"}},
		{"unknown mask", risk, "", with("summary,", "summary, masks: [phone],"), []string{risk, "masks: unknown field \"phone\""}},
		{"mask on existence", risk, "", with("summary,", "existence, masks: [parenting],"), []string{risk, "masks: a row that is existence shows no fields"}},
		{"unknown condition", risk, "", with("summary,", "summary, conditions: [full-moon],"), []string{risk, "conditions: unknown condition \"full-moon\""}},
		{"conditions that never hold together", risk, "", with("summary,", "summary, conditions: [under-16, told, from-18],"), []string{risk, "conditions: from-18 and under-16 never hold together"}},
		{"told and not told", risk, "", with("summary,", "summary, conditions: [told, not-told-with-reason],"), []string{risk, "not-told-with-reason and told never hold together"}},
		{"condition on a never row", risk, "", "\n  - {to: DP, purposes: [EH], level: never, conditions: [handling-p]}\n", []string{risk, "a row that is never holds always"}},
		{"unknown role", risk, "", with("purposes", "roles: [wizard], purposes"), []string{risk, "roles: unknown role \"wizard\""}},
		{"role of another kind", risk, "", with("purposes", "roles: [detective], purposes"), []string{risk, "nobody of HV can be \"detective\""}},
		{"role without records", risk, "", with("purposes", "roles: [ig-author], purposes"), []string{risk, "\"ig-author\" may not open records"}},
		{"own for no owner", risk, "", "\n  - {to: DP, purposes: [EH], level: own}\n", []string{risk, "DP is no owner of mh-risk"}},
		{"dates backwards", risk, "", with("level:", "from: 2026-05-01, until: 2026-04-01, level:"), []string{risk, "until: lies before"}},
		{"no day", risk, "", with("level:", "from: 2026-02-30, level:"), []string{risk, "from: \"2026-02-30\" is no day"}},
		{"row twice", risk, "", "\n  - {to: PRB, purposes: [CP], level: full, clause: isa-family-safeguarding 4.5}\n", []string{risk, "PRB for CP stands already in row"}},
		{"row against a never row", "matrix/marac.yaml", "", "\n  - {to: DP, purposes: [MR], level: full, conditions: [marac-member], clause: isa-marac 2.1}\n", []string{"matrix/marac.yaml", "DP for MR contradicts row"}},
		{"release of what is never shown", "matrix/therapy-notes.yaml", "level: never", "level: full, clause: isa-family-safeguarding 4.5", []string{"matrix/therapy-notes.yaml", "therapy-notes is never shown"}},
		{"section of another name", risk, "section: mh-risk", "section: mh-clinical", []string{risk, "section: is \"mh-clinical\", but the file's name says \"mh-risk\""}},

		{"unknown wall", "kinds.yaml", "plain: false, wall: always", "plain: false, wall: sometimes", []string{"kinds.yaml", "wall: unknown \"sometimes\""}},
		{"kind twice", "kinds.yaml", "code: SM", "code: MH", []string{"kinds.yaml", "code: \"MH\" stands twice"}},
		{"unknown involvement", "kinds.yaml", "involvement: mh-involvement", "involvement: mh-secret", []string{"kinds.yaml", "unknown section \"mh-secret\""}},
		{"role of an unknown kind", "roles.yaml", "kinds: [DV]", "kinds: [DVX]", []string{"roles.yaml", "unknown kind \"DVX\""}},
		{"MASH role without records", "roles.yaml", "kinds: [CSC], records: true, mash: true", "kinds: [CSC], mash: true", []string{"roles.yaml", "a MASH role must open records"}},
		{"purpose for a role without records", "purposes.yaml", "roles: [safeguarding-lead]", "roles: [admin]", []string{"purposes.yaml", "\"admin\" may not open records"}},
		{"unknown relationship", "purposes.yaml", "relationship: mash-role", "relationship: anyone", []string{"purposes.yaml", "relationship: unknown \"anyone\""}},
		{"unknown open work", "purposes.yaml", "open_work: [care]", "open_work: [cuddles]", []string{"purposes.yaml", "unknown open work \"cuddles\""}},
		{"emergency without a clause", "purposes.yaml", "    clause: isa-overarching 6.1\n", "", []string{"purposes.yaml", "clause: is missing"}},
		{"emergency without a reason", "purposes.yaml", "reason: always", "reason: \"no\"", []string{"purposes.yaml", "must be always for emergency access"}},
		{"purpose without a basis", "purposes.yaml", "    basis:\n      - Victims and Prisoners Act 2024\n", "", []string{"purposes.yaml", "basis: is missing"}},
		{"letter of a letter", "purposes.yaml", "inside: CN", "inside: FS", []string{"purposes.yaml", "inside: FS has no rows of its own"}},
		{"sensitivity", "sections/education.yaml", "sensitivity: 1", "sensitivity: 5", []string{"sections/education.yaml", "5 is not between 1 and 4"}},
		{"field twice", "sections/education.yaml", "name: attendance,", "name: school,", []string{"sections/education.yaml", "row 2: name: \"school\" stands twice"}},
		{"unknown type", "sections/education.yaml", "type: number", "type: blob", []string{"sections/education.yaml", "type: unknown \"blob\""}},
		{"schema of another section", "sections/education.yaml", "schema: education/1", "schema: housing/1", []string{"sections/education.yaml", "schema: "}},
		{"narrative cut into a summary", "sections/childs-story.yaml", "lives through\", type: text", "lives through\", type: text, summary: true", []string{"sections/childs-story.yaml", "somebody writes one"}},
		{"agreement with dates backwards", "agreements/isa-mash.yaml", "end: 2029-03-31", "end: 2026-03-31", []string{"agreements/isa-mash.yaml", "end: lies before"}},
		{"agreement party twice", "agreements/isa-mash.yaml", "agency: SM", "agency: MH", []string{"agreements/isa-mash.yaml", "agency: \"MH\" stands twice"}},
		{"agreement clause twice", "agreements/isa-mash.yaml", `no: "3.2"`, `no: "3.1"`, []string{"agreements/isa-mash.yaml", "no: \"3.1\" stands twice"}},
		{"agreement for an unknown purpose", "agreements/isa-mash.yaml", "purposes: [FD]", "purposes: [FD, ZZ]", []string{"unknown purpose \"ZZ\""}},
		{"unknown section in the order", "version.yaml", "childs-story,", "childs-storey,", []string{"version.yaml", "unknown section \"childs-storey\""}},
		{"no partnership", "version.yaml", "partnership: northby", "", []string{"version.yaml", "partnership: is missing"}},

		{"key twice", "version.yaml", "name: default", "name: default\nname: other", []string{"version.yaml", "already defined"}},
		{"alias", "version.yaml", "name: default", "name: &a default\nnote2: *a", []string{"version.yaml", "aliases"}},
		{"second document", "version.yaml", "", "\n---\nname: other\n", []string{"version.yaml", "only one document"}},
		{"not YAML", "kinds.yaml", "", "\n\t{{{", []string{"kinds.yaml"}},
		{"list for a word", "version.yaml", "name: default", "name: [a, b]", []string{"version.yaml:", "wrong kind of value"}},
		{"stray file", "exceptions.yaml", "", "rows: []", []string{"exceptions.yaml: does not belong"}},
		{"stray file in a folder", "matrix/mh-risk.yml", "", "rows: []", []string{"matrix/mh-risk.yml: only .yaml files"}},
		{"empty file", "matrix/empty.yaml", "", "", []string{"matrix/empty.yaml: the file is empty"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			files := copyDefault(t)
			var before string
			if f := files[test.file]; f != nil {
				before = string(f.Data)
			}
			after := before + test.new
			if test.old != "" {
				if after = strings.Replace(before, test.old, test.new, 1); after == before {
					t.Fatalf("%s does not hold %q", test.file, test.old)
				}
			}
			files[test.file] = &fstest.MapFile{Data: []byte(after)}
			got := strings.Join(problems(t, files), "\n")
			if got == "" {
				t.Fatal("loaded")
			}
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("the problems do not say %q:\n%s", want, got)
				}
			}
			if strings.Contains(got, "policy.") {
				t.Errorf("the problems speak of Go's types:\n%s", got)
			}
		})
	}
}

// An agency by its own code receives only under an agreement that it is a party of.
func TestLoadRefusesAgencyThatIsNoParty(t *testing.T) {
	t.Parallel()
	const row = "\n  - {to: SCH2, purposes: [EH], level: summary, clause: isa-family-safeguarding 4.9}\n"
	files := copyDefault(t)
	files["matrix/housing.yaml"].Data = append(files["matrix/housing.yaml"].Data, row...)
	if got := problems(t, files); got != nil {
		t.Fatalf("a row to an agency that is a party has problems: %q", got)
	}
	agreement := files["agreements/isa-family-safeguarding.yaml"]
	agreement.Data = []byte(strings.Replace(string(agreement.Data), "agency: SCH2", "agency: SCH3", 1))
	got := strings.Join(problems(t, files), "\n")
	if !strings.Contains(got, "clause: SCH2 is no party of isa-family-safeguarding") {
		t.Errorf("problems: %s", got)
	}
}

// A missing file is told; a section without a table is not taken for one that nobody receives.
func TestLoadMissing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"version.yaml", "kinds.yaml", "roles.yaml", "purposes.yaml", "matrix/education.yaml"} {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			files := copyDefault(t)
			delete(files, name)
			got := strings.Join(problems(t, files), "\n")
			if !strings.Contains(got, name+": the file is missing") {
				t.Errorf("problems: %s", got)
			}
		})
	}
	if got := problems(t, fstest.MapFS{}); len(got) < 5 {
		t.Errorf("an empty folder has problems %q", got)
	}
}

// All problems are told at once, each with its place, in the order of the files.
func TestLoadTellsAll(t *testing.T) {
	t.Parallel()
	files := copyDefault(t)
	files["matrix/housing.yaml"] = &fstest.MapFile{Data: []byte("section: housing\nrows:\n" +
		"  - {to: CSC, purposes: [EH], level: summary, clause: isa-family-safeguarding 4.11}\n" +
		"  - to: XYZ\n    purposes: [QQ]\n    level: most\n")}
	files["kinds.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(files["kinds.yaml"].Data), "false, wall: always", "false, wall: maybe", 1))}
	got := problems(t, files)
	want := []string{
		`kinds.yaml:16: row 5: wall: unknown "maybe": one of always, by-client, never`,
		`matrix/housing.yaml:4: row 2: to: unknown kind or agency "XYZ"`,
		`matrix/housing.yaml:5: row 2: purposes: unknown purpose "QQ"`,
		`matrix/housing.yaml:6: row 2: level: unknown "most": one of full, summary, existence, hidden, grant, own, never`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// One line for several receivers is one row for each of them.
func TestLoadExpandsReceivers(t *testing.T) {
	t.Parallel()
	v := loadDefault(t)
	levels := map[string]string{}
	for _, r := range v.Matrix {
		if r.Section == "mh-risk" && slices.Contains(r.Purposes, "CN") {
			levels[r.To] = r.Level + " " + r.Clause
		}
	}
	want := map[string]string{
		"MH": "own ", "CSC": "full isa-family-safeguarding 4.5", "SM": "full isa-family-safeguarding 4.5",
		"DV": "summary isa-family-safeguarding 4.5", "HV": "summary isa-family-safeguarding 4.5", "PRB": "summary isa-family-safeguarding 4.5",
	}
	if !maps.Equal(levels, want) {
		t.Errorf("mh-risk under CN is %v, want %v", levels, want)
	}
}

// The order of the parts of the record is the version's: the child's story comes first.
func TestLoadOrder(t *testing.T) {
	t.Parallel()
	if first := loadDefault(t).Sections[0].Code; first != "childs-story" {
		t.Errorf("the first section is %q", first)
	}
}

// Whatever is written into a file of the matrix, loading ends without a panic
// and gives a version or a list of problems, never both.
func FuzzLoadMatrix(f *testing.F) {
	seed, err := os.ReadFile("../../policies/default/matrix/police-events.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("section: police-events\nrows: []\n"))
	f.Add([]byte("section: [\nrows: {a: &a [*a]}"))
	f.Add([]byte("rows:\n- to: {a: b}\n- null\n- 3\n"))
	root := os.DirFS("../../policies/default")
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Load(overlay{root, "matrix/police-events.yaml", data})
		if (v == nil) == (err == nil) {
			t.Errorf("version %v, error %v", v != nil, err)
		}
	})
}

// overlay is a file system in which one file has another content.
type overlay struct {
	fs.FS
	name string
	data []byte
}

func (o overlay) Open(name string) (fs.File, error) {
	if name == o.name {
		return fstest.MapFS{name: {Data: o.data}}.Open(name)
	}
	return o.FS.Open(name)
}
