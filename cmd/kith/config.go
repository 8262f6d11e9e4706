package main

import (
	"cmp"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// config is the configuration of `kith serve`: a YAML file, over which the
// variables of the environment that are named here win, so that secrets need
// not stand in the file. What is missing and has no default is refused.
type config struct {
	// Listen is where the hub answers. Default 127.0.0.1:8080. TLS ends before
	// it, on the same machine or in the same pod. (KITH_LISTEN)
	Listen string `yaml:"listen"`
	// PrivateListen answers /healthz, /readyz, /metrics and profiles to the
	// operator. Default 127.0.0.1:8081. Never the same as Listen. (KITH_PRIVATE_LISTEN)
	PrivateListen string `yaml:"private_listen"`
	// Replica names this process in receipts: a-z, 0-9 and hyphen. No default:
	// two replicas with one name could not be told apart. (KITH_REPLICA)
	Replica string `yaml:"replica"`
	// Database holds one address for each role that the hub logs in by.
	Database databaseConfig `yaml:"database"`
	// Identity binds issuers to agencies and roles; see identity.Config. Needed.
	Identity identity.Config `yaml:"identity"`
	// SignIn is how people sign in by browser; see identity.SignInConfig. Without
	// providers the hub has no pages.
	SignIn identity.SignInConfig `yaml:"sign_in"`
	// ReceiptKey is a file with this replica's Ed25519 private key (PKCS #8,
	// PEM), readable by this process alone. Needed. (KITH_RECEIPT_KEY)
	ReceiptKey string `yaml:"receipt_key"`
	// ReferenceKey is a file with 32 random bytes in base64: the log's
	// references to people are made with it. All replicas share it, and it stays
	// the same. Needed. (KITH_REFERENCE_KEY)
	ReferenceKey string `yaml:"reference_key"`
	// Log is the access log's tree. Needed.
	Log logConfig `yaml:"log"`
	// Retention is for how many months events of each class (access,
	// contribution, policy, security, log) are kept. A class that is not named is
	// kept for ever; councils differ, so there is no default.
	Retention map[string]int `yaml:"retention"`
	// Limits bound what one request may cost.
	Limits limitsConfig `yaml:"limits"`
	// Reviews are what the auditor and the privacy officers are given to look at.
	Reviews reviewConfig `yaml:"reviews"`
	// Policy bounds an evaluation.
	Policy policyConfig `yaml:"policy"`
	// Outbox says how word gets to those who must act. Default nowhere.
	Outbox outboxConfig `yaml:"outbox"`
	// Drain is how long begun requests may take after a signal to stop.
	// Default 15s, at most 5m.
	Drain time.Duration `yaml:"drain"`
	// LogLevel is debug, info, warn or error. Default info. (KITH_LOG_LEVEL)
	LogLevel string `yaml:"log_level"`
}

type databaseConfig struct {
	// App, Auditor, Sequencer and Replay are addresses for kith_app,
	// kith_auditor, kith_sequencer and kith_replay. Needed. (KITH_DATABASE_APP,
	// KITH_DATABASE_AUDITOR, KITH_DATABASE_SEQUENCER, KITH_DATABASE_REPLAY)
	App       string `yaml:"app"`
	Auditor   string `yaml:"auditor"`
	Sequencer string `yaml:"sequencer"`
	Replay    string `yaml:"replay"`
	// Retention is the address for kith_retention. Without it the hub erases,
	// holds and drops nothing, and says so. Default none. (KITH_DATABASE_RETENTION)
	Retention string `yaml:"retention"`
	// Connections of the app's pool. Default 16.
	Connections int32 `yaml:"connections"`
}

type limitsConfig struct {
	// ReadTimeout bounds one answer. Default 10s.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// SubmissionTimeout bounds one submission. Default 30m.
	SubmissionTimeout time.Duration `yaml:"submission_timeout"`
	// SubmissionBytes bounds a submission's body. Default 1 GiB.
	SubmissionBytes int64 `yaml:"submission_bytes"`
	// HeaderBytes bounds a request's headers. Default 64 KiB.
	HeaderBytes int `yaml:"header_bytes"`
	// WriteBytes bounds the body of a single write. Default 512 KiB.
	WriteBytes int64 `yaml:"write_bytes"`
	// RequestsPerMinute bounds what one caller asks of each replica. Default
	// 600; -1 is no limit.
	RequestsPerMinute int `yaml:"requests_per_minute"`
	// AnswerBytes bounds one answer (a family, a search, a page of a list): a
	// larger one is not given, and the request is refused with 413; exports and
	// reports are streams and not bounded. At least 4 MiB. Default 8 MiB.
	AnswerBytes int `yaml:"answer_bytes"`
	// WriteKeysKept is how long an Idempotency-Key is remembered; the same write
	// sent again after that is made again. At least 48h. Default 720h, 30 days.
	WriteKeysKept time.Duration `yaml:"write_keys_kept"`
	// FamiliesPerHour is how many families one caller asks for before each
	// further one is slowed down and an alarm is raised. Default 60; -1 is no limit.
	FamiliesPerHour int `yaml:"families_per_hour"`
	// SearchesPerHour is how many different searches one caller makes before
	// each further one is slowed down and an alarm is raised. Default 120; -1 is
	// no limit.
	SearchesPerHour int `yaml:"searches_per_hour"`
	// FamiliesFoundPerHour is how many families the answers of one caller's
	// searches name before answers that name more are slowed down and an alarm is
	// raised. Default 400; -1 is no limit.
	FamiliesFoundPerHour int `yaml:"families_found_per_hour"`
	// SlowDown is by how much each of these is slowed down; less than
	// read_timeout. Default 2s.
	SlowDown time.Duration `yaml:"slow_down"`
}

type policyConfig struct {
	// Deadline of one evaluation. Default 50ms; later means no.
	Deadline time.Duration `yaml:"deadline"`
	// KeptDecisions is how many decisions are kept for equal inputs, by the whole
	// input and the version's digest. Default 4096; 0 keeps none.
	KeptDecisions int `yaml:"kept_decisions"`
	// ReplayAccesses is how many of the last accesses a proposed version is
	// weighed by. Default 1000000; -1 is none.
	ReplayAccesses int `yaml:"replay_accesses"`
	// LiveViews is how many views of live records it is weighed by, each one
	// worker's of one family. Default 20000; -1 is none.
	LiveViews int `yaml:"live_views"`
	// KeptFacts is for how many pairs of family and caller facts are kept in
	// memory, some tens of kilobytes each, so that a read that comes again is one
	// round trip. Each access asserts that they still hold. Default 0: none.
	KeptFacts int `yaml:"kept_facts"`
}

var replicaForm = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// readConfig reads the file strictly: a misspelt field is an error, since a
// limit that is silently not set is no limit.
func readConfig(r io.Reader, getenv func(string) string) (config, error) {
	var c config
	c.Policy.KeptDecisions = 4096
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return config{}, fmt.Errorf("configuration: %w", err)
	}
	for name, to := range map[string]*string{
		"KITH_LISTEN": &c.Listen, "KITH_PRIVATE_LISTEN": &c.PrivateListen, "KITH_REPLICA": &c.Replica, "KITH_LOG_LEVEL": &c.LogLevel,
		"KITH_DATABASE_APP": &c.Database.App, "KITH_DATABASE_AUDITOR": &c.Database.Auditor, "KITH_DATABASE_SEQUENCER": &c.Database.Sequencer,
		"KITH_DATABASE_REPLAY": &c.Database.Replay, "KITH_DATABASE_RETENTION": &c.Database.Retention,
		"KITH_RECEIPT_KEY": &c.ReceiptKey, "KITH_REFERENCE_KEY": &c.ReferenceKey, "KITH_LOG_KEY": &c.Log.Key,
	} {
		if v := getenv(name); v != "" {
			*to = v
		}
	}
	for to, standard := range map[*string]string{&c.Listen: "127.0.0.1:8080", &c.PrivateListen: "127.0.0.1:8081", &c.LogLevel: "info"} {
		if *to == "" {
			*to = standard
		}
	}
	return c, nil
}

