package admission

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics shows what the gate does. The series are made at zero.
type metrics struct {
	refusals    [reasons][2]prometheus.Counter // by dry run
	level       prometheus.Gauge
	memory      prometheus.Gauge
	memoryLimit prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, g *Gate) *metrics {
	m := &metrics{
		level: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_admission_memory_level",
			Help: "Memory step reached: 0 normal, 1 shorten_idle, 2 refuse_handshakes, 3 refuse_accepts, 4 drop_queues; in a dry run too.",
		}),
		memory: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_admission_memory_bytes",
			Help: "Memory in use, as it is compared with the limit; 0 while it is not watched.",
		}),
		memoryLimit: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_admission_memory_limit_bytes",
			Help: "The limit in force; 0 for none.",
		}),
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_admission_refusals_total",
		Help: "Connections, logins and requests refused, by reason; with dry_run=\"true\" let in, but counted.",
	}, []string{"reason", "dry_run"})
	for _, r := range Reasons() {
		for i, dry := range []bool{false, true} {
			m.refusals[r][i] = refusals.WithLabelValues(r.String(), strconv.FormatBool(dry))
		}
	}
	reg.MustRegister(refusals, m.level, m.memory, m.memoryLimit)
	for _, gauge := range []struct {
		name, help string
		value      func() int64
	}{
		{"holdfast_admission_open_connections", "Accepted connections whose descriptor is not closed yet.", g.open.Load},
		{"holdfast_admission_open_connections_max", "How many there may be.", func() int64 { return g.policy.Load().openMax() }},
		{"holdfast_admission_tracked_addresses", "Client addresses that something is known of.", g.addresses.entries.Load},
		{"holdfast_admission_tracked_users", "Users that something is known of.", g.users.entries.Load},
	} {
		value := gauge.value
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: gauge.name, Help: gauge.help},
			func() float64 { return float64(value()) }))
	}
	return m
}
