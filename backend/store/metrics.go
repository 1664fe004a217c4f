package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// outcome says how a write ended. It is a metric label, so the set is closed.
type outcome string

const (
	outcomeStored    outcome = "stored"
	outcomeRepeated  outcome = "repeated"
	outcomeNotStored outcome = "not_stored"
	outcomeUnknown   outcome = "unknown"
)

var outcomes = []outcome{outcomeStored, outcomeRepeated, outcomeNotStored, outcomeUnknown}

type metrics struct {
	writes  map[outcome]prometheus.Counter
	seconds *prometheus.HistogramVec
	write   prometheus.Observer
	read    prometheus.Observer
}

func newMetrics(reg prometheus.Registerer, waiting func() float64) (*metrics, error) {
	writes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_store_writes_total",
		Help: "Messages given to the store, by how it ended.",
	}, []string{"outcome"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "holdfast_store_seconds",
		Help:    "Time an operation of the store took, waiting for its turn included.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 11),
	}, []string{"operation"})
	waits := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "holdfast_store_writers_waiting",
		Help: "Writers that wait for their turn.",
	}, waiting)
	for _, c := range []prometheus.Collector{writes, seconds, waits} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m := &metrics{writes: map[outcome]prometheus.Counter{}, seconds: seconds,
		write: seconds.WithLabelValues("write"), read: seconds.WithLabelValues("read")}
	for _, o := range outcomes {
		m.writes[o] = writes.WithLabelValues(string(o))
	}
	return m, nil
}

func (m *metrics) wrote(o outcome, since time.Time) {
	m.writes[o].Inc()
	m.write.Observe(time.Since(since).Seconds())
}
