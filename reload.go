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
	load  func() (configs.Gateway, error)
	apply func(configs.Gateway) error // only the section dispatcher may differ
	file  *fileWatch                  // since before it was loaded; nil: there is none
	every time.Duration               // 0: the file is not watched
	log   *slog.Logger
	m     *reloadMetrics

	// owned by run
	running configs.Gateway
	told    string // what needs a restart, as it was logged last
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
	if result == reloadApplied {
		r.log.Info("configuration applied", "why", why)
	}
}

func (r *reloader) attempt() (reloadResult, error) {
	next, err := r.load()
	if err != nil {
		return reloadRejected, err
	}
	changed := configs.Differences(r.running, next)
	restart := slices.DeleteFunc(slices.Clone(changed), func(key string) bool { return strings.HasPrefix(key, "dispatcher.") })
	if text := strings.Join(restart, ", "); text != r.told {
		if r.told = text; text != "" {
			r.log.Warn("changed, but needs a restart to take effect", "keys", text)
		}
	}
	if len(changed) == len(restart) {
		return reloadUnchanged, nil
	}
	if err := r.apply(next); err != nil {
		return reloadRejected, err
	}
	r.running.Dispatcher = next.Dispatcher
	return reloadApplied, nil
}
