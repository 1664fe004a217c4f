package poll

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// callKind is what a call asks for. The set is closed: it is a metric's label.
type callKind uint8

const (
	callHello callKind = iota
	callPoll
	callFrames
	callEvents
	callDelete
	callOther // a path or method that is not served
	callKinds
)

func (k callKind) String() string {
	return [...]string{"hello", "poll", "frames", "events", "delete", "other"}[k]
}

// Metrics counts calls. One serves all listeners of a gateway.
type Metrics struct {
	calls    [callKinds]prometheus.Counter
	open     prometheus.Gauge
	lost     prometheus.Counter
	refusals map[wire.CloseCode]prometheus.Counter
	closes   map[wire.CloseCode]prometheus.Counter

	refusedOther, closedOther prometheus.Counter
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_poll_calls_open",
			Help: "Calls of long poll and SSE that are not answered yet.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "holdfast_gateway_poll_calls_lost_total",
			Help: "Calls whose client went away before the answer.",
		}),
		refusals: make(map[wire.CloseCode]prometheus.Counter),
		closes:   make(map[wire.CloseCode]prometheus.Counter),
	}
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_poll_calls_total",
		Help: "Calls of long poll and SSE by what they asked for.",
	}, []string{"call"})
	for k := range m.calls {
		m.calls[k] = calls.WithLabelValues(callKind(k).String())
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_poll_refusals_total",
		Help: "Calls answered with a CLOSE object, by its code.",
	}, []string{"code"})
	closes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_poll_closes_total",
		Help: "Connections made of calls that the gateway ended with CLOSE, by code.",
	}, []string{"code"})
	for _, code := range wire.CloseCodes() {
		m.refusals[code] = refusals.WithLabelValues(code.String())
		m.closes[code] = closes.WithLabelValues(code.String())
	}
	m.refusedOther = refusals.WithLabelValues("other")
	m.closedOther = closes.WithLabelValues("other")
	reg.MustRegister(m.open, m.lost, calls, refusals, closes)
	return m
}

func (m *Metrics) refused(code wire.CloseCode) {
	if c, ok := m.refusals[code]; ok {
		c.Inc()
		return
	}
	m.refusedOther.Inc()
}

func (m *Metrics) closed(code wire.CloseCode) {
	if c, ok := m.closes[code]; ok {
		c.Inc()
		return
	}
	m.closedOther.Inc()
}
