package discovery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// watchMetrics are those of a Consul.
type watchMetrics struct {
	queries   *prometheus.CounterVec
	answered  prometheus.Counter
	failed    prometheus.Counter
	up        prometheus.Gauge
	heldBack  prometheus.Counter
	saved     prometheus.Counter
	saveError prometheus.Counter
	corrupt   prometheus.Counter
	instances *prometheus.GaugeVec
	held      *prometheus.GaugeVec
	slots     *prometheus.GaugeVec
	vacant    *prometheus.GaugeVec
}

func newWatchMetrics(reg prometheus.Registerer, age func() time.Duration) (*watchMetrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "holdfast_discovery_" + name, Help: help})
	}
	service := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_discovery_" + name, Help: help}, []string{"service"})
	}
	m := &watchMetrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdfast_discovery_queries_total", Help: "Queries to Consul by their result.",
		}, []string{"result"}),
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_discovery_consul_up", Help: "1 while Consul answers.",
		}),
		heldBack:  counter("held_back_total", "Instances that Consul did not list any more and that were kept for a time: too many were missing at once, or Consul had just come back."),
		saved:     counter("copies_saved_total", "Times that the last good copy was written."),
		saveError: counter("copy_errors_total", "Times that the last good copy could not be written."),
		corrupt:   counter("copies_corrupt_total", "Last good copies that were damaged, and ignored."),
		instances: service("instances", "Instances in the table, those held back included."),
		held:      service("held_instances", "Instances in the table that Consul does not list."),
		slots:     service("slots", "Slots, vacant ones included."),
		vacant:    service("vacant_slots", "Slots that no instance holds."),
	}
	m.answered, m.failed = m.queries.WithLabelValues("ok"), m.queries.WithLabelValues("error")
	return m, register(reg, m.queries, m.up, m.heldBack, m.saved, m.saveError, m.corrupt, m.instances, m.held, m.slots, m.vacant,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "holdfast_discovery_age_seconds",
			Help: "Seconds since Consul last confirmed the tables in use, in this process or in the one that saved the copy.",
		}, func() float64 { return age().Seconds() }))
}

// forget ends the series of a service that is not watched any more.
func (m *watchMetrics) forget(service string) {
	for _, v := range []*prometheus.GaugeVec{m.instances, m.held, m.slots, m.vacant} {
		v.DeleteLabelValues(service)
	}
}

// show publishes the sizes of a service's table.
func (m *watchMetrics) show(service string, s Service, held int) {
	holders := 0
	for _, i := range s.Instances {
		if i.Slot != NoSlot {
			holders++
		}
	}
	m.instances.WithLabelValues(service).Set(float64(len(s.Instances)))
	m.held.WithLabelValues(service).Set(float64(held))
	m.slots.WithLabelValues(service).Set(float64(s.Slots))
	m.vacant.WithLabelValues(service).Set(float64(s.Slots - holders))
}

// seatMetrics are those of a ConsulRegistrar.
type seatMetrics struct {
	registered *prometheus.GaugeVec
	slot       *prometheus.GaugeVec
	repaired   *prometheus.CounterVec
	lost       *prometheus.CounterVec
}

func newSeatMetrics(reg prometheus.Registerer) (*seatMetrics, error) {
	label := []string{"service"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "holdfast_registration_" + name, Help: help}, label)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "holdfast_registration_" + name, Help: help}, label)
	}
	m := &seatMetrics{
		registered: gauge("registered", "1 while Consul lists this process, as far as it knows."),
		slot:       gauge("slot", "The slot that this process serves; -1 for none."),
		repaired:   counter("repairs_total", "Times that Consul had lost the registration and it was made again."),
		lost:       counter("slots_lost_total", "Times that another process had taken the slot."),
	}
	return m, register(reg, m.registered, m.slot, m.repaired, m.lost)
}

// begin makes the series of a service.
func (m *seatMetrics) begin(service string) {
	m.registered.WithLabelValues(service).Set(0)
	m.slot.WithLabelValues(service).Set(NoSlot)
	m.repaired.WithLabelValues(service)
	m.lost.WithLabelValues(service)
}

// register is MustRegister with an error for a second component in one registry.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for _, c := range all {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}
