package transport

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/transport/secure"
	"github.com/holdfast-io/holdfast/gateway/wheel"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// patience bounds waits for what should happen at once.
const patience = 30 * time.Second

// testDeps are those of a gateway that lets everybody in and answers nothing.
func testDeps() Deps {
	reg := prometheus.NewRegistry()
	limits := &Limits{
		FrameBytesMax: 64 << 10, OutboundBytesMax: 1 << 20, ReplyBytesMax: 1 << 20, WriteTimeout: 10 * time.Second,
		HelloTimeout: 8 * time.Second, ProxyTimeout: 3 * time.Second, IdleTimeout: time.Minute,
	}
	return Deps{
		Limits: func() *Limits { return limits },
		Accept: func(c *Conn) Receiver { return &deaf{c} },
		Serve:  func(k *Call) { k.Answer(404, 0, nil) },
		Gate:   openGate{}, Wheel: wheel.New(10 * time.Millisecond), Refusing: new(atomic.Int64),
		Metrics: NewMetrics(reg), TLSMetrics: secure.NewMetrics(reg), Log: slog.New(slog.DiscardHandler),
	}
}

// serve runs a listener on a free port of loopback until the test ends.
func serve(t *testing.T, cfg ListenerConfig, deps Deps) *Listener {
	t.Helper()
	cfg.Address = "127.0.0.1:0"
	l, err := Listen(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- l.Run(ctx) }()
	go func() { ended <- deps.Wheel.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return l
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// deaf takes frames and does nothing with them.
type deaf struct{ c *Conn }

func (d *deaf) Receive(wire.Frame)             {}
func (d *deaf) Refuse(err *wire.ProtocolError) { d.c.CloseWith(err.Code, err.Message) }
func (d *deaf) Closed()                        {}
func (d *deaf) Expire(int64) int64             { return 0 }

// openGate lets everybody in.
type openGate struct{}

func (openGate) Accept() *Refusal              { return nil }
func (openGate) Released()                     {}
func (openGate) Enter(*Conn) *Refusal          { return nil }
func (openGate) EnterForwarded(*Conn) *Refusal { return nil }
func (openGate) Left(*Conn)                    {}

// shutGate refuses every socket.
type shutGate struct{ openGate }

func (shutGate) Accept() *Refusal { return &Refusal{Code: wire.CloseOverloaded, Message: "full"} }
