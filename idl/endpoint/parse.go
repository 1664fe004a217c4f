package endpoint

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// unixPathMax is what a socket's address holds on Linux, its final zero apart.
const unixPathMax = 107

// ParseListen splits a listen setting into network and address. It guesses
// nothing: a TCP address without a host would serve the world unasked.
func ParseListen(s string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", "", errors.New("unix: without a path")
		}
		if len(path) > unixPathMax {
			return "", "", fmt.Errorf("unix: a path of %d bytes, at most %d", len(path), unixPathMax)
		}
		return "unix", path, nil
	}
	host, _, err := net.SplitHostPort(s)
	switch {
	case s == "":
		return "", "", errors.New("empty, want host:port or unix:/path")
	case err != nil:
		return "", "", fmt.Errorf("%q, want host:port or unix:/path", s)
	case host == "":
		return "", "", fmt.Errorf("%q names no host; use 127.0.0.1%s, or 0.0.0.0%s to serve every interface", s, s, s)
	}
	return "tcp", s, nil
}

// Local reports whether only this machine reaches a listen setting.
func Local(s string) bool {
	network, address, err := ParseListen(s)
	if err != nil {
		return false
	}
	if network == "unix" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// Name spells a listener's address as a setting, so that others can call it.
func Name(a net.Addr) string {
	if a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return a.String()
}
