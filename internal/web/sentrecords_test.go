package web_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestARecordIsTakenApart: who looks after records sees which were taken for a
// person, as far as they may know, and takes a wrong one apart by plain forms.
func TestARecordIsTakenApart(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	one := func(sql string, args ...any) (id string) {
		t.Helper()
		if err := h.admin.QueryRow(t.Context(), sql, args...).Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	family := h.stories["linked-wrongly"].ID
	dad := one(`SELECT s.person::text FROM entry_version v JOIN entry_subject s ON s.version = v.id JOIN membership m ON m.person = s.person
		WHERE m.family = $1 AND v.section = 'sm-risk' AND v.latest LIMIT 1`, family)
	record := one(`SELECT r.id::text FROM source_record r JOIN person_link l ON l.record = r.id AND l.ended_at IS NULL WHERE l.person = $1 AND r.agency = 'SM'`, dad)
	csc := one(`SELECT r.id::text FROM source_record r JOIN person_link l ON l.record = r.id AND l.ended_at IS NULL WHERE l.person = $1 AND r.agency = 'CSC'`, dad)
	list, apart := "/records?person="+dad, "/records/"+record+"/separation"

	// Nobody else looks after it, and asking changes nothing.
	for _, name := range []string{"social-worker", "sm-practitioner", "auditor", "admin"} {
		b := h.as(t, name)
		for _, path := range []string{"/records", list, apart} {
			if a := b.get(path); a.StatusCode != http.StatusForbidden || strings.Contains(a.body, csc) {
				t.Errorf("%s, %s: status %d", name, path, a.StatusCode)
			}
		}
		if a := b.post(apart, with(nil, "reason", "the date of birth is three years out")); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s separates: status %d", name, a.StatusCode)
		}
	}

	steward := h.as(t, "match-steward")
	if a := steward.get("/records"); a.StatusCode != http.StatusOK || !strings.Contains(a.body, `href="/records" aria-current="page"`) || strings.Contains(a.body, "There is no record") {
		t.Errorf("the steward's page: status %d\n%.1500s", a.StatusCode, a.body)
	}
	if a := steward.get("/records?person=Haigh"); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "There is a problem") || !strings.Contains(a.body, `href="#person"`) {
		t.Errorf("a name is no reference: status %d", a.StatusCode)
	}
	// Who sent a record may be the secret itself: a steward is not told of it.
	if a := steward.get(list); a.StatusCode != http.StatusOK || strings.Contains(a.body, record) || !strings.Contains(a.body, "/records/"+csc+"/separation") {
		t.Errorf("the steward's list: status %d\n%.3000s", a.StatusCode, a.body)
	}
	mh := h.as(t, "privacy-officer-mh")
	if a := mh.get(list); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "There is no record that you look after.") || strings.Contains(a.body, record) {
		t.Errorf("another service's list: status %d", a.StatusCode)
	}

	own := h.as(t, "privacy-officer-sm")
	a := own.get(list)
	if a.StatusCode != http.StatusOK || !strings.Contains(a.body, apart) || strings.Contains(a.body, csc) {
		t.Fatalf("the service's own list: status %d\n%.3000s", a.StatusCode, a.body)
	}
	if n := h.count(t, `SELECT count(*) FROM access_event WHERE kind = 'link' AND agency = 'SM' AND subjects @> ARRAY[$1::uuid]`, dad); n != 1 {
		t.Errorf("%d events of the list", n)
	}
	form := own.get(apart)
	if form.StatusCode != http.StatusOK || !strings.Contains(form.body, "Take this record apart from them") {
		t.Fatalf("the form: status %d", form.StatusCode)
	}
	if a := own.post(apart, form.fields()); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `href="#reason"`) {
		t.Errorf("without a reason: status %d", a.StatusCode)
	}
	send := with(form.fields(), "reason", "the date of birth is three years out")
	first, second := own.post(apart, send), own.post(apart, send)
	for _, a := range []answer{first, second} {
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "The record is apart.") || !strings.Contains(a.body, `href="/records"`) {
			t.Errorf("status %d\n%.2000s", a.StatusCode, a.body)
		}
	}
	now := one(`SELECT l.person::text FROM person_link l WHERE l.record = $1 AND l.ended_at IS NULL`, record)
	if now == dad {
		t.Error("the record is still taken for the same person")
	}
	if n := h.count(t, `SELECT count(*) FROM access_event WHERE kind = 'link' AND agency = 'SM' AND subjects @> ARRAY[$1::uuid, $2::uuid]`, dad, now); n != 1 {
		t.Errorf("%d events of the separation", n)
	}
	if a := own.get(list); strings.Contains(a.body, record) {
		t.Error("the record is still listed")
	}
}
