package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with the files of a version, in the words
// of whoever edits them: which file, which row, which column.
type Problem struct {
	File   string // matrix/mh-risk.yaml
	Line   int    // in the file; 0 where the file as a whole is meant
	Row    int    // of the list in that file, from 1; 0 where it is no list
	Column string // level, masks, …; "" where the row as a whole is meant
	Text   string
}

// String writes the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Row > 0 {
		fmt.Fprintf(&b, ": row %d", p.Row)
	}
	if p.Column != "" {
		fmt.Fprintf(&b, ": %s", p.Column)
	}
	return b.String() + ": " + p.Text
}

// LoadError holds everything that is wrong with a version, so that an officer
// mends all of it in one go.
type LoadError struct{ Problems []Problem }

// Error lists the problems, one a line.
func (e *LoadError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return "policy version is not valid:\n" + strings.Join(lines, "\n")
}

// maxFile is the size of one file; the largest that is shipped is 4 KiB.
const maxFile = 1 << 20

// Load reads the files of a policy version and checks all that can be checked
// without the kernel: see Version for the layout. It is strict, because a row
// that is read in another way than its author meant opens or shuts the wrong
// door: an unknown field or name, a stray file, a release without a clause or
// two rows for one cell are errors, reported together as a *LoadError. The
// digest is not set; local rules and stories are not looked at.
func Load(fsys fs.FS) (*Version, error) {
	l := &loader{fsys: fsys, roots: map[string]*yaml.Node{}}
	v := &Version{}

	var head struct {
		Name        string   `yaml:"name"`
		Partnership string   `yaml:"partnership"`
		Note        string   `yaml:"note"`
		Order       []string `yaml:"order"`
	}
	l.decode("version.yaml", &head)
	v.Name, v.Partnership, v.Note = head.Name, head.Partnership, head.Note

	var kinds struct {
		Kinds []Kind `yaml:"kinds"`
	}
	l.decode("kinds.yaml", &kinds)
	v.Kinds = kinds.Kinds

	var roles struct {
		Roles []Role `yaml:"roles"`
	}
	l.decode("roles.yaml", &roles)
	v.Roles = roles.Roles

	var purposes struct {
		Purposes []Purpose `yaml:"purposes"`
	}
	l.decode("purposes.yaml", &purposes)
	v.Purposes = purposes.Purposes

	for _, file := range l.folder("sections") {
		var s Section
		if l.decode(file, &s) {
			l.named(file, "code", s.Code)
			v.Sections = append(v.Sections, s)
		}
	}
	for _, file := range l.folder("agreements") {
		var a AgreementText
		if l.decode(file, &a) {
			l.named(file, "id", a.ID)
			v.Agreements = append(v.Agreements, a)
		}
	}
	var tables []table
	for _, file := range l.folder("matrix") {
		t := table{file: file}
		if l.decode(file, &t) {
			l.named(file, "section", t.Section)
			tables = append(tables, t)
		}
	}
	l.strays()

	// A file that could not be read would make every row that names what
	// stands in it look wrong: the first cause alone is told.
	if len(l.problems) == 0 {
		l.arrange(v, head.Order)
		c := check{loader: l, v: v}
		c.catalogue()
		c.agreements()
		c.matrix(tables)
	}
	if len(l.problems) > 0 {
		slices.SortStableFunc(l.problems, func(a, b Problem) int {
			if c := strings.Compare(a.File, b.File); c != 0 {
				return c
			}
			return a.Line - b.Line
		})
		return nil, &LoadError{Problems: l.problems}
	}
	return v, nil
}

// table is one file of the matrix.
type table struct {
	file    string
	Section string    `yaml:"section"`
	Rows    []fileRow `yaml:"rows"`
}

// fileRow is a Row as it stands in a file, where one line may serve several receivers.
type fileRow struct {
	To         receivers `yaml:"to"`
	Roles      []string  `yaml:"roles"`
	Purposes   []string  `yaml:"purposes"`
	Level      string    `yaml:"level"`
	Masks      []string  `yaml:"masks"`
	Conditions []string  `yaml:"conditions"`
	Clause     string    `yaml:"clause"`
	From       string    `yaml:"from"`
	Until      string    `yaml:"until"`
	Why        string    `yaml:"why"`
}

// expand gives one Row a receiver. The rows share nothing that one could change for the other.
func (r fileRow) expand(section string) []Row {
	rows := make([]Row, len(r.To))
	for i, to := range r.To {
		rows[i] = Row{
			Section: section, To: to,
			Roles: slices.Clone(r.Roles), Purposes: slices.Clone(r.Purposes),
			Level: r.Level, Masks: slices.Clone(r.Masks), Conditions: slices.Clone(r.Conditions),
			Clause: r.Clause, From: r.From, Until: r.Until, Why: r.Why,
		}
	}
	return rows
}

// receivers is one kind or agency, or a list of them.
type receivers []string

// UnmarshalYAML reads `to: MH` as well as `to: [MH, SM]`.
func (r *receivers) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*r = receivers{node.Value}
		return nil
	}
	var list []string
	if err := node.Decode(&list); err != nil {
		return err
	}
	*r = list
	return nil
}

// loader reads files and collects what is wrong with them.
type loader struct {
	fsys     fs.FS
	roots    map[string]*yaml.Node // by file, to find lines
	problems []Problem
}

func (l *loader) add(p Problem) { l.problems = append(l.problems, p) }

