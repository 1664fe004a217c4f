package secure

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome is how a handshake ended.
type outcome uint8

const (
	outcomeFull     outcome = iota // a whole handshake
	outcomeResumed                 // with a session ticket
	outcomeFailed                  // the client sent what TLS refuses, or refused what we sent
	outcomeTimeout                 // the client did not answer in time
	outcomeYielded                 // the client was slow while others waited for a place
	outcomeUnserved                // no place came free in time
	outcomeAborted                 // the connection or the listener went away
	outcomes
)

func (o outcome) String() string {
	return [...]string{"full", "resumed", "failed", "timeout", "yielded", "unserved", "aborted"}[o]
}

// Metrics counts handshakes and reloads. One serves all listeners of a gateway.
type Metrics struct {
	handshakes [outcomes]prometheus.Counter
	running    prometheus.Gauge
	waiting    prometheus.Gauge
	reloadOK   prometheus.Counter
	reloadBad  prometheus.Counter
	notAfter   *prometheus.GaugeVec
	listener   string
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_tls_handshakes_running",
			Help: "TLS handshakes under way, each on a goroutine.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_gateway_tls_handshakes_waiting",
			Help: "Clients whose ClientHello has come and that wait for a place.",
		}),
		notAfter: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "holdfast_gateway_tls_certificate_not_after_seconds",
			Help: "Unix time at which the first of a listener's certificates expires.",
		}, []string{"listener"}),
	}
	handshakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_tls_handshakes_total",
		Help: "TLS handshakes that have ended, by outcome.",
	}, []string{"outcome"})
	for o := range m.handshakes {
		m.handshakes[o] = handshakes.WithLabelValues(outcome(o).String())
	}
	reloads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_tls_reloads_total",
		Help: "Times that changed certificate files were read, by result; a failed one keeps the old certificate.",
	}, []string{"result"})
	m.reloadOK, m.reloadBad = reloads.WithLabelValues("ok"), reloads.WithLabelValues("failed")
	reg.MustRegister(handshakes, reloads, m.running, m.waiting, m.notAfter)
	return m
}

// Listener returns m for the store of the listener with this address, as it is
// configured: its certificates' expiry is told apart by that.
func (m *Metrics) Listener(address string) *Metrics {
	own := *m
	own.listener = address
	return &own
}

func (m *Metrics) expires(at time.Time) {
	m.notAfter.WithLabelValues(m.listener).Set(float64(at.Unix()))
}

func (m *Metrics) reloaded(err error) {
	if err != nil {
		m.reloadBad.Inc()
		return
	}
	m.reloadOK.Inc()
}
