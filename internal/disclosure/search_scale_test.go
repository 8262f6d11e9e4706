package disclosure_test

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// Searches take as long in 300 000 people as in 10 000. It fills large boroughs,
// so it runs only where their sizes in families are given:
// KITH_SEARCH_FAMILIES=2500,75000 (four people each).
func TestSearchStaysFlat(t *testing.T) {
	sizes := os.Getenv("KITH_SEARCH_FAMILIES")
	if sizes == "" {
		t.Skip("KITH_SEARCH_FAMILIES gives no sizes: skipped")
	}
	ctx := context.Background()
	for _, size := range strings.Split(sizes, ",") {
		families, err := strconv.Atoi(size)
		if err != nil {
			t.Fatal(err)
		}
		h := newHubOf(t, families)
		// One family in a hundred is at the front door.
		h.exec(`INSERT INTO kith.episode (id, person, kind, rating, valid_from, source)
			SELECT gen_random_uuid(), e.person, 'contact', 'amber', current_date - 2, 'CSC' FROM kith.episode e WHERE e.kind = 'child-in-need' AND hashtext(e.person::text) % 100 = 0`)
		h.exec(`ANALYZE kith.episode`)
		var people int
		if err := h.admin.QueryRow(ctx, `SELECT count(*) FROM kith.person`).Scan(&people); err != nil {
			t.Fatal(err)
		}
		var given, last, born, nhs string
		err = h.admin.QueryRow(ctx, `SELECT c.body ->> 'given_name', c.body ->> 'family_name', c.body ->> 'date_of_birth', c.body ->> 'nhs_number'
			FROM kith.entry_subject s JOIN kith.entry_version v ON v.id = s.version AND v.section = 'identity' JOIN kith.content c ON c.part = v.full_part WHERE s.person = $1`,
			demo.Bulk(demo.DefaultSeed, 0).Child).Scan(&given, &last, &born, &nhs)
		if err != nil {
			t.Fatal(err)
		}
		sw := demo.BulkAccounts(demo.DefaultSeed, demo.StoryFamilies+20)[0]
		h.people["bulk"] = identity.Principal{Partnership: demo.Partnership, Issuer: "test", Subject: sw.Subject, Worker: sw.Worker, WorkerName: sw.Name,
			Agency: sw.Agency, Kind: sw.Kind, HomeAgency: sw.Agency, Roles: sw.Roles}
		for _, q := range []struct {
			name, as, purpose string
			terms             family.SearchTerms
		}{
			{"own families, both names", "bulk", "FS", family.SearchTerms{GivenName: given, FamilyName: last}},
			{"own families, near names", "bulk", "FS", family.SearchTerms{GivenName: given + "e", FamilyName: last + "s"}},
			{"own families, date", "bulk", "FS", family.SearchTerms{DateOfBirth: born}},
			{"own families, nobody", "bulk", "FS", family.SearchTerms{FamilyName: "Zzyzx"}},
			{"front door, both names", "mash-officer", "FD", family.SearchTerms{GivenName: "Emily", FamilyName: "Kershaw"}},
			{"front door, near names and date", "mash-officer", "FD", family.SearchTerms{GivenName: given, FamilyName: last + "e", DateOfBirth: born}},
			{"front door, a common family name", "mash-officer", "FD", family.SearchTerms{FamilyName: "Smith"}},
			{"front door, number", "mash-officer", "FD", family.SearchTerms{NHSNumber: nhs}},
		} {
			var took []time.Duration
			var v disclosure.SearchView
			for range 25 {
				at := time.Now()
				v, err = h.door.Search(ctx, h.people[q.as], disclosure.SearchRequest{Terms: q.terms, Purpose: q.purpose, Reason: "measure", RequestID: uuid.NewString()})
				if err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(at))
			}
			slices.Sort(took)
			t.Logf("%7d people | %-34s | %2d found | least %6.1f ms | median %6.1f ms", people, q.name, len(v.People), took[0].Seconds()*1000, took[len(took)/2].Seconds()*1000)
		}
	}
}
