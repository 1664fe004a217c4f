package transport

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Metrics counts connections. One serves all listeners of a gateway.
type Metrics struct {
	accepted prometheus.Counter
	open     prometheus.Gauge
	closes   map[wire.CloseCode]prometheus.Counter
	closeAny prometheus.Counter

	vanished     struct{ silent, halfway prometheus.Counter }
	proxyHeaders struct{ taken, local, refused, untrusted prometheus.Counter }
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holdfast_gateway_connections_accepted_total",
			Help: "Client connections accepted.",
		}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_connections_open",
			Help: "Client connections that are open.",
		}),
		closes: make(map[wire.CloseCode]prometheus.Counter),
	}
	closes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_closes_total",
		Help: "Connections that the gateway ended with CLOSE, by code.",
	}, []string{"code"})
	for _, code := range wire.CloseCodes() {
		m.closes[code] = closes.WithLabelValues(code.String())
	}
	m.closeAny = closes.WithLabelValues("other")
	vanished := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_vanished_connections_total",
		Help: "Connections cut without a word because nothing showed in time how they speak: no byte came (nothing), or too few (too_little).",
	}, []string{"sent"})
	m.vanished.silent, m.vanished.halfway = vanished.WithLabelValues("nothing"), vanished.WithLabelValues("too_little")
	headers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_proxy_headers_total",
		Help: "PROXY headers by what became of them; untrusted is a connection from outside the trusted ranges.",
	}, []string{"outcome"})
	p := &m.proxyHeaders
	p.taken, p.local = headers.WithLabelValues("taken"), headers.WithLabelValues("local")
	p.refused, p.untrusted = headers.WithLabelValues("refused"), headers.WithLabelValues("untrusted")
	reg.MustRegister(m.accepted, m.open, closes, vanished, headers)
	return m
}

func (m *Metrics) closed(code wire.CloseCode) {
	if c, ok := m.closes[code]; ok {
		c.Inc()
		return
	}
	m.closeAny.Inc()
}
