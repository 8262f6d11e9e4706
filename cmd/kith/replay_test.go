package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The auditor's walk: the day is decided again, over HTTP, and what somebody
// changed in the database is named.
func TestTheDayIsDecidedAgain(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	for _, as := range []string{"social-worker", "detective", "mh-practitioner", "housing-officer"} {
		for _, key := range []string{"trio", "fleeing", "closed"} {
			hub.send(t, b.reading(t, as, b.stories[key], "FS"))
		}
	}
	hub.send(t, call{method: http.MethodPost, path: "/v1/searches", bearer: b.token(t, "social-worker"), body: `{"given_name":"Ruby","family_name":"Doyle"}`,
		header: map[string]string{"Kith-Purpose": "FS", "Kith-Reason": "a test of replay", "Content-Type": "application/json"}})

	replay := func(as string, more ...string) (int, string, string) {
		var stdout, stderr bytes.Buffer
		args := append([]string{"replay", "--from", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--to", time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
			"--url", hub.url, "--token", b.token(t, as)}, more...)
		status := auditCommand(t.Context(), args, &stdout, &stderr)
		return status, stdout.String(), stderr.String()
	}
	status, out, bar := replay("auditor")
	if status != 0 || !strings.Contains(out, " 0 different") || strings.Contains(out, ": 0 decided again the same") {
		t.Errorf("status %d: %s%s", status, out, bar)
	}
	if !strings.Contains(bar, "[##############################]") {
		t.Errorf("the bar does not come to its end: %q", bar)
	}

	event := one[string](t, b, `SELECT id::text FROM kith.access_event WHERE kind = 'read' AND outcome = 'released' LIMIT 1`)
	b.exec(t, `UPDATE kith.access_event SET input = input || '\x20'::bytea WHERE id = $1`, event)
	status, out, bar = replay("auditor")
	if status != 1 || !strings.Contains(out, "DIFFERENT  "+event) || !strings.Contains(out, " 1 different") {
		t.Errorf("status %d: %s%s", status, out, bar)
	}
	if !strings.Contains(hub.log.String(), `"why":"input-altered"`) {
		t.Error("the hub's log does not say that an event differs")
	}
	metrics, err := http.Get(hub.private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer metrics.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(metrics.Body); err != nil || !strings.Contains(text.String(), "\nkith_replay_different_total 1\n") {
		t.Errorf("the metric does not count it: %v", err)
	}
	if status, _, said := replay("privacy-officer-mh"); status != 1 || !strings.Contains(said, "403") {
		t.Errorf("an officer: status %d, %s", status, said)
	}
	if status, _, _ := replay("auditor", "--to", ""); status != 2 {
		t.Errorf("without an end: status %d", status)
	}
}
