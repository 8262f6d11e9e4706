package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kith/internal/identity"
	"kith/internal/postgres/pgtest"
)

func deployed(t *testing.T, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The shipped example passes `kith serve --check`, with keys made as its own
// comments say.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := newKeyFile(t, filepath.Join(dir, "key.pem"))
	reference := filepath.Join(dir, "reference")
	if err := os.WriteFile(reference, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	example := filepath.Join(dir, "kith.yaml")
	text := bytes.ReplaceAll(deployed(t, "example/kith.yaml"), []byte("/var/lib/kith/"), []byte(dir+"/")) // a folder of this machine
	if err := os.WriteFile(example, text, 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	check := func(env ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), self, "serve", "--config", example, "--check")
		cmd.Env = append([]string{asCommand + "=1", "KITH_REPLICA=hub-0", "KITH_RECEIPT_KEY=" + key, "KITH_LOG_KEY=" + key, "KITH_REFERENCE_KEY=" + reference,
			"KITH_DATABASE_APP=postgres://kith_app:a@db.example/kith?sslmode=verify-full", "KITH_DATABASE_AUDITOR=postgres://kith_auditor:b@db.example/kith",
			"KITH_DATABASE_SEQUENCER=postgres://kith_sequencer:c@db.example/kith", "KITH_DATABASE_REPLAY=postgres://kith_replay:d@db.example/kith"}, env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check(); err != nil || !strings.Contains(out, "good") {
		t.Errorf("%v: %s", err, out)
	}
	var exit *exec.ExitError
	if out, err := check("KITH_RECEIPT_KEY="); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "receipt_key") {
		t.Errorf("without a receipt key: %v: %s", err, out)
	}
}

// The example directory loads, twice, and the second time changes nothing.
func TestExampleDirectory(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).Pool(t, "app")
	for range 2 {
		if _, err := identity.LoadFile(t.Context(), pool, bytes.NewReader(deployed(t, "example/directory.yaml")), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var workers int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM kith.worker`).Scan(&workers); err != nil || workers != 2 {
		t.Errorf("%d workers, %v", workers, err)
	}
}

var variable = regexp.MustCompile(`KITH_[A-Z_]+`)

// What the shipped files set in the environment is read by the commands, and
// the files are YAML.
func TestDeployedVariablesAreRead(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	if _, err := readConfig(strings.NewReader(""), func(name string) string { known[name] = true; return "" }); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsFuncSeq(migrateUsage, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '.' }) {
		if strings.HasPrefix(name, "_") {
			name = "KITH_PASSWORD" + name
		}
		known[name] = true
	}
	for _, file := range []string{"compose.yaml", "kubernetes.yaml", "example/kith.yaml", "alarms.yaml", "README.md"} {
		raw := deployed(t, file)
		for _, name := range variable.FindAllString(string(raw), -1) {
			if !known[name] {
				t.Errorf("%s sets %s, which no command reads", file, name)
			}
		}
		documents := 0
		for d := yaml.NewDecoder(bytes.NewReader(raw)); strings.HasSuffix(file, ".yaml"); documents++ {
			var v any
			if err := d.Decode(&v); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		if strings.HasSuffix(file, ".yaml") && documents == 0 {
			t.Errorf("%s is empty", file)
		}
	}
}

var metric = regexp.MustCompile(`kith_[a-z_]+`)

// Each metric that an alarm watches is one that a hub has, and each alarm is
// explained in the runbook.
func TestAlarmsWatchWhatThereIs(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "detective", "FS") // so that there are answers and refusals to count
	for range 2 {
		_ = hub.send(t, b.reading(t, "outsider", family, "FS"))
	}
	res, err := http.Get(hub.private + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	metrics, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(deployed(t, "alarms.yaml"), &rules); err != nil || len(rules.Groups) == 0 {
		t.Fatalf("%d groups, %v", len(rules.Groups), err)
	}
	runbook := string(deployed(t, "README.md"))
	for _, r := range rules.Groups[0].Rules {
		for _, name := range metric.FindAllString(r.Expr, -1) {
			if !strings.Contains(string(metrics), "\n"+name) {
				t.Errorf("%s watches %s, which the hub does not have", r.Alert, name)
			}
		}
		if !strings.Contains(runbook, "`"+r.Alert+"`") {
			t.Errorf("the runbook does not say what %s means", r.Alert)
		}
	}
}
