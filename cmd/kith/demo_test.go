package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kith/internal/demo"
)

// output is what a running command has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// runningDemo is `kith demo` in this process.
type runningDemo struct {
	hub  string
	stop func() int
	out  *output
}

func startDemo(t *testing.T, args ...string) runningDemo {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d := runningDemo{out: &output{}}
	done := make(chan int, 1)
	var once sync.Once
	status := -1
	d.stop = func() int {
		once.Do(func() {
			cancel()
			select {
			case status = <-done:
			case <-time.After(40 * time.Second):
				t.Error("the demo did not stop")
			}
		})
		return status
	}
	t.Cleanup(func() { d.stop() })
	go func() { done <- run(ctx, append([]string{"demo"}, args...), nil, d.out, d.out) }()
	for range 600 {
		for line := range strings.Lines(d.out.String()) {
			if hub, ok := strings.CutPrefix(strings.TrimSpace(line), "ready "); ok {
				d.hub = hub
				return d
			}
		}
		select {
		case code := <-done:
			done <- code
			t.Fatalf("the demo ended with status %d:\n%s", code, d.out)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("the demo is not ready after a minute:\n%s", d.out)
	return d
}

func command(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func token(t *testing.T, data, name string) string {
	t.Helper()
	status, out, errs := command(t, "demo", "token", "--as", name, "--data", data)
	if status != 0 {
		t.Fatalf("token for %s: status %d: %s", name, status, errs)
	}
	return strings.TrimSpace(out)
}

// answer is what the test reads of any answer.
type answer struct {
	Sections []struct {
		Section string `json:"section"`
	} `json:"sections"`
	Events []struct {
		Kind   string `json:"kind"`
		Family string `json:"family"`
		Reason string `json:"reason"`
	} `json:"events"`
}

func get(t *testing.T, url, bearer string, headers ...string) (int, answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if res.StatusCode == http.StatusOK && strings.Contains(res.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &a); err != nil && strings.Contains(url, "/v1/") {
			t.Fatalf("%s: %v", url, err)
		}
	}
	return res.StatusCode, a
}

// The newcomer's first hour: two sign-ins, one family, two records, both
// accesses in the log; a second demo and a taken port say what to do; what was
// there is there after a restart.
func TestDemoFromEndToEnd(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "demo")
	d := startDemo(t, "--data", data, "--listen", "127.0.0.1:0")
	story := demo.Stories(demo.DefaultSeed)[0].ID.String()
	family := d.hub + "/v1/families/" + story
	why := []string{"Kith-Purpose", "FS", "Kith-Reason", "core group"}

	shown := map[string]map[string]bool{}
	for _, who := range []string{"mh-practitioner", "detective"} {
		status, a := get(t, family, token(t, data, who), why...)
		if status != http.StatusOK {
			t.Fatalf("%s: status %d\n%s", who, status, d.out)
		}
		shown[who] = map[string]bool{}
		for _, s := range a.Sections {
			shown[who][s.Section] = true
		}
	}
	if !shown["mh-practitioner"]["mh-clinical"] || shown["detective"]["mh-clinical"] {
		t.Errorf("mh-clinical: nurse %v, detective %v", shown["mh-practitioner"]["mh-clinical"], shown["detective"]["mh-clinical"])
	}
	if shown["mh-practitioner"]["police-intelligence-p"] || !shown["detective"]["police-intelligence-p"] {
		t.Errorf("police-intelligence-p: nurse %v, detective %v", shown["mh-practitioner"]["police-intelligence-p"], shown["detective"]["police-intelligence-p"])
	}
	if status, _ := get(t, family, token(t, data, "outsider"), why...); status != http.StatusForbidden {
		t.Errorf("outsider: status %d, want 403", status)
	}
	if status, _ := get(t, family, "", why...); status != http.StatusUnauthorized {
		t.Errorf("without a token: status %d, want 401", status)
	}
	if status, _ := get(t, family, token(t, data, "system-mh"), why...); status != http.StatusForbidden {
		t.Errorf("system: status %d, want 403", status)
	}
	status, log := get(t, d.hub+"/v1/access-events?limit=100", token(t, data, "auditor"))
	reads, refusals := 0, 0
	for _, e := range log.Events {
		if e.Kind == "read" && e.Family == story {
			reads++
		}
		if e.Kind == "refused-to-share" && e.Reason == demo.RefusalReason {
			refusals++
		}
	}
	if status != http.StatusOK || reads < 2 || refusals != 1 {
		t.Errorf("the auditor finds %d reads and %d refusals to share (status %d), want 2 or more and 1", reads, refusals, status)
	}

	running, err := demo.Find(data)
	if err != nil {
		t.Fatal(err)
	}
	if status, _ := get(t, running.Private+"/readyz", ""); status != http.StatusOK {
		t.Errorf("not ready: %d", status)
	}
	if status, _, errs := command(t, "demo", "--data", data, "--listen", "127.0.0.1:0"); status != 1 || !strings.Contains(errs, "running") || !strings.Contains(errs, "--data") {
		t.Errorf("a second demo: status %d: %s", status, errs)
	}
	if status, _, errs := command(t, "demo", "--data", filepath.Join(t.TempDir(), "other"), "--listen", strings.TrimPrefix(d.hub, "http://")); status != 1 ||
		!strings.Contains(errs, "taken") || !strings.Contains(errs, "--listen") {
		t.Errorf("a taken port: status %d: %s", status, errs)
	}

	if status := d.stop(); status != 0 {
		t.Errorf("stopped with status %d:\n%s", status, d.out)
	}
	if status, _, errs := command(t, "demo", "token", "--as", "detective", "--data", data); status != 1 || !strings.Contains(errs, "no demo is running") {
		t.Errorf("token without a demo: status %d: %s", status, errs)
	}
	for _, name := range []string{"database-roles.json", "receipt.key", "reference.key", "ports.json"} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, mode %v", name, err, info.Mode())
		}
	}

	again := startDemo(t, "--data", data, "--listen", "127.0.0.1:0")
	next, err := demo.Find(data)
	if err != nil {
		t.Fatal(err)
	}
	if next.Issuers != running.Issuers {
		t.Errorf("issuers moved from %s to %s", running.Issuers, next.Issuers)
	}
	if status, _ := get(t, again.hub+"/v1/families/"+story, token(t, data, "detective"), why...); status != http.StatusOK {
		t.Errorf("after a restart: status %d", status)
	}
	if status, log := get(t, again.hub+"/v1/access-events?limit=100", token(t, data, "auditor")); status != http.StatusOK || len(log.Events) < 4 {
		t.Errorf("the log after a restart: status %d, %d events", status, len(log.Events))
	}
	if status := again.stop(); status != 0 {
		t.Errorf("stopped with status %d:\n%s", status, again.out)
	}
}

