package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// Device describes the device that this client runs on.
type Device = wire.Device

// Config says whom to connect to, as whom, and who is told what. Only Endpoints
// must be set; a zero in any other field stands for the default it names.
type Config struct {
	// Endpoints are where gateways are reached, best first: "host:port" or
	// "tcp://host:port".
	Endpoints []string
	// Token is the application's credential, at most 8 KiB.
	Token string
	// TokenFunc, when set, is asked for the token before each HELLO instead,
	// within ConnectTimeout. After the gateway has refused a token (4502,
	// 4507) the client comes back only if TokenFunc gives another.
	TokenFunc func(ctx context.Context) (string, error)
	// Device and Attrs reach the backend as the client's word; both optional.
	Device *Device
	Attrs  map[string]string

	// OnPush is called for every push, one after the other in their order, on
	// a goroutine of the client's own. The push is acknowledged after OnPush
	// has returned. ctx ends with Close. OnPush may call Request; it must not
	// call Close, which waits for it. Without OnPush the pushes wait for
	// Pushes.
	OnPush func(ctx context.Context, p Push)
	// PushBuffer bounds the pushes that wait to be handled (default 256). When
	// it is full the client stops reading, which holds back replies and
	// heartbeats too; a handler that stays behind is in the end cut by the
	// gateway. While requests wait for replies, 16 times as many may wait.
	PushBuffer int
	// OnState is told of every change of the connection, in order. It must
	// return soon, since nothing else of the connection's life goes on
	// meanwhile, and must not call Close.
	OnState func(Change)

	// RequestTimeout bounds a Request whose context has no deadline (default
	// 15 s: the gateway's usual 10 s and a reconnect).
	RequestTimeout time.Duration
	// ConnectTimeout bounds one attempt, from dialing to WELCOME (default 10 s).
	ConnectTimeout time.Duration
	// WriteTimeout bounds one write; a connection that takes longer is cut
	// (default 10 s).
	WriteTimeout time.Duration
	// Backoff is how long to rest between attempts.
	Backoff Backoff

	// Dial opens network connections (default net.Dialer's DialContext).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log is told what the callbacks are not (default: nothing is logged).
	Log *slog.Logger

	random func() float64 // in [0, 1); tests set it
}

func (c Config) withDefaults() Config {
	if c.PushBuffer == 0 {
		c.PushBuffer = 256
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 15 * time.Second
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 10 * time.Second
	}
	c.Backoff = c.Backoff.withDefaults()
	if c.OnState == nil {
		c.OnState = func(Change) {}
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.random == nil {
		c.random = rand.Float64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports every setting that cannot work, not only the first.
func (c Config) Validate() error {
	_, err := c.endpoints()
	errs := []error{err}
	if c.Token != "" && c.TokenFunc != nil {
		errs = append(errs, errors.New("token: set beside TokenFunc"))
	}
	if _, err := wire.AppendHello(nil, c.hello(c.Token)); err != nil {
		errs = append(errs, err)
	}
	if c.PushBuffer < 0 {
		errs = append(errs, fmt.Errorf("PushBuffer: %d, want at least 1", c.PushBuffer))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"RequestTimeout", c.RequestTimeout}, {"ConnectTimeout", c.ConnectTimeout}, {"WriteTimeout", c.WriteTimeout}} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %v, want more than 0", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}

// endpoints reads Endpoints, and reports all that cannot be read.
func (c Config) endpoints() ([]endpoint, error) {
	if len(c.Endpoints) == 0 {
		return nil, errors.New("endpoints: none")
	}
	var list []endpoint
	var errs []error
	for _, s := range c.Endpoints {
		e, err := parseEndpoint(s)
		list, errs = append(list, e), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// hello makes the HELLO of a fresh session.
func (c Config) hello(token string) *wire.Hello {
	return &wire.Hello{Token: token, HasToken: token != "", Device: c.Device, Attrs: c.Attrs}
}
