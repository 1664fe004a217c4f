package secure

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
)

const (
	// cameBytesMax is what a client may send before its handshake is over, besides
	// what Ahead allows.
	cameBytesMax = 64 << 10
	// pendingBytesMax is what TLS itself may have to say while nobody takes it:
	// answers to key updates, which a client could ask for without reading.
	pendingBytesMax = 16 << 10
	// plainBytes is the longest plaintext of a record.
	plainBytes = 16 << 10
	// recordOverheadBytes is what a record adds at most, with the ciphers that
	// are spoken: header, explicit nonce, padding, MAC.
	recordOverheadBytes = 5 + 16 + 16 + 48
)

var (
	// ErrNotEstablished is returned by Seal before the handshake is over.
	ErrNotEstablished = errors.New("secure: the handshake is not over")
	// ErrTooMuch ends a connection that makes us keep more than it may.
	ErrTooMuch = errors.New("secure: more bytes than may wait")
)

// Output is the connection below, told of what TLS does by itself. No lock of
// this package is held that Feed, Seal or Take need, so an Output may call them.
// It must not block.
type Output interface {
	// Pending says that bytes wait in Take. It is called from within Feed and
	// from handshakes' goroutines, and may be called when they are gone already.
	Pending()
	// Established says that the handshake is over, at most once: not when Feed
	// has refused the ClientHello, and not after Close (but it may be under way
	// during Close). It comes from a handshake's goroutine, or from that of
	// Handshakes.Run. After Established(nil) the owner calls Feed(nil, plain),
	// and only then does plaintext flow.
	Established(err error)
}

// phase is how far a connection is.
type phase uint8

const (
	phaseHello       phase = iota // the ClientHello is not whole
	phaseShaking                  // a handshake waits for its place or is under way
	phaseEstablished              // it went well; Feed(nil) has not been called since
	phaseOpen                     // bytes are decrypted as they come
	phaseFailed                   // err says why
	phaseClosed                   // by the owner
)

// Conn is the server's end of one TLS connection, without I/O. Feed must not be
// called twice at once, nor may Seal and Take; everything else may be called
// from any goroutine. No method blocks.
type Conn struct {
	// static
	cfg   *tls.Config
	set   *Handshakes
	out   Output
	ahead int

	fed     []byte // owned by Feed: what is left of its argument
	ended   error  // owned by Feed: why nothing more will be decrypted
	tls     *tls.Conn
	shaking *handshake // nil but in phaseShaking; guarded by mu, like the following

	mu      sync.Mutex // a leaf: nothing is called with it held
	phase   phase
	sealing bool   // a Seal is under way
	err     error  // phaseFailed: what Feed says
	came    []byte // what came before phaseOpen; ours
	pending []byte // what TLS says itself; ours
	sealed  []byte // while sealing: Seal's dst and what follows it
}

// NewConn returns the server's end of a connection on which nothing has come.
// It starts nothing. set bounds its handshake; out is told what happens.
func NewConn(cfg *tls.Config, set *Handshakes, out Output) *Conn {
	return &Conn{cfg: cfg, set: set, out: out}
}

// Ahead allows n bytes more to be kept until the handshake is over. A client may
// speak right behind its own part of the handshake, while ours is still waiting for
// its turn. Call it before Feed.
func (c *Conn) Ahead(n int) { c.ahead = n }

// Feed takes all of b, which stays the caller's, and calls plain for what it
// says; plain's slice is valid until plain returns. Until Feed(nil, plain) is
// called after Established, bytes are kept, at most 64 KiB and what Ahead allows,
// and plain is not called. plain may call every method but Feed.
//
// It returns io.EOF after close_notify, ErrNotTLS (wrapped) for bytes that are
// none, and other errors for TLS that is wrong: then TLS may have an alert to
// say in Take, and nothing more is taken. The same error comes again.
func (c *Conn) Feed(b []byte, plain func([]byte)) error {
	c.mu.Lock()
	switch c.phase {
	case phaseHello:
		return c.gatherUnlock(b)
	case phaseEstablished:
		if len(b) == 0 {
			c.phase, c.fed, c.came = phaseOpen, c.came, nil
			c.mu.Unlock()
			return c.decrypt(plain)
		}
		fallthrough
	case phaseShaking:
		return c.keepUnlock(b)
	case phaseOpen:
		c.mu.Unlock()
		c.fed = b
		return c.decrypt(plain)
	case phaseFailed:
		defer c.mu.Unlock()
		return c.err
	}
	c.mu.Unlock()
	return net.ErrClosed
}

// gatherUnlock adds b to a ClientHello, and begins the handshake when it is whole.
func (c *Conn) gatherUnlock(b []byte) error {
	c.came = append(c.came, b...)
	whole, err := helloComplete(c.came)
	if err == nil && len(c.came) > cameBytesMax {
		err = ErrTooMuch
	}
	if err != nil || !whole {
		if err != nil {
			c.failLocked(err)
		}
		c.mu.Unlock()
		c.tell()
		return err
	}
	h := newHandshake(c)
	c.phase, c.shaking, c.tls = phaseShaking, h, tls.Server((*socket)(c), c.cfg)
	c.mu.Unlock()
	if err := c.set.begin(h); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failLocked(err)
		return err
	}
	return nil
}

