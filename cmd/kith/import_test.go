package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportSendsTheFileAndPrintsTheReport(t *testing.T) {
	t.Parallel()
	type sent struct{ Method, Path, Type, Key, Token, Body string }
	var got sent
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = sent{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), r.Header.Get("Authorization"), string(b)}
		fmt.Fprint(w, "{\"line\":1,\"outcome\":\"new\"}\ntaken 1 refused 0 new 1 changed 0 unchanged 0\n")
	}))
	defer hub.Close()
	file := filepath.Join(t.TempDir(), "a.xml")
	if err := os.WriteFile(file, []byte("<Message/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := importCommand(t.Context(), []string{"--format", "cin-census", "--url", hub.URL, "--token", "T", "--key", "K", file}, nil, &out, &errs)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if diff := cmp.Diff(sent{"POST", "/v1/submissions", "application/xml", "K", "Bearer T", "<Message/>"}, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if want := "{\"line\":1,\"outcome\":\"new\"}\ntaken 1 refused 0 new 1 changed 0 unchanged 0\n"; out.String() != want {
		t.Errorf("report %q, want %q", out.String(), want)
	}
}

func TestImportExitStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, answer string
		status, want int
		says         string
	}{
		{"all taken", "taken 2 refused 0 new 2 changed 0 unchanged 0\n", 200, 0, ""},
		{"one refused", "taken 1 refused 1 new 1 changed 0 unchanged 0\n", 200, 1, "something was refused"},
		{"cut off", `{"line":1,"outcome":"new"}` + "\n", 200, 1, "ends without its totals"},
		{"not allowed", `{"title":"Not allowed","detail":"This client contributes for no agency","request_id":"r-1"}`, 403, 1, "the hub answered 403: Not allowed: This client contributes for no agency (request r-1)"},
		{"no problem document", "<html>", 502, 1, "the hub answered 502"},
		{"sent elsewhere", "", 307, 1, "the hub answered 307"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/submissions" {
					t.Errorf("request to %s", r.URL.Path)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.answer)
			}))
			defer hub.Close()
			var out, errs bytes.Buffer
			code := importCommand(t.Context(), []string{"--format=ndjson", "--url", hub.URL, "--token", "secret-token", "-"}, strings.NewReader("{}\n"), &out, &errs)
			if code != tt.want || !strings.Contains(errs.String(), tt.says) {
				t.Errorf("exit %d saying %q, want %d saying %q", code, errs.String(), tt.want, tt.says)
			}
			if strings.Contains(errs.String(), "secret-token") {
				t.Error("the token is repeated")
			}
		})
	}
}

func TestImportUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want int
		says string
	}{
		{[]string{"--help"}, 0, "usage: kith import"},
		{[]string{"--format", "dfe-xml", "--token", "T", "f"}, 2, "--format must be"},
		{[]string{"--format", "ndjson", "--token", "T"}, 2, "name one FILE"},
		{[]string{"--format", "ndjson", "--token", "T", "--as", "system-csc", "f"}, 2, "not both"},
		{[]string{"--format", "ndjson", "--token", "T", "no-such-file"}, 2, "no-such-file"},
		{[]string{"--format", "ndjson", "--token", "T", "--url", "http://hub.example", "-"}, 1, "https://"},
		{[]string{"--what"}, 2, "--what"},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		if code := importCommand(t.Context(), tt.args, strings.NewReader(""), &out, &out); code != tt.want || !strings.Contains(out.String(), strings.TrimPrefix(tt.says, "-")) {
			t.Errorf("%q: exit %d saying %q, want %d saying %q", tt.args, code, out.String(), tt.want, tt.says)
		}
	}
}
