package client

import (
	"context"
	"crypto/tls"
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
	// Endpoints are where gateways are reached, best first: "host:port", which
	// is tcp, or a URL with the protocol's name of a transport: tcp, tls, ws,
	// wss, poll (or http), polls (or https). auto://host:port and
	// autos://host:port are one port that speaks all of them, without and with
	// TLS: see Fallback.
	Endpoints []string
	// Fallback lets every endpoint fall back as auto does: where a transport
	// does not get through, the client tries the next one at the same
	// address, from tcp to ws to poll, or from tls to wss to polls.
	Fallback bool
	// TLS is how gateways are verified (default: the system's certificate
	// authorities, TLS 1.2 or later). It is copied. Where ServerName is empty
	// it is the endpoint's host; NextProtos is set by the client.
	TLS *tls.Config
	// JSON makes WebSocket messages text, one JSON frame each, to look at them
	// on the way. Binary is smaller and takes any payload as it is.
	JSON bool
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
	// ConnectTimeout bounds one attempt by one transport, from dialing to
	// WELCOME (default 10 s).
	ConnectTimeout time.Duration
	// WriteTimeout bounds one write, or one POST; a connection that takes
	// longer is cut (default 10 s).
	WriteTimeout time.Duration
	// Backoff is how long to rest between attempts.
	Backoff Backoff

	// Dial opens network connections (default net.Dialer's DialContext).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log is told what the callbacks are not (default: nothing is logged).
	Log *slog.Logger

	random     func() float64 // in [0, 1); tests set it
	climbAfter time.Duration  // tests set it
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
	if c.climbAfter == 0 {
		c.climbAfter = climbAfterDefault
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
		e, err := parseEndpoint(s, c.Fallback)
		list, errs = append(list, e), append(errs, err)
	}
	return list, errors.Join(errs...)
}

// hello makes the HELLO of a fresh session.
func (c Config) hello(token string) *wire.Hello {
	return &wire.Hello{Token: token, HasToken: token != "", Device: c.Device, Attrs: c.Attrs}
}

// tlsSessions is how many TLS sessions are kept for faster handshakes: some for
// each of a few gateways.
const tlsSessions = 16

// dialer makes what all connections of a client are dialed with.
func (c Config) dialer() *dialer {
	d := &dialer{
		dial: c.Dial, tls: &tls.Config{}, json: c.JSON, within: c.WriteTimeout, backoff: c.Backoff, random: c.random,
	}
	if c.TLS != nil {
		d.tls = c.TLS.Clone()
	}
	if d.tls.ClientSessionCache == nil {
		d.tls.ClientSessionCache = tls.NewLRUClientSessionCache(tlsSessions)
	}
	if d.tls.MinVersion == 0 {
		d.tls.MinVersion = tls.VersionTLS12
	}
	return d
}
