package dispatcher

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics makes the dispatcher's series. Labels come from closed sets: the
// configured services, and the constants of this package. Every series is made
// when the dispatcher is, at zero.
type metrics struct {
	make    promauto.Factory
	noRoute prometheus.Counter

	packets, refusals, late, deferrals *prometheus.CounterVec
	retries, breakers                  *prometheus.CounterVec
	heartbeats, events, resyncs        *prometheus.CounterVec
	logins, loginCalls                 *prometheus.CounterVec
	batch, seconds, loginBatch         *prometheus.HistogramVec
	inFlight                           *prometheus.GaugeVec
}

// serviceMetrics are the series of one service, looked up once.
type serviceMetrics struct {
	answered, notRun, mayHaveRun, dropped prometheus.Counter
	late, deferrals                       prometheus.Counter
	byReason                              map[Reason]prometheus.Counter
	batchPackets, callSeconds             prometheus.Observer
	inFlight                              prometheus.Gauge
	heartbeatsOK, heartbeatsFailed        prometheus.Counter
	eventsTold, eventsRetried, eventsLost prometheus.Counter
	resyncs                               prometheus.Counter
	retries, retriesRefused               prometheus.Counter
	breakerOpened, degraded               prometheus.Counter
	told                                  *refusalLog
}

// loginMetrics are the series of the login service.
type loginMetrics struct {
	results [loginKinds]prometheus.Counter
	failed  prometheus.Counter
	batch   prometheus.Observer
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{make: promauto.With(reg)}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return m.make.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_dispatcher_" + name, Help: help}, append([]string{"service"}, labels...))
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		return m.make.NewHistogramVec(prometheus.HistogramOpts{Name: "holdfast_dispatcher_" + name, Help: help, Buckets: buckets}, []string{"service"})
	}
	sizes := prometheus.ExponentialBuckets(1, 2, 11) // 1 to 1024, the contract's bound
	m.noRoute = m.make.NewCounter(prometheus.CounterOpts{Name: "holdfast_dispatcher_no_route_total", Help: "Requests whose command no route takes."})
	m.packets = counter("packets_total", "Requests by what became of them.", "outcome")
	m.refusals = counter("refusals_total", "Requests that the dispatcher and not the backend answered, by reason.", "reason")
	m.late = counter("late_answers_total", "Answers of backends that nobody waited for any more.")
	m.deferrals = counter("deferred_total", "Requests whose answer the backend put off.")
	m.batch = histogram("batch_packets", "Requests in one Forward call.", sizes)
	m.seconds = histogram("call_seconds", "Time that a Forward call took.", prometheus.ExponentialBuckets(50e-6, 2, 17)) // 50 us to 3.3 s
	m.inFlight = m.make.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_dispatcher_calls_in_flight", Help: "Forward calls under way."}, []string{"service"})
	m.retries = counter("retries_total", "Requests that were to be sent to another instance, by whether the budget allowed it.", "result")
	m.breakers = counter("breaker_opened_total", "How often the breaker of an instance opened.")
	m.heartbeats = counter("heartbeats_total", "Heartbeats to instances.", "result")
	m.events = counter("events_total", "Session events by what became of them.", "result")
	m.resyncs = counter("resyncs_total", "How often an instance was told of all sessions.")
	m.logins = counter("logins_total", "Logins and refreshed credentials by result.", "result")
	m.loginCalls = counter("login_calls_failed_total", "Connect calls that were not answered.")
	m.loginBatch = histogram("login_batch", "Logins in one Connect call.", sizes)
	return m
}

