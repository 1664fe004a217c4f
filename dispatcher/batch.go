package dispatcher

import (
	"time"

	hf "github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"

	"github.com/holdfast-io/holdfast/dispatcher/lane"
)

// batch is what one Forward call carries: a run of packets of each of many lanes.
// A worker uses one again and again, except after a call that failed, since Kitex
// may still hold what such a call was to send.
type batch struct {
	req     hf.ForwardRequest
	packets []hf.Packet
	runs    []run
	bytes   int
	fresh   int // packets that were never sent before

	answers []answer      // scratch for what a lane's sink is told
	expired []lane.Expiry // scratch
}

// run is one lane's part of the batch.
type run struct {
	lane *sessionLane
	n    int // packets
}

func newBatch(d *Dispatcher, cfg ServiceConfig) *batch {
	b := &batch{
		packets: make([]hf.Packet, 0, cfg.BatchPackets),
		runs:    make([]run, 0, cfg.BatchPackets),
	}
	b.req.Service, b.req.Epoch = cfg.Name, d.self.Epoch
	b.req.Packets = make([]*hf.Packet, 0, cfg.BatchPackets)
	return b
}

// reset makes the batch empty. Nothing in it keeps a payload or a session alive.
func (b *batch) reset() {
	clear(b.packets)
	clear(b.runs)
	b.packets, b.runs, b.bytes, b.fresh = b.packets[:0], b.runs[:0], 0, 0
	b.req.Packets = b.req.Packets[:0]
}

// fill takes what is ready, lane by lane, until the batch is full or nothing is
// left. It returns without packets when the lanes it found had nothing to send
// after all.
func (w *worker) fill() {
	inst, b := w.inst, w.batch
	now := inst.d.now()
	startBy := now + int64(inst.svc.cfg.Timeout) // the call and what it defers are given up then
	room := min(inst.svc.cfg.BatchPackets, inst.load.room())
	for len(b.packets) < room && b.bytes < inst.svc.cfg.BatchBytes {
		sl := inst.ready.take(room - len(b.packets))
		if sl == nil {
			return
		}
		for sl != nil {
			if len(b.packets) >= room || b.bytes >= inst.svc.cfg.BatchBytes {
				inst.ready.putBack(sl)
				return
			}
			next := sl.nextReady // before another goroutine may queue sl again
			sl.nextReady = nil
			w.add(sl, now, startBy, room-len(b.packets))
			sl = next
		}
	}
	inst.ready.rest()
}

// add moves packets of a lane, which was taken from the ready queue, into the
// batch.
func (w *worker) add(sl *sessionLane, now, startBy int64, room int) {
	l, b := sl.owner, w.batch
	l.mu.Lock()
	sl.queued = false
	if l.ended {
		l.mu.Unlock()
		return
	}
	var moved *instance
	answers := b.answers[:0]
	if sl.Overdue(now) {
		b.expired = sl.Expire(now, b.expired[:0])
		answers = appendExpired(answers, b.expired)
		sl.accountLocked()
	}
	if sl.Sendable(now) {
		inst, place, why := sl.service.pick(l.hash, sl.skip)
		if why == noReason && inst == w.inst {
			sl.place = place
			w.takeLocked(sl, startBy, room)
		} else { // something has changed since the lane was queued
			moved, answers = sl.nextLocked(now, answers)
		}
	}
	l.mu.Unlock()
	sl.enqueue(moved)
	if len(answers) > 0 {
		l.tell(sl.service, answers)
		clear(answers)
	}
	b.answers = answers
}

// refusalTimeMax bounds refusalTime.
const refusalTimeMax = 250 * time.Millisecond

// refusalTime is how long before the dispatcher gives a packet up its instance
// must have begun with it. What the instance refuses to begin then is still
// learned in time: it was not run, where silence would mean that it may have.
func (inst *instance) refusalTime() int64 {
	return int64(min(inst.svc.cfg.Timeout/8, refusalTimeMax))
}

// takeLocked begins the lane's next batch and copies it into the call's request.
func (w *worker) takeLocked(sl *sessionLane, startBy int64, room int) {
	b, inst, id := w.batch, w.inst, &sl.owner.id
	taken := sl.Take(startBy, room, inst.svc.cfg.BatchBytes-b.bytes)
	for i := range taken {
		p := &taken[i]
		if p.Attempt == 1 {
			b.fresh++
		}
		b.packets = append(b.packets, hf.Packet{
			Session:   id.session,
			Uid:       id.uid,
			Seq:       p.Seq,
			Command:   p.Command.Name,
			Payload:   p.Payload,
			StartByMs: inst.clock.startByMS(min(startBy, p.Deadline) - inst.refusalTime()),
			Attempt:   int32(p.Attempt),
			Attrs:     id.attrs,
			DeviceId:  id.deviceID(),
			Gateway:   inst.d.self.Gateway,
		})
		b.req.Packets = append(b.req.Packets, &b.packets[len(b.packets)-1])
		b.bytes += len(p.Payload)
	}
	b.runs = append(b.runs, run{sl, len(taken)})
	sl.accountLocked()
}
