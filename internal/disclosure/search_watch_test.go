package disclosure_test

import (
	"testing"

	"kith/internal/family"
)

// Who looks for somebody by a protected address finds nobody and learns
// nothing; whoever reviews accesses is told of the attempt.
func TestAttemptAtAProtectedAddressIsAlarmed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.exec(`UPDATE kith.protection SET since = current_date - 400 WHERE person IN (
	          SELECT m.person FROM kith.membership m WHERE m.family = $1 AND m.role = 'parent')`, h.story("fleeing"))
	count := func(sql string) (n int) {
		t.Helper()
		if err := h.admin.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	alerts := func() int { return count(`SELECT count(*) FROM kith.alert WHERE kind = 'protected-address'`) }
	usual := ""
	// An address of hers that is dated after the protection began counts as protected.
	if err := h.admin.QueryRow(t.Context(), `
SELECT k.value FROM kith.search_code k JOIN kith.entry_version v ON v.full_part = k.part AND v.latest AND v.section = 'usual-address'
  JOIN kith.entry_subject s ON s.version = v.id AND s.relation = 'about' JOIN kith.protection p ON p.person = s.person AND v.event_from >= p.since
 WHERE k.field = 'postcode' LIMIT 1`).Scan(&usual); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, as, purpose string
		terms             family.SearchTerms
		alarmed           bool
	}{
		{"a refuge's postcode", "social-worker", "FS", family.SearchTerms{Postcode: "sm1  4of"}, true},
		{"with other terms", "perpetrator-practitioner", "FS", family.SearchTerms{FamilyName: "Marsden", Postcode: "SM14OF"}, true},
		{"by whom it was granted to", "idva", "FS", family.SearchTerms{Postcode: "SM1 4OF"}, true},
		{"a placement's postcode", "social-worker", "LC", family.SearchTerms{Postcode: "DA2 7SC"}, true},
		{"an address since the protection began", "mash-officer", "FD", family.SearchTerms{Postcode: usual}, true},
		{"another postcode", "social-worker", "FS", family.SearchTerms{Postcode: "NB1 1AA"}, false},
		{"no postcode", "social-worker", "FS", family.SearchTerms{FamilyName: "Marsden"}, false},
	} {
		before := alerts()
		if v := h.find(c.as, c.purpose, c.terms); c.alarmed && len(v.People) != 0 {
			t.Errorf("%s: found %v", c.name, found(v))
		}
		want := before
		if c.alarmed {
			want++
		}
		if got := alerts(); got != want {
			t.Errorf("%s: %d alarms, want %d", c.name, got-before, want-before)
		}
	}
	if n := count(`SELECT count(*) FROM kith.alert a LEFT JOIN kith.access_event e ON e.id = a.event WHERE a.kind = 'protected-address' AND e.kind IS DISTINCT FROM 'search'`); n != 0 {
		t.Errorf("%d alarms without the search that they are about", n)
	}

	// The database compares for a committed search alone, and tells its app nothing.
	before := alerts()
	var answer *string
	if err := h.app.QueryRow(t.Context(), `SELECT kith.watch_search('northby', 'SM14OF', current_date)::text`).Scan(&answer); err != nil || answer != nil && *answer != "" {
		t.Errorf("answered %v, %v", answer, err)
	}
	if alerts() != before {
		t.Error("an alarm without an event of this connection")
	}
}
