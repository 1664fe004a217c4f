package proxyproto

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.1:4660")
	server4 = netip.MustParseAddrPort("198.51.100.2:443")
	client6 = netip.MustParseAddrPort("[2001:db8::1]:4660")
	server6 = netip.MustParseAddrPort("[2001:db8::2]:443")
	both4   = Header{Source: client4, Destination: server4}
	both6   = Header{Source: client6, Destination: server6}
)

// accepted has headers as proxies send them, and what they say.
var accepted = []struct {
	name, in string
	want     Header
}{
	{"v1 IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", both4},
	{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 4660 443\r\n", both6},
	{"v1 longest of TCP6", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", Header{
		Source:      netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
		Destination: netip.MustParseAddrPort("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
	}},
	{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 4660 443\r\n", both4},
	{"v1 port 0", "PROXY TCP4 192.0.2.1 198.51.100.2 0 0\r\n", Header{
		Source: netip.AddrPortFrom(client4.Addr(), 0), Destination: netip.AddrPortFrom(server4.Addr(), 0)}},
	{"v1 unknown", "PROXY UNKNOWN\r\n", Header{Local: true}},
	{"v1 unknown with addresses", "PROXY UNKNOWN ffff:f...f:ffff x  y\r\n", Header{Local: true}},
	{"v1 of 107 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 91) + "\r\n", Header{Local: true}},
	{"v2 IPv4", v2(0x21, 0x11, ends4), both4},
	{"v2 IPv6", v2(0x21, 0x21, ends6), both6},
	{"v2 mapped", v2(0x21, 0x21, endsMapped), both4},
	{"v2 port 0", v2(0x21, 0x11, ends4[:8], "\x00\x00\x00\x00"), Header{
		Source: netip.AddrPortFrom(client4.Addr(), 0), Destination: netip.AddrPortFrom(server4.Addr(), 0)}},
	{"v2 unix", v2(0x21, 0x31, strings.Repeat("/sock\x00", 36)), Header{}},
	{"v2 unix with id", v2(0x21, 0x31, strings.Repeat("\x00", 216), tlv(5, "u")), Header{UniqueID: []byte("u")}},
	{"v2 local", v2(0x20, 0x00), Header{Local: true}},
	{"v2 local with addresses", v2(0x20, 0x11, ends4), Header{Local: true}},
	{"v2 local, short for its family", v2(0x20, 0x21, "x"), Header{Local: true}},
	{"v2 local with bytes that mean nothing", v2(0x20, 0x00, "\x02\xff\xff"), Header{Local: true}},
	{"v2 local of datagrams", v2(0x20, 0x12, ends4), Header{Local: true}},
	{"v2 with authority and id", v2(0x21, 0x11, ends4, tlv(2, "gw-1.example.com"), tlv(5, "\x00\x01")), Header{
		Source: client4, Destination: server4, Authority: "gw-1.example.com", UniqueID: []byte{0, 1}}},
	{"v2 with longest authority and id", v2(0x21, 0x11, ends4, tlv(5, strings.Repeat("u", 128)), tlv(2, strings.Repeat("a", 255))), Header{
		Source: client4, Destination: server4, Authority: strings.Repeat("a", 255), UniqueID: []byte(strings.Repeat("u", 128))}},
	{"v2 with others' values", v2(0x21, 0x11, ends4, tlv(1, "h2"), tlv(4, "\x00\x00"), tlv(0x20, "\x01\x00\x00\x00\x00"), tlv(0xea, "\x01vpce-1"), tlv(4, "")), both4},
	{"v2 with checksum", summed(v2(0x21, 0x21, ends6, tlv(4, "pad"), tlv(3, "\x00\x00\x00\x00"))), both6},
	{"v2 of the most bytes", v2(0x21, 0x11, ends4, tlv(4, strings.Repeat("n", HeaderBytesMax-16-12-3))), both4},
}

func TestAccepted(t *testing.T) {
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			h, n, err := parseAllWays(t, []byte(tt.in+"PROXY behind it"), HeaderBytesMax)
			if err != nil || n != len(tt.in) || !reflect.DeepEqual(h, tt.want) {
				t.Fatalf("Parse(%q) = %+v, %d, %v\nwant %+v, %d", tt.in, h, n, err, tt.want, len(tt.in))
			}
			if _, _, err := Parse([]byte(tt.in[:n-1]), HeaderBytesMax); !errors.Is(err, ErrIncomplete) {
				t.Errorf("without its last byte: %v, want incomplete", err)
			}
			checkLikeOracle(t, h, []byte(tt.in))
		})
	}
}