// decode reads one strict YAML document into out and tells whether it could.
func (l *loader) decode(file string, out any) bool {
	data, err := l.read(file)
	if err != nil {
		l.add(Problem{File: file, Text: err.Error()})
		return false
	}
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		l.add(Problem{File: file, Text: strings.TrimPrefix(err.Error(), "yaml: ")})
		return false
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		l.add(Problem{File: file, Text: "only one document may stand in a file"})
		return false
	}
	// An alias hides from the reader of a row what the row says.
	if node := firstAlias(&root); node != nil {
		l.add(Problem{File: file, Line: node.Line, Text: "aliases (*name) are not allowed: write it out"})
		return false
	}
	l.roots[file] = &root

	strict := yaml.NewDecoder(bytes.NewReader(data))
	strict.KnownFields(true)
	err = strict.Decode(out)
	if err == nil {
		return true
	}
	var wrong *yaml.TypeError
	if !errors.As(err, &wrong) {
		l.add(Problem{File: file, Text: strings.TrimPrefix(err.Error(), "yaml: ")})
		return false
	}
	for _, text := range wrong.Errors {
		l.add(typeProblem(file, text))
	}
	return false
}

func (l *loader) read(file string) ([]byte, error) {
	f, err := l.fsys.Open(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, errors.New("the file is missing")
		}
		return nil, fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	return data, nil
}

var (
	lineText     = regexp.MustCompile(`^line (\d+): (.*)$`)
	unknownField = regexp.MustCompile(`^field (\S+) not found in type .*$`)
	wrongType    = regexp.MustCompile("^cannot unmarshal \\S+ (`.*` )?into .*$")
)

// typeProblem turns the decoder's words into ours; Go's types mean nothing to an officer.
func typeProblem(file, text string) Problem {
	p := Problem{File: file, Text: text}
	if m := lineText.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		p.Text = m[2]
	}
	if m := unknownField.FindStringSubmatch(p.Text); m != nil {
		p.Column, p.Text = m[1], "unknown field"
	} else if m := wrongType.FindStringSubmatch(p.Text); m != nil {
		p.Text = "wrong kind of value " + strings.TrimSpace(m[1])
	}
	return p
}

// folder lists the YAML files of a folder; anything else in it is an error,
// since a file that is not read is a rule that somebody believes in.
func (l *loader) folder(name string) []string {
	list, err := fs.ReadDir(l.fsys, name)
	if err != nil {
		l.add(Problem{File: name, Text: "the folder is missing"})
		return nil
	}
	var files []string
	for _, f := range list {
		file := path.Join(name, f.Name())
		if f.IsDir() || path.Ext(f.Name()) != ".yaml" {
			l.add(Problem{File: file, Text: "only .yaml files belong in this folder"})
			continue
		}
		files = append(files, file)
	}
	return files
}

// named checks that a file bears the name of what stands in it.
func (l *loader) named(file, column, code string) {
	if want := strings.TrimSuffix(path.Base(file), ".yaml"); code != want {
		l.add(Problem{File: file, Line: l.line(file, column), Column: column,
			Text: fmt.Sprintf("is %q, but the file's name says %q", code, want)})
	}
}

// strays reports what stands beside the known files and folders.
func (l *loader) strays() {
	known := []string{"version.yaml", "kinds.yaml", "roles.yaml", "purposes.yaml",
		"sections", "agreements", "matrix", "local", "stories", "README.md"}
	list, err := fs.ReadDir(l.fsys, ".")
	if err != nil {
		l.add(Problem{File: ".", Text: err.Error()})
		return
	}
	for _, f := range list {
		if !slices.Contains(known, f.Name()) {
			l.add(Problem{File: f.Name(), Text: "does not belong in a policy version"})
		}
	}
}

// arrange puts the sections in the order of version.yaml, the rest after them by name.
func (l *loader) arrange(v *Version, order []string) {
	rank := map[string]int{}
	for i, code := range order {
		_, known := v.Section(code)
		_, twice := rank[code]
		switch {
		case !known:
			l.add(Problem{File: "version.yaml", Line: l.line("version.yaml", "order", i), Column: "order",
				Text: fmt.Sprintf("unknown section %q", code)})
		case twice:
			l.add(Problem{File: "version.yaml", Line: l.line("version.yaml", "order", i), Column: "order",
				Text: fmt.Sprintf("section %q stands twice", code)})
		}
		rank[code] = i - len(order)
	}
	slices.SortStableFunc(v.Sections, func(a, b Section) int { return rank[a.Code] - rank[b.Code] })
}

// line finds the line of a place in a file: keys of mappings and indexes of
// lists, from the top. It is the line of the last step that exists.
func (l *loader) line(file string, steps ...any) int {
	node := l.roots[file]
	if node == nil {
		return 0
	}
	if node.Kind == yaml.DocumentNode && len(node.Content) > 0 {
		node = node.Content[0]
	}
	for _, step := range steps {
		next := child(node, step)
		if next == nil {
			break
		}
		node = next
	}
	return node.Line
}

func child(node *yaml.Node, step any) *yaml.Node {
	switch step := step.(type) {
	case string:
		if node.Kind != yaml.MappingNode {
			return nil
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1]
			}
		}
	case int:
		if node.Kind == yaml.SequenceNode && step >= 0 && step < len(node.Content) {
			return node.Content[step]
		}
	}
	return nil
}

func firstAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node
	}
	for _, c := range node.Content {
		if found := firstAlias(c); found != nil {
			return found
		}
	}
	return nil
}
