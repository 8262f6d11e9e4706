package family

// FieldError refuses one record. It names the field and the rule, never the
// value: the text goes into reports and logs.
type FieldError struct {
	Field string // "entry.section", "CINdetails[2]/CINreferralDate"
	Rule  string // "is not a date (YYYY-MM-DD)"
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Rule }
