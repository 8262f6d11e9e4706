package policy

import (
	"bufio"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// domainRow is one line of the default matrix as the domain's description has it.
type domainRow struct {
	section     string
	sensitivity int
	cells       map[string]string // by kind: "-FF", "X", "O", "G"
}

// domainMatrix reads the copy of that table in testdata.
func domainMatrix(t *testing.T) (kinds []string, rows []domainRow) {
	t.Helper()
	f, err := os.Open("testdata/domain-matrix.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "|") {
			continue
		}
		var columns []string
		for _, c := range strings.Split(strings.Trim(lines.Text(), "|"), "|") {
			columns = append(columns, strings.TrimSpace(c))
		}
		switch {
		case columns[0] == "Code":
			kinds = columns[3:]
		case strings.HasPrefix(columns[0], "`"):
			row := domainRow{section: strings.Trim(columns[0], "`"), cells: map[string]string{}}
			if row.sensitivity, err = strconv.Atoi(columns[2]); err != nil {
				t.Fatalf("%s: sensitivity: %v", row.section, err)
			}
			for i, c := range columns[3:] {
				row.cells[kinds[i]] = c
			}
			rows = append(rows, row)
		}
	}
	if len(kinds) != 10 || len(rows) != 37 {
		t.Fatalf("the table has %d kinds and %d sections, want 10 and 37", len(kinds), len(rows))
	}
	return kinds, rows
}

// want says in the matrix's words what a cell holds for a purpose.
func (r domainRow) want(t *testing.T, kind, purpose string) string {
	t.Helper()
	cell := r.cells[kind]
	words := map[byte]string{'F': "full", 'S': "summary", 'E': "existence", '-': "", 'X': "never", 'O': "own", 'G': "grant"}
	at := 0
	if len(cell) == 3 {
		at = map[string]int{"EH": 0, "FD": 0, "CN": 1, "FS": 1, "CP": 2}[purpose]
	} else if len(cell) != 1 {
		t.Fatalf("%s %s: cell %q", r.section, kind, cell)
	}
	word, ok := words[cell[at]]
	if !ok {
		t.Fatalf("%s %s: cell %q", r.section, kind, cell)
	}
	return word
}

// ceiling is the highest level that any row gives a kind for a purpose,
// whatever its conditions; "" where there is no row.
func ceiling(v *Version, kind, section, purpose string) string {
	p, _ := v.Purpose(purpose)
	letter := purpose
	if p.Letter != "" {
		letter = p.Letter
	}
	order := []string{"", "hidden", "existence", "summary", "full", "grant", "own", "never"}
	level := ""
	for _, r := range v.Matrix {
		if r.Section == section && r.To == kind && slices.Contains(r.Purposes, letter) &&
			slices.Index(order, r.Level) > slices.Index(order, level) {
			level = r.Level
		}
	}
	return level
}

func loadDefault(t *testing.T) *Version {
	t.Helper()
	v, err := Load(os.DirFS("../../policies/default"))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The shipped matrix says cell by cell what the domain's table says.
func TestDefaultMatrixIsTheDomains(t *testing.T) {
	t.Parallel()
	v := loadDefault(t)
	kinds, rows := domainMatrix(t)
	for _, row := range rows {
		for _, kind := range kinds {
			for _, purpose := range []string{"EH", "FD", "CN", "FS", "CP"} {
				got, want := ceiling(v, kind, row.section, purpose), row.want(t, kind, purpose)
				if got != want {
					t.Errorf("%s to %s under %s: %q, the domain says %q", row.section, kind, purpose, got, want)
				}
			}
		}
	}
}

// No row goes to anybody who is not a column of the table, and no section is
// missing or one too many.
func TestDefaultMatrixHasNothingElse(t *testing.T) {
	t.Parallel()
	v := loadDefault(t)
	kinds, rows := domainMatrix(t)
	for _, r := range v.Matrix {
		if !slices.Contains(kinds, r.To) {
			t.Errorf("%s has a row to %s, which is no column of the table", r.Section, r.To)
		}
	}
	var have, want []string
	for _, s := range v.Sections {
		have = append(have, s.Code)
	}
	for _, row := range rows {
		want = append(want, row.section)
	}
	slices.Sort(have)
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("sections (-domain +version):\n%s", diff)
	}
}

