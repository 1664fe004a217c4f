package secure

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"
)

// record is a handshake record with body.
func record(body ...byte) []byte {
	return append([]byte{0x16, 3, 1, byte(len(body) >> 8), byte(len(body))}, body...)
}

func concat(parts ...[]byte) []byte {
	var b []byte
	for _, part := range parts {
		b = append(b, part...)
	}
	return b
}

func TestHelloComplete(t *testing.T) {
	many := record(1, 0, 0, 200)
	for range helloRecordsMax - 1 {
		many = append(many, record(7)...)
	}
	tests := []struct {
		name  string
		b     []byte
		whole bool
		err   string
	}{
		{"nothing", nil, false, ""},
		{"a byte", []byte{0x16}, false, ""},
		{"HTTP", []byte("G"), false, "secure: not TLS: record of type 0x47"},
		{"an alert", []byte{0x15}, false, "secure: not TLS: record of type 0x15"},
		{"SSLv2", []byte{0x80, 0x2e}, false, "secure: not TLS: record of type 0x80"},
		{"version 4", []byte{0x16, 4}, false, "secure: not TLS: record of version 4.x"},
		{"empty record", []byte{0x16, 3, 1, 0, 0}, false, "secure: ClientHello: empty record"},
		{"longest record", []byte{0x16, 3, 1, 0x40, 0}, false, ""},
		{"record too long", []byte{0x16, 3, 1, 0x40, 1}, false, "secure: ClientHello: record of 16385 bytes, want at most 16384"},
		{"ServerHello", record(2), false, "secure: ClientHello: handshake message of type 2 comes first"},
		{"no body", record(1, 0, 0, 0), true, ""},
		{"one byte short", record(1, 0, 0, 2, 7), false, ""},
		{"whole", record(1, 0, 0, 2, 7, 7), true, ""},
		{"whole, and more", append(record(1, 0, 0, 2, 7, 7), "more"...), true, ""},
		{"whole, within a record that is not", record(1, 0, 0, 2, 7, 7, 7)[:11], false, ""},
		{"in pieces", concat(record(1), record(0, 0), record(2, 7), record(7)), true, ""},
		{"in pieces, one short", concat(record(1), record(0, 0), record(2, 7)), false, ""},
		{"a piece of another type", append(record(1), 0x17), false, "secure: not TLS: record of type 0x17"},
		{"too long", record(1, 0, 0x40, 0), false, "secure: ClientHello: 16388 bytes, at most 16384 are taken"},
		{"too many pieces", many, false, "secure: ClientHello: cut into more than 64 records"},
	}
	for _, tt := range tests {
		whole, err := helloComplete(tt.b)
		if whole != tt.whole || text(err) != tt.err {
			t.Errorf("%s: helloComplete = %v, %v, want %v, %q", tt.name, whole, err, tt.whole, tt.err)
		}
		for n := range tt.b { // what a shorter start says holds
			early, earlyErr := helloComplete(tt.b[:n])
			if early && !whole || earlyErr != nil && text(earlyErr) != text(err) {
				t.Errorf("%s: helloComplete of %d bytes = %v, %v, of all %v, %v", tt.name, n, early, earlyErr, whole, err)
			}
		}
	}
}

// TestHelloAlert refuses what is TLS with an alert, and what is not without.
func TestHelloAlert(t *testing.T) {
	for _, tt := range []struct {
		b    []byte
		want string
	}{
		{record(2), "\x15\x03\x03\x00\x02\x02\x0a"},
		{[]byte{0x16, 3, 1, 0x40, 1}, "\x15\x03\x03\x00\x02\x02\x16"},
		{[]byte("PUT"), ""},
	} {
		w := newWire(nil, nil)
		w.feed(tt.b)
		if string(w.inbox) != tt.want || w.err() == nil {
			t.Errorf("%x: said %x, failed with %v, want %x and an error", tt.b, w.inbox, w.err(), tt.want)
		}
	}
}

var errStarved = errors.New("no more bytes")

// FuzzHello holds helloComplete to crypto/tls: it says "whole" if and only if a
// server of crypto/tls asks for no more than the bytes there to read a
// ClientHello, and refuses nothing that such a server reads, but for our bounds.
func FuzzHello(f *testing.F) {
	real := clientHello(f, &tls.Config{ServerName: "example.org"})
	f.Add(real)
	f.Add(real[:len(real)-1])
	f.Add(append(real, real...))
	f.Add(concat(record(1, 0), record(0, 2, 7), record(7)))
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	var pieces []byte
	for body := real[recordHeaderBytes:]; len(body) > 0; {
		n := min(100, len(body))
		pieces = append(pieces, record(body[:n]...)...)
		body = body[n:]
	}
	f.Add(pieces)
	f.Fuzz(func(t *testing.T, b []byte) {
		whole, err := helloComplete(b)
		conn := &starving{b: b}
		parsed := false
		server := tls.Server(conn, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			parsed = true
			return nil, errors.New("seen enough")
		}})
		starved := errors.Is(server.Handshake(), errStarved)
		switch {
		case whole && err != nil:
			t.Errorf("whole and %v", err)
		case whole && starved:
			t.Errorf("whole, but crypto/tls wants more than %x", b)
		case !whole && err == nil && parsed:
			t.Errorf("not whole, but crypto/tls read a ClientHello from %x", b)
		case err != nil && parsed && !ours(b):
			t.Errorf("%v, but crypto/tls read a ClientHello from %x", err, b)
		}
		if _, again := helloComplete(append(b, 0)); err != nil && text(again) != text(err) {
			t.Errorf("%v with %d bytes, %v with one more", err, len(b), again)
		}
	})
}

// ours reports whether b breaks a bound that is ours, not crypto/tls's: the
// version of a record, its length, how many there are, or the whole length.
func ours(b []byte) bool {
	total, records := 0, 0
	for len(b) >= recordHeaderBytes {
		size := int(b[3])<<8 | int(b[4])
		if b[1] != 3 || size > recordBytesMax {
			return true
		}
		total, records = total+size, records+1
		b = b[min(len(b), recordHeaderBytes+size):]
	}
	return total > helloBytesMax || records > helloRecordsMax
}

// starving is a connection on which b came, and nothing else.
type starving struct {
	net.Conn
	b []byte
}

func (s *starving) Read(p []byte) (int, error) {
	if len(s.b) == 0 {
		return 0, errStarved
	}
	n := copy(p, s.b)
	s.b = s.b[n:]
	return n, nil
}

func (s *starving) Write(b []byte) (int, error)      { return len(b), nil }
func (s *starving) Close() error                     { return nil }
func (s *starving) SetWriteDeadline(time.Time) error { return nil }