// hub turns the configuration into a hub's, with every error that it has. It
// reads the keys and connects to nothing.
func (c config) hub(log *slog.Logger, now func() time.Time, random io.Reader) (hubConfig, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	h := hubConfig{Replica: c.Replica, App: c.Database.App, Auditor: c.Database.Auditor, Sequencer: c.Database.Sequencer, Replay: c.Database.Replay, Retention: c.Database.Retention, Keep: c.Retention, Connections: c.Database.Connections,
		Limits: api.Limits{ReadTimeout: c.Limits.ReadTimeout, SubmissionTimeout: c.Limits.SubmissionTimeout, SubmissionBytes: c.Limits.SubmissionBytes, HeaderBytes: c.Limits.HeaderBytes,
			WriteBytes: c.Limits.WriteBytes, AnswerBytes: c.Limits.AnswerBytes, RequestsPerMinute: c.Limits.RequestsPerMinute},
		Looks:         disclosure.LookLimits{FamiliesPerHour: c.Limits.FamiliesPerHour, SearchesPerHour: c.Limits.SearchesPerHour, FoundPerHour: c.Limits.FamiliesFoundPerHour, SlowDown: c.Limits.SlowDown},
		WriteKeysKept: c.Limits.WriteKeysKept,
		SignIn:        c.SignIn,
		Weigh:         weighConfig{Accesses: c.Policy.ReplayAccesses, Views: c.Policy.LiveViews},
		Policy:        policy.Options{Deadline: c.Policy.Deadline, Keep: c.Policy.KeptDecisions}, KeptFacts: c.Policy.KeptFacts, Drain: c.Drain, Now: now, Random: random, Log: log}
	for name, address := range map[string]string{"listen": c.Listen, "private_listen": c.PrivateListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			add("%s: %q is not an address such as 127.0.0.1:8080", name, address)
		}
	}
	if c.Listen == c.PrivateListen {
		add("private_listen: must not be the same as listen: it shows profiles and metrics to whoever asks")
	}
	if !replicaForm.MatchString(c.Replica) {
		add("replica: needed; small letters, digits and hyphens")
	}
	for name, dsn := range map[string]string{"app": c.Database.App, "auditor": c.Database.Auditor, "sequencer": c.Database.Sequencer, "replay": c.Database.Replay} {
		if dsn == "" {
			add("database.%s: needed", name)
		} else if _, err := postgres.WithRole(dsn, "x", "x", ""); err != nil {
			add("database.%s: not an address of a PostgreSQL database", name) // the cause would quote a password
		}
	}
	if dsn := c.Database.Retention; dsn != "" {
		if _, err := postgres.WithRole(dsn, "x", "x", ""); err != nil {
			add("database.retention: not an address of a PostgreSQL database") // the cause would quote a password
		}
	}
	if err := audit.Periods(c.Retention).Check(); err != nil {
		add("retention: %w", err)
	}
	if c.Database.Connections < 0 || c.Limits.ReadTimeout < 0 || c.Limits.SubmissionTimeout < 0 || c.Limits.SubmissionBytes < 0 || c.Limits.HeaderBytes < 0 ||
		c.Limits.WriteBytes < 0 || c.Limits.SlowDown < 0 || c.Limits.RequestsPerMinute < -1 || c.Limits.FamiliesPerHour < -1 || c.Limits.SearchesPerHour < -1 || c.Limits.FamiliesFoundPerHour < -1 ||
		c.Policy.Deadline < 0 || c.Policy.KeptDecisions < 0 || c.Policy.ReplayAccesses < -1 || c.Policy.LiveViews < -1 || c.Policy.KeptFacts < 0 {
		add("limits: nothing may be negative, save -1 for no limit of requests_per_minute, families_per_hour, searches_per_hour and families_found_per_hour, or none of replay_accesses and live_views")
	}
	if most := c.Limits.AnswerBytes; most != 0 && most < 4<<20 {
		add("limits.answer_bytes: %d is less than 4 MiB: a full page of a list would not fit", most)
	}
	if kept := c.Limits.WriteKeysKept; kept != 0 && kept < 48*time.Hour {
		add("limits.write_keys_kept: %s is less than 48h: a write that is sent again tomorrow would be made twice", kept)
	}
	if cmp.Or(c.Limits.SlowDown, 2*time.Second) >= cmp.Or(c.Limits.ReadTimeout, 10*time.Second) {
		add("limits.slow_down: must be less than read_timeout, or whoever is slowed down gets no answer at all")
	}
	if c.Drain < 0 || c.Drain > 5*time.Minute {
		add("drain: %s is not between 0 and 5m", c.Drain)
	}
	var err error
	if h.Identity, err = c.Identity.Complete(); err != nil {
		errs = append(errs, err)
	}
	if h.ReceiptKey, err = readReceiptKey(c.ReceiptKey); err != nil {
		add("receipt_key: %w", err)
	}
	if h.ReferenceKey, err = readReferenceKey(c.ReferenceKey); err != nil {
		add("reference_key: %w", err)
	}
	h.Tree = c.Log.complete(add)
	h.Outbox, h.Operator = c.Outbox.complete(add), c.Outbox.Operator
	h.Watch = c.Reviews.rules(add)
	if _, err := logLevel(c.LogLevel); err != nil {
		errs = append(errs, err)
	}
	return h, errors.Join(errs...)
}

func logLevel(name string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(name)); err != nil {
		return l, fmt.Errorf("log_level: %q is none of debug, info, warn, error", name)
	}
	return l, nil
}

func readReceiptKey(path string) (ed25519.PrivateKey, error) {
	raw, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("no PEM block PRIVATE KEY in the file (openssl genpkey -algorithm ed25519 makes one)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not a PKCS #8 private key")
	}
	signing, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	return signing, nil
}

func readReferenceKey(path string) ([]byte, error) {
	raw, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(key) < 32 {
		return nil, errors.New("not 32 bytes or more in base64 (openssl rand -base64 32 makes them)")
	}
	return key, nil
}

// readSecret refuses a secret that others of this machine may read.
func readSecret(path string) ([]byte, error) {
	if path == "" {
		return nil, errors.New("needed: the path of a file")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return nil, fmt.Errorf("%s has mode %#o: everybody may use it; chmod 600 it", path, mode)
	}
	return os.ReadFile(path)
}