// service makes the series of s.
func (m *metrics) service(s *service) *serviceMetrics {
	name := s.cfg.Name
	sm := &serviceMetrics{
		answered:         m.packets.WithLabelValues(name, "answered"),
		notRun:           m.packets.WithLabelValues(name, "not_run"),
		mayHaveRun:       m.packets.WithLabelValues(name, "may_have_run"),
		dropped:          m.packets.WithLabelValues(name, "dropped"),
		degraded:         m.packets.WithLabelValues(name, "degraded"),
		retries:          m.retries.WithLabelValues(name, "sent"),
		retriesRefused:   m.retries.WithLabelValues(name, "over_budget"),
		breakerOpened:    m.breakers.WithLabelValues(name),
		late:             m.late.WithLabelValues(name),
		deferrals:        m.deferrals.WithLabelValues(name),
		byReason:         map[Reason]prometheus.Counter{},
		told:             newRefusalLog(s.d.log.With("service", name), s.d.now),
		batchPackets:     m.batch.WithLabelValues(name),
		callSeconds:      m.seconds.WithLabelValues(name),
		inFlight:         m.inFlight.WithLabelValues(name),
		heartbeatsOK:     m.heartbeats.WithLabelValues(name, "ok"),
		heartbeatsFailed: m.heartbeats.WithLabelValues(name, "failed"),
		eventsTold:       m.events.WithLabelValues(name, "told"),
		eventsRetried:    m.events.WithLabelValues(name, "retried"),
		eventsLost:       m.events.WithLabelValues(name, "dropped"),
		resyncs:          m.resyncs.WithLabelValues(name),
	}
	for why := range refusals {
		if why != ReasonNoRoute {
			sm.byReason[why] = m.refusals.WithLabelValues(name, string(why))
		}
	}
	m.gauges(s)
	return sm
}

// gauges makes the series that are read from the service when somebody looks.
func (m *metrics) gauges(s *service) {
	gauge := func(name, help string, read func(t *table) float64) {
		m.make.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "holdfast_dispatcher_" + name, Help: help, ConstLabels: prometheus.Labels{"service": s.cfg.Name},
		}, func() float64 { return read(s.table.Load()) })
	}
	sum := func(of func(i *instance) int64) func(*table) float64 {
		return func(t *table) (n float64) {
			for _, i := range t.all {
				n += float64(of(i))
			}
			return n
		}
	}
	gauge("queued_packets", "Requests that wait to be sent.", sum(func(i *instance) int64 { return i.load.waiting.Load() }))
	gauge("queued_bytes", "Payloads of the requests that wait to be sent.", sum(func(i *instance) int64 { return i.load.bytes.Load() }))
	gauge("outstanding_packets", "Requests that instances are working on, deferred ones included.", sum(func(i *instance) int64 { return i.load.open.Load() }))
	gauge("instances", "Instances that the discovery knows.", func(t *table) float64 { return float64(len(t.all)) })
	gauge("instances_up", "Instances that answered their last heartbeat.", sum(func(i *instance) int64 {
		if i.up.Load() {
			return 1
		}
		return 0
	}))
	gauge("breakers_open", "Instances that are passed over since they have failed.", sum(func(i *instance) int64 {
		if i.breaker.isOpen.Load() {
			return 1
		}
		return 0
	}))
	gauge("slots_vacant", "Slots that no instance holds.", func(t *table) (n float64) {
		for _, i := range t.slots {
			if i == nil {
				n++
			}
		}
		return n
	})
	gauge("slots", "Slots of the service, vacant ones included.", func(t *table) float64 { return float64(len(t.slots)) })
	gauge("table_version", "Version of the membership in use.", func(t *table) float64 { return float64(t.version) })
}

func (m *metrics) login(service string) *loginMetrics {
	lm := &loginMetrics{failed: m.loginCalls.WithLabelValues(service), batch: m.loginBatch.WithLabelValues(service)}
	for kind, name := range loginKindNames {
		lm.results[kind] = m.logins.WithLabelValues(service, name)
	}
	return lm
}

// count notes what clients were told.
func (m *serviceMetrics) count(answers []answer) {
	n := 0
	for i := range answers {
		if why := answers[i].reason; why != noReason {
			m.refused(why)
		} else {
			n++
		}
	}
	if n > 0 {
		m.answered.Add(float64(n))
	}
}

// refused notes one answer of the dispatcher's own.
func (m *serviceMetrics) refused(why Reason) {
	m.byReason[why].Inc()
	m.told.refused(why)
	if refusals[why].retry {
		m.notRun.Inc()
	} else {
		m.mayHaveRun.Inc()
	}
}
