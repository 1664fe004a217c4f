package logic

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
)

// loginResult says how a login was judged. It is a metric label, so the set is
// closed.
type loginResult string

const (
	loginWelcome loginResult = "welcome"
	loginAbsent  loginResult = "absent"
	loginRefused loginResult = "refused"
	loginExpired loginResult = "expired"
)

// pushResult says what became of one push to one gateway. It is a metric label,
// so the set is closed.
type pushResult string

const (
	pushDelivered pushResult = "delivered"
	pushNoSession pushResult = "no_session"
	pushSlow      pushResult = "slow_client"
	pushRefused   pushResult = "refused"    // by the gateway, as invalid or too large
	pushQueueFull pushResult = "queue_full" // of the gateway's queue in this process
	pushFailed    pushResult = "failed"     // the gateway did not answer
)

// dropReason says why a message was not pushed to anyone, or not kept for
// sessions yet to be announced. It is a metric label, so the set is closed.
type dropReason string

const (
	dropQueueFull dropReason = "queue_full" // too many messages wait for delivery
	dropHeldFull  dropReason = "held_full"  // too many are held after the start
	dropPresence  dropReason = "presence"   // presence could not be read
)

type metrics struct {
	logins map[kit.Purpose]map[loginResult]prometheus.Counter
	pushes map[pushResult]prometheus.Counter
	drops  map[dropReason]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, waiting func() float64) (*metrics, error) {
	logins := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_logic_logins_total", Help: "Tokens judged, by purpose and verdict.",
	}, []string{"purpose", "result"})
	pushes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_logic_pushes_total", Help: "Messages given to gateways for the sessions of one user there, by what became of them.",
	}, []string{"result"})
	drops := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "holdfast_logic_drops_total", Help: "Messages that were stored and not pushed, by reason.",
	}, []string{"reason"})
	queue := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "holdfast_logic_delivery_waiting", Help: "Stored messages that wait to be pushed.",
	}, waiting)
	for _, c := range []prometheus.Collector{logins, pushes, drops, queue} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m := &metrics{
		logins: map[kit.Purpose]map[loginResult]prometheus.Counter{},
		pushes: map[pushResult]prometheus.Counter{},
		drops:  map[dropReason]prometheus.Counter{},
	}
	for _, p := range []kit.Purpose{kit.PurposeConnect, kit.PurposeRefresh} {
		m.logins[p] = map[loginResult]prometheus.Counter{}
		for _, r := range []loginResult{loginWelcome, loginAbsent, loginRefused, loginExpired} {
			m.logins[p][r] = logins.WithLabelValues(string(p), string(r))
		}
	}
	for _, r := range []pushResult{pushDelivered, pushNoSession, pushSlow, pushRefused, pushQueueFull, pushFailed} {
		m.pushes[r] = pushes.WithLabelValues(string(r))
	}
	for _, r := range []dropReason{dropQueueFull, dropHeldFull, dropPresence} {
		m.drops[r] = drops.WithLabelValues(string(r))
	}
	return m, nil
}

func (m *metrics) login(p kit.Purpose, r loginResult) {
	if c, ok := m.logins[p][r]; ok { // a purpose of a newer kit is not counted
		c.Inc()
	}
}
