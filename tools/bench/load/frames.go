package load

import (
	"errors"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// take handles the complete frames in b, which came in at now, and returns
// the bytes of an incomplete one. Both alias the loop's read buffer.
func (l *loop) take(c *conn, b []byte, now int64) (rest []byte) {
	if l.cfg.Mode == Raw {
		return l.takeRaw(c, b, now)
	}
	if l.via.ws {
		return l.takeWS(c, b, now)
	}
	for gen := c.gen; len(b) > 0 && c.gen == gen; {
		f, size, err := wire.ParseStream(b, frameBytesMax, wire.FromGateway)
		if errors.Is(err, wire.ErrIncomplete) {
			return b
		}
		if err != nil {
			l.lose(c, KindFrame)
			return nil
		}
		l.handle(c, &f, now)
		b = b[size:]
	}
	return nil
}

// takeRaw splits b by the size of the frames that were sent.
func (l *loop) takeRaw(c *conn, b []byte, now int64) (rest []byte) {
	for len(b) >= l.rawSize && len(c.inflight) > 0 {
		s := c.inflight[0]
		payload := b[l.rawSize-len(l.payload) : l.rawSize]
		l.reply(c, s.id, payload, now)
		b = b[l.rawSize:]
	}
	if len(b) > 0 && len(c.inflight) == 0 {
		l.lose(c, KindUnknownID)
		return nil
	}
	return b
}

// handle reacts to one frame of the gateway.
func (l *loop) handle(c *conn, f *wire.Frame, now int64) {
	if c.state == stateGreeting && f.Type != wire.TypeWelcome && f.Type != wire.TypeClose && f.Type != wire.TypeGoAway {
		l.lose(c, KindFrame)
		return
	}
	switch f.Type {
	case wire.TypeReply:
		if f.Status != wire.StatusOK {
			l.tally.fail(statusKind(f.Status))
			if _, ok := c.answered(f.ID); !ok {
				l.tally.fail(KindUnknownID)
			}
			return
		}
		l.reply(c, f.ID, f.Payload, now)
	case wire.TypeWelcome:
		l.welcome(c, f, now)
	case wire.TypePush:
		l.tally.Pushes++
		if f.Seq > 0 {
			l.append(&wire.Frame{Type: wire.TypeAck, Seq: f.Seq})
			l.flush(c)
		}
	case wire.TypePing:
		l.tally.Pings++
		l.append(&wire.Frame{Type: wire.TypePong, Payload: f.Payload})
		l.flush(c)
	case wire.TypeClose:
		if c.state == stateLeaving {
			return // its answer to ours; the end of the stream follows
		}
		l.lose(c, closeKind(f.Code))
	case wire.TypeGoAway, wire.TypePong:
		// A benchmark does not move; CLOSE will follow a GOAWAY and is counted.
	}
}

// reply completes one exchange.
func (l *loop) reply(c *conn, id uint32, payload []byte, now int64) {
	at, ok := c.answered(id)
	switch {
	case !ok:
		l.tally.fail(KindUnknownID)
	case !stamped(payload, len(l.payload), c.index, id):
		l.tally.fail(KindPayload)
	default:
		l.record(at, now)
	}
}

func (l *loop) welcome(c *conn, f *wire.Frame, now int64) {
	w, err := wire.ParseWelcome(f.Payload)
	if err != nil || c.state != stateGreeting {
		l.lose(c, KindFrame)
		return
	}
	c.window, c.frameMax = w.Window, w.MaxFrame
	l.ready(c, now)
}
