package api_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/api"
	"kith/internal/audit"
)

func TestUsageOfAnAgency(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for range 2 {
		h.read("idva", "trio", "FS").want(http.StatusOK)
	}
	h.read("sm-practitioner", "trio", "FS").want(http.StatusOK)
	h.read("detective", "trio", "FS").want(http.StatusOK)
	type lines struct {
		Owner string
		Usage []struct {
			Agency, Purpose, Month, Subject, Events string
			Roles                                   []string
			Accesses, Entries                       int
		}
	}
	usage := func(as, query string) lines {
		t.Helper()
		var l lines
		got := h.do(call{as: as, path: "/v1/access-events/usage" + query}).want(http.StatusOK)
		if err := json.Unmarshal(got.raw, &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	mh := usage("privacy-officer-mh", "")
	seen := map[string]int{}
	for _, u := range mh.Usage {
		seen[u.Agency] = u.Accesses
		if u.Purpose != "FS" || u.Entries == 0 && u.Agency != "POL" || len(u.Roles) == 0 || u.Month != time.Now().UTC().Format("2006-01") {
			t.Errorf("line %+v", u)
		}
		var page struct{ Events []struct{ ID string } }
		got := h.do(call{as: "privacy-officer-mh", path: u.Events}).want(http.StatusOK)
		if err := json.Unmarshal(got.raw, &page); err != nil || len(page.Events) != u.Accesses {
			t.Errorf("%s lists %d events of %d", u.Events, len(page.Events), u.Accesses)
		}
	}
	if mh.Owner != "MH" || seen["DV"] != 2 || seen["SM"] != 1 || seen["POL"] != 0 {
		t.Errorf("use of the trust's information: %v", seen)
	}
	people := usage("privacy-officer-mh", "?by=subject,agency&agency=DV")
	if len(people.Usage) == 0 {
		t.Fatal("nobody is counted")
	}
	for _, u := range people.Usage {
		if !strings.HasPrefix(u.Subject, "r-") || u.Agency != "DV" || u.Accesses != 2 {
			t.Errorf("line %+v", u)
		}
		account := h.do(call{as: "privacy-officer-mh", path: u.Events}).want(http.StatusOK)
		if !strings.Contains(string(account.raw), u.Subject) || !strings.Contains(string(account.raw), `"agency":"DV"`) {
			t.Errorf("%s: %s", u.Events, account.raw)
		}
		one := usage("privacy-officer-mh", "?by=subject&subject="+u.Subject)
		if len(one.Usage) != 1 || one.Usage[0].Subject != u.Subject {
			t.Errorf("of one person: %+v", one)
		}
	}
	if of := usage("auditor", "?owner=MH&by=agency"); len(of.Usage) < 2 {
		t.Errorf("the auditor counts %+v", of)
	}
	h.do(call{as: "auditor", path: "/v1/access-events/usage"}).want(http.StatusBadRequest)
	h.do(call{as: "auditor", path: "/v1/access-events/usage?owner=MH&by=name"}).want(http.StatusBadRequest)
	h.do(call{as: "privacy-officer-mh", path: "/v1/access-events/usage?owner=SM"}).want(http.StatusForbidden)
	h.do(call{as: "mh-practitioner", path: "/v1/access-events/usage"}).want(http.StatusForbidden)
}

func TestAccountOfOnePerson(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for _, as := range []string{"mh-practitioner", "social-worker", "detective", "sm-practitioner", "idva"} {
		h.read(as, "trio", "FS").want(http.StatusOK)
	}
	// The adult about whom the trust wrote.
	person := x.one(`SELECT s.person::text FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id JOIN kith.membership m ON m.person = s.person
		WHERE m.family = $1 AND v.section = 'mh-risk' AND v.latest AND s.relation = 'about' LIMIT 1`, x.family("trio"))
	type account struct {
		Person      string
		Next        string
		Disclosures []struct {
			Event, Why string
			To         struct{ Agency, Name string }
			Released   []struct {
				Owner, Level string
				SectionName  string `json:"section_name"`
				Entries      []string
			}
		}
	}
	read := func(as, query string) (account, string) {
		t.Helper()
		got := h.do(call{as: as, path: "/v1/people/" + person + "/disclosures" + query}).want(http.StatusOK)
		var a account
		if err := json.Unmarshal(got.raw, &a); err != nil {
			t.Fatal(err)
		}
		return a, string(got.raw)
	}
	all, raw := read("auditor", "")
	to := map[string]bool{}
	for _, d := range all.Disclosures {
		to[d.To.Agency] = true
		if d.To.Name == "" || d.Why == "" || d.Why == "FS" {
			t.Errorf("disclosed to %+v for %q", d.To, d.Why)
		}
	}
	if len(all.Disclosures) != 5 || len(to) != 5 || strings.Contains(raw, person) {
		t.Errorf("%d disclosures to %v: %s", len(all.Disclosures), to, raw)
	}
	if !strings.Contains(raw, "mental health risk") || strings.Contains(raw, "therapy") && !strings.Contains(raw, "legally restricted") {
		t.Errorf("parts of the record: %s", raw)
	}
	// Pages by keyset give the same, by reference too.
	paged, cursor := 0, ""
	for range 20 {
		query := "?limit=2"
		if cursor != "" {
			query += "&cursor=" + cursor
		}
		page, _ := read("auditor", query)
		paged += len(page.Disclosures)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if paged != 5 {
		t.Errorf("%d on pages", paged)
	}
	byReference := h.do(call{as: "auditor", path: "/v1/people/" + all.Person + "/disclosures?format=csv"}).want(http.StatusOK)
	rows, err := csv.NewReader(bytes.NewReader(byReference.raw)).ReadAll()
	if err != nil || len(rows) < 6 || rows[0][0] != "event" {
		t.Errorf("as CSV: %d rows, %v", len(rows), err)
	}
	// An officer: the own agency's part, and what its people received.
	own, _ := read("privacy-officer-dv", "")
	for _, d := range own.Disclosures {
		for _, r := range d.Released {
			if d.To.Agency != "DV" && r.Owner != "DV" {
				t.Errorf("the officer of DV is told of %+v to %+v", r, d.To)
			}
		}
	}
	if len(own.Disclosures) == 0 || len(own.Disclosures) == len(all.Disclosures) && raw == "" {
		t.Error("the officer of DV is told nothing")
	}
	if sar, _ := read("sar-officer", ""); len(sar.Disclosures) == 0 {
		t.Error("the subject access officer is told nothing")
	}
	stranger := h.do(call{as: "auditor", path: "/v1/people/" + uuid.NewString() + "/disclosures"}).want(http.StatusOK)
	if list, _ := stranger.json["disclosures"].([]any); len(list) != 0 {
		t.Errorf("of nobody: %s", stranger.raw)
	}
	h.do(call{as: "social-worker", path: "/v1/people/" + person + "/disclosures"}).want(http.StatusForbidden)
	h.do(call{as: "auditor", path: "/v1/people/" + person + "/disclosures?cursor=AAAA"}).want(http.StatusBadRequest)
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'log-view' AND subjects @> ARRAY[$1::uuid]`, person); n < 5 {
		t.Errorf("%d looks at the account are in the log", n)
	}
}

// What somebody was shown is corrected: they are told, and nobody else is.
func TestCorrectedAfterRelease(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	observation := x.observation("trio", map[string]any{"section": "childs-story", "content": map[string]any{"text": "Ruby said that she was at school."}})
	id := h.do(call{as: "health-visitor", path: "/v1/entries", body: observation, purpose: "FS"}).want(http.StatusCreated).text("id")
	if h.read("mh-practitioner", "trio", "FS").want(http.StatusOK).entry(id) == nil {
		t.Fatal("the trust's practitioner does not see it")
	}
	second := x.observation("trio", map[string]any{"section": "childs-story", "content": map[string]any{"text": "Ruby said that she was at home."}})
	second["corrects"], second["why"] = 1, "heard wrongly"
	h.do(call{as: "health-visitor", path: "/v1/entries/" + id + "/versions", body: second, purpose: "FS"}).want(http.StatusCreated)
	h.read("sm-practitioner", "trio", "FS").want(http.StatusOK) // sees the corrected one alone

	sweep := func() int {
		t.Helper()
		n, err := h.corrections.Sweep(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := sweep(); n != 1 {
		t.Errorf("%d readers were told", n)
	}
	if n := sweep(); n != 0 {
		t.Errorf("%d were told again", n)
	}
	notices := func(as string) []map[string]any {
		t.Helper()
		got := h.do(call{as: as, path: "/v1/access-events?kind=" + string(audit.KindCorrected)}).want(http.StatusOK)
		var page struct{ Events []map[string]any }
		if err := json.Unmarshal(got.raw, &page); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(got.raw), "Ruby said") {
			t.Errorf("%s: a notice has content", as)
		}
		return page.Events
	}
	for _, as := range []string{"mh-practitioner", "privacy-officer-mh", "auditor"} {
		list := notices(as)
		if len(list) != 1 {
			t.Fatalf("%s finds %d notices", as, len(list))
		}
		details, _ := list[0]["details"].(map[string]any)
		if details["entry"] != id || details["version"] != "1" || details["corrected_to"] != "2" {
			t.Errorf("%s finds %v", as, list[0])
		}
		h.explain(as, list[0]["id"].(string)).explained()
	}
	for _, as := range []string{"sm-practitioner", "health-visitor", "detective", "privacy-officer-sm", "privacy-officer-hv"} {
		if list := notices(as); len(list) != 0 {
			t.Errorf("%s, who was shown nothing wrong, finds %v", as, list)
		}
	}

	// The second time: those who were shown the second version, by either hub once.
	h.read("social-worker", "trio", "FS").want(http.StatusOK)
	h.do(call{as: "health-visitor", path: "/v1/entries/" + id + "/versions", purpose: "FS",
		body: map[string]any{"family": x.family("trio"), "corrects": 2, "withdraw": true, "why": "another child's"}}).want(http.StatusCreated)
	other := x.hub(api.Limits{})
	told := make(chan int, 2)
	for _, r := range []*replica{h, other} {
		go func() {
			n, err := r.corrections.Sweep(context.Background())
			if err != nil {
				t.Error(err)
			}
			told <- n
		}()
	}
	if n := <-told + <-told; n != 2 {
		t.Errorf("%d readers of the second version were told", n)
	}
	if list := notices("mh-practitioner"); len(list) != 1 {
		t.Errorf("who was shown the first version alone finds %d notices", len(list))
	}
	if list := notices("social-worker"); len(list) != 1 {
		t.Errorf("the social worker finds %d notices", len(list))
	}
	// A minute later the log is looked at for the last time, and what is kept of it goes.
	x.exec(`UPDATE kith.correction SET corrected_at = corrected_at - interval '2 minutes'`)
	if n := sweep(); n != 0 {
		t.Errorf("%d were told at the last look", n)
	}
	if n := x.count(`SELECT count(*) FROM kith.correction WHERE closed_at IS NULL OR cardinality(about) + cardinality(parts) > 0`); n != 0 {
		t.Errorf("%d corrections stay open", n)
	}
}
