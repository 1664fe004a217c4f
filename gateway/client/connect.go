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
)

// connect makes one attempt, at the endpoint whose turn it is. When it works,
// the connection runs, and it takes the requests.
func (c *Client) connect(ctx context.Context) (*connection, error) {
	e := c.link.rotation.next()
	c.cfg.OnState(Change{State: StateConnecting, Endpoint: e.String()})
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.ConnectTimeout, errNoWelcome)
	defer cancel()
	conn, err := c.attempt(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", e, err)
	}
	c.wg.Go(conn.run)
	c.link.rotation.worked()
	c.link.refused = nil
	c.install(conn)
	c.cfg.OnState(Change{State: StateConnected, Endpoint: e.String(), Session: conn.session.info})
	return conn, nil
}

// attempt dials and says HELLO. It takes no longer than ctx.
func (c *Client) attempt(ctx context.Context, e endpoint) (*connection, error) {
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	t, err := dialers[e.transport](ctx, c.cfg.Dial, e.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { t.Close() })
	hello := c.cfg.hello(token)
	hello.Ticket = e.ticket
	s, err := c.greet(t, hello)
	if !stop() {
		err = ctxError(ctx)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	s.info.Endpoint = e.String()
	conn := newConnection(t, s)
	conn.endpoint, conn.token = e, token
	conn.writeTimeout, conn.pushes, conn.log = c.cfg.WriteTimeout, c.pushes, c.cfg.Log
	return conn, nil
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
		return "", fmt.Errorf("token: %w", err)
	}
	if r := c.link.refused; r != nil && r.token == token {
		return "", fmt.Errorf("%w: %w", errSameToken, r.err)
	}
	c.link.token = token
	return token, nil
}

// greet exchanges HELLO for WELCOME. A CLOSE instead is a *CloseError.
func (c *Client) greet(t transport, hello *wire.Hello) (*session, error) {
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
	s, err := c.readWelcome(t)
	if _, refused := errors.AsType[*CloseError](err); err != nil && !refused && writeErr != nil {
		return nil, writeErr
	}
	return s, err
}

// handshakeMax is the deadline of a single read or write before WELCOME. It is
// only a second net: attempt's context closes the transport before.
func (c *Client) handshakeMax() time.Duration { return 2 * c.cfg.ConnectTimeout }

func (c *Client) readWelcome(t transport) (*session, error) {
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
			return newSession(welcomed(&w)), nil
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

// welcomed reads a WELCOME.
func welcomed(w *wire.Welcome) Session {
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
		Resumed:          w.Resumed,
		Heartbeat:        ms(w.HeartbeatMS, heartbeatDefault),
		HeartbeatTimeout: ms(w.HeartbeatTimeoutMS, heartbeatTimeoutDefault),
		RequestTimeout:   ms(w.RequestTimeoutMS, 0),
		ResumeTTL:        ms(w.ResumeTTLMS, 0),
		Window:           w.Window,
		MaxFrame:         w.MaxFrame,
	}
}
