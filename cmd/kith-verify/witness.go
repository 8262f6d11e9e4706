package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kith/internal/audit/proof"
)

// maxBody is far above what 63 hashes and a checkpoint with its signatures take.
const maxBody = 64 << 10

// witness is the server that a partner agency runs, on a machine and with a
// disk of its own: what it remembers is what the hub cannot take back.
func witness(ctx context.Context, o options, now func() time.Time, stdout io.Writer) error {
	switch {
	case len(o.files) > 0:
		return fmt.Errorf("%w: witness takes flags alone", errUsage)
	case o.name == "" || o.private == "" || o.state == "" || o.key == "":
		return fmt.Errorf("%w: witness needs --name, --private, --state and --key with the log's key", errUsage)
	}
	keys, _, err := o.keys("")
	if err != nil {
		return err
	}
	private, err := ownKey(o.private)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	book, err := openBook(o.name, private, keys.Logs, now, o.state)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	fmt.Fprintf(stdout, "witness %s\nready http://%s\n", book.Key(), ln.Addr())
	server := &http.Server{
		Handler: serveWitness(book), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(end)
}

// openBook restores what the witness remembers. A file that cannot be read
// stops the start: a witness that has forgotten would cosign a fork.
func openBook(name string, private ed25519.PrivateKey, logs []proof.NoteKey, now func() time.Time, dir string) (*proof.Witness, error) {
	file := func(origin string) string {
		sum := sha256.Sum256([]byte(origin))
		return filepath.Join(dir, hex.EncodeToString(sum[:])+".checkpoint")
	}
	book, err := proof.NewWitness(name, private, logs, now, func(origin string, signed []byte) error { return writeFile(file(origin), signed) })
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, k := range logs {
		if known[k.Name] {
			continue
		}
		known[k.Name] = true
		data, err := os.ReadFile(file(k.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("state: %w", err)
		}
		if err := book.Restore(data); err != nil {
			return nil, fmt.Errorf("state %s: %w", file(k.Name), err)
		}
	}
	return book, nil
}

func serveWitness(book *proof.Witness) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the request is too long or was cut off", http.StatusBadRequest)
			return
		}
		a := book.Add(body)
		w.Header().Set("Content-Type", a.Type)
		w.WriteHeader(a.Status)
		_, _ = io.WriteString(w, a.Body)
	})
	return mux
}

// writeFile replaces a file in one step that survives a power cut.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// ownKey reads the witness's private key (PKCS #8), or makes it.
func ownKey(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, fresh, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(fresh)
		if err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		if err := writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
			return nil, fmt.Errorf("keep the key: %w", err)
		}
		return fresh, nil
	}
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("private key %s is open to others: chmod 600", path)
	}
	block, rest := pem.Decode(data)
	if block == nil || strings.TrimSpace(string(rest)) != "" {
		return nil, fmt.Errorf("private key %s: not one PEM block", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("private key %s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("private key %s: not Ed25519", path)
	}
	return private, nil
}
