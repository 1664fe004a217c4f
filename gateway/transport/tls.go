package transport

import (
	"errors"
	"io"

	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// tlsEnd is what an encrypted connection has besides.
type tlsEnd struct {
	conn  *secure.Conn
	plain func([]byte) // made once, since it would be allocated each time
}

// beginTLSLocked lets what comes from now on be decrypted.
func (c *Conn) beginTLSLocked() {
	end := &tlsEnd{conn: secure.NewConn(c.listener.store.TLS(), c.listener.handshakes, (*tlsOutput)(c))}
	end.conn.Ahead(c.limits.FrameBytesMax + heldBytesMax) // as ahead of WELCOME
	end.plain = func(b []byte) {
		if !c.leftLocked(b) {
			c.takeLocked(b)
		}
	}
	c.reader = detectReader{}
	c.mu.Lock()
	c.tls = end
	c.mu.Unlock()
}

// decryptLocked gives b to TLS, which gives back what it says.
func (c *Conn) decryptLocked(b []byte) {
	err := c.tls.conn.Feed(b, c.tls.plain)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF): // close_notify: the client is done, as if it had closed its side
		c.Finish()
	default: // what TLS says of it is pending
		c.tlsFailed(err)
	}
}

// tlsFailed ends a connection whose bytes are no TLS. TLS itself has said why.
func (c *Conn) tlsFailed(err error) {
	c.listener.Log.Debug("tls", "remote", c.remote, "error", err)
	c.listener.Metrics.closed(wire.CloseProtocolError)
	c.Finish()
}

// sealNextLocked is what is to be written next on an encrypted connection: at
// most one record more is made when the former has gone.
func (c *Conn) sealNextLocked() []byte {
	c.lendLocked()
	o := c.out
	if o.sealedOff < len(o.sealed) {
		return o.sealed[o.sealedOff:]
	}
	o.compact(c.listener.Wheel.Now())
	end := min(len(o.b), o.off+sealBytesMax)
	sealed, err := o.sealed[:0], error(nil)
	if o.off < end {
		sealed, err = c.tls.conn.Seal(sealed, o.b[o.off:end])
		if err != nil { // the handshake failed, or TLS has closed: nobody will read it
			end = len(o.b)
		}
		o.advance(end - o.off)
	} else {
		sealed = c.tls.conn.Take(sealed)
	}
	if len(sealed) == 0 && c.phase == phaseFlushing && !c.notified {
		c.notified = true
		c.tls.conn.CloseNotify()
		sealed = c.tls.conn.Take(sealed)
	}
	o.sealed, o.sealedOff = sealed, 0
	return sealed
}

// tlsOutput is a connection as its TLS sees it.
type tlsOutput Conn

// Pending implements secure.Output: TLS has something to say of its own.
func (o *tlsOutput) Pending() { (*Conn)(o).Flush() }

// Established implements secure.Output: the handshake is over, on its goroutine.
func (o *tlsOutput) Established(err error) {
	c := (*Conn)(o)
	if err != nil {
		c.tlsFailed(err)
		return
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if !c.Closing() {
		c.decryptLocked(nil) // what came during the handshake
	}
}
