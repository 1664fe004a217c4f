package gateway

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// loginOutcome is what became of a HELLO that was put before the backend.
type loginOutcome uint8

const (
	loginWelcome loginOutcome = iota
	loginRefused
	loginOutcomes
)

func (o loginOutcome) String() string { return [...]string{"welcome", "refused"}[o] }

// Metrics counts what happens before there is a session, and while leaving.
type Metrics struct {
	logins   [loginOutcomes]prometheus.Counter
	refusals map[wire.CloseCode]prometheus.Counter
	other    prometheus.Counter
	origins  prometheus.Counter
	shed     prometheus.Counter
	draining prometheus.Gauge
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		refusals: make(map[wire.CloseCode]prometheus.Counter),
		origins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holdfast_gateway_origin_refusals_total",
			Help: "Calls refused because the Origin header names a page that is not allowed.",
		}),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holdfast_gateway_shed_sessions_total",
			Help: "Sessions ended because memory was short and most waited for them.",
		}),
		draining: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_draining",
			Help: "1 while clients are being sent away.",
		}),
	}
	logins := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_logins_total",
		Help: "Logins by outcome.",
	}, []string{"outcome"})
	for o := range m.logins {
		m.logins[o] = logins.WithLabelValues(loginOutcome(o).String())
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_handshake_refusals_total",
		Help: "Connections refused before WELCOME, by code.",
	}, []string{"code"})
	for _, code := range wire.CloseCodes() {
		m.refusals[code] = refusals.WithLabelValues(code.String())
	}
	m.other = refusals.WithLabelValues("other")
	reg.MustRegister(logins, refusals, m.origins, m.shed, m.draining)
	return m
}

func (m *Metrics) login(o loginOutcome) { m.logins[o].Inc() }

func (m *Metrics) refused(code wire.CloseCode) {
	if c, ok := m.refusals[code]; ok {
		c.Inc()
		return
	}
	m.other.Inc()
}
