package proxyproto

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// v1BytesMax is the longest line of version 1 that there can be, its CRLF included.
const v1BytesMax = 107

// parseV1 decodes a line such as "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".
func parseV1(b []byte, maxBytes int) (Header, int, error) {
	if err := matchSignature(b, signature1); err != nil {
		return Header{}, 0, err
	}
	longest := min(v1BytesMax, maxBytes)
	line := b[:min(len(b), max(longest, 0))]
	end := bytes.IndexByte(line, '\n')
	switch {
	case end < 0 && len(b) >= longest:
		return Header{}, 0, refusef("version 1: more than %d bytes without CRLF", longest)
	case end < 0:
		return Header{}, 0, ErrIncomplete
	case line[end-1] != '\r': // the signature stands before it
		return Header{}, 0, refusef("version 1: LF without CR before it")
	}
	h, err := parseV1Line(string(line[len(signature1) : end-1]))
	return h, end + 1, err
}

// parseV1Line decodes what stands between the signature and CRLF.
func parseV1Line(line string) (Header, error) {
	parts := strings.Split(line, " ")
	var isFamily func(netip.Addr) bool
	switch parts[0] {
	case "UNKNOWN": // whatever stands behind it is to be ignored
		return Header{Local: true}, nil
	case "TCP4":
		isFamily = netip.Addr.Is4
	case "TCP6":
		isFamily = netip.Addr.Is6
	default:
		return Header{}, refusef("version 1: want TCP4, TCP6 or UNKNOWN")
	}
	if len(parts) != 5 {
		return Header{}, refusef("version 1: want two addresses and two ports, one space before each")
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(parts[1+i])
		if err != nil || addr.Zone() != "" || !isFamily(addr) {
			return Header{}, refusef("version 1: an address is not one of %s", parts[0])
		}
		port, ok := parsePort(parts[3+i])
		if !ok {
			return Header{}, refusef("version 1: a port is not a number from 0 to 65535")
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap(), port)
	}
	return Header{Source: ends[0], Destination: ends[1]}, nil
}

// parsePort decodes a port in the one way there is to write it.
func parsePort(s string) (uint16, bool) {
	if len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	port, err := strconv.ParseUint(s, 10, 16) // refuses signs, spaces and underscores
	return uint16(port), err == nil
}
