package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"
)

// Check is one thing that must hold for this replica to take requests. A
// warning does not make it unready.
type Check struct {
	Name string
	Test func(context.Context) (warning string, err error)
}

// readyLimit bounds all checks of one question together.
const readyLimit = 2 * time.Second

// Private is the operator's listener: health, readiness, metrics, profiles. It
// belongs on loopback or an internal network and shows no personal data.
func Private(m *Metrics, checks []Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { ready(w, r, checks) })
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

type checkView struct {
	Name    string `json:"name"`
	OK      bool   `json:"ok"`
	Warning string `json:"warning,omitempty"`
	Why     string `json:"why,omitempty"`
}

func ready(w http.ResponseWriter, r *http.Request, checks []Check) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	status := http.StatusOK
	views := make([]checkView, 0, len(checks))
	for _, c := range checks {
		v := checkView{Name: c.Name, OK: true}
		warning, err := c.Test(ctx)
		v.Warning = warning
		if err != nil {
			v.OK, v.Why = false, err.Error()
			status = http.StatusServiceUnavailable
		}
		views = append(views, v)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(views)
}
