package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts what the hub does; each name says the promise that it
// watches. No label ever holds personal data.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	Released prometheus.Counter
	Refused  *prometheus.CounterVec
}

// NewMetrics makes a registry of its own, so that two hubs in one process do not mix.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kith_http_request_seconds", Help: "Requests by route and status, with how long they took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route", "status"}),
		Released: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "kith_disclosures_released_total", Help: "Answers about families, each with a committed row of the access log.",
		}),
		Refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_disclosures_refused_total", Help: "Requests for families that were refused, by code; each is logged.",
		}, []string{"code"}),
	}
	m.registry.MustRegister(m.requests, m.Released, m.Refused, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Register adds another part's collectors.
func (m *Metrics) Register(c ...prometheus.Collector) { m.registry.MustRegister(c...) }

// Handler serves /metrics; it belongs on the private listener.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *Metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Observe(took.Seconds())
}
