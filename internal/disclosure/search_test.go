package disclosure_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/family"
)

// find searches as one of the demo's people.
func (h *hub) find(as, purpose string, terms family.SearchTerms) disclosure.SearchView {
	h.t.Helper()
	view, err := h.search(as, purpose, terms)
	if err != nil {
		h.t.Fatalf("%s searches for %s: %v", as, purpose, err)
	}
	return view
}

func (h *hub) search(as, purpose string, terms family.SearchTerms) (disclosure.SearchView, error) {
	p, ok := h.people[as]
	if !ok {
		h.t.Fatalf("nobody is called %s", as)
	}
	return h.door.Search(context.Background(), p, disclosure.SearchRequest{Terms: terms, Purpose: purpose, Reason: "testing the search", RequestID: uuid.NewString()})
}

// bare is an answer without its receipt, which differs each time.
func bare(t *testing.T, v disclosure.SearchView) string {
	t.Helper()
	v.Receipt = ""
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func found(v disclosure.SearchView) []string {
	out := []string{}
	for _, p := range v.People {
		out = append(out, p.Name)
	}
	return out
}

func TestSearchFinds(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	number := func(agency, given, last string) string {
		var n string
		err := h.admin.QueryRow(context.Background(), `
SELECT r.local_id FROM kith.content c JOIN kith.entry_version v ON v.full_part = c.part AND v.section = 'identity' AND v.latest
  JOIN kith.entry_subject s ON s.version = v.id JOIN kith.person_link l ON l.person = s.person AND l.ended_at IS NULL
  JOIN kith.source_record r ON r.id = l.record AND r.agency = $1
 WHERE c.body ->> 'given_name' = $2 AND c.body ->> 'family_name' = $3 LIMIT 1`, agency, given, last).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, c := range []struct {
		name, as, purpose string
		terms             family.SearchTerms
		want              []string // exactly these, in any order
	}{
		{"by both names", "social-worker", "FS", family.SearchTerms{GivenName: "Stacey", FamilyName: "Hobbs"}, []string{"Stacey Hobbs"}},
		{"by a name of which half is wrong", "social-worker", "FS", family.SearchTerms{GivenName: "Stacy", FamilyName: "Hobs"}, []string{"Stacey Hobbs"}},
		{"by sound", "social-worker", "FS", family.SearchTerms{GivenName: "Conor", FamilyName: "Hobbes"}, []string{"Connor Hobbs"}},
		{"in the other order", "social-worker", "FS", family.SearchTerms{GivenName: "hobbs", FamilyName: "stacey"}, []string{"Stacey Hobbs"}},
		{"by what they are called", "social-worker", "FS", family.SearchTerms{GivenName: "Yunus", FamilyName: "Rahman"}, []string{"Mohammed Rahman"}},
		{"by a nickname", "social-worker", "FS", family.SearchTerms{GivenName: "Becky", FamilyName: "Doyle"}, found(h.find("social-worker", "FS", family.SearchTerms{GivenName: "Rebecca", FamilyName: "Doyle"}))},
		{"by the name before marriage", "social-worker", "FS", family.SearchTerms{GivenName: "Kayleigh", FamilyName: "Burnett"}, []string{"Kayleigh Doyle"}},
		{"by that and a nickname, misheard", "social-worker", "FS", family.SearchTerms{GivenName: "Kaylee", FamilyName: "Burnet"}, []string{"Kayleigh Doyle"}},
		{"by date of birth", "social-worker", "FS", family.SearchTerms{DateOfBirth: "2021-03-15"}, []string{"Mohammed Rahman", "Mohammed Rahman"}},
		{"by a date that is a year off, with a name", "social-worker", "FS", family.SearchTerms{FamilyName: "Rahman", DateOfBirth: "2022-03-15"}, []string{"Mohammed Rahman", "Mohammed Rahman"}},
		{"by NHS number, with spaces", "social-worker", "FS", family.SearchTerms{NHSNumber: "999 506 7676"}, []string{"Mohammed Rahman"}},
		{"by unique pupil number", "social-worker", "FS", family.SearchTerms{UPN: "k801687058522"}, []string{"Mohammed Rahman"}},
		{"by the own number", "social-worker", "FS", family.SearchTerms{Identifier: &family.Identifier{Scheme: "CSC", Value: number("CSC", "Stacey", "Hobbs")}}, []string{"Stacey Hobbs"}},
		{"all that is given must fit", "social-worker", "FS", family.SearchTerms{FamilyName: "Hobbs", DateOfBirth: "2021-03-15"}, []string{}},
		{"MASH without involvement", "mash-officer", "FD", family.SearchTerms{GivenName: "Hugh", FamilyName: "Draycot"}, []string{"Hugo Draycott"}},
		{"MASH by a number of social care", "mash-officer", "FD", family.SearchTerms{Identifier: &family.Identifier{Scheme: "CSC", Value: number("CSC", "Hugo", "Draycott")}}, []string{"Hugo Draycott"}},
		{"MASH, but nothing came to the front door", "mash-officer", "FD", family.SearchTerms{FamilyName: "Hobbs"}, []string{}},
		{"not the own case", "mh-practitioner", "FS", family.SearchTerms{FamilyName: "Pemberton"}, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := found(h.find(c.as, c.purpose, c.terms))
			want := slices.Clone(c.want)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("people found (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSearchNeverFindsThroughWhatIsHidden(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	nobody := map[string]string{}
	for _, c := range []struct {
		name, as, purpose string
		terms             family.SearchTerms
	}{
		{"an earlier identity", "social-worker", "FS", family.SearchTerms{GivenName: "Robert", FamilyName: "Sale"}},
		{"its number", "social-worker", "FS", family.SearchTerms{NHSNumber: "9997979850"}},
		{"its number, for the service that holds it", "health-visitor", "FS", family.SearchTerms{NHSNumber: "9997979850"}},
		{"a name before adoption", "social-worker", "FS", family.SearchTerms{GivenName: "Noah", FamilyName: "Hobbs"}},
		{"a refuge's postcode", "social-worker", "FS", family.SearchTerms{Postcode: "SM1 4OF"}},
		{"a refuge's postcode, with the grant", "idva", "FS", family.SearchTerms{Postcode: "SM1 4OF"}},
		{"a placement's postcode", "social-worker", "LC", family.SearchTerms{Postcode: "DA2 7SC"}},
		{"the name taken since the move", "perpetrator-practitioner", "FS", family.SearchTerms{GivenName: "Kelly", FamilyName: "Hartnell"}},
		{"a restricted person", "mash-officer", "CP", family.SearchTerms{FamilyName: "Stanhope"}},
		{"a neighbour's family", "health-visitor", "FS", family.SearchTerms{FamilyName: "Ibbotson"}},
		{"a former name, by whom it is not shown to", "safeguarding-lead", "FS", family.SearchTerms{GivenName: "Kayleigh", FamilyName: "Burnett"}},
		{"a number that is masked", "perpetrator-practitioner", "FS", family.SearchTerms{NHSNumber: "9995067676"}},
		{"nobody at all", "social-worker", "FS", family.SearchTerms{GivenName: "Quentin", FamilyName: "Zzyzx"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := h.find(c.as, c.purpose, c.terms)
			if len(v.People) != 0 {
				t.Fatalf("found %v", found(v))
			}
			if v.Notice.Text == "" || v.Notice.Call.Mash == "" || v.Receipt == "" {
				t.Error("an empty answer says whom to call and carries a receipt")
			}
			text := bare(t, v)
			if before, ok := nobody[c.purpose]; ok && before != text {
				t.Errorf("nobody found and nobody allowed differ:\n%s\n%s", before, text)
			}
			nobody[c.purpose] = text
		})
	}
}

func TestSearchTellsTwinsApart(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	v := h.find("social-worker", "FS", family.SearchTerms{GivenName: "Mohammed", FamilyName: "Rahman", DateOfBirth: "2021-03-15"})
	if len(v.People) != 2 {
		t.Fatalf("found %v", found(v))
	}
	a, b := v.People[0], v.People[1]
	if a.Score != b.Score || strings.Compare(a.ID.String(), b.ID.String()) >= 0 {
		t.Errorf("equal scores stand in the order of ids: %d %s, %d %s", a.Score, a.ID, b.Score, b.ID)
	}
	if a.NHSNumber == b.NHSNumber || a.UPN == b.UPN || a.KnownAs == b.KnownAs || a.NHSNumber == "" {
		t.Error("nothing tells them apart")
	}
	if len(a.Families) != 1 || a.Families[0].ID != h.story("twins") {
		t.Errorf("families %v", a.Families)
	}
}

func TestSearchIsRefusedByTheCallerAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	terms := []family.SearchTerms{{FamilyName: "Hobbs"}, {FamilyName: "Zzyzx"}}
	for _, c := range []struct{ as, purpose, reason, want string }{
		{"social-worker", "", "x", disclosure.RefusedPurpose},
		{"social-worker", "XX", "x", disclosure.RefusedPurpose},
		{"social-worker", "FD", "x", disclosure.RefusedRole},
		{"social-worker", "AU", "x", disclosure.RefusedRole},
		{"system-csc", "FS", "x", disclosure.RefusedRole},
		{"admin", "FS", "x", disclosure.RefusedRole},
		{"outsider", "FS", "x", disclosure.RefusedNoAgreement},
		{"social-worker", "VI", "x", disclosure.RefusedEmergency},
		{"mash-officer", "FD", " ", disclosure.RefusedReason},
	} {
		for _, q := range terms {
			_, err := h.door.Search(context.Background(), h.people[c.as], disclosure.SearchRequest{Terms: q, Purpose: c.purpose, Reason: c.reason, RequestID: uuid.NewString()})
			var refusal *disclosure.Refusal
			if !errors.As(err, &refusal) || refusal.Code != c.want || refusal.Receipt == "" {
				t.Errorf("%s for %q: got %v, want %s", c.as, c.purpose, err, c.want)
			}
		}
	}
}

func TestSearchRefusesNumberingsOfSecretServices(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	_, err := h.search("social-worker", "FS", family.SearchTerms{Identifier: &family.Identifier{Scheme: "MH", Value: "MH-1"}})
	var field *family.FieldError
	if !errors.As(err, &field) || field.Field != "identifier.scheme" || !strings.Contains(field.Rule, "CSC") || strings.Contains(field.Rule, "MH") {
		t.Errorf("got %v", err)
	}
	if _, err := h.search("mh-practitioner", "FS", family.SearchTerms{Identifier: &family.Identifier{Scheme: "MH", Value: "MH-1"}}); err != nil {
		t.Errorf("the own numbers: %v", err)
	}
}

func TestSearchesAreLoggedBeforeTheyAreAnswered(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	p := h.people["social-worker"]
	for _, c := range []struct {
		terms   family.SearchTerms
		outcome audit.Outcome
		count   int
	}{
		{family.SearchTerms{FamilyName: "Zzyzx"}, audit.OutcomeNothing, 0},
		{family.SearchTerms{GivenName: "Stacey", FamilyName: "Hobbs"}, audit.OutcomeReleased, 1},
	} {
		v := h.find("social-worker", "FS", c.terms)
		records, _, err := h.log.List(context.Background(), audit.OwnScope(p.Worker), audit.Filter{}, audit.Page{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != 2 {
			t.Fatalf("%d events", len(records))
		}
		answered, asked := records[0], records[1]
		if answered.Kind != audit.KindSearch || answered.Outcome != c.outcome || answered.Receipt != v.Receipt || answered.Count != c.count {
			t.Errorf("answered: %s %s, %d entries", answered.Kind, answered.Outcome, answered.Count)
		}
		if asked.Kind != audit.KindSearch || asked.Outcome != audit.OutcomeDone || asked.Search["family_name"] != c.terms.FamilyName || answered.Details["asked"] != asked.ID.String() {
			t.Errorf("asked: %s %s %v", asked.Kind, asked.Outcome, asked.Details)
		}
	}
}

func TestSearchByANamedWorkerRaisesAnAlert(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	count := func() (n int) {
		if err := h.admin.QueryRow(context.Background(), `SELECT count(*) FROM kith.alert WHERE kind = 'named-worker'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	h.find("health-visitor", "FS", family.SearchTerms{FamilyName: "Ibbotson"})
	if count() != before+1 {
		t.Error("no alert")
	}
}
