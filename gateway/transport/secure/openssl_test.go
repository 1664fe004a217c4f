package secure

import (
	"io"
	"net"
	"os/exec"
	"syscall"
	"testing"
)

// TestOpenSSL lets another implementation speak to ours: data, and a
// renegotiation, which only TLS 1.2 has and which is refused.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not there")
	}
	for _, tt := range []struct {
		version, line string
		refused       bool
	}{
		{"-tls1_2", "a line\n", false},
		{"-tls1_3", "a line\n", false},
		{"-tls1_2", "R\n", true},
	} {
		s := newServer(t, nil)
		w := s.wire()
		got := make(chan string, 1)
		w.take = func(_ *wire, b []byte) { got <- string(b) }
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(openssl, "s_client", "-connect", ln.Addr().String(), tt.version,
			"-CAfile", s.ca.File, "-servername", "example.org", "-verify_return_error")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		nc, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sent, fed := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = io.Copy(nc, struct{ io.Reader }{w}) // until hangUp
			_ = nc.Close()
		}()
		go func() {
			defer close(fed)
			_, _ = io.Copy(struct{ io.Writer }{w}, nc) // until the socket is closed
			w.hangUp()
		}()
		if err := <-w.over; err != nil {
			t.Fatalf("%s: Established(%v)", tt.version, err)
		}
		if _, err := io.WriteString(stdin, tt.line); err != nil {
			t.Fatal(err)
		}
		if !tt.refused {
			if line := <-got; line != tt.line {
				t.Errorf("%s: got %q, want %q", tt.version, line, tt.line)
			}
			w.closeNotify()
			w.hangUp()
		}
		<-sent
		<-fed
		if err := w.err(); tt.refused && (err == nil || err == io.EOF) {
			t.Errorf("%s: a renegotiation ended with %v, want that it is refused", tt.version, err)
		}
		_ = stdin.Close()
		_ = cmd.Process.Kill() // it may be waiting for nothing
		_ = cmd.Wait()
		_ = ln.Close()
	}
}
