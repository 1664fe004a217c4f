package load

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Mode is what a Fleet speaks.
type Mode uint8

const (
	// Holdfast is the client protocol: HELLO, WELCOME, then echo.say.
	Holdfast Mode = iota
	// Raw sends the bytes of the same REQUEST frames and expects them back.
	Raw
)

// TokenSource gives the token of connection i, counted from 0. It is called
// from several threads at once.
type TokenSource func(i int) (string, error)

// Config says whom a Fleet connects to and how. Zero values are not defaults:
// start from DefaultConfig.
type Config struct {
	// Endpoint is host:port, or that behind one of Transports as a scheme.
	Endpoint string
	Mode     Mode
	// Tokens may be nil: HELLO then carries no token.
	Tokens TokenSource
	// Threads is the number of epoll loops. One saturates a two-core machine.
	Threads int
	// Parallel bounds how many connections are being opened at any time.
	Parallel int
	// Timeout bounds opening one connection, WELCOME included.
	Timeout time.Duration
	// Sources spreads the connections over that many source addresses
	// (127.0.0.2 and up) when the endpoint is on 127.0.0.0/8. One address has
	// about 28,000 ports, those in TIME_WAIT included.
	Sources int
}

// DefaultConfig returns what the benchmarks use.
func DefaultConfig(endpoint string) Config {
	return Config{Endpoint: endpoint, Threads: 1, Parallel: 200, Timeout: 10 * time.Second, Sources: 16}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	if _, err := resolve(c.Endpoint); err != nil {
		errs = append(errs, err)
	}
	if t, err := transportOf(c.Endpoint); err != nil {
		errs = append(errs, err)
	} else if c.Mode == Raw && t != (transport{}) {
		errs = append(errs, fmt.Errorf("endpoint %q: bytes that are no frames go over tcp alone", c.Endpoint))
	}
	if c.Threads < 1 || c.Threads > 64 {
		errs = append(errs, fmt.Errorf("threads: %d, want 1 to 64", c.Threads))
	}
	if c.Parallel < c.Threads {
		errs = append(errs, fmt.Errorf("parallel: %d, want at least one a thread (%d)", c.Parallel, c.Threads))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout: %v, want more than 0", c.Timeout))
	}
	if c.Sources < 1 || c.Sources > 200 {
		errs = append(errs, fmt.Errorf("sources: %d, want 1 to 200", c.Sources))
	}
	return errors.Join(errs...)
}

// address is an endpoint in the kernel's form.
type address struct {
	family int
	remote unix.Sockaddr
	// local tells that source addresses of 127.0.0.0/8 can be used.
	local bool
}

func resolve(endpoint string) (address, error) {
	_, hostport := split(endpoint)
	tcp, err := net.ResolveTCPAddr("tcp", hostport)
	if err != nil {
		return address{}, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	if tcp.Port == 0 {
		return address{}, fmt.Errorf("endpoint %q: no port", endpoint)
	}
	if tcp.IP == nil {
		tcp.IP = net.IPv4(127, 0, 0, 1)
	}
	if ip4 := tcp.IP.To4(); ip4 != nil {
		sa := &unix.SockaddrInet4{Port: tcp.Port, Addr: [4]byte(ip4)}
		return address{family: unix.AF_INET, remote: sa, local: ip4[0] == 127}, nil
	}
	sa := &unix.SockaddrInet6{Port: tcp.Port, Addr: [16]byte(tcp.IP.To16())}
	return address{family: unix.AF_INET6, remote: sa}, nil
}

// source returns the address that connection i comes from; nil leaves the
// choice to the kernel.
func (a address) source(i, sources int) unix.Sockaddr {
	if !a.local || sources <= 1 {
		return nil
	}
	return &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + i%sources)}}
}
