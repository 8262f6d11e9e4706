package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kith/internal/policy"
)

// outsideServer is an OPA server on the loopback, of the same version as the
// engine inside the hub, with the same modules and data.
type outsideServer struct {
	command *exec.Cmd
	address string
}

// errNoServer: the OPA binary is not there, so there is nothing to compare with.
var errNoServer = errors.New("no OPA binary")

// findOutside looks for the binary that `make bench` builds beside this one.
func findOutside(asked string) (string, error) {
	if asked == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find this binary: %w", err)
		}
		asked = filepath.Join(filepath.Dir(self), "opa")
	}
	if _, err := os.Stat(asked); errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w at %s: go build -modfile=tools.mod -o bin/opa github.com/open-policy-agent/opa", errNoServer, asked)
	} else if err != nil {
		return "", err
	}
	return asked, nil
}

// startOutside writes modules and data into dir and serves them.
func startOutside(ctx context.Context, binary, dir string, v *policy.Version) (*outsideServer, error) {
	modules, data, err := policy.Outside(v)
	if err != nil {
		return nil, err
	}
	for file, text := range modules {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("write policy for the OPA server: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data.json"), data, 0o600); err != nil {
		return nil, fmt.Errorf("write policy data for the OPA server: %w", err)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &outsideServer{address: port}
	s.command = exec.CommandContext(ctx, binary, "run", "--server", "--addr", port, "--disable-telemetry", "--log-level", "error", dir)
	s.command.Env = []string{"HOME=" + dir}
	s.command.SysProcAttr = endsWithUs()
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start the OPA server: %w", err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		answer, err := http.Get("http://" + port + "/health")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return s, nil
			}
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			s.stop()
			return nil, fmt.Errorf("the OPA server does not answer: %w", errors.Join(err, ctx.Err()))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func freePort(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func (s *outsideServer) pid() int { return s.command.Process.Pid }

func (s *outsideServer) stop() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

// question is the request that asks the server for one decision.
func (s *outsideServer) question(in policy.Input) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"input": in})
	if err != nil {
		return nil, fmt.Errorf("encode policy input: %w", err)
	}
	return request(http.MethodPost, "/v1/data/kith/kernel/decision", s.address, "none", map[string]string{"Content-Type": "application/json"}, body), nil
}

// answered checks that the server's answer is a permission with an answer for
// every tuple, as the hub would have to.
func answered(status int, body []byte, tuples int) error {
	var answer struct {
		Result struct {
			Allow   bool              `json:"allow"`
			Entries []json.RawMessage `json:"entries"`
		} `json:"result"`
	}
	if status != http.StatusOK {
		return fmt.Errorf("OPA server: status %d", status)
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("OPA server: %w", err)
	}
	if !answer.Result.Allow || len(answer.Result.Entries) != tuples {
		return fmt.Errorf("OPA server: allowed %t with %d answers for %d tuples", answer.Result.Allow, len(answer.Result.Entries), tuples)
	}
	return nil
}
