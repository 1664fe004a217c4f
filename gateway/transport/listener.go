package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sync/errgroup"

	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/idl/endpoint"
)

// shutdownTimeout bounds how long netpoll may take to let go of connections.
const shutdownTimeout = 5 * time.Second

// shutdownTick is how often it is looked at whether they are gone.
const shutdownTick = 5 * time.Millisecond

// Acceptor gives each new connection its first receiver. It is called before
// the connection is read, inline in the poller, so it must not block.
type Acceptor func(c *Conn) Receiver

// Listener accepts connections on one address.
type Listener struct {
	cfg      ListenerConfig
	offers   set
	believed atomic.Pointer[believed]
	unix     bool
	Deps
	store      *secure.Store // nil without TLS
	handshakes *secure.Handshakes
	writable   *writable
	ln         *endpoint.Listener
	stopping   atomic.Bool             // whoever is accepted now is cut
	verdict    atomic.Pointer[verdict] // netpoll prepares each connection right after it has accepted it, on the same goroutine
	leaving    atomic.Bool             // HTTP connections end with their next answer

	mu    sync.Mutex // guards the following
	conns *Conn      // first of all connections, those that are being closed included
	open  int64
}

// Deps is what all listeners of a gateway share.
type Deps struct {
	// Limits are those of connections that begin now.
	Limits func() *Limits
	// Accept gives a connection whose transport is known the receiver of its
	// frames. It runs inline in the poller, so it must not block.
	Accept Acceptor
	// Serve answers HTTP calls, now or later. It must not block either.
	Serve func(*Call)
	Gate  Gatekeeper
	Wheel *wheel.Wheel
	// Refusing is how many connections of all listeners wait to be told why they
	// may not stay.
	Refusing *atomic.Int64

	Metrics *Metrics
	// TLSMetrics are those of package secure.
	TLSMetrics *secure.Metrics
	Log        *slog.Logger
}

// Listen binds cfg.Address, so that an address in use is an error here and not
// later, and loads its certificates. Nothing is accepted before Run; Close
// undoes Listen when Run is never called.
func Listen(cfg ListenerConfig, deps Deps) (*Listener, error) {
	configure(deps.Log)
	l := &Listener{
		cfg: cfg, offers: setOf(cfg.Transports), Deps: deps,
	}
	l.Believe(cfg)
	if err := l.loadTLS(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Address, err)
	}
	ln, err := endpoint.Listen(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Address, err)
	}
	l.ln, l.unix = ln, ln.Addr().Network() == "unix"
	if err := errors.Join(boundReceiving(ln), l.openSocket()); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Address, errors.Join(err, ln.Release()))
	}
	if l.writable, err = newWritable(); err != nil {
		return nil, fmt.Errorf("listener %s: %w", cfg.Address, errors.Join(err, ln.Release()))
	}
	return l, nil
}

// openSocket lets those in whom the configuration names: endpoint has made the
// socket for our own user alone.
func (l *Listener) openSocket() error {
	if !l.unix || l.cfg.SocketMode == "" {
		return nil
	}
	mode, err := l.cfg.socketMode()
	if err != nil {
		return err
	}
	return os.Chmod(l.ln.Addr().String(), mode)
}

// handshakesMax is how many clients may be in a TLS handshake at once: each
// takes a goroutine for as long as it lasts.
const handshakesMax = 128

func (l *Listener) loadTLS() (err error) {
	if l.offers&setSecure == 0 {
		return nil
	}
	if l.store, err = secure.NewStore(l.cfg.TLS, l.Log, l.TLSMetrics.Listener(l.cfg.Address)); err != nil {
		return err
	}
	l.handshakes = secure.NewHandshakes(handshakesMax, l.cfg.TLS.HandshakeTimeout, l.TLSMetrics)
	return nil
}

// ReloadCertificates reads the certificates' files again. When that fails the
// old ones stay.
func (l *Listener) ReloadCertificates() error {
	if l.store == nil {
		return nil
	}
	return l.store.Reload()
}

// believed is whose word on a client's address is taken.
type believed struct{ proxies, forwarders []netip.Prefix }

// Believe takes from cfg whose PROXY and X-Forwarded-For headers are believed
// from now on.
func (l *Listener) Believe(cfg ListenerConfig) {
	l.believed.Store(&believed{proxies: ranges(cfg.Proxy.Trusted), forwarders: ranges(cfg.ForwardedFor)})
}

// Leave makes HTTP connections end with their next answer, and those end now
// that have none to give.
func (l *Listener) Leave() {
	l.leaving.Store(true)
	l.Each(func(c *Conn) {
		if h, ok := c.Receiver().(*httpConn); ok {
			h.Idle()
		}
	})
}

