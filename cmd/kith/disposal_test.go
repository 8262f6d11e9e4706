package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/demo"
)

// audit runs a command of `kith audit` against the hub, in somebody's name.
func (r *replica) audit(t *testing.T, url, as string, args ...string) (status int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = auditCommand(context.Background(), append(args, "--url", url, "--token", r.b.token(t, as)), &stdout, &stderr)
	return status, stdout.String() + stderr.String()
}

// post sends JSON and wants a status.
func (r *replica) post(t *testing.T, as, path, body string, want int) map[string]any {
	t.Helper()
	got := r.send(t, call{method: http.MethodPost, path: path, bearer: r.b.token(t, as), body: body, header: map[string]string{"Content-Type": "application/json"}})
	if got.status != want {
		t.Fatalf("%s as %s: %d, want %d: %s", path, as, got.status, want, got.body)
	}
	var answer map[string]any
	if err := json.Unmarshal(got.body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// verified reads an export's folder and fails unless it verifies by keys that
// the hub gave out.
func (r *replica) verified(t *testing.T, dir string) proof.Report {
	t.Helper()
	status, text := r.audit(t, r.url, "auditor", "keys")
	keys, err := proof.ParseKeyFile([]byte(text))
	if status != 0 || err != nil {
		t.Fatalf("keys: %d %s %v", status, text, err)
	}
	if _, _, err := keys.Announced([]byte(text)); err != nil {
		t.Errorf("the list of keys is not signed by a key in it: %v", err)
	}
	f, err := os.Open(filepath.Join(dir, "events.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	report, err := proof.VerifyExport(f, proof.VerifyOptions{Keys: keys})
	if err != nil || !report.Good() {
		t.Fatalf("%v: %v", err, report.First)
	}
	return report
}

// recorder appends as the replica hub-1 would have at some time.
func (b *borough) recorder(t *testing.T, role string, now func() time.Time) *audit.Recorder {
	t.Helper()
	r, err := audit.NewRecorder(b.db.Pool(t, role), &audit.Signer{Partnership: demo.Partnership, Replica: "hub-1", Key: b.replicas["hub-1"], Now: now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// accesses logs n refused reads by that recorder.
func accesses(t *testing.T, r *audit.Recorder, n int) []uuid.UUID {
	t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		receipt, err := r.Append(context.Background(), audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeNotFound, Agency: "CSC", Family: uuid.New(),
			Principal: proof.Principal{Worker: uuid.New(), Name: "=cmd|' /C calc'!A0, \"Ada\"\r\nof CSC"}, Reason: "a test"})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = receipt.Event()
	}
	return ids
}

// Holds, an erasure by two officers and its certificate, over HTTP and by the
// commands, and what the log says of it afterwards.
func TestErasureByTwoOfficers(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	r := b.open(t, "hub-1")
	family := r.openTo(t, "social-worker", "CP")
	person := one[uuid.UUID](t, b, `SELECT s FROM kith.access_event e, unnest(e.subjects) s WHERE e.family = $1 LIMIT 1`, family)
	parts := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE subjects @> ARRAY[$1::uuid]`, person)
	if parts == 0 {
		t.Fatal("nothing was released about anybody")
	}

	for _, as := range []string{"social-worker", "admin", "system-csc", "ig-author-csc"} {
		for _, path := range []string{"/v1/holds", "/v1/erasures", "/v1/log/certificates", "/v1/log/retention"} {
			if as == "admin" && path == "/v1/log/retention" {
				continue // it names nobody, and is the administrator's to look after
			}
			if got := r.send(t, call{method: http.MethodGet, path: path, bearer: b.token(t, as)}); got.status != http.StatusForbidden {
				t.Errorf("%s %s: %d", as, path, got.status)
			}
		}
		r.post(t, as, "/v1/people/"+person.String()+"/erasure", `{"rule":"UK GDPR article 17","reason":"asked for in court"}`, http.StatusForbidden)
	}
	for _, body := range []string{
		`{"family":"` + family.String() + `","reason":"care proceedings"}`,
		`{"reason":"care proceedings","review_on":"2999-01-01"}`,
		`{"family":"` + family.String() + `","agency":"CSC","reason":"care proceedings","review_on":"` + time.Now().AddDate(0, 1, 0).Format(time.DateOnly) + `"}`,
		`{"agency":"MH","reason":"care proceedings","review_on":"` + time.Now().AddDate(0, 1, 0).Format(time.DateOnly) + `"}`,
	} {
		r.post(t, "sar-officer", "/v1/holds", body, http.StatusBadRequest)
	}
	status, out := r.audit(t, r.url, "sar-officer", "hold", "--family", family.String(), "--review-on", time.Now().AddDate(0, 3, 0).Format(time.DateOnly), "--reason", "care proceedings")
	if status != 0 {
		t.Fatal(out)
	}
	hold := one[string](t, b, `SELECT id::text FROM kith.log_hold`)
	if status, out = r.audit(t, r.url, "sar-officer", "hold"); status != 0 || !strings.Contains(out, hold) {
		t.Errorf("holds: %s", out)
	}

	asked := r.post(t, "sar-officer", "/v1/people/"+person.String()+"/erasure", `{"rule":"UK GDPR article 17","reason":"asked for in court"}`, http.StatusAccepted)
	id, _ := asked["id"].(string)
	r.post(t, "sar-officer", "/v1/erasures/"+id+"/confirmation", `{}`, http.StatusForbidden)
	r.post(t, "privacy-officer-csc", "/v1/erasures/"+id+"/confirmation", `{}`, http.StatusForbidden) // the same agency's
	if status, out = r.audit(t, r.url, "privacy-officer-mh", "erase"); status != 0 || !strings.Contains(out, id) || strings.Contains(out, person.String()) {
		t.Errorf("open erasures: %s", out)
	}
	done := r.post(t, "privacy-officer-mh", "/v1/erasures/"+id+"/confirmation", `{}`, http.StatusOK)
	if d := disposalIn(t, b, done); d.Held == 0 || d.Events != 0 || len(d.By) != 2 {
		t.Errorf("under a hold: %+v", d)
	}
	if status, out = r.audit(t, r.url, "privacy-officer-csc", "lift", hold, "--reason", "the proceedings have ended"); status != 0 {
		t.Fatal(out)
	}
	asked = r.post(t, "sar-officer", "/v1/people/"+person.String()+"/erasure", `{"rule":"UK GDPR article 17","reason":"asked for in court"}`, http.StatusAccepted)
	id, _ = asked["id"].(string)
	if status, out = r.audit(t, r.url, "auditor", "erase", "--confirm", id); status != 0 {
		t.Fatal(out)
	}
	if n := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE subjects @> ARRAY[$1::uuid]`, person); n != 0 {
		t.Errorf("%d events still name the person", n)
	}

	b.sequenced(t)
	dir := t.TempDir()
	eventually(t, 20*time.Second, "an export of all there is", func() bool {
		status, out = r.audit(t, r.url, "auditor", "export", "--out", dir)
		return status == 0
	})
	report := r.verified(t, dir)
	if report.Erased < int64(parts) {
		t.Errorf("%d parts erased, want %d or more", report.Erased, parts)
	}
	kept := t.TempDir()
	if status, out = r.audit(t, r.url, "auditor", "certificates", "--out", kept); status != 0 || strings.Count(out, "erasure") != 2 || !strings.Contains(out, "lift") {
		t.Errorf("certificates: %s", out)
	}
	files, _ := filepath.Glob(filepath.Join(kept, "*.json"))
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var c proof.Certificate
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Open(proof.NewKeys(b.keys(t)...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(files) != 4 {
		t.Errorf("%d certificates kept, want 4", len(files))
	}
}

// disposalIn verifies the certificate of an answer.
func disposalIn(t *testing.T, b *borough, answer map[string]any) proof.Disposal {
	t.Helper()
	raw, err := json.Marshal(answer["certificate"])
	if err != nil {
		t.Fatal(err)
	}
	var whole struct{ Certificate json.RawMessage }
	if err := json.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	var d proof.Disposal
	if err := json.Unmarshal(whole.Certificate, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// cutting stands before the hub and cuts each export off once.
func cutting(t *testing.T, hub string, after int64) (string, *atomic.Int32) {
	t.Helper()
	cuts := &atomic.Int32{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), r.Method, hub+r.URL.RequestURI(), r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		req.Header = r.Header.Clone()
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		cut := strings.HasSuffix(r.URL.Path, "/export") && r.URL.Query().Get("after") == ""
		if !cut {
			_, _ = io.Copy(w, res.Body) // whoever asked sees what is missing
			return
		}
		cuts.Add(1)
		_, _ = io.CopyN(w, res.Body, after)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	return s.URL, cuts
}

// Each format goes on where it was cut off, and verifies.
func TestAnExportGoesOnInEveryFormat(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	r := b.open(t, "hub-1")
	accesses(t, b.recorder(t, "app", time.Now), 1300)
	b.sequenced(t)
	until := time.Now().UTC().Format(time.RFC3339Nano) // later events, the exports' own among them, would make the files differ
	for format, name := range map[string]string{"ndjson": "events.ndjson", "csv": "events.csv", "fhir": "events.fhir.ndjson"} {
		whole := t.TempDir()
		args := []string{"export", "--format", format}
		if format != "ndjson" { // a run of leaves must come to its last
			args = append(args, "--to", until)
		}
		take := func(url string, more ...string) (int, string) {
			return r.audit(t, url, "auditor", slices.Concat(args, []string{"--out", whole}, more)...)
		}
		direct := t.TempDir()
		status, out := r.audit(t, r.url, "auditor", slices.Concat(args, []string{"--out", direct})...)
		want, err := os.ReadFile(filepath.Join(direct, name))
		if status != 0 || err != nil {
			t.Fatalf("%s: %s: %v", format, out, err)
		}
		url, cuts := cutting(t, r.url, int64(len(want))*19/20)
		status, out = take(url)
		if status == 0 || cuts.Load() != 1 || !strings.Contains(out, "--resume") {
			t.Fatalf("%s was not cut off: %s", format, out)
		}
		before, err := os.ReadFile(filepath.Join(whole, name+".part"))
		if err != nil || len(before) == 0 {
			t.Fatalf("%s: nothing was kept: %v", format, err)
		}
		if status, out = take(url, "--resume"); status != 0 || cuts.Load() != 1 {
			t.Fatalf("%s did not go on: %s", format, out)
		}
		got, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if format == "ndjson" {
			if r.verified(t, whole).Shown < 1300 {
				t.Error("too few entries")
			}
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes are not the %d that come uncut", format, len(got), len(want))
		}
		if _, err := os.Stat(filepath.Join(whole, "tile", "0", "000")); err != nil {
			t.Errorf("%s: no tiles: %v", format, err)
		}
		if format == "csv" {
			isTable(t, got)
		}
		if format == "ndjson" {
			continue
		}
		// A file that ends in the middle of a row goes on as well.
		if err := os.WriteFile(filepath.Join(whole, name+".part"), got[:len(got)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if status, out = take(r.url, "--resume"); status != 0 {
			t.Fatalf("%s: %s", format, out)
		}
		if again, err := os.ReadFile(filepath.Join(whole, name)); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s: cut in the middle it became another file", format)
		}
	}
}

// isTable: RFC 4180, the same columns in each row, no formula in any cell.
func isTable(t *testing.T, file []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(file)).ReadAll() // the same number of fields in each
	if err != nil {
		t.Fatal(err)
	}
	hostile := 0
	for _, row := range rows {
		for _, cell := range row {
			if strings.HasPrefix(cell, "'=cmd|' /C calc'!A0, \"Ada\"") {
				hostile++
			}
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Fatalf("a formula: %q", cell)
			}
		}
	}
	if hostile < 1000 {
		t.Errorf("the hostile name stands in %d rows", hostile)
	}
	for _, line := range bytes.Split(bytes.TrimSuffix(file, []byte("\r\n")), []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n") {
			t.Fatal("a line ends otherwise than by CRLF")
		}
	}
}

// A month goes by one command, after its export.
func TestAMonthIsDroppedByCommand(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	b.exec(t, `CREATE TABLE kith.access_event_access_2019_03 PARTITION OF kith.access_event_access FOR VALUES FROM ('2019-03-01 00:00:00+00') TO ('2019-04-01 00:00:00+00')`)
	b.exec(t, `ALTER TABLE kith.access_event_access_2019_03 OWNER TO kith_owner`)
	at := time.Date(2019, 3, 4, 9, 0, 0, 0, time.UTC)
	accesses(t, b.recorder(t, "admin", func() time.Time { at = at.Add(time.Minute); return at }), 5)
	b.exec(t, `UPDATE kith.access_event SET recorded_at = occurred_at WHERE occurred_at < '2019-04-01'`)
	r := b.open(t, "hub-1", func(c *hubConfig) { c.Keep = audit.Periods{"access": 24} })
	b.sequenced(t)

	if status, out := r.audit(t, r.url, "auditor", "retention"); status != 0 || !strings.Contains(strings.Join(strings.Fields(out), " "), "2019-03 access now 5 0, 0 no") {
		t.Errorf("retention: %s", out)
	}
	dir := t.TempDir()
	own := t.TempDir()
	if status, out := r.audit(t, r.url, "privacy-officer-csc", "export", "--out", own); status != 0 {
		t.Fatal(out)
	}
	if status, out := r.audit(t, r.url, "auditor", "export", "--out", dir); status != 0 {
		t.Fatal(out)
	}
	drop := func(as, class, month, export string) (int, string) {
		return r.audit(t, r.url, as, "drop", "--month", month, "--class", class, "--export", export, "--reason", "past its retention")
	}
	for name, c := range map[string]struct{ as, class, month, export, says string }{
		"an agency's export":  {"auditor", "access", "2019-03", own, "the auditor's is needed"},
		"another month":       {"auditor", "access", "2019-04", dir, "nothing to drop"},
		"a class for ever":    {"auditor", "log", "2019-03", dir, "not due"},
		"a month of this day": {"auditor", "access", time.Now().Format("2006-01"), dir, "not due"},
		"another role":        {"privacy-officer-csc", "access", "2019-03", dir, "None of your roles"},
	} {
		if status, out := drop(c.as, c.class, c.month, c.export); status != 1 || !strings.Contains(out, c.says) {
			t.Errorf("%s: %d %s", name, status, out)
		}
	}
	file := filepath.Join(dir, "events.ndjson")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "events.ndjson")
	if err := os.WriteFile(other, bytes.Replace(whole, []byte(`"kind":"read"`), []byte(`"kind":"raed"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := drop("auditor", "access", "2019-03", other); status != 1 || !strings.Contains(out, "does not verify") {
		t.Errorf("a changed export: %d %s", status, out)
	}
	if status, out := drop("auditor", "access", "2019-03", dir); status != 0 || !strings.Contains(out, `"kind":"drop"`) {
		t.Fatalf("drop: %d %s", status, out)
	}
	if n := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE occurred_at < '2019-04-01'`); n != 0 {
		t.Errorf("%d events are left", n)
	}
	b.sequenced(t)
	after := t.TempDir()
	if status, out := r.audit(t, r.url, "auditor", "export", "--out", after); status != 0 {
		t.Fatal(out)
	}
	if report := r.verified(t, after); report.Dropped != 5 || len(report.Certificates) != 1 || report.Certificates[0].By[0].Agency != "HUB" {
		t.Errorf("%d dropped, %+v", report.Dropped, report.Certificates)
	}
}