func TestDemoLists(t *testing.T) {
	t.Parallel()
	status, out, _ := command(t, "demo", "people")
	if status != 0 || !strings.Contains(out, "mh-practitioner") || !strings.Contains(out, "system-pol") {
		t.Errorf("people: status %d\n%s", status, out)
	}
	status, out, _ = command(t, "demo", "stories")
	if status != 0 || !strings.Contains(out, demo.Stories(demo.DefaultSeed)[39].ID.String()) {
		t.Errorf("stories: status %d\n%s", status, out)
	}
	status, out, _ = command(t, "demo", "stories", "--json")
	var stories []struct{ ID, Title, Shows string }
	if err := json.Unmarshal([]byte(out), &stories); err != nil || status != 0 || len(stories) != demo.StoryFamilies {
		t.Errorf("stories --json: status %d, %d stories, %v", status, len(stories), err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"", 2, "usage: kith"},
		{"nothing", 2, "no command"},
		{"--help", 0, ""},
		{"demo --help", 0, ""},
		{"demo --nope", 2, "usage: kith demo"},
		{"demo people extra", 2, "usage: kith demo"},
		{"demo token", 2, "--as NAME"},
		{"demo --listen 0.0.0.0:8080", 2, "loopback"},
		{"demo --listen 8080", 2, "--listen"},
		{"demo --families 3", 2, "--families"},
		{"serve", 2, "usage: kith serve"},
		{"serve --config /nonexistent", 1, "/nonexistent"},
		{"version extra", 2, "usage: kith version"},
		{"version", 0, ""},
	} {
		status, _, errs := command(t, strings.Fields(c.args)...)
		if status != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("kith %s: status %d, want %d; says %q, want %q in it", c.args, status, c.status, errs, c.says)
		}
	}
}

func TestDemoAnswersLoopbackAlone(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1:80", "[::]:80", ":8080", "localhost:8080"} {
		if _, err := demoArgs([]string{"--listen", addr}); err == nil {
			t.Errorf("--listen %s was taken", addr)
		}
	}
	if o, err := demoArgs([]string{"--listen", "[::1]:8080", "--data", "x"}); err != nil || net.ParseIP("::1") == nil || o.data != "x" {
		t.Errorf("--listen [::1]:8080: %v", err)
	}
}
