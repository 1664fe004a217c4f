package push

import "github.com/prometheus/client_golang/prometheus"

// replyOutcome is what became of a deferred answer.
type replyOutcome uint8

const (
	replyAccepted replyOutcome = iota
	replyLate                  // nobody waits for it any more
	replyInvalid
	replyOutcomes
)

func (o replyOutcome) String() string { return [...]string{"accepted", "late", "invalid"}[o] }

// Metrics counts what backends ask of the gateway.
type Metrics struct {
	replies [replyOutcomes]prometheus.Counter
	invalid prometheus.Counter
}

// NewMetrics registers the series, each at zero.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{invalid: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "holdfast_gateway_invalid_items_total",
		Help: "Pushes and kicks of backends that break a limit of the contract.",
	})}
	replies := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_gateway_deferred_replies_total",
		Help: "Answers that backends had deferred, by what became of them.",
	}, []string{"outcome"})
	for o := range m.replies {
		m.replies[o] = replies.WithLabelValues(replyOutcome(o).String())
	}
	reg.MustRegister(replies, m.invalid)
	return m
}
