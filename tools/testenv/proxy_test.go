package testenv

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// startEcho serves what is sent to it, on a free port.
func startEcho(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c) // ends with the connection
			}()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-ended })
	return ln.Addr().String()
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func exchange(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, want %q", got, err, text)
	}
}

// TestProxy takes one through all that it can do.
func TestProxy(t *testing.T) {
	p := StartProxy(t, startEcho(t))
	c := dial(t, p.Addr)
	exchange(t, c, "hello")
	if p.Up() != 5 || p.Down() != 5 || p.Open() != 1 {
		t.Errorf("up %d, down %d, open %d, want 5, 5 and 1", p.Up(), p.Down(), p.Open())
	}

	p.Freeze()
	if _, err := io.WriteString(c, "later"); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes (%v) through a frozen proxy", n, err)
	}
	p.Thaw()
	_ = c.SetReadDeadline(time.Time{})
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Errorf("after Thaw: %v", err)
	}

	p.Slow(1000)
	began := time.Now()
	exchange(t, c, string(make([]byte, 100)))
	if took := time.Since(began); took < 90*time.Millisecond {
		t.Errorf("100 bytes each way at 1000 a second took %v", took)
	}
	p.Slow(0)

	p.Cut()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Cut: %v, want a reset", err)
	}
	exchange(t, dial(t, p.Addr), "again")
	p.Refuse(true)
	if _, err := dial(t, p.Addr).Read(make([]byte, 1)); err == nil {
		t.Error("a refusing proxy serves")
	}
	p.Refuse(false)
	c = dial(t, p.Addr)
	exchange(t, c, "half")
	_ = c.(*net.TCPConn).CloseWrite()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after CloseWrite: %v, want the echo's end", err)
	}
	p.Slow(1) // what is slow or frozen does not hold up the end of the test
	_, _ = io.WriteString(dial(t, p.Addr), "so long")
}
