package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/configs"
)

// reloader gives a running gateway what has changed in its configuration: at SIGHUP
// and, where it is watched, when the file has changed. What cannot be loaded or
// does not work changes nothing.
type reloader struct {
	// static
	load func() (configs.Gateway, error)
	// apply takes all that a running gateway can take of gateway and dispatcher, or
	// nothing, and returns the keys that would need a restart.
	apply   func(configs.Gateway) (restart []string, err error)
	file    *fileWatch      // since before it was loaded; nil: there is none
	every   time.Duration   // 0: the file is not watched
	started configs.Gateway // what the process began with
	log     *slog.Logger
	m       *reloadMetrics

	// owned by run
	running configs.Gateway // what was applied last
	waiting []string        // the keys of it that need a restart, as they were logged last
}

// reloadResult is what became of an attempt; a metric label.
type reloadResult string

const (
	reloadApplied   reloadResult = "applied"
	reloadUnchanged reloadResult = "unchanged" // nothing that a running gateway can take has changed
	reloadRejected  reloadResult = "rejected"
)

// reloadMetrics tells operators whether what runs is what the file says.
type reloadMetrics struct {
	total     *prometheus.CounterVec
	succeeded prometheus.Gauge
	good      prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) (*reloadMetrics, error) {
	m := &reloadMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "holdfast_config_reloads_total", Help: "Times that the configuration was read again, by result.",
		}, []string{"result"}),
		succeeded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_config_loaded_timestamp_seconds", Help: "When the configuration was last read without a mistake, in Unix time.",
		}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "holdfast_config_last_reload_good", Help: "0 while the configuration file is one that was rejected.",
		}),
	}
	for _, r := range []reloadResult{reloadApplied, reloadUnchanged, reloadRejected} {
		m.total.WithLabelValues(string(r))
	}
	m.good.Set(1)
	m.succeeded.SetToCurrentTime()
	return m, errors.Join(reg.Register(m.total), reg.Register(m.succeeded), reg.Register(m.good))
}

// run reloads until ctx is done. It owns SIGHUP meanwhile.
func (r *reloader) run(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var tick <-chan time.Time
	if r.file != nil && r.every > 0 {
		ticker := time.NewTicker(r.every)
		defer ticker.Stop()
		tick = ticker.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			r.reload("SIGHUP")
		case <-tick:
			if r.file.changed() {
				r.reload("the file has changed")
			}
		}
	}
}

// reload makes one attempt and says what became of it.
func (r *reloader) reload(why string) {
	result, err := r.attempt()
	r.m.total.WithLabelValues(string(result)).Inc()
	if err != nil {
		r.m.good.Set(0)
		r.log.Error("configuration rejected: nothing has changed", "why", why, "error", err)
		return
	}
	r.m.good.Set(1)
	r.m.succeeded.SetToCurrentTime()
	// Who sends a signal wants to know that it has arrived.
	r.log.Info("configuration "+string(result), "why", why)
}

// attempt applies the file even where it says nothing new: certificates may have
// changed in their own files.
func (r *reloader) attempt() (reloadResult, error) {
	next, err := r.load()
	if err != nil {
		return reloadRejected, err
	}
	restart, err := r.apply(next)
	if err != nil {
		return reloadRejected, err
	}
	changed := configs.Differences(r.running, next)
	restart = append(restart, r.others(next)...)
	live := slices.DeleteFunc(changed, func(key string) bool { return covers(restart, key) || covers(r.waiting, key) })
	if len(restart) > 0 && !slices.Equal(restart, r.waiting) {
		r.log.Warn("changed, but needs a restart to take effect", "keys", strings.Join(restart, ", "))
	}
	r.running, r.waiting = next, restart
	if len(live) == 0 {
		return reloadUnchanged, nil
	}
	return reloadApplied, nil
}

// others lists the keys outside gateway and dispatcher that differ from those the
// process began with: nothing takes them while it runs.
func (r *reloader) others(next configs.Gateway) []string {
	next.Gateway, next.Dispatcher = r.started.Gateway, r.started.Dispatcher
	return configs.Differences(r.started, next)
}

// covers tells whether one of keys is key or a section that it stands in.
func covers(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return k == key || strings.HasPrefix(key, k+".") })
}
