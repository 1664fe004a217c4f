package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

var errEmptyReply = errors.New("the reply is empty")

// runHeartbeat calls Heartbeat until ctx is done: at once, then at the interval,
// faster while the instance does not answer, and whenever somebody asks for it.
func (i *instance) runHeartbeat(ctx context.Context) {
	cfg := i.d.cfg.Heartbeat
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	retry := cfg.ProbeInterval
	for first := true; ; first = false {
		wait := cfg.Interval
		if i.heartbeat() {
			retry = cfg.ProbeInterval
		} else {
			wait, retry = retry, min(2*retry, cfg.Interval)
		}
		if until, open := i.breaker.wait(); open {
			wait = min(wait, max(until, cfg.ProbeInterval))
		}
		if first {
			close(i.greeted)
		}
		// A tenth of jitter keeps gateways that started together apart.
		if !i.pause(ctx, timer, wait*9/10+rand.N(wait/5+1)) {
			return
		}
	}
}

// pause sleeps for wait, or until a probe is asked for, but then for a moment at
// least: failing calls ask for one each. It reports false when ctx is done.
func (i *instance) pause(ctx context.Context, timer *time.Timer, wait time.Duration) bool {
	moment := i.d.cfg.Heartbeat.ProbeInterval / 10
	select { // what was asked for before has been served by the heartbeat just made
	case <-i.probes:
	default:
	}
	began := time.Now()
	timer.Reset(wait)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-i.probes:
	}
	timer.Reset(max(0, min(wait, moment)-time.Since(began)))
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// heartbeat makes one call and takes in what it says. It reports whether the
// instance answered.
func (i *instance) heartbeat() bool {
	began := i.d.stamp()
	c := newCall(i.d.cfg.Heartbeat.Timeout)
	sent := i.d.now()
	reply, err := i.calls.Heartbeat(c, &hf.HeartbeatRequest{
		Gateway:  i.d.self.Gateway,
		Epoch:    i.d.self.Epoch,
		Sessions: i.d.sessions(),
		Name:     i.d.self.Name,
	})
	if err == nil && reply == nil {
		err = errEmptyReply
	}
	if err != nil {
		if i.up.Swap(false) {
			i.log.Warn("instance does not answer", slog.Any("error", err))
		}
		i.svc.metrics.heartbeatsFailed.Inc()
		i.breaker.probed(err)
		if isTimeout(err) {
			i.failed(timedOut, 0)
		}
		if judge(err, c.stage).refused {
			i.gone(began)
		}
		return false
	}
	i.svc.metrics.heartbeatsOK.Inc()
	i.trust()
	if !i.up.Swap(true) {
		i.log.Info("instance answers", slog.Int64("incarnation", reply.Incarnation))
	}
	i.spoke(reply.Incarnation, began)
	i.letGoOfDead() // those whose call was settled after the change was noted
	i.clock.learn(sent, i.d.now(), reply.TimeMs)
	if i.draining.Swap(reply.Draining) != reply.Draining {
		i.log.Info("instance draining", slog.Bool("draining", reply.Draining))
		i.svc.wake()
	}
	if i.breaker.probed(nil) {
		i.revived()
	}
	i.events.want(reply.Events, reply.Resync)
	return true
}
