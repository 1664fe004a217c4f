package client

import (
	"errors"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// finishTimeDefault bounds how long a connection that is being left may finish
// what is in flight, where neither the GOAWAY nor the WELCOME says.
const finishTimeDefault = 10 * time.Second

// supervise keeps the client connected, beginning with conn, until Close or
// until it must stay away. It is the body of a goroutine that the Client owns.
func (c *Client) supervise(conn *connection) {
	var err error
	for err == nil {
		climb := time.NewTimer(c.climbIn(conn))
		select {
		case <-c.ctx.Done():
			err = ErrClosed
		case <-conn.told:
			conn, err = c.replace(conn)
		case <-conn.done:
			conn, err = c.replace(conn)
		case <-climb.C:
			conn = c.climb(conn)
		}
		climb.Stop()
	}
	conn.shut(wire.CloseNormal, "", err)
	<-conn.done // closeTime at most
	conn.session.discard()
	c.finish(err)
}

// handover is the search for the successor of a connection that has ended or
// has been told to go. In the latter case it goes on serving meanwhile.
type handover struct {
	old       *connection
	rest      time.Duration // before the next attempt
	cause     error         // why the last attempt failed; nil before the first
	tried     bool          // an attempt was made
	judged    bool          // old has ended, and verdict has been given
	inherited bool          // old has ended, and its session was taken over or left
}

// replace finds a successor for old. When there will be none it returns old, or
// what has just succeeded it, and the error to stop with.
func (c *Client) replace(old *connection) (*connection, error) {
	h := &handover{old: old, rest: c.firstRest(old)}
	for {
		if err := c.wait(h); err != nil {
			return old, err
		}
		c.hold(old)
		c.inherit(h)
		h.tried = true
		next, err := c.connect(c.ctx)
		if err == nil {
			err = c.verdict(h)
			if next.session != old.session {
				old.shut(wire.CloseNormal, "", errReplaced)
				old.session.discard() // also when it has ended by itself meanwhile
			}
			return next, err
		}
		if c.ctx.Err() != nil {
			return old, ErrClosed
		}
		if c.final(err, c.link.token) {
			return old, err
		}
		c.release(old)
		h.rest, h.cause = c.nextRest(err), err
	}
}

// wait rests. An error means that the client must stop instead.
func (c *Client) wait(h *handover) error {
	until := time.Now().Add(h.rest)
	timer := time.NewTimer(h.rest)
	defer timer.Stop()
	if !h.old.ended() {
		c.cfg.OnState(Change{State: StateLeaving, Endpoint: h.old.info.Endpoint, RetryIn: h.rest})
		select {
		case <-c.ctx.Done():
			return ErrClosed
		case <-timer.C:
			return nil
		case <-h.old.done:
		}
	}
	if err := c.verdict(h); err != nil {
		return err
	}
	if h.cause == nil {
		h.cause = h.old.reason()
	}
	c.install(nil)
	c.inherit(h)
	c.cfg.OnState(Change{State: StateWaiting, RetryIn: time.Until(until), Err: h.cause})
	for {
		lost, stop := c.lost()
		select {
		case <-c.ctx.Done():
			stop()
			return ErrClosed
		case <-timer.C:
			stop()
			return nil
		case <-lost:
			c.link.abandon() // whoever waits for a reply is told now
		}
	}
}

// inherit makes the session of old, once that has ended, the one to resume. While
// old lives its session is there: what succeeds it then is a new one.
func (c *Client) inherit(h *handover) {
	if h.inherited || !h.old.ended() {
		return
	}
	h.inherited = true
	if h.old.resumable() {
		c.link.resume = h.old.session
	}
}

// lost returns a channel that gets a value when the gateway has ended the session
// that is to be resumed, for want of a connection, and what stops that clock.
func (c *Client) lost() (<-chan time.Time, func()) {
	s := c.link.resume
	if s == nil {
		return nil, func() {}
	}
	timer := time.NewTimer(time.Until(s.expires()))
	return timer.C, func() { timer.Stop() }
}

// verdict is the error to stop with because of how the old connection ended;
// nil while it lives or when it may be replaced. After an attempt of our own, also
// one to climb, TAKEN_OVER is what the gateway says to the connection that the attempt
// replaced.
func (c *Client) verdict(h *handover) error {
	if h.judged || !h.old.ended() {
		return nil
	}
	h.judged = true
	err := h.old.reason()
	if closed, ok := errors.AsType[*CloseError](err); ok && closed.Code == wire.CloseTakenOver && (h.tried || h.old.session.moving()) {
		return nil
	}
	if c.final(err, h.old.token) {
		return err
	}
	return nil
}

// hold keeps new requests away from old, if it still lives, and waits until it
// has finished what is in flight: until the GOAWAY's deadline, and never longer
// than the gateway takes to answer.
func (c *Client) hold(old *connection) {
	c.install(nil)
	if old.ended() {
		return
	}
	limit := finishTimeDefault
	if d := old.info.RequestTimeout; d > 0 {
		limit = d
	}
	if g := old.left(); g != nil && g.DeadlineMS > 0 {
		limit = min(limit, time.Until(old.toldAt.Add(time.Duration(g.DeadlineMS)*time.Millisecond)))
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-old.session.hold():
	case <-old.done:
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// release gives old new requests again, if it still lives, since there is no
// successor yet.
func (c *Client) release(old *connection) {
	if !old.ended() {
		old.session.release()
		c.install(old)
	}
}
