package discovery

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

// watching is the state of Consul.Run, and belongs to its goroutine.
type watching struct {
	c       *Consul
	ctx     context.Context // of Run; those that follow a service live at most as long
	wg      sync.WaitGroup  // of those
	answers chan answer
	watched map[string]*watched

	late     bool // a start does not wait for Consul any longer
	copied   lastGood
	shown    map[string]Service // what was published last
	dirty    bool               // since the copy was saved, something has been published
	savedFor int64              // confirmed at the time of the save
}

// lastGood is the last good copy.
type lastGood struct {
	Confirmed time.Time    `json:"confirmed"` // when Consul last said so
	Services  []remembered `json:"services"`
}

const kindLastGood = "membership"

// follow begins and ends watches, so that they are those that are wanted.
func (w *watching) follow() {
	w.c.mu.Lock()
	names := slices.Clone(w.c.services)
	w.c.mu.Unlock()
	for name, one := range w.watched {
		if !slices.Contains(names, name) {
			one.stop()
			delete(w.watched, name)
			w.c.metrics.forget(name)
		}
	}
	for _, name := range names {
		if w.watched[name] != nil {
			continue
		}
		ctx, stop := context.WithCancel(w.ctx)
		one := &watched{belief: newBelief(name, w.c.cfg), stop: stop}
		for _, r := range w.copied.Services {
			if r.Service == name {
				one.belief.recall(r)
			}
		}
		w.watched[name] = one
		w.c.metrics.show(name, Service{}, 0)
		w.watchOne(ctx, name, one)
	}
}

// take believes an answer, as far as it is to be believed.
func (w *watching) take(a answer, now time.Time) {
	b := a.of.belief
	if w.watched[b.service] != a.of {
		return
	}
	if a.back {
		b.back(now)
	}
	if a.keys == nil {
		if n := b.sawInstances(a.instances, now); n > 0 {
			w.c.metrics.heldBack.Add(float64(n))
			w.c.log.Warn("Consul does not list instances that it listed before: those that answer stay for a time", slog.String("service", b.service),
				slog.Int("listed", len(a.instances)), slog.Int("missing", n), slog.Duration("hold", b.hold))
		}
		b.expire(now, w.c.alive)
	} else {
		for _, key := range a.keys.strange {
			w.c.log.Debug("a key among the slots is not a slot's", slog.String("key", key))
		}
		b.sawKeys(*a.keys, now)
	}
	if at, ok := w.heard(); ok {
		w.c.confirmed.Store(at.UnixNano())
	}
}

// heard is the time since which everything has been confirmed. It reports false
// while Consul has not told everything.
func (w *watching) heard() (time.Time, bool) {
	var oldest time.Time
	for _, one := range w.watched {
		b := one.belief
		if !b.complete() {
			return time.Time{}, false
		}
		for _, at := range []time.Time{b.heard.instances, b.heard.keys} {
			if oldest.IsZero() || at.Before(oldest) {
				oldest = at
			}
		}
	}
	return oldest, !oldest.IsZero()
}

// publish hands out what is believed, when that has changed. Before Consul has
// told everything it does so only once the start has waited for long enough, and
// there is something to go by.
func (w *watching) publish() {
	if len(w.watched) == 0 {
		return
	}
	if _, whole := w.heard(); !whole && (!w.late || len(w.copied.Services) == 0) && w.shown == nil {
		return
	}
	services := make(map[string]Service, len(w.watched))
	for name, one := range w.watched {
		if b := one.belief; len(b.members) > 0 || len(b.slots) > 0 {
			services[name] = b.table()
		}
	}
	if w.shown != nil && reflect.DeepEqual(services, w.shown) {
		return
	}
	if _, whole := w.heard(); !whole && w.shown == nil {
		w.c.log.Warn("Consul does not answer: starting from the last good copy", slog.Duration("age", w.c.Age().Round(time.Second)))
	}
	for name, one := range w.watched {
		w.c.metrics.show(name, services[name], len(one.belief.held))
	}
	w.shown, w.dirty = services, true
	w.c.publisher.publish(services)
}

// loadCopy reads the last good copy. A damaged one is reported and ignored.
func (w *watching) loadCopy() {
	path := w.c.copyPath()
	if path == "" {
		return
	}
	var copied lastGood
	found, err := loadKept(path, kindLastGood, &copied)
	switch {
	case err != nil:
		if errors.Is(err, errCorrupt) {
			w.c.metrics.corrupt.Inc()
		}
		w.c.log.Error("the last good copy cannot be used", slog.Any("error", err))
	case found:
		w.copied = copied
		w.c.confirmed.Store(copied.Confirmed.UnixNano())
	}
}

// saveCopy writes the last good copy, if there is something new or the old one's
// age would mislead. It never saves what Consul has not said completely.
func (w *watching) saveCopy() {
	path := w.c.copyPath()
	at, whole := w.heard()
	if path == "" || !whole || !w.dirty && time.Duration(at.UnixNano()-w.savedFor) < copyEvery {
		return
	}
	copied := lastGood{Confirmed: at}
	for _, one := range w.watched {
		copied.Services = append(copied.Services, one.belief.remember())
	}
	w.dirty, w.savedFor = false, at.UnixNano() // on an error too: a full disk is tried again once a copyEvery
	if err := saveKept(path, kindLastGood, copied); err != nil {
		w.c.metrics.saveError.Inc()
		w.c.log.Error("the last good copy cannot be saved", slog.Any("error", err))
		return
	}
	w.c.metrics.saved.Inc()
}
