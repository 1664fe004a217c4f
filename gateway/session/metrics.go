package session

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts what sessions do. One serves all sessions of a gateway.
type Metrics struct {
	open     prometheus.Gauge
	requests prometheus.Counter
	pushes   [pushOutcomes]prometheus.Counter
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_sessions_open",
			Help: "Sessions that the gateway holds.",
		}),
		requests: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holdfast_gateway_requests_total",
			Help: "Requests accepted from clients.",
		}),
	}
	pushes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_pushes_total",
		Help: "Pushes by what became of them, one for each session they were meant for.",
	}, []string{"outcome"})
	for o := range m.pushes {
		m.pushes[o] = pushes.WithLabelValues(PushOutcome(o).String())
	}
	reg.MustRegister(m.open, m.requests, pushes)
	return m
}

func (m *Metrics) pushed(o PushOutcome) PushOutcome {
	m.pushes[o].Inc()
	return o
}
