package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Client keeps one session with a gateway alive and carries requests and pushes
// over it. All methods may be called from any goroutine.
type Client struct {
	// static after Dial
	cfg    Config
	dialer *dialer
	pushes *pushQueue
	ctx    context.Context // ends with Close; lives exactly as long as the client
	cancel context.CancelFunc
	done   chan struct{}
	wg     sync.WaitGroup // every goroutine of the client's

	link linkState // owned by Dial, then by the supervisor

	mu      sync.Mutex  // guards the following
	current *connection // takes new requests; nil while there is none
	session Session     // the latest
	changed chan struct{}
	err     error // why it stopped
}

// Dial connects and returns when there is a session. It tries each of
// cfg.Endpoints once, in their order, and returns all their errors when none
// works; a CLOSE that says "stop" ends it at once with a *CloseError. ctx bounds
// only this.
//
// From then on the client reconnects by itself, until Close or until a CLOSE
// tells it to stay away (Done). The caller must call Close.
func Dial(ctx context.Context, cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("client config: %w", err)
	}
	own, err := cfg.endpoints()
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg:     cfg.withDefaults(),
		changed: make(chan struct{}),
		done:    make(chan struct{}),
	}
	c.dialer = c.cfg.dialer()
	c.pushes = newPushQueue(c.cfg.PushBuffer)
	c.link.rotation = newRotation(own, c.cfg.climbAfter)
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	first, err := c.dialFirst(ctx, len(own))
	if err != nil {
		c.cancel()
		c.wg.Wait()
		return nil, err
	}
	c.wg.Go(func() { c.supervise(first) })
	if c.cfg.OnPush != nil {
		c.wg.Go(func() { c.handle(c.ctx) })
	}
	return c, nil
}

// dialFirst tries each endpoint once.
func (c *Client) dialFirst(ctx context.Context, endpoints int) (*connection, error) {
	var all error
	for range endpoints {
		conn, err := c.connect(ctx)
		if err == nil {
			return conn, nil
		}
		if refusal, ok := errors.AsType[*CloseError](err); ok && !refusal.Code.Reconnect().ComesBack() {
			return nil, err
		}
		all = also(all, err)
		if ctx.Err() != nil {
			break
		}
		c.link.rotation.advance()
	}
	return nil, all
}

// Session returns what the latest WELCOME said, whether or not its connection
// still lives.
func (c *Client) Session() Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Done is closed when the client has stopped: after Close, or when a CLOSE told
// it to stay away. Err then says which.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is nil until Done is closed; then ErrClosed after Close, else an error
// that wraps the *CloseError that ended it.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close acknowledges what was handled, ends the session with CLOSE 1000, and
// returns when every goroutine of the client's has ended: after the gateway has
// closed its side, 3 s at most, and after OnPush has returned. Requests that wait
// for a reply fail with ErrOutcomeUnknown; pushes that arrived and were not
// handled are dropped. While there is no connection nobody can be told: the
// session then ends with its ResumeTTL. It may be called more than once; its error
// is always nil.
func (c *Client) Close() error {
	c.cancel()
	c.wg.Wait()
	return nil
}

// install makes conn the one that takes requests, or nil for none, and wakes
// whoever waits for a change.
func (c *Client) install(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = conn
	if conn != nil {
		c.session = conn.info
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// finish ends the client's life with err.
func (c *Client) finish(err error) {
	c.link.abandon()
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.install(nil)
	c.pushes.finish()
	c.cfg.OnState(Change{State: StateStopped, Err: err})
	close(c.done)
}

// violates is the local answer to a request that the gateway would close the
// connection for.
func violates(command string, payload []byte, maxFrame int) error {
	f := wire.Frame{Type: wire.TypeRequest, ID: 1, Command: []byte(command), Payload: payload}
	if n := f.BinaryLen(); n > maxFrame {
		return fmt.Errorf("a frame of %d bytes, the gateway takes at most %d", n, maxFrame)
	}
	return nil
}
