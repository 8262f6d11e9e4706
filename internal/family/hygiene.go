package family

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what one record may hold.
const (
	maximalWords  = 100       // an event in words
	maximalLabel  = 200       // ids, names of teams, labels
	maximalReason = 2000      // reasons, as in an answer's headers
	maximalText   = 256 << 10 // all content of one entry
	maximalDepth  = 8         // of lists and objects inside content
)

// Markings above OFFICIAL have no business here and are refused at the door
// (Government Security Classifications). In running text only the marking as
// it is stamped counts, in capitals: "he kept it secret" is ordinary.
var (
	markingInText  = regexp.MustCompile(`(^|[^\p{L}\p{N}])SECRET($|[^\p{L}\p{N}])`)
	markingInLabel = regexp.MustCompile(`(?i)(^|[^\p{L}\p{N}])secret($|[^\p{L}\p{N}])`)
	fieldName      = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	schemaForm     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}/[1-9][0-9]{0,3}$`)
	languageForm   = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)
)

const (
	ruleMarking = "carries a protective marking above OFFICIAL"
	ruleControl = "holds a line break, a control character or a direction mark"
)

// singleLine says what is wrong with a text that is a name or a label: line
// breaks forge lines in lists and logs, direction marks show another name than
// the one that is stored.
func singleLine(s string) string {
	if rule := cleanText(s); rule != "" {
		return rule
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || directionMark(r) }) {
		return ruleControl
	}
	return ""
}

// cleanText says what is wrong with a text of several lines.
func cleanText(s string) string {
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }) {
		return "holds a control character"
	}
	return ""
}

// directionMark tells the characters that turn the reading direction around.
func directionMark(r rune) bool {
	return r == '\u061c' || r == '\u200e' || r == '\u200f' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// label checks a short text on one line; required ones may not be blank.
func label(field, s string, required bool) error {
	switch {
	case required && strings.TrimSpace(s) == "":
		return &FieldError{field, "is missing"}
	case utf8.RuneCountInString(s) > maximalLabel:
		return &FieldError{field, fmt.Sprintf("is longer than %d characters", maximalLabel)}
	}
	if rule := singleLine(s); rule != "" {
		return &FieldError{field, rule}
	}
	return nil
}

// reasonText checks a reason given in words.
func reasonText(field, s string, required bool) error {
	switch {
	case required && strings.TrimSpace(s) == "":
		return &FieldError{field, "is missing"}
	case utf8.RuneCountInString(s) > maximalReason:
		return &FieldError{field, fmt.Sprintf("is longer than %d characters", maximalReason)}
	}
	if rule := cleanText(s); rule != "" {
		return &FieldError{field, rule}
	}
	if markingInText.MatchString(s) {
		return &FieldError{field, ruleMarking}
	}
	return nil
}

// oneOf checks a code against its closed list.
func oneOf(field, s string, known ...string) error {
	if !slices.Contains(known, s) {
		return &FieldError{field, "is none of " + strings.Join(known, ", ")}
	}
	return nil
}

// content checks the content of an entry. names tells that its texts are names
// and numbers of a person, each on one line.
func content(field string, body map[string]any, names bool) error {
	total := 0
	for _, name := range sortedKeys(body) {
		if !fieldName.MatchString(name) {
			// The name itself came from outside and is not repeated.
			return &FieldError{field, "has a field whose name is not lower-case letters, digits and underscores"}
		}
		n, err := value(field+"."+name, body[name], names, 0)
		if err != nil {
			return err
		}
		if total += n; total > maximalText {
			return &FieldError{field, "is longer than 256 KiB"}
		}
	}
	return nil
}

func value(field string, v any, names bool, depth int) (int, error) {
	if depth > maximalDepth {
		return 0, &FieldError{field, "is nested too deeply"}
	}
	switch v := v.(type) {
	case string:
		rule := cleanText(v)
		if names && rule == "" {
			rule = singleLine(v)
		}
		if rule == "" && markingInText.MatchString(v) {
			rule = ruleMarking
		}
		if rule == "" && isMarkingField(field) && markingInLabel.MatchString(v) {
			rule = ruleMarking
		}
		if rule != "" {
			return 0, &FieldError{field, rule}
		}
		return len(v), nil
	case nil, bool, float64, int, int64, json.Number:
		return 8, nil
	case []any:
		total := 0
		for _, item := range v {
			n, err := value(field, item, names, depth+1)
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	case []string:
		total := 0
		for _, item := range v {
			n, err := value(field, item, names, depth+1)
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	case map[string]any:
		total := 0
		for _, key := range sortedKeys(v) {
			if rule := singleLine(key); rule != "" {
				return 0, &FieldError{field, rule}
			}
			n, err := value(field, v[key], names, depth+1)
			if err != nil {
				return 0, err
			}
			total += n + len(key)
		}
		return total, nil
	default:
		return 0, &FieldError{field, "is of a kind that content cannot hold"}
	}
}

// isMarkingField tells fields that hold a marking, whatever the case of its letters.
func isMarkingField(field string) bool {
	return strings.HasSuffix(field, "marking") || strings.HasSuffix(field, "classification")
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
