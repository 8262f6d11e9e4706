package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// explanations asks for what was read to be explained, and for the accounts of
// people, as those who may: there is no content in either, and nothing that was
// withheld is told to anybody but its owner and the auditor.
func (l *leakTest) explanations() {
	ctx := context.Background()
	type event struct{ ID, Agency, Person string }
	rows, _ := l.b.admin.Query(ctx, `
SELECT DISTINCT ON (e.agency, e.outcome) e.id::text, e.agency, coalesce(e.subjects[1]::text, '') FROM kith.access_event e
 WHERE e.kind = 'read' AND e.worker IS NOT NULL AND e.outcome IN ('released', 'not-found', 'denied') ORDER BY e.agency, e.outcome, e.top_level DESC, e.occurred_at DESC`)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[event])
	if err != nil || len(events) < 20 {
		l.t.Errorf("%d events to explain: %v", len(events), err)
		return
	}
	shown := 0
	for _, e := range events {
		for _, as := range []string{"auditor", "privacy-officer-mh", "privacy-officer-" + strings.ToLower(e.Agency)} {
			if _, ok := l.b.accounts[as]; !ok {
				continue
			}
			paths := []string{"/v1/access-events/" + e.ID + "/explanation"}
			if e.Person != "" {
				paths = append(paths, "/v1/people/"+e.Person+"/disclosures", "/v1/people/"+e.Person+"/disclosures?format=csv")
			}
			for _, path := range paths {
				r := l.hub.send(l.t, call{method: http.MethodGet, path: path, bearer: l.b.token(l.t, as)})
				if r.status != http.StatusOK && r.status != http.StatusNotFound {
					l.t.Errorf("%s: %s answers %d: %s", as, path, r.status, r.body)
				}
				if found := canariesIn(r.body); len(found) > 0 {
					l.t.Errorf("%s: %s answers with content: %v", as, path, found)
				}
				var explanation struct {
					Withheld []struct{ Owner string }
					Replay   struct{ Result, Why string }
				}
				if r.status != http.StatusOK || !strings.HasSuffix(path, "/explanation") || json.Unmarshal(r.body, &explanation) != nil {
					continue
				}
				shown++
				if explanation.Replay.Result != "same" {
					l.t.Errorf("event %s, decided again: %+v", e.ID, explanation.Replay)
				}
				for _, w := range explanation.Withheld {
					if as != "auditor" && w.Owner != l.b.accounts[as].Agency {
						l.t.Errorf("%s is told that something of %s was withheld", as, w.Owner)
					}
				}
			}
		}
	}
	if shown < 40 {
		l.t.Errorf("only %d explanations", shown)
	}
	for _, as := range []string{"privacy-officer-mh", "privacy-officer-csc"} {
		r := l.hub.send(l.t, call{method: http.MethodGet, path: "/v1/access-events/usage?by=agency,subject", bearer: l.b.token(l.t, as)})
		if found := canariesIn(r.body); r.status != http.StatusOK || len(found) > 0 {
			l.t.Errorf("%s counts use: %d, %v", as, r.status, found)
		}
	}

	// Some of what all these callers did at once, decided again.
	last := one[time.Time](l.t, l.b, `SELECT max(occurred_at) FROM kith.access_event WHERE kind = 'read'`)
	body, err := json.Marshal(map[string]string{"from": last.Add(-5 * time.Second).UTC().Format(time.RFC3339Nano), "until": last.Add(time.Second).UTC().Format(time.RFC3339Nano)})
	if err != nil {
		l.t.Fatal(err)
	}
	r := l.hub.send(l.t, call{method: http.MethodPost, path: "/v1/access-events/replay", bearer: l.b.token(l.t, "auditor"), body: string(body), header: map[string]string{"Content-Type": "application/json"}})
	lines := strings.Split(strings.TrimSpace(string(r.body)), "\n")
	var end replayProgress
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil || !end.End || end.Same == 0 || strings.Contains(string(r.body), `"differ"`) {
		l.t.Errorf("decided again: %d, %v, %.2000s", r.status, err, r.body)
	}
}
