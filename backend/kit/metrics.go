package kit

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit/internal/engine"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// What became of a deferred answer: the label of late_answers_total.
const (
	lateSent      = "sent"
	lateExpired   = "expired"    // the gateway had stopped waiting before it could be sent
	lateQueueFull = "queue_full" // too much waited for that gateway
	lateLost      = "lost"       // the gateway was lost, or the server ended
)

// What became of a push: the label of pushes_total, besides the gateways'
// refusals.
const (
	pushDelivered = "delivered"
	pushFailed    = "failed"         // the call failed
	pushDropped   = "dropped"        // the gateway was lost, or the server ended
	pushQueueFull = "kit_queue_full" // too much waited for that gateway
)

// metrics are the kit's. What the engine counts is read from it when asked.
type metrics struct {
	panics      prometheus.Counter
	malformed   prometheus.Counter
	batch       prometheus.Histogram
	lateAnswers *prometheus.CounterVec
	pushes      *prometheus.CounterVec
	connects    *prometheus.CounterVec
	events      *prometheus.CounterVec
	failedCalls prometheus.Counter
}

func newMetrics(service string) *metrics {
	labels := prometheus.Labels{"service": service}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "holdfast", Subsystem: "kit", Name: name, Help: help, ConstLabels: labels}
	}
	m := &metrics{
		panics:      prometheus.NewCounter(counter("panics_total", "Handlers that panicked.")),
		malformed:   prometheus.NewCounter(counter("malformed_packets_total", "Packets that break the contract; answered INTERNAL.")),
		lateAnswers: prometheus.NewCounterVec(counter("late_answers_total", "Answers to deferred packets."), []string{"outcome"}),
		pushes:      prometheus.NewCounterVec(counter("pushes_total", "Pushes given to the Pusher."), []string{"outcome"}),
		connects:    prometheus.NewCounterVec(counter("connects_total", "Logins judged."), []string{"outcome"}),
		events:      prometheus.NewCounterVec(counter("events_total", "Session events."), []string{"outcome"}),
		failedCalls: prometheus.NewCounter(counter("gateway_call_failures_total", "Calls to gateways that failed.")),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "holdfast", Subsystem: "kit", Name: "batch_packets", ConstLabels: labels,
			Help: "Packets of one Forward call.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
	}
	for _, o := range []string{lateSent, lateExpired, lateQueueFull, lateLost} {
		m.lateAnswers.WithLabelValues(o)
	}
	for _, o := range []string{
		pushDelivered, pushFailed, pushDropped, pushQueueFull,
		string(NoSession), string(SlowClient), string(InvalidPush), string(PushTooLarge), string(UnknownReason),
	} {
		m.pushes.WithLabelValues(o)
	}
	for _, o := range []string{"welcome", "refused", "failed", "not_executed"} {
		m.connects.WithLabelValues(o)
	}
	for _, o := range []string{"handled", "failed"} {
		m.events.WithLabelValues(o)
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.panics, m.malformed, m.batch, m.lateAnswers, m.pushes, m.connects, m.events, m.failedCalls}
}

func (m *metrics) late(outcome string, n int) {
	m.lateAnswers.WithLabelValues(outcome).Add(float64(n))
}

func (m *metrics) push(outcome string, n int) {
	m.pushes.WithLabelValues(outcome).Add(float64(n))
}

func pushOutcome(r Result) string {
	if r.Delivered > 0 || r.Refusal == NotRefused {
		return pushDelivered
	}
	return string(r.Refusal)
}

func (m *metrics) connect(r *holdfast.ConnectResult_) {
	outcome := "refused"
	switch {
	case r.NotExecuted:
		outcome = "not_executed"
	case r.CloseCode == 0:
		outcome = "welcome"
	case r.CloseCode == int32(CloseInternal), r.CloseCode == int32(CloseBackendUnavailable):
		outcome = "failed"
	}
	m.connects.WithLabelValues(outcome).Inc()
}

// collector reads the engine's and the peers' own counts.
type collector struct {
	engine   *engine.Engine
	peers    *peers
	gateways *gateways

	answers, refused, repeats, inline, deferred, helped *prometheus.Desc
	running, waiting, sessions, kept, alive, queued     *prometheus.Desc
}

func newCollector(service string, e *engine.Engine, ps *peers, g *gateways) *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("holdfast_kit_"+name, help, labels, prometheus.Labels{"service": service})
	}
	return &collector{
		engine: e, peers: ps, gateways: g,
		answers:  desc("answers_total", "Packets run, by status.", "status"),
		refused:  desc("refused_packets_total", "Packets answered as not executed.", "reason"),
		repeats:  desc("repeated_packets_total", "Packets that came again and were not run again.", "outcome"),
		inline:   desc("inline_packets_total", "Packets run on their batch's own runner."),
		deferred: desc("deferred_packets_total", "Packets answered after their Forward call."),
		helped:   desc("helped_batches_total", "Runners that took over from a stuck one."),
		running:  desc("running", "Workers at work.", "on"),
		waiting:  desc("waiting_packets", "Packets that wait for a worker or an earlier packet."),
		sessions: desc("remembered_sessions", "Sessions that the dedupe remembers."),
		kept:     desc("kept_answers", "Answers kept to be repeated."),
		alive:    desc("gateways", "Gateways that are alive."),
		queued:   desc("queued_items", "Items that wait for gateways.", "what"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.answers, c.refused, c.repeats, c.inline, c.deferred, c.helped,
		c.running, c.waiting, c.sessions, c.kept, c.alive, c.queued,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	st := c.engine.Stats()
	for code, n := range st.Status {
		counter(c.answers, n, Status(code).String())
	}
	for i, n := range st.Refused {
		counter(c.refused, n, string(engine.Refusals[i]))
	}
	counter(c.repeats, st.Joined, "joined")
	counter(c.repeats, st.Repeated, "answer_kept")
	counter(c.repeats, st.Lost, "answer_lost")
	counter(c.inline, st.Inline)
	counter(c.deferred, st.Deferred)
	counter(c.helped, st.Helped)
	gauge(c.running, st.Running, "worker")
	gauge(c.running, st.Runners, "batch")
	gauge(c.waiting, st.Waiting)
	gauge(c.sessions, st.Sessions)
	gauge(c.kept, st.Answers)
	gauge(c.alive, len(c.gateways.list()))
	replies, pushes := c.peers.waiting()
	gauge(c.queued, replies, "answers")
	gauge(c.queued, pushes, "pushes")
}

// register registers everything, or nothing that a second kit of the same
// service has registered already.
func register(reg prometheus.Registerer, m *metrics, c *collector) error {
	for _, one := range append(m.collectors(), c) {
		if err := reg.Register(one); err != nil {
			return fmt.Errorf("kit metrics: %w", err)
		}
	}
	return nil
}
