package private

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// initialise makes the cluster if there is none, and returns the superuser's
// password. A cluster whose password is gone cannot be opened any more, and one
// whose making was interrupted is no cluster: both are made anew.
func (p place) initialise(ctx context.Context, bin binaries, cfg Config) (string, error) {
	file := filepath.Join(p.dir, "postgres.password")
	if b, err := os.ReadFile(file); err == nil && len(b) > 0 && p.major() > 0 {
		return string(b), nil
	}
	if cfg.Random == nil {
		return "", errors.New("no source of randomness was given for the first start")
	}
	raw := make([]byte, 24)
	if _, err := io.ReadFull(cfg.Random, raw); err != nil {
		return "", fmt.Errorf("make the superuser's password: %w", err)
	}
	password := hex.EncodeToString(raw)

	made := filepath.Join(p.root, "data.new")
	for _, d := range []string{made, p.data()} {
		if err := os.RemoveAll(d); err != nil {
			return "", fmt.Errorf("clear an unusable cluster: %w", err)
		}
	}
	pwfile := filepath.Join(p.root, "initdb.password")
	defer func() { _ = os.Remove(pwfile) }()
	if err := os.WriteFile(pwfile, []byte(password), 0o600); err != nil {
		return "", fmt.Errorf("hand initdb the password: %w", err)
	}
	if err := p.give(pwfile); err != nil {
		return "", err
	}
	args := []string{"-D", made, "-U", Admin, "--pwfile", pwfile, "--auth", "scram-sha-256",
		"--data-checksums", "--encoding", "UTF8"}
	args = append(args, localeArgs(bin.major)...)
	if cfg.Fast {
		args = append(args, "--no-sync") // nothing of value lies there yet
	}
	cmd := exec.CommandContext(ctx, bin.path("initdb"), args...)
	cmd.Dir = p.root
	cmd.Env = p.environment()
	cmd.SysProcAttr = childAttributes()
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Credential = p.credential()
	// A hub that is killed takes initdb along: see spawn.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	// The password first: a cluster without it is made anew, a password
	// without its cluster as well.
	if err := writeFile(file, password, 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(made, p.data()); err != nil {
		return "", fmt.Errorf("put the cluster in its place: %w", err)
	}
	return password, nil
}

// localeArgs ask for the same order of strings everywhere, and for upper and
// lower case beyond ASCII.
func localeArgs(major int) []string {
	switch {
	case major >= 17:
		return []string{"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"}
	case runtime.GOOS == "darwin":
		return []string{"--locale=C", "--lc-ctype=en_US.UTF-8"}
	default:
		return []string{"--locale=C.UTF-8"}
	}
}

// environment is what the server's processes see: nothing of the hub's.
func (p place) environment() []string {
	return []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + p.root}
}

// configure writes the server's settings anew at each start: they are ours, not
// the user's.
func (p place) configure(port int, fast bool) error {
	sizes := map[string]string{
		"shared_buffers": "256MB", "effective_cache_size": "1GB", "work_mem": "8MB",
		"maintenance_work_mem": "128MB", "max_wal_size": "2GB", "checkpoint_timeout": "15min",
	}
	if fast {
		sizes = map[string]string{
			"shared_buffers": "64MB", "effective_cache_size": "256MB", "work_mem": "4MB",
			"maintenance_work_mem": "32MB", "max_wal_size": "512MB", "checkpoint_timeout": "30min",
		}
	}
	var b strings.Builder
	set := func(key, value string) { fmt.Fprintf(&b, "%s = '%s'\n", key, strings.ReplaceAll(value, "'", "''")) }
	b.WriteString("# Written at each start of Kith's private server; changes are lost.\n")
	set("listen_addresses", "127.0.0.1")
	set("port", fmt.Sprint(port))
	set("unix_socket_directories", p.sockets())
	set("unix_socket_permissions", "0700")
	set("password_encryption", "scram-sha-256")
	set("max_connections", "200")
	for _, k := range []string{"shared_buffers", "effective_cache_size", "work_mem", "maintenance_work_mem", "max_wal_size", "checkpoint_timeout"} {
		set(k, sizes[k])
	}
	b.WriteString("\n# A commit that was acknowledged survives a power cut.\n")
	set("fsync", "on")
	set("full_page_writes", "on")
	set("synchronous_commit", "on")
	b.WriteString("\n# The server's log holds no personal data.\n")
	set("log_error_verbosity", "terse")
	set("log_parameter_max_length", "0")
	set("log_parameter_max_length_on_error", "0")
	set("log_min_error_statement", "panic")
	set("log_statement", "none")
	set("log_checkpoints", "off")
	set("log_timezone", "UTC")
	b.WriteString("\n")
	set("timezone", "UTC")
	set("lc_messages", "C")
	set("jit", "off")
	set("huge_pages", "off")
	conf := filepath.Join(p.data(), "postgresql.conf")
	if err := writeFile(conf, b.String(), 0o600); err != nil {
		return err
	}
	if err := p.give(conf); err != nil {
		return err
	}
	hba := filepath.Join(p.data(), "pg_hba.conf")
	err := writeFile(hba, "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n", 0o600)
	if err != nil {
		return err
	}
	return p.give(hba)
}

// writeFile replaces a file as a whole, or not at all.
func writeFile(path, text string, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
