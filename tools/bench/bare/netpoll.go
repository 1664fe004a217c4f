package bare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/cloudwego/netpoll"
)

const (
	// bufferBytes is the size of a connection's buffers, the same as the
	// gateway's: netpoll's default of 4 KB and more would cost three times the
	// memory.
	bufferBytes = 512
	// shutdownTime bounds the end of the server.
	shutdownTime = 2 * time.Second
	// writeTimeout ends a connection whose peer does not read. Flush waits for
	// the poller that runs it, so without a bound it would wait forever.
	writeTimeout = time.Second
)

// Netpoll echoes on l until ctx is done. It changes netpoll's settings for
// the whole process.
func Netpoll(ctx context.Context, l net.Listener) error {
	netpoll.LinkBufferCap = bufferBytes
	err := netpoll.Configure(netpoll.Config{
		BufferSize: bufferBytes,
		// Inline in the poller: no goroutine is woken for an echo.
		Runner: func(_ context.Context, f func()) { f() },
	})
	if err != nil {
		return fmt.Errorf("netpoll: %w", err)
	}
	listener, err := netpoll.ConvertListener(l)
	if err != nil {
		return fmt.Errorf("netpoll: listener %s: %w", l.Addr(), err)
	}
	loop, err := netpoll.NewEventLoop(echo, netpoll.WithOnPrepare(prepare))
	if err != nil {
		return fmt.Errorf("netpoll: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- loop.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("netpoll: serve: %w", err)
	case <-ctx.Done():
	}
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	// Connections that stay open are no reason to complain: they end with the
	// process.
	if err := loop.Shutdown(sctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("netpoll: shutdown: %w", err)
	}
	<-served // Shutdown has closed the listener
	return nil
}

func prepare(c netpoll.Connection) context.Context {
	_ = c.SetWriteTimeout(writeTimeout) // cannot fail on a live connection; without it only the bound is lost
	return context.Background()
}

// echo returns what has come in one write. The bytes are copied once, into
// the write buffer: handing the read buffer over would pin it and costs more.
func echo(_ context.Context, c netpoll.Connection) error {
	r, w := c.Reader(), c.Writer()
	n := r.Len()
	in, err := r.Next(n)
	if err != nil {
		return err
	}
	out, err := w.Malloc(n)
	if err != nil {
		return err
	}
	copy(out, in)
	if err := r.Release(); err != nil {
		return err
	}
	return w.Flush()
}
