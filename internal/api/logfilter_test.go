package api_test

import (
	"net/url"
	"testing"
	"time"
)

// TestTheLogByPartAndByHour: as on the page, by what was released and by when.
func TestTheLogByPartAndByHour(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for story := range x.stories {
		h.read("social-worker", story, "FS")
	}
	count := func(query string) int {
		t.Helper()
		list, _ := h.do(call{as: "auditor", path: "/v1/access-events?limit=500&kind=read&" + query}).want(200).json["events"].([]any)
		return len(list)
	}
	all := count("")
	if with, without := count("section=identity"), count("section=therapy-notes"); with == 0 || with > all || without != 0 {
		t.Errorf("of %d reads %d released an identity and %d therapy notes", all, with, without)
	}
	h.do(call{as: "auditor", path: "/v1/access-events?out_of_hours=true"}).want(400)
	now := time.Now().UTC()
	day := url.Values{"from": {now.AddDate(0, 0, -1).Format(time.RFC3339)}, "until": {now.AddDate(0, 0, 1).Format(time.RFC3339)}}
	within := count(day.Encode())
	day.Set("out_of_hours", "true")
	if outside := count(day.Encode()); within != all || outside > within {
		t.Errorf("%d of %d reads within two days, %d of them out of hours", within, all, outside)
	}
}
