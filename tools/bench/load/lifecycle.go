package load

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// echoCommand is what every request of a load asks for.
const echoCommand = "echo.say"

// begin starts a connection in a free slot. A failure is counted and leaves
// the slot free.
func (l *loop) begin(slot int) {
	c := &l.conns[slot]
	c.index = slot*l.cfg.Threads + l.number
	c.begun = l.now()
	fd, err := dial(l.to, l.to.source(c.index, l.cfg.Sources))
	if err != nil {
		l.tally.fail(KindConnect)
		return
	}
	if err := l.poll.add(fd, slot, c.gen); err != nil {
		l.tally.fail(KindConnect)
		abort(fd)
		return
	}
	c.fd, c.state = fd, stateConnecting
	l.opening = append(l.opening, slot)
}

// connected goes on when the kernel has decided about a connection.
func (l *loop) connected(c *conn) {
	if err := connectError(c.fd); err != nil {
		l.lose(c, KindConnect)
		return
	}
	switch {
	case l.cfg.Mode == Raw:
		c.state = stateGreeting
		c.window, c.frameMax = rawWindow, frameBytesMax
		l.ready(c, l.now())
	case l.via.tls:
		c.state, c.tls = stateShaking, newTLSEnd()
		l.shake(c, nil, l.now())
	default:
		l.introduce(c)
	}
}

// introduce says the first words to the gateway itself.
func (l *loop) introduce(c *conn) {
	if l.via.ws {
		c.state = stateUpgrading
		l.send(c, wsHandshake)
		return
	}
	l.greet(c)
}

// greet says HELLO.
func (l *loop) greet(c *conn) {
	c.state = stateGreeting
	hello, err := l.hello(c.index)
	if err != nil {
		l.lose(c, KindToken)
		return
	}
	l.append(&wire.Frame{Type: wire.TypeHello, Payload: hello})
	l.flush(c)
}

func (l *loop) hello(index int) ([]byte, error) {
	h := wire.Hello{Protocol: wire.ProtocolVersion}
	if l.cfg.Tokens != nil {
		token, err := l.cfg.Tokens(index)
		if err != nil {
			return nil, err
		}
		h.Token, h.HasToken = token, true
	}
	return wire.AppendHello(nil, &h)
}

// ready makes c an open connection.
func (l *loop) ready(c *conn, now int64) {
	l.landed(c)
	c.state = stateOpen
	l.open++
	l.phase.opened(l, c, now)
}

// leave says goodbye. The gateway closes then; a bare server is told by the
// end of the stream, since it knows no CLOSE.
func (l *loop) leave(c *conn) {
	c.state = stateLeaving
	l.open--
	if l.cfg.Mode == Raw {
		_ = unix.Shutdown(c.fd, unix.SHUT_WR) // fails only on a connection that is gone, as a read will tell
		return
	}
	l.append(&wire.Frame{Type: wire.TypeClose, Code: wire.CloseNormal})
	l.flush(c)
}

// lose ends a connection: one that should have stayed, which is an error of
// that kind, or one that was leaving.
func (l *loop) lose(c *conn, kind string) {
	if c.state != stateLeaving || (kind != KindEOF && kind != KindReset) {
		l.tally.fail(kind)
	}
	l.release(c)
	l.phase.gone(l, c, l.now())
}

// release gives the socket back. What was in flight is counted as unanswered.
func (l *loop) release(c *conn) {
	l.abandon(c)
	switch c.state {
	case stateConnecting, stateShaking, stateUpgrading, stateGreeting:
		l.landed(c)
	case stateOpen:
		l.open--
	}
	if c.tls != nil {
		c.tls.drop()
		c.tls = nil
	}
	abort(c.fd)
	c.fd, c.state = -1, stateFree
	c.gen++
	c.partial, c.unsent, c.lastID = c.partial[:0], c.unsent[:0], 0
}

// landed takes c off the list of those that are being opened.
func (l *loop) landed(c *conn) {
	slot := (c.index - l.number) / l.cfg.Threads
	if i := slices.Index(l.opening, slot); i >= 0 {
		l.opening = slices.Delete(l.opening, i, i+1)
	}
}

// abandon gives up what c has in flight. The time it has waited so far goes
// into the latencies, else a server could look fast by never answering.
func (l *loop) abandon(c *conn) {
	now := l.now()
	for _, s := range c.inflight {
		l.tally.fail(KindUnanswered)
		if l.span.has(s.at, now) {
			l.tally.record(now - s.at)
		}
	}
	c.inflight = c.inflight[:0]
}

// expire ends the connections that have been opening for too long.
func (l *loop) expire(now int64) {
	for i := len(l.opening) - 1; i >= 0; i-- { // from behind: lose takes it off the list
		if c := &l.conns[l.opening[i]]; now-c.begun > int64(l.cfg.Timeout) {
			l.lose(c, KindTimeout)
		}
	}
}