// refusals has every refusal, version 1 first.
var refusals = []struct{ name, in, message string }{
	{"raw frame", "\x00\x00\x00\x02\x07", "signature: none of a PROXY header"},
	{"TLS", "\x16\x03\x01", "signature: none of a PROXY header"},
	{"HTTP GET", "GET /", "signature: none of a PROXY header"},
	{"HTTP POST", "PO", "signature: none of a PROXY header"},
	{"v1 in lower case", "Proxy TCP4 ", "signature: none of a PROXY header"},
	{"v1 without space", "PROXYTCP4 ", "signature: none of a PROXY header"},
	{"v2 with another byte", "\r\n\r\n\x00\r\nQUIX", "signature: none of a PROXY header"},
	{"empty line of HTTP", "\r\nGET / HTTP/1.1\r\n", "signature: none of a PROXY header"},

	{"v1 endless", "PROXY TCP4 " + strings.Repeat("1", 96), "version 1: more than 107 bytes without CRLF"},
	{"v1 of 108 bytes", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "version 1: more than 107 bytes without CRLF"},
	{"v1 ended by LF", "PROXY UNKNOWN\n", "version 1: LF without CR before it"},
	{"v1 nothing", "PROXY \n", "version 1: LF without CR before it"},
	{"v1 empty", "PROXY \r\n", "version 1: want TCP4, TCP6 or UNKNOWN"},
	{"v1 two spaces first", "PROXY  TCP4 192.0.2.1 198.51.100.2 4660 443\r\n", "version 1: want TCP4, TCP6 or UNKNOWN"},
	{"v1 UDP", "PROXY UDP4 192.0.2.1 198.51.100.2 4660 443\r\n", "version 1: want TCP4, TCP6 or UNKNOWN"},
	{"v1 family in lower case", "PROXY tcp4 192.0.2.1 198.51.100.2 4660 443\r\n", "version 1: want TCP4, TCP6 or UNKNOWN"},
	{"v1 two spaces", "PROXY TCP4  192.0.2.1 198.51.100.2 4660 443\r\n", "version 1: want two addresses and two ports, one space before each"},
	{"v1 two spaces before a port", "PROXY TCP4 192.0.2.1 198.51.100.2  4660 443\r\n", "version 1: want two addresses and two ports, one space before each"},
	{"v1 space at the end", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443 \r\n", "version 1: want two addresses and two ports, one space before each"},
	{"v1 too few", "PROXY TCP4 192.0.2.1 198.51.100.2 4660\r\n", "version 1: want two addresses and two ports, one space before each"},
	{"v1 tab", "PROXY TCP4 192.0.2.1\t198.51.100.2 4660 443 1\r\n", "version 1: an address is not one of TCP4"},
	{"v1 IPv6 in TCP4", "PROXY TCP4 2001:db8::1 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 mapped in TCP4", "PROXY TCP4 ::ffff:192.0.2.1 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 IPv4 in TCP6", "PROXY TCP6 2001:db8::1 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP6"},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::2 4660 443\r\n", "version 1: an address is not one of TCP6"},
	{"v1 octet with zero", "PROXY TCP4 192.0.02.1 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 octet of 256", "PROXY TCP4 192.0.2.256 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 host name", "PROXY TCP4 localhost 198.51.100.2 4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 no address", "PROXY TCP4   4660 443\r\n", "version 1: an address is not one of TCP4"},
	{"v1 port of 65536", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", "version 1: a port is not a number from 0 to 65535"},
	{"v1 port with zero", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 0443\r\n", "version 1: a port is not a number from 0 to 65535"},
	{"v1 port with sign", "PROXY TCP4 192.0.2.1 198.51.100.2 +4660 443\r\n", "version 1: a port is not a number from 0 to 65535"},
	{"v1 negative port", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 -1\r\n", "version 1: a port is not a number from 0 to 65535"},
	{"v1 CR inside", "PROXY TCP4 192.0.2.1 198.51.100.2 4660 443\r\r\n", "version 1: a port is not a number from 0 to 65535"},

	{"v2 version 1", signature2 + "\x11", "version 2: command 0x11, want 0x20 or 0x21"},
	{"v2 command 2", signature2 + "\x22", "version 2: command 0x22, want 0x20 or 0x21"},
	{"v2 family 4", v2(0x21, 0x41), "version 2: family 0x41, want 0x11, 0x21 or 0x31"},
	{"v2 transport 3", v2(0x21, 0x13, ends4), "version 2: family 0x13, want 0x11, 0x21 or 0x31"},
	{"v2 datagrams", v2(0x21, 0x12, ends4), "version 2: family 0x12, want 0x11, 0x21 or 0x31"},
	{"v2 for nobody", v2(0x21, 0x00), "version 2: family 0x00, want 0x11, 0x21 or 0x31"},
	{"v2 local of family 4", v2(0x20, 0x40), "version 2: family 0x40, want 0x11, 0x21 or 0x31"},
	{"v2 length below its family's", v2(0x21, 0x11, ends4[:11]), "version 2: length 11, its family has 12 bytes of addresses"},
	{"v2 length 0", v2(0x21, 0x21), "version 2: length 0, its family has 36 bytes of addresses"},
	{"v2 short paths", v2(0x21, 0x31, strings.Repeat("/", 215)), "version 2: length 215, its family has 216 bytes of addresses"},
	{"v2 one beyond", v2(0x21, 0x11, ends4, tlv(4, strings.Repeat("n", HeaderBytesMax-16-12-2))), "version 2: header of 4097 bytes, at most 4096"},
	{"v2 64 KiB of TLVs, by its head", v2(0x21, 0x11, ends4, strings.Repeat(tlv(0xe0, strings.Repeat("x", 997)), 65))[:16], "version 2: header of 65028 bytes, at most 4096"},
	{"v2 length of 65535", signature2 + "\x21\x11\xff\xff", "version 2: header of 65551 bytes, at most 4096"},
	{"v2 local of 65535", signature2 + "\x20\x00\xff\xff", "version 2: header of 65551 bytes, at most 4096"},
	{"TLV cut in its head", v2(0x21, 0x11, ends4, "\x04\x00"), "TLV: 2 bytes left, its head has 3"},
	{"TLV beyond the header", v2(0x21, 0x11, ends4, tlv(4, ""), "\x04\x00\x02x"), "TLV 0x04: 2 bytes of 1 left"},
	{"TLV of 65535", v2(0x21, 0x11, ends4, "\x04\xff\xff"), "TLV 0x04: 65535 bytes of 0 left"},
	{"TLV beyond, behind a path", v2(0x21, 0x31, strings.Repeat("\x00", 216), "\x04\x00\x01"), "TLV 0x04: 1 bytes of 0 left"},
	{"two authorities", v2(0x21, 0x11, ends4, tlv(2, "a"), tlv(2, "a")), "TLV 0x02: given more than once"},
	{"two ids", v2(0x21, 0x11, ends4, tlv(5, ""), tlv(5, "")), "TLV 0x05: given more than once"},
	{"long authority", v2(0x21, 0x11, ends4, tlv(2, strings.Repeat("a", 256))), "TLV 0x02 (authority): 256 bytes, want at most 255 of UTF-8"},
	{"authority in Latin 1", v2(0x21, 0x11, ends4, tlv(2, "\xe4")), "TLV 0x02 (authority): 1 bytes, want at most 255 of UTF-8"},
	{"long id", v2(0x21, 0x11, ends4, tlv(5, strings.Repeat("u", 129))), "TLV 0x05 (unique id): 129 bytes, at most 128"},
	{"short checksum", v2(0x21, 0x11, ends4, tlv(3, "\x00\x00\x00")), "TLV 0x03 (CRC32c): 3 bytes, want 4"},
	{"wrong checksum", v2(0x21, 0x11, ends4, tlv(3, "\x00\x00\x00\x01")), "TLV 0x03 (CRC32c): does not fit the header"},
	{"forged behind a checksum", strings.Replace(summed(v2(0x21, 0x11, ends4, tlv(3, "\x00\x00\x00\x00"))), ends4[:4], "\x0a\x00\x00\x01", 1), "TLV 0x03 (CRC32c): does not fit the header"},
}

func TestRefusals(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parseAllWays(t, []byte(tt.in), HeaderBytesMax)
			var refusal *Error
			if !errors.As(err, &refusal) || refusal.Message != tt.message {
				t.Errorf("Parse(%q) = %v, want %s", tt.in, err, tt.message)
			}
			_, _, err = parseAllWays(t, []byte(tt.in+"what follows"), HeaderBytesMax)
			if !errors.As(err, &refusal) || refusal.Message != tt.message {
				t.Errorf("with more behind it: %v, want %s", err, tt.message)
			}
		})
	}
}

// TestBound: a header is refused for its size alone, at the operator's bound,
// before what is declared has come.
func TestBound(t *testing.T) {
	for _, tt := range accepted {
		for maxBytes := -1; maxBytes <= len(tt.in)+1; maxBytes += 1 + len(tt.in)/200 {
			_, n, err := parseAllWays(t, []byte(tt.in), maxBytes)
			if fits := len(tt.in) <= maxBytes; (err == nil) != fits || errors.Is(err, ErrIncomplete) {
				t.Fatalf("%s: Parse of %d bytes with at most %d = %d, %v", tt.name, len(tt.in), maxBytes, n, err)
			}
		}
	}
}

// TestEveryCommandAndFamily walks all values of both bytes, with room for the
// addresses of any family and without.
func TestEveryCommandAndFamily(t *testing.T) {
	contents := []string{"", ends4, ends6, strings.Repeat("\x00", 216)}
	least := map[byte]int{0x11: 12, 0x21: 36, 0x31: 216}
	defined := map[byte]bool{0x00: true, 0x11: true, 0x12: true, 0x21: true, 0x22: true, 0x31: true, 0x32: true}
	count := 0
	for command := range 256 {
		for family := range 256 {
			for _, rest := range contents {
				in := []byte(v2(byte(command), byte(family), rest))
				// Behind addresses of IPv4 the longer contents would be values.
				if family == 0x11 && len(rest) > 12 {
					in = []byte(v2(byte(command), byte(family), ends4, tlv(4, rest)))
				}
				if family == 0x21 && len(rest) > 36 {
					in = []byte(v2(byte(command), byte(family), ends6, tlv(4, rest)))
				}
				h, n, err := Parse(in, HeaderBytesMax)
				want := command == 0x20 && defined[byte(family)]
				if command == 0x21 && least[byte(family)] > 0 {
					want = len(rest) >= least[byte(family)]
				}
				if (err == nil) != want || want && n != len(in) {
					t.Fatalf("command %#x, family %#x, length %d: %d, %v, want it accepted: %v", command, family, len(rest), n, err, want)
				}
				if err == nil {
					checkLikeOracle(t, h, in)
					count++
				}
			}
		}
	}
	if want := 7*4 + 3 + 2 + 1; count != want {
		t.Errorf("%d combinations are accepted, want %d", count, want)
	}
}
