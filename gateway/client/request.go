package client

import (
	"context"
	"errors"
	"fmt"
)

// Request sends a command and returns the payload of its reply, which belongs to
// the caller. payload is not kept after Request has returned. It waits while
// there is no connection and while the session's window is full. Without a
// deadline in ctx, Config.RequestTimeout is one.
//
// The error is
//   - a *StatusError: a reply other than OK;
//   - ErrNotSent, wrapping why: it did not run (ctx ended before it was sent, the
//     client stopped, or it can never be sent as it is);
//   - ErrOutcomeUnknown, wrapping why: it was sent, and the connection broke or
//     ctx ended before the reply. Whether it ran is not known.
//
// NotRun sorts these into "safe to send again" and the rest.
func (c *Client) Request(ctx context.Context, command string, payload []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.cfg.RequestTimeout)
		defer cancel()
	}
	for {
		call, err := c.submit(ctx, command, payload)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", command, ErrNotSent, err)
		}
		r := c.await(ctx, call)
		switch {
		case errors.Is(r.err, errHeld):
			continue // its connection ended with the request still in this process
		case r.err != nil:
			return nil, fmt.Errorf("%s: %w", command, r.err)
		case r.status != 0:
			return nil, fmt.Errorf("%s: %w", command, statusError(r.status, r.flags, r.payload))
		default:
			return r.payload, nil
		}
	}
}

// submit queues the request as soon as a connection has room in its window. An
// error means that it was not sent.
func (c *Client) submit(ctx context.Context, command string, payload []byte) (<-chan result, error) {
	for ctx.Err() == nil { // asked first, since select picks at random
		conn, changed, err := c.view()
		if err != nil {
			return nil, err
		}
		var slots chan struct{} // nil, so never ready, without a connection
		if conn != nil {
			slots = conn.session.slots
		}
		select {
		case <-ctx.Done():
			continue
		case <-changed:
			continue
		case slots <- struct{}{}:
		}
		call, err := c.sendOn(conn, command, payload)
		if err == nil {
			return call, nil
		}
		<-slots
		if !errors.Is(err, errHeld) {
			return nil, err
		}
		select { // the supervisor is about to say what comes next
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, ctxError(ctx)
}

func (c *Client) sendOn(conn *connection, command string, payload []byte) (<-chan result, error) {
	if err := violates(command, payload, conn.info.MaxFrame); err != nil {
		return nil, err
	}
	return conn.session.send(conn, command, payload)
}

// view returns the connection that takes requests, or nil, and a channel that is
// closed when that is no longer so. The error is why the client has stopped.
func (c *Client) view() (*connection, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current, c.changed, c.err
}

// await waits for the call's result. When ctx ends first the call stays behind
// and keeps its place in the window, since the gateway still counts it.
func (c *Client) await(ctx context.Context, call <-chan result) result {
	c.pushes.expect(1)
	defer c.pushes.expect(-1)
	select {
	case r := <-call:
		return r
	case <-ctx.Done():
		select {
		case r := <-call: // both at once: the reply is worth more
			return r
		default:
			return result{err: fmt.Errorf("%w: %w", ErrOutcomeUnknown, ctxError(ctx))}
		}
	}
}
