package bare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// readBytes is what a goroutine reads at a time. Larger buffers would be
// faster for large messages only, and cost memory for every connection.
const readBytes = 4 << 10

// Goroutines echoes on l until ctx is done, with a goroutine for every
// connection. It returns when all of them have ended.
func Goroutines(ctx context.Context, l net.Listener) error {
	s := &goroutines{conns: map[net.Conn]struct{}{}}
	stop := context.AfterFunc(ctx, func() {
		_ = l.Close() // ends Accept; a second close does no harm
		s.closeAll()
	})
	defer stop()
	defer s.wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil && errors.Is(err, net.ErrClosed) {
				return nil
			}
			s.closeAll()
			return fmt.Errorf("accept on %s: %w", l.Addr(), err)
		}
		s.add(c)
	}
}

type goroutines struct {
	wg sync.WaitGroup

	mu     sync.Mutex // guards the following
	conns  map[net.Conn]struct{}
	closed bool
}

func (s *goroutines) add(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close() // nothing was written
		return
	}
	s.conns[c] = struct{}{}
	s.wg.Go(func() { s.echo(c) })
}

func (s *goroutines) echo(c net.Conn) {
	buf := make([]byte, readBytes)
	for {
		n, err := c.Read(buf)
		if err != nil {
			break // the end, or the peer is gone: the same to an echo server
		}
		if _, err := c.Write(buf[:n]); err != nil {
			break
		}
	}
	_ = c.Close() // everything was written
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *goroutines) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.conns {
		_ = c.Close() // ends its Read
	}
}
