package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// Where the fixed fields of version 2 are, and what its commands and families are.
const (
	v2Command = len(signature2)
	v2Family  = v2Command + 1
	v2Length  = v2Family + 1
	v2Fixed   = v2Length + 2

	commandLocal = 0x20
	commandProxy = 0x21

	familyUnspec     = 0x00
	familyTCP4       = 0x11
	familyUDP4       = 0x12
	familyTCP6       = 0x21
	familyUDP6       = 0x22
	familyUnixStream = 0x31
	familyUnixDgram  = 0x32
)

// parseV2 decodes a header of version 2. It judges each field as soon as it is
// there, and the length before what it counts.
func parseV2(b []byte, maxBytes int) (Header, int, error) {
	if err := matchSignature(b, signature2); err != nil {
		return Header{}, 0, err
	}
	if len(b) > v2Command && b[v2Command] != commandLocal && b[v2Command] != commandProxy {
		return Header{}, 0, refusef("version 2: command 0x%02x, want 0x20 or 0x21", b[v2Command])
	}
	if len(b) > v2Family {
		if err := checkFamily(b[v2Command], b[v2Family]); err != nil {
			return Header{}, 0, err
		}
	}
	if len(b) < v2Fixed {
		return Header{}, 0, ErrIncomplete
	}
	length := int(binary.BigEndian.Uint16(b[v2Length:]))
	size := v2Fixed + length
	local := b[v2Command] == commandLocal
	switch {
	case size > maxBytes:
		return Header{}, 0, refusef("version 2: header of %d bytes, at most %d", size, maxBytes)
	case !local && length < addressBytes(b[v2Family]):
		return Header{}, 0, refusef("version 2: length %d, its family has %d bytes of addresses", length, addressBytes(b[v2Family]))
	case len(b) < size:
		return Header{}, 0, ErrIncomplete
	case local: // its contents mean nothing, whatever they are
		return Header{Local: true}, size, nil
	}
	h, err := parseV2Body(b[:size])
	return h, size, err
}

// checkFamily judges the family. It may be anything that is defined with LOCAL,
// which ignores it; a connection that was proxied came over a stream.
func checkFamily(command, family byte) error {
	switch family {
	case familyTCP4, familyTCP6, familyUnixStream:
		return nil
	case familyUnspec, familyUDP4, familyUDP6, familyUnixDgram:
		if command == commandLocal {
			return nil
		}
	}
	return refusef("version 2: family 0x%02x, want 0x11, 0x21 or 0x31", family)
}

// addressBytes is the size of both addresses and ports.
func addressBytes(family byte) int {
	switch family {
	case familyTCP4:
		return 4 + 4 + 2 + 2
	case familyTCP6:
		return 16 + 16 + 2 + 2
	default: // familyUnixStream
		return 108 + 108
	}
}

// parseV2Body decodes the addresses and the values behind them. whole is the
// header, whose length has been judged.
func parseV2Body(whole []byte) (Header, error) {
	var h Header
	addresses := whole[v2Fixed : v2Fixed+addressBytes(whole[v2Family])]
	switch whole[v2Family] {
	case familyTCP4:
		h.Source = addrPort(addresses[0:4], addresses[8:])
		h.Destination = addrPort(addresses[4:8], addresses[10:])
	case familyTCP6:
		h.Source = addrPort(addresses[0:16], addresses[32:])
		h.Destination = addrPort(addresses[16:32], addresses[34:])
	}
	err := h.parseTLVs(whole, v2Fixed+len(addresses))
	return h, err
}

// addrPort makes an address of 4 or 16 bytes and a port.
func addrPort(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr) // never fails for these lengths
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}
