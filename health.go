package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/proxyproto"
)

// The bounds of the server that balancers ask. A check is one short request on a
// connection of its own, so little is enough for any number of balancers, and who
// else comes there holds a place only as long as the deadlines.
const (
	healthConnectionsMax = 128
	healthReadTimeout    = 3 * time.Second
	healthWriteTimeout   = 3 * time.Second
	healthHeaderBytesMax = 4 << 10
)

// listenHealth binds the address of gateway.health_listen.
func listenHealth(address string) (net.Listener, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("health_listen: %w", listenError(address, err))
	}
	return ln, nil
}

// healthHandler answers GET and HEAD of /livez and /readyz, and 404 to all else.
// It tells strangers whether, and not why: that is the admin server's.
func healthHandler(h *health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, text := http.StatusOK, "ok\n"
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			status, text = http.StatusNotFound, "not found\n"
		case r.URL.Path == "/livez":
		case r.URL.Path != "/readyz":
			status, text = http.StatusNotFound, "not found\n"
		case len(h.list()) > 0:
			status, text = http.StatusServiceUnavailable, "not ready\n"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // the caller is gone: nobody to tell
	})
}

// serveHealth serves on ln, which it owns, until ctx is done.
func serveHealth(ctx context.Context, ln net.Listener, h *health, log *slog.Logger) error {
	server := &http.Server{
		Handler:           healthHandler(h),
		ReadHeaderTimeout: healthReadTimeout,
		ReadTimeout:       healthReadTimeout,
		WriteTimeout:      healthWriteTimeout,
		MaxHeaderBytes:    healthHeaderBytesMax,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// An idle connection would hold a place: each check has one of its own.
	server.SetKeepAlivesEnabled(false)
	return serveHTTP(ctx, "health server", server, &boundedListener{Listener: ln, places: make(chan struct{}, healthConnectionsMax), closed: make(chan struct{})})
}

// boundedListener takes a connection only while there is a place for it; others
// wait in the kernel's queue.
type boundedListener struct {
	net.Listener
	places chan struct{} // one for each open connection
	once   sync.Once
	closed chan struct{}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &boundedConn{Conn: c, leave: func() { <-l.places }}, nil
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// boundedConn gives its place back when it is closed. A PROXY header at its
// beginning is skipped: balancers that send one to a gateway's clients' port may
// send it with their checks too, and who asks makes no difference here.
type boundedConn struct {
	net.Conn
	once  sync.Once
	leave func()

	begun bool // owned by the reader, as is rest
	rest  []byte
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if !c.begun {
		c.begun = true
		if err := c.skipProxyHeader(); err != nil {
			return 0, err
		}
	}
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// skipProxyHeader reads until it is known whether there is one, and leaves what
// follows it in rest. What is no header is for the HTTP server to refuse.
func (c *boundedConn) skipProxyHeader() error {
	var buf []byte
	for {
		more := make([]byte, 512)
		n, err := c.Conn.Read(more)
		buf = append(buf, more[:n]...)
		if len(buf) > 0 {
			_, size, perr := proxyproto.Parse(buf, proxyproto.HeaderBytesMax)
			if !errors.Is(perr, proxyproto.ErrIncomplete) {
				c.rest = buf[size:] // size is 0 with an error
				return nil
			}
		}
		if err != nil {
			return err
		}
	}
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
