package transport

import (
	"errors"
	"net/netip"

	"github.com/holdfast-io/holdfast/gateway/transport/proxyproto"
)

// proxyReader takes the PROXY header that a trusted balancer puts in front.
type proxyReader struct{ head []byte }

func (r *proxyReader) readLocked(c *Conn, b []byte) {
	head := b
	if len(r.head) > 0 {
		head = append(r.head, b...)
		r.head = nil
	}
	h, n, err := proxyproto.Parse(head, proxyproto.HeaderBytesMax)
	if errors.Is(err, proxyproto.ErrIncomplete) {
		r.head = append([]byte(nil), head...)
		return
	}
	if err != nil {
		c.listener.Metrics.proxyHeaders.refused.Inc()
		c.listener.Log.Debug("PROXY header refused", "remote", c.remote, "error", err)
		c.Abort() // who speaks is not known, so neither is how to answer
		return
	}
	if h.Local {
		c.listener.Metrics.proxyHeaders.local.Inc()
		c.reader = localReader{}
	} else {
		c.listener.Metrics.proxyHeaders.taken.Inc()
		if h.Source.IsValid() { // not on a unix socket: then it is the balancer that is counted
			c.remote = netip.AddrPortFrom(h.Source.Addr().Unmap(), h.Source.Port())
		}
		c.reader = detectReader{}
		c.enterLocked()
	}
	c.takeLocked(head[n:])
}

// localReader is on a connection that the balancer has made for itself, to see
// whether somebody is there. It stands for no client, so nothing is taken.
type localReader struct{}

func (localReader) readLocked(c *Conn, _ []byte) { c.Abort() }