// What the table says of a section beside its cells stands in the catalogue.
func TestDefaultSectionsAreTheDomains(t *testing.T) {
	t.Parallel()
	v := loadDefault(t)
	kinds, rows := domainMatrix(t)
	for _, row := range rows {
		s, ok := v.Section(row.section)
		if !ok {
			t.Errorf("section %s is missing", row.section)
			continue
		}
		if s.Sensitivity != row.sensitivity {
			t.Errorf("%s has sensitivity %d, the domain says %d", s.Code, s.Sensitivity, row.sensitivity)
		}
		var owners []string
		never := true
		for _, kind := range kinds {
			switch row.cells[kind] {
			case "O":
				owners = append(owners, kind)
			case "X":
			default:
				never = false
			}
		}
		if diff := cmp.Diff(owners, s.Owners, cmp.Transformer("sorted", func(l []string) []string {
			return append([]string{}, slices.Sorted(slices.Values(l))...)
		})); diff != "" {
			t.Errorf("%s owners (-domain +version):\n%s", s.Code, diff)
		}
		if s.Never != never {
			t.Errorf("%s never is %v, the domain says %v", s.Code, s.Never, never)
		}
	}
}

// The purposes that are no column differ from the table as the domain says, and in nothing else.
func TestDefaultPurposeDeltas(t *testing.T) {
	t.Parallel()
	v := loadDefault(t)
	kinds, _ := domainMatrix(t)

	type cell struct{ section, to, level, conditions string }
	cells := func(purpose string) []cell {
		var list []cell
		for _, r := range v.Matrix {
			if slices.Contains(r.Purposes, purpose) && r.Level != "never" {
				list = append(list, cell{r.Section, r.To, r.Level, strings.Join(r.Conditions, " ")})
			}
		}
		slices.SortFunc(list, func(a, b cell) int {
			return strings.Compare(a.section+" "+a.to, b.section+" "+b.to)
		})
		return list
	}

	var marac []cell
	for _, section := range []string{"da-risk", "da-victim-safety", "family-links", "identity", "marac"} {
		for _, kind := range slices.Sorted(slices.Values(kinds)) {
			if kind == "DP" {
				continue // never sits on a MARAC
			}
			level := "full"
			switch section {
			case "da-victim-safety":
				level = "summary"
			case "identity", "family-links":
				level = ceiling(v, kind, section, "CN")
			}
			marac = append(marac, cell{section, kind, level, "marac-member"})
		}
	}
	if diff := cmp.Diff(marac, cells("MR"), cmp.AllowUnexported(cell{})); diff != "" {
		t.Errorf("MR (-domain +version):\n%s", diff)
	}

	encompass := []cell{
		{"identity", "SCH", "full", "named-lead about-child"},
		{"police-events", "SCH", "summary", "named-lead encompass-event"},
	}
	if diff := cmp.Diff(encompass, cells("OE"), cmp.AllowUnexported(cell{})); diff != "" {
		t.Errorf("OE (-domain +version):\n%s", diff)
	}

	if p, _ := v.Purpose("LC"); p.Letter != "CN" || !p.HidesClinical {
		t.Errorf("LC reads %q and hides clinical rows: %v; want CN, true", p.Letter, p.HidesClinical)
	}
	if p, _ := v.Purpose("FD"); p.Inside != "CN" {
		t.Errorf("FD inside the MASH reads %q, want CN", p.Inside)
	}
}

// Full of the workbook and of group supervision is for the family's own team.
func TestDefaultTeamSections(t *testing.T) {
	t.Parallel()
	for _, r := range loadDefault(t).Matrix {
		team := r.Section == "workbook" || r.Section == "group-supervision"
		if team && r.Level == "full" && !slices.Contains(r.Conditions, "family-team") {
			t.Errorf("%s to %s is full without the condition family-team", r.Section, r.To)
		}
		if r.Section == "police-intelligence-p" && r.Level == "summary" && !slices.Contains(r.Conditions, "handling-p") {
			t.Errorf("%s to %s without the condition handling-p", r.Section, r.To)
		}
		if r.Section == "police-events" && (r.Level == "full" || r.Level == "summary") && !slices.Contains(r.Masks, "caller") {
			t.Errorf("%s to %s shows who called", r.Section, r.To)
		}
		if r.To == "DP" && r.Section == "identity" && r.Level == "summary" &&
			(!slices.Contains(r.Masks, "nhs_number") || !slices.Contains(r.Masks, "upn")) {
			t.Error("identity to DP shows an official number")
		}
	}
}

// The copy in testdata is the table of the domain's description, where that is at hand.
func TestDomainMatrixIsCurrent(t *testing.T) {
	t.Parallel()
	domain, err := os.ReadFile("../../../shared/domain.md")
	if err != nil {
		t.Skipf("SKIPPED: the domain's description is not at hand: %v", err)
	}
	copied, err := os.ReadFile("testdata/domain-matrix.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(domain), strings.TrimSpace(string(copied))) {
		t.Error("testdata/domain-matrix.md is not the table of the domain's description")
	}
}
