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
	reg.MustRegister(m.accepted, m.open, closes)
	return m
}

func (m *Metrics) closed(code wire.CloseCode) {
	if c, ok := m.closes[code]; ok {
		c.Inc()
		return
	}
	m.closeAny.Inc()
}
