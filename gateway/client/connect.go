package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// The protocol's defaults, for a gateway that does not say.
const (
	heartbeatDefault        = 25 * time.Second
	heartbeatTimeoutDefault = 8 * time.Second
)

var (
	errNoWelcome = errors.New("no WELCOME within the time-out")
	// errSameToken means that the token was refused before, so that offering
	// it again would be in vain.
	errSameToken = errors.New("client: there is no new token")
	// errNoToken means that an attempt ended before it began.
	errNoToken = errors.New("token")
)

// connect makes one attempt at the endpoint whose turn it is, by one of its
// transports or, where it may fall back, by several: it goes on to the next only
// where no gateway has spoken. When it works, the connection runs, and it takes
// the requests.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	r := c.link.rotation
	r.next()
	var all error
	for _, to := range r.targets(c.link.resume != nil, time.Now()) {
		conn, err := c.connectTo(ctx, to)
		if _, refused := errors.AsType[*CloseError](err); refused || err == nil {
			r.reached(to.transport, time.Now())
		}
		if err == nil {
			return conn, nil
		}
		all = also(all, fmt.Errorf("connect to %s: %w", to, err))
		if spoke(err) || ctx.Err() != nil {
			break
		}
	}
	return nil, all
}

// also adds an error to others, on one line, unlike errors.Join.
func also(all, err error) error {
	if all == nil {
		return err
	}
	return fmt.Errorf("%w; %w", all, err)
}

// connectTo makes one attempt by one transport, within ConnectTimeout.
func (c *Client) connectTo(ctx context.Context, to target) (*connection, error) {
	c.cfg.OnState(Change{State: StateConnecting, Endpoint: to.String()})
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.ConnectTimeout, errNoWelcome)
	defer cancel()
	token, err := c.token(ctx)
	switch {
	case err == nil:
	case c.link.resume != nil && !errors.Is(err, errSameToken):
		// A resume needs none. Without it there is only no new session either.
		c.cfg.Log.Debug("no token beside the resume", "error", err)
		token = ""
	default:
		return nil, fmt.Errorf("%w: %w", errNoToken, err)
	}
	hello := c.cfg.hello(token)
	hello.Ticket = c.link.rotation.current.ticket
	return c.attempt(ctx, to, hello, token)
}

// attempt dials and says hello, with the session to resume if there is one. It
// takes no longer than ctx. When it works, the connection runs, and it takes the
// requests.
func (c *Client) attempt(ctx context.Context, to target, hello *wire.Hello, token string) (*connection, error) {
	before := c.link.resume
	if before != nil {
		hello.Resume = before.resumeRequest()
	}
	t, w, err := c.exchange(ctx, to, hello)
	if err != nil {
		return nil, err
	}
	s := before
	switch {
	case !w.Resumed:
		c.link.abandon()
		s = newSession(w)
	case before == nil || w.Session != before.id:
		t.Close()
		return nil, violation("WELCOME resumes a session that we did not ask for")
	default:
		before.stop()
	}
	conn := newConnection(t, c.welcomed(w, to), s)
	conn.token = token
	conn.writeTimeout, conn.pushes, conn.log = c.cfg.WriteTimeout, c.pushes, c.cfg.Log
	if t, ok := t.(welcomed); ok {
		t.welcome(w, s.received.Load())
	}
	s.resume(conn, w)
	c.link.resume = nil
	c.adopt(conn, w)
	return conn, nil
}

// adopt makes a connection that has been welcomed the client's.
func (c *Client) adopt(conn *connection, w *wire.Welcome) {
	c.wg.Go(conn.run)
	c.link.rotation.worked(w.ReturnTo)
	c.link.refused = nil
	c.install(conn)
	change := Change{State: StateConnected, Endpoint: conn.info.Endpoint, Session: conn.info}
	if w.Resumed {
		change.State = StateResumed
	}
	c.cfg.OnState(change)
}

// exchange dials and exchanges HELLO for WELCOME, within ctx.
func (c *Client) exchange(ctx context.Context, to target, hello *wire.Hello) (transport, *wire.Welcome, error) {
	t, err := dialers[to.transport](ctx, c.dialer, to)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { t.Close() })
	w, err := c.greet(t, hello)
	if !stop() {
		err = ctxError(ctx)
	}
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	return t, w, nil
}

// token gets the token for the next HELLO, and refuses one that the gateway has
// just refused.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.cfg.TokenFunc == nil {
		c.link.token = c.cfg.Token
		return c.cfg.Token, nil
	}
	token, err := c.cfg.TokenFunc(ctx)
	if err != nil {
		return "", err
	}
	if r := c.link.refused; r != nil && r.token == token {
		return "", fmt.Errorf("%w: %w", errSameToken, r.err)
	}
	c.link.token = token
	return token, nil
}

// greet exchanges HELLO for WELCOME. A CLOSE instead is a *CloseError.
func (c *Client) greet(t transport, hello *wire.Hello) (*wire.Welcome, error) {
	payload, err := wire.AppendHello(nil, hello)
	if err != nil {
		return nil, err
	}
	b, err := t.Append(nil, &wire.Frame{Type: wire.TypeHello, Payload: payload})
	if err != nil {
		return nil, err
	}
	// A gateway that refuses a connection may have closed it before HELLO
	// could be written; what it said is then still to be read.
	writeErr := t.Write(b, c.handshakeMax())
	w, err := c.readWelcome(t)
	if _, refused := errors.AsType[*CloseError](err); err != nil && !refused && writeErr != nil {
		return nil, writeErr
	}
	return w, err
}

// handshakeMax is the deadline of a single read or write before WELCOME. It is
// only a second net: attempt's context closes the transport before.
func (c *Client) handshakeMax() time.Duration { return 2 * c.cfg.ConnectTimeout }

func (c *Client) readWelcome(t transport) (*wire.Welcome, error) {
	var goAway *wire.GoAway
	for {
		f, err := t.Read(c.handshakeMax())
		if err != nil {
			return nil, err
		}
		switch f.Type {
		case wire.TypeWelcome:
			w, err := wire.ParseWelcome(f.Payload)
			if err != nil {
				return nil, err
			}
			return &w, nil
		case wire.TypeGoAway:
			g, err := wire.ParseGoAway(f.Payload)
			if err != nil {
				return nil, err
			}
			goAway = &g
		case wire.TypeClose:
			refusal := &CloseError{Code: f.Code, Reason: string(f.Reason)}
			refusal.follow(goAway)
			return nil, refusal
		default:
			return nil, violation("%s before WELCOME", f.Type)
		}
	}
}

// welcomed reads a WELCOME for the application.
func (c *Client) welcomed(w *wire.Welcome, from target) Session {
	ms := func(n int64, otherwise time.Duration) time.Duration {
		if n == 0 {
			return otherwise
		}
		return time.Duration(n) * time.Millisecond
	}
	return Session{
		ID:               w.Session,
		UID:              w.UID,
		Gateway:          w.Gateway,
		Endpoint:         from.String(),
		Resumed:          w.Resumed,
		Heartbeat:        ms(w.HeartbeatMS, heartbeatDefault),
		HeartbeatTimeout: ms(w.HeartbeatTimeoutMS, heartbeatTimeoutDefault),
		RequestTimeout:   ms(w.RequestTimeoutMS, 0),
		ResumeTTL:        ms(w.ResumeTTLMS, 0),
		Window:           w.Window,
		MaxFrame:         w.MaxFrame,
	}
}