// failLocked ends a connection whose handshake has not begun or has gone wrong.
func (c *Conn) failLocked(err error) {
	c.phase, c.err, c.came, c.shaking = phaseFailed, err, nil, nil
	var refused *helloError
	if errors.As(err, &refused) {
		c.pending = append(c.pending, 0x15, 3, 3, 0, 2, 2, refused.alert) // a fatal alert
	}
}

// keepUnlock keeps b for the handshake, or for what follows it.
func (c *Conn) keepUnlock(b []byte) error {
	defer c.mu.Unlock()
	if len(c.came)+len(b) > cameBytesMax+c.ahead {
		return ErrTooMuch
	}
	c.came = append(c.came, b...)
	if c.shaking != nil {
		c.shaking.wake()
	}
	return nil
}

// plains holds the buffers that records are decrypted into: a connection needs
// one only while Feed runs.
var plains = sync.Pool{New: func() any { return new([plainBytes]byte) }}

// decrypt hands out all that c.fed says.
func (c *Conn) decrypt(plain func([]byte)) error {
	defer func() { c.fed = nil }() // it is the caller's
	if c.ended != nil {
		return c.ended
	}
	buf := plains.Get().(*[plainBytes]byte)
	defer plains.Put(buf)
	for {
		n, err := c.tls.Read(buf[:])
		told := c.tell()
		if n > 0 {
			plain(buf[:n])
		}
		switch {
		case c.closed():
			return nil // by plain: nobody wants the rest
		case err == nil && told:
			err = c.checkPending()
		case isAgain(err):
			return nil
		}
		if err != nil {
			c.ended = err
			return err
		}
	}
}

func isAgain(err error) bool {
	_, ok := err.(again) // crypto/tls returns it as it is
	return ok
}

// checkPending bounds what TLS has to say and nobody has taken.
func (c *Conn) checkPending() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) > pendingBytesMax {
		return ErrTooMuch
	}
	return nil
}

func (c *Conn) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == phaseClosed
}

// tell tells the owner when TLS has something to say.
func (c *Conn) tell() bool {
	c.mu.Lock()
	waits := len(c.pending) > 0
	c.mu.Unlock()
	if waits {
		c.out.Pending()
	}
	return waits
}

// Seal appends what TLS itself must say first, then the records that carry
// plain, which stays the caller's. An error is final; what stands behind dst is
// then whole records. It fails with ErrNotEstablished before the handshake is
// over, and after CloseNotify.
func (c *Conn) Seal(dst, plain []byte) ([]byte, error) {
	c.mu.Lock()
	if c.phase != phaseEstablished && c.phase != phaseOpen {
		defer c.mu.Unlock()
		return dst, ErrNotEstablished
	}
	records := len(plain)/plainBytes + 1
	dst = slices.Grow(dst, len(c.pending)+len(plain)+records*recordOverheadBytes)
	c.sealed, c.sealing = append(dst, c.pending...), true
	c.pending = nil
	c.mu.Unlock()

	var err error
	if len(plain) > 0 {
		_, err = c.tls.Write(plain)
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	dst, c.sealed, c.sealing = c.sealed, nil, false
	return dst, err
}

// Take appends what TLS itself wants to say: handshakes, alerts, key updates.
func (c *Conn) Take(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = append(dst, c.pending...)
	c.pending = nil
	return dst
}

// CloseNotify makes TLS say that nothing follows; it waits in Take. Seal fails
// from now on; Feed goes on. Before the handshake is over it does nothing.
func (c *Conn) CloseNotify() {
	if c.established() {
		_ = c.tls.CloseWrite() // it fails where TLS has said its last already
	}
}

func (c *Conn) established() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == phaseEstablished || c.phase == phaseOpen
}

// Close ends a handshake and lets go of what is kept. Nothing more is said, and
// Feed gives nothing more.
func (c *Conn) Close() {
	c.mu.Lock()
	h := c.shaking
	c.phase, c.shaking, c.came, c.pending = phaseClosed, nil, nil, nil
	c.mu.Unlock()
	if h != nil {
		c.set.abandon(h)
	}
}

// State tells what the handshake agreed on: the version as "1.2" or "1.3", the
// name the client asked for and its protocol, which both may be empty. All are
// empty before the handshake is over, and after Close.
func (c *Conn) State() (version, serverName, alpn string) {
	if !c.established() {
		return "", "", ""
	}
	s := c.tls.ConnectionState()
	for name, number := range versions {
		if number == s.Version {
			version = name
		}
	}
	return version, s.ServerName, s.NegotiatedProtocol
}
