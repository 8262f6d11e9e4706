package audit

import "strings"

// Cell keeps a spreadsheet from reading a value as a formula: what begins with
// one of these, white space or not, gets an apostrophe in front.
func Cell(v string) string {
	trimmed := strings.TrimLeft(v, " \u00a0\ufeff")
	if trimmed == "" {
		return v
	}
	switch first := []rune(trimmed)[0]; first {
	case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
		return "'" + v
	}
	return v
}
