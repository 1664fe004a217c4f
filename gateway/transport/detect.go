package transport

import (
	"strings"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// speech is what the first bytes of a connection show.
type speech uint8

const (
	speechUnclear speech = iota // more bytes are needed
	speechFrames
	speechTLS
	speechHTTP
	speechProxy // a PROXY header where none belongs
)

// proxyV1 and proxyV2 are how PROXY headers begin. Nothing else begins with the
// first byte of proxyV2, so that byte decides.
const (
	proxyV1 = "PROXY "
	proxyV2 = '\r'
)

// detect looks at the first bytes of a connection. A length is below 16 MiB, so
// frames begin with 0, as nothing else does.
func detect(b []byte) speech {
	head := string(b[:min(len(b), len(proxyV1))])
	switch {
	case b[0] == 0x16:
		return speechTLS
	case b[0] == proxyV2, head == proxyV1:
		return speechProxy
	case len(head) > 1 && strings.HasPrefix(proxyV1, head): // "P" alone may be POST
		return speechUnclear
	case b[0] >= 'A' && b[0] <= 'Z':
		return speechHTTP
	default:
		return speechFrames
	}
}

// detectReader looks at the first bytes and puts in its place what understands
// the rest. There are at most five bytes to keep, of a header like PROXY.
type detectReader struct{}

func (detectReader) readLocked(c *Conn, b []byte) {
	if len(c.partial) > 0 {
		b = append(c.partial, b...)
		c.partial = nil
	}
	secure := c.tls != nil
	offers := c.listener.offers & setPlain
	if secure {
		offers = c.listener.offers & setSecure
	}
	frames := offers.has(TCP.over(secure))
	switch found := detect(b); {
	case found == speechUnclear || (found == speechHTTP && len(b) == 1 && b[0] == 'P'):
		c.partial = append([]byte(nil), b...)
		return
	case found == speechTLS && !secure && c.listener.offers&setSecure != 0:
		c.beginTLSLocked()
		c.decryptLocked(b)
		return
	case found == speechHTTP && offers&^TCP.over(secure).bit() != 0:
		c.beginHTTPLocked()
	case found == speechProxy && frames:
		c.speakFrames()
		c.refuse(&wire.ProtocolError{Code: wire.CloseProtocolError, Message: "a PROXY header, which is not expected here"})
		return
	case frames:
		c.speakFrames()
	default: // nothing that is spoken here could say so
		(*c.receiver.Load()).Refuse(nil)
		return
	}
	if !c.leftLocked(b) {
		c.takeLocked(b)
	}
}

// speakFrames makes the connection one of tcp or tls.
func (c *Conn) speakFrames() {
	c.reader = streamReader{}
	c.speak(TCP, streamFraming{})
}

// speak is called when it is known how the client speaks: from now on it can be
// answered, if only to be refused.
func (c *Conn) speak(via Name, f framing) {
	c.via = via.over(c.tls != nil)
	c.mu.Lock()
	c.framing = f
	c.mu.Unlock()
	c.SetReceiver(c.listener.Accept(c))
	if r := c.refusal; r != nil {
		c.turnAway(r)
	}
}

// turnAway tells a client why it may not stay.
func (c *Conn) turnAway(r *Refusal) {
	if r.RetryAfter <= 0 {
		c.CloseWith(r.Code, r.Message)
		return
	}
	c.CloseWith(r.Code, r.Message, wire.Frame{Type: wire.TypeGoAway, Payload: wire.AppendGoAway(nil, &wire.GoAway{
		Code: r.Code, Reason: r.Message, ReconnectAfterMS: r.RetryAfter.Milliseconds(),
	})})
}
