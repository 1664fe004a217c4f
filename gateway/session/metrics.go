package session

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Metrics counts what sessions do. One serves all sessions of a gateway.
type Metrics struct {
	open     prometheus.Gauge
	cut      prometheus.Gauge
	requests prometheus.Counter
	repeats  prometheus.Counter
	metered  prometheus.Counter
	pushes   [pushOutcomes]prometheus.Counter
	resumes  [resumeOutcomes]prometheus.Counter
	endings  map[string]prometheus.Counter
	other    prometheus.Counter
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
		reg.MustRegister(v)
		return v
	}
	m := &Metrics{
		open: gauge("holdfast_gateway_sessions_open", "Sessions that the gateway holds, cut ones included."),
		cut: gauge("holdfast_gateway_sessions_cut",
			"Sessions that wait for their client to come back; of long poll and SSE those with no call open."),
		requests: counter("holdfast_gateway_requests_total", "Requests accepted from clients."),
		repeats:  counter("holdfast_gateway_requests_repeated_total", "Requests that clients sent again, which are not run again."),
		metered:  counter("holdfast_gateway_requests_metered_total", "Requests answered RESOURCE_EXHAUSTED because they came too fast."),
		endings:  make(map[string]prometheus.Counter),
	}
	reg.MustRegister(m.open, m.cut, m.requests, m.repeats, m.metered)
	pushes := vec("holdfast_gateway_pushes_total", "Pushes by what became of them, one for each session they were meant for.", "outcome")
	for o := range m.pushes {
		m.pushes[o] = pushes.WithLabelValues(PushOutcome(o).String())
	}
	resumes := vec("holdfast_gateway_resumes_total", "Attempts to resume a session, by outcome.", "outcome")
	for o := range m.resumes {
		m.resumes[o] = resumes.WithLabelValues(ResumeOutcome(o).String())
	}
	endings := vec("holdfast_gateway_sessions_ended_total", "Sessions that ended, by why.", "why")
	for _, why := range endingWhys() {
		m.endings[why] = endings.WithLabelValues(why)
	}
	m.other = endings.WithLabelValues("other")
	return m
}

// endingWhys is the closed set of reasons: the close codes, and what needs none.
func endingWhys() []string {
	whys := []string{whyLost, whyTTL, whyCutMax}
	for _, code := range wire.CloseCodes() {
		whys = append(whys, code.String())
	}
	return whys
}

func (m *Metrics) ended(why string) {
	if c, ok := m.endings[why]; ok {
		c.Inc()
		return
	}
	m.other.Inc()
}