// Config is what the listener was made from.
func (l *Listener) Config() ListenerConfig { return l.cfg }

// Addr is where it listens, with the port that was picked.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close frees the address of a listener whose Run was never called.
func (l *Listener) Close() {
	_ = l.ln.Release() // nobody has used it
	l.writable.close()
}

// Run accepts connections until ctx is done, then closes those that are left,
// without a CLOSE: whoever wants one sends it before. It returns after every
// connection is gone or five seconds have passed.
func (l *Listener) Run(ctx context.Context) error {
	loop, err := netpoll.NewEventLoop(onRequest, netpoll.WithOnPrepare(l.prepare))
	if err != nil {
		return fmt.Errorf("listener %s: %w", l.cfg.Address, err)
	}
	// The writable loop outlives the accepting one: connections that are being
	// closed still need it.
	wctx, stopWritable := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWritable()
	g, gctx := errgroup.WithContext(ctx)
	served := make(chan struct{})
	g.Go(func() error { return l.writable.run(wctx) })
	if l.store != nil {
		g.Go(func() error { return l.store.Run(gctx) })
		g.Go(func() error { return l.handshakes.Run(wctx) })
	}
	g.Go(func() error {
		defer stopWritable()
		<-gctx.Done()
		return l.shutdown(loop, served)
	})
	g.Go(func() error {
		defer close(served)
		door := newDoorway(l)
		defer door.close()
		err := loop.Serve(door)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("listener %s: %w", l.cfg.Address, err)
		}
		return nil
	})
	err = errors.Join(g.Wait(), l.ln.Release())
	l.writable.close()
	return err
}

// shutdown cuts every connection and then stops loop. netpoll must not be left
// to close connections itself, for the reason that Abort gives. A Shutdown that
// comes before Serve has begun does nothing, so it is repeated until Serve
// returns.
func (l *Listener) shutdown(loop netpoll.EventLoop, served <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	l.stopping.Store(true)
	for ctx.Err() == nil && l.Open() > 0 {
		l.Each((*Conn).Abort)
		time.Sleep(shutdownTick)
	}
	for {
		if err := loop.Shutdown(ctx); err != nil {
			return fmt.Errorf("listener %s: shut down: %w", l.cfg.Address, err)
		}
		select {
		case <-served:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("listener %s: shut down: %w", l.cfg.Address, ctx.Err())
		case <-time.After(shutdownTick):
		}
	}
}

// prepare is netpoll's first word of a connection, before it is read.
func (l *Listener) prepare(nc netpoll.Connection) context.Context {
	c := &Conn{
		listener: l,
		limits:   l.Limits(),
		nc:       nc,
		fd:       nc.(netpoll.Conn).Fd(),
		remote:   addrPort(nc.RemoteAddr()),
		openedAt: l.Wheel.Now(),
		framing:  rawFraming{},
	}
	c.lastRead.Store(c.openedAt)
	l.Metrics.accepted.Inc()
	l.Metrics.open.Inc()
	l.remember(c)
	c.SetReceiver(newcomer{c})
	giveVectors(nc)
	_ = nc.AddCloseCallback(c.gone) // its only error is a nil callback
	l.welcome(c)
	if l.stopping.Load() {
		c.Abort()
	}
	return &connContext{Context: context.Background(), conn: c}
}

// welcome puts the first reader on a connection that may stay.
func (l *Listener) welcome(c *Conn) {
	c.reader = detectReader{}
	if r := l.verdict.Load().refusal; r != nil {
		c.refuseLater(r)
	} else {
		c.counted = true
	}
	switch {
	case l.cfg.Proxy.Required && !l.unix && !within(l.believed.Load().proxies, c.remote.Addr()):
		l.Metrics.proxyHeaders.untrusted.Inc()
		c.Abort()
		return
	case l.cfg.Proxy.Required:
		c.reader = &proxyReader{}
	default:
		c.enterLocked()
		if c.refusal != nil && l.offers == TCP.bit() { // nothing to wait for
			c.speakFrames()
			return
		}
	}
	c.WakeAt((newcomer{c}).firstLook())
}

func (l *Listener) remember(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.next = l.conns
	if c.next != nil {
		c.next.prev = c
	}
	l.conns = c
	l.open++
}

// forget is called once for each connection that prepare has seen.
func (l *Listener) forget(c *Conn) {
	l.Metrics.open.Dec()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		l.conns = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.next, c.prev = nil, nil
	l.open--
}

// Open is how many connections there are, those that are being closed included.
func (l *Listener) Open() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}

// Each calls fn for every connection, without a lock held.
func (l *Listener) Each(fn func(*Conn)) {
	l.mu.Lock()
	all := make([]*Conn, 0, l.open)
	for c := l.conns; c != nil; c = c.next {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		fn(c)
	}
}
