package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"net/netip"
	"reflect"
	"testing"

	oracle "github.com/pires/go-proxyproto"
)

// v2 makes a header of version 2 from its parts, with its length.
func v2(command, family byte, rest ...string) string {
	b := []byte(signature2)
	b = append(b, command, family)
	length := 0
	for _, r := range rest {
		length += len(r)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	for _, r := range rest {
		b = append(b, r...)
	}
	return string(b)
}

// tlv makes one value.
func tlv(kind byte, value string) string {
	b := binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))
	return string(b) + value
}

// summed puts the checksum into a header whose last value is a zero one.
func summed(header string) string {
	b := []byte(header)
	binary.BigEndian.PutUint32(b[len(b)-4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return string(b)
}

// ends4 and ends6 are addresses and ports: of the client 4660, of the listener 443.
const (
	ends4      = "\xc0\x00\x02\x01" + "\xc6\x33\x64\x02" + "\x12\x34" + "\x01\xbb"
	ends6      = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x12\x34" + "\x01\xbb"
	endsMapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02" + "\x12\x34" + "\x01\xbb"
)

// parseAllWays parses b whole, and holds Parse to the same result for every
// beginning of it, as it comes byte by byte.
func parseAllWays(t testing.TB, b []byte, maxBytes int) (Header, int, error) {
	t.Helper()
	kept := bytes.Clone(b)
	h, n, err := Parse(b, maxBytes)
	if !bytes.Equal(b, kept) {
		t.Fatal("Parse wrote to its input")
	}
	var refusal *Error
	if err != nil && !errors.Is(err, ErrIncomplete) && !errors.As(err, &refusal) {
		t.Fatalf("Parse(%q) = %v, of another type than *Error", b, err)
	}
	if n > len(b) || (n > 0) != (err == nil) || n > max(maxBytes, 0) {
		t.Fatalf("Parse(%q, %d) = %d, %v", b, maxBytes, n, err)
	}
	if errors.Is(err, ErrIncomplete) && len(b) >= max(maxBytes, len(signature2)+4) {
		t.Fatalf("%d bytes are incomplete, with at most %d", len(b), maxBytes)
	}
	settled := false // once there is a result, what follows changes nothing
	for i := range len(b) {
		if i > 300 && i%61 != 0 {
			continue
		}
		h2, n2, err2 := Parse(b[:i], maxBytes)
		if !settled && errors.Is(err2, ErrIncomplete) {
			continue
		}
		settled = true
		if !reflect.DeepEqual(h2, h) || n2 != n || !reflect.DeepEqual(err2, err) {
			t.Fatalf("Parse(%q) = %+v, %d, %v\nof all of %q %+v, %d, %v", b[:i], h2, n2, err2, b, h, n, err)
		}
	}
	return h, n, err
}

// checkLikeOracle holds an accepted header to an implementation that others have
// written: it accepts the same bytes to the same end, and means the same by them.
func checkLikeOracle(t testing.TB, h Header, whole []byte) {
	t.Helper()
	src := bytes.NewReader(append(bytes.Clone(whole), "rest"...))
	buf := bufio.NewReaderSize(src, 8192)
	want, err := oracle.Read(buf)
	if err != nil {
		t.Fatalf("the oracle refuses %q: %v", whole, err)
	}
	if rest := buf.Buffered() + src.Len(); rest != len("rest") {
		t.Fatalf("the oracle leaves %d bytes of %q", rest-len("rest"), whole)
	}
	if h.Local != want.Command.IsLocal() {
		t.Fatalf("%q: Local %v, the oracle says %v", whole, h.Local, want.Command)
	}
	if h.Local {
		if !reflect.DeepEqual(h, Header{Local: true}) {
			t.Fatalf("%q: %+v, want nothing but Local", whole, h)
		}
		return
	}
	if source, destination := netipOf(want.SourceAddr), netipOf(want.DestinationAddr); h.Source != source || h.Destination != destination {
		t.Fatalf("%q: %v to %v, the oracle says %v to %v", whole, h.Source, h.Destination, source, destination)
	}
	checkTLVsLikeOracle(t, h, want, whole)
	checkRoundTrip(t, h, want)
}

// netipOf is an address of the oracle's, and the zero one if it is not of TCP.
func netipOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	return netip.AddrPortFrom(addr.Unmap(), uint16(tcp.Port))
}

func checkTLVsLikeOracle(t testing.TB, h Header, want *oracle.Header, whole []byte) {
	t.Helper()
	tlvs, err := want.TLVs()
	if err != nil {
		t.Fatalf("the oracle refuses the TLVs of %q: %v", whole, err)
	}
	var authority string
	var id []byte
	for _, v := range tlvs {
		switch v.Type {
		case oracle.PP2_TYPE_AUTHORITY:
			authority = string(v.Value)
		case oracle.PP2_TYPE_UNIQUE_ID:
			id = v.Value
		}
	}
	if h.Authority != authority || !bytes.Equal(h.UniqueID, id) {
		t.Fatalf("%q: authority %q, id %x, the oracle says %q, %x", whole, h.Authority, h.UniqueID, authority, id)
	}
}

// checkRoundTrip lets the oracle write what it has read, and reads that.
func checkRoundTrip(t testing.TB, h Header, read *oracle.Header) {
	t.Helper()
	if read.TransportProtocol.IsUnix() {
		return // it keeps paths up to their first NUL only
	}
	again, err := read.Format()
	if err != nil {
		t.Fatalf("the oracle does not write %+v: %v", read, err)
	}
	if got, n, err := Parse(again, HeaderBytesMax); err != nil || n != len(again) || !reflect.DeepEqual(got, h) {
		t.Fatalf("Parse(%q) = %+v, %d, %v, want %+v", again, got, n, err, h)
	}
}
