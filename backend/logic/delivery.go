package logic

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/holdfast-io/holdfast/backend/kit"
	"github.com/holdfast-io/holdfast/backend/presence"
	"github.com/holdfast-io/holdfast/backend/store"
)

// pushCommand is the command of the push that carries a message.
const pushCommand = "msg.new"

// presenceTimeout bounds one question to presence, so that one that does not
// answer stops nothing but itself.
const presenceTimeout = time.Second

// delivery takes stored messages in the order of their commits and pushes each to
// the user's gateways. A reply never waits for it: its queue is bounded, and what
// does not fit is dropped and counted.
type delivery struct {
	// static after newDelivery
	cfg      DeliveryConfig
	log      *slog.Logger
	presence Presence
	push     Pusher
	m        *metrics
	now      func() time.Time

	jobs  chan job
	bytes atomic.Int64 // of contents in jobs
	held  *held
}

// job is one stored message, and the session that sent it.
type job struct {
	stored  store.Stored
	session string
}

func newDelivery(cfg DeliveryConfig, p Presence, push Pusher, log *slog.Logger) *delivery {
	return &delivery{cfg: cfg, log: log, presence: p, push: push, now: time.Now,
		jobs: make(chan job, cfg.Queue), held: newHeld(cfg.HeldBytes)}
}

// waiting returns how many messages wait.
func (d *delivery) waiting() float64 { return float64(len(d.jobs)) }

// offer queues a stored message for both of its users. It never blocks.
func (d *delivery) offer(j job) {
	size := int64(len(j.stored.Content))
	if d.bytes.Add(size) <= int64(d.cfg.QueueBytes) {
		select {
		case d.jobs <- j:
			return
		default:
		}
	}
	d.bytes.Add(-size)
	d.m.drops[dropQueueFull].Inc()
}

// run pushes until ctx is done, and then what is still queued. It is to be ended
// after those who offer have ended.
func (d *delivery) run(ctx context.Context) error {
	caughtUp := time.NewTimer(d.cfg.CatchUp)
	defer caughtUp.Stop()
	defer d.held.close()
	for {
		select {
		case j := <-d.jobs:
			d.deliver(j)
		case <-caughtUp.C:
			d.held.close()
		case <-ctx.Done():
			for {
				select {
				case j := <-d.jobs:
					d.deliver(j)
				default:
					return nil
				}
			}
		}
	}
}

// deliver pushes a message to its receiver and to the sender's other sessions.
func (d *delivery) deliver(j job) {
	st := &j.stored
	d.bytes.Add(-int64(len(st.Content)))
	if st.To != st.From {
		d.pushTo(&item{uid: st.To, payload: newItem(st.ToPosition, &st.Message)})
	}
	d.pushTo(&item{uid: st.From, except: j.session, payload: newItem(st.FromPosition, &st.Message)})
}

// item is one message for one user.
type item struct {
	uid, except string // except: the session that sent it
	payload     []byte
	pushed      []string // gateways; guarded by the lock of held while it is held
}

// pushTo pushes to every gateway where the user has a session but the excepted.
func (d *delivery) pushTo(it *item) {
	// Held first and looked up then: a session that is announced between the two
	// finds the item there, and push lets one of both through.
	kept := d.held.add(it)
	if kept == heldFull {
		d.m.drops[dropHeldFull].Inc()
	}
	ctx, cancel := context.WithTimeout(context.Background(), presenceTimeout)
	defer cancel()
	records, err := d.presence.Online(ctx, it.uid)
	if err != nil {
		d.m.drops[dropPresence].Inc()
		d.log.Warn("presence does not answer; message is not pushed", "error", err)
		return
	}
	var gateways []string
	for _, r := range records {
		if r.Session != it.except && !slices.Contains(gateways, r.Gateway.Address) {
			gateways = append(gateways, r.Gateway.Address)
		}
	}
	for _, g := range gateways {
		if kept == heldKept {
			d.held.once(it, g, d.send)
		} else {
			d.send(it, g)
		}
	}
}

// announced pushes what a session has missed since this process started, to be
// called when its gateway has announced it again.
func (d *delivery) announced(uid, session, gateway string) {
	d.held.announced(uid, session, gateway, d.send)
}

// send gives an item to the kit, which keeps the order of pushes to one user at
// one gateway. It never blocks.
func (d *delivery) send(it *item, gateway string) {
	p := kit.Push{To: kit.ToUID(it.uid), Command: pushCommand, Payload: it.payload, Reliable: true,
		ExceptSession: it.except, Order: it.uid}
	at := push{uid: it.uid, except: it.except, gateway: gateway, at: d.now()}
	err := d.push.PushAsync(gateway, p, func(res kit.Result, err error) { d.pushed(at, res, err) })
	if err != nil { // nothing was queued
		d.pushed(at, kit.Result{}, err)
	}
}

// push is what must be known of a push when its result comes.
type push struct {
	uid, except, gateway string
	at                   time.Time
}

// pushed counts what became of a push, and forgets sessions that are not there.
func (d *delivery) pushed(p push, res kit.Result, err error) {
	switch {
	case errors.Is(err, kit.ErrQueueFull):
		d.m.pushes[pushQueueFull].Inc()
	case err != nil:
		d.m.pushes[pushFailed].Inc()
		d.log.Debug("push", "gateway", p.gateway, "error", err)
	case res.Refusal == kit.NoSession && res.Delivered == 0:
		d.m.pushes[pushNoSession].Inc()
		d.forget(p)
	case res.Refused > 0 && res.Refusal == kit.SlowClient:
		d.m.pushes[pushSlow].Inc()
	case res.Delivered == 0:
		d.m.pushes[pushRefused].Inc()
		d.log.Debug("push", "gateway", p.gateway, "refusal", res.Refusal, "message", res.Message)
	default:
		d.m.pushes[pushDelivered].Inc()
	}
}

// forget removes the records of a user at a gateway which says that the user has
// no session there. It keeps those younger than Grace, since a record is written
// while the login is judged, a moment before the gateway has the session, and
// that of the session which the push left out.
func (d *delivery) forget(p push) {
	ctx, cancel := context.WithTimeout(context.Background(), presenceTimeout)
	defer cancel()
	records, err := d.presence.Online(ctx, p.uid)
	for _, r := range records {
		if r.Gateway.Address == p.gateway && r.Session != p.except && p.at.Sub(r.Since) > d.cfg.Grace {
			err = errors.Join(err, d.presence.Remove(ctx, r.UID, r.Session))
		}
	}
	if err != nil { // the next push finds it again
		d.log.Debug("forget sessions", "gateway", p.gateway, "error", err)
	}
}

// Presence tells where users are online. Its errors mean that nothing is known.
type Presence interface {
	Renew(ctx context.Context, g presence.Gateway) (known bool, err error)
	Put(ctx context.Context, r presence.Record) error
	Remove(ctx context.Context, uid, session string) error
	Online(ctx context.Context, uids ...string) ([]presence.Record, error)
	Sweep(ctx context.Context) error
}

// Pusher sends pushes to gateways. PushAsync never blocks. Unless it returns an
// error it calls done once, on another goroutine, which done must not hold up.
type Pusher interface {
	PushAsync(gateway string, p kit.Push, done func(kit.Result, error)) error
}
