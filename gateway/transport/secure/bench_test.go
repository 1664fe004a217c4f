package secure

import (
	"crypto/tls"
	"runtime"
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// idleBytesMax is what a TLS connection may hold here once it is idle: the goal
// for the whole connection in a gateway is 25 KB.
const idleBytesMax = 16 << 10

// TestIdleBytes measures what idle connections hold that have said and heard
// something.
func TestIdleBytes(t *testing.T) {
	s := newServer(t, nil)
	const conns = 200
	for _, tt := range []struct {
		name     string
		change   func(*tls.Config)
		payload  int
		bytesMax int64
	}{
		{"1.3", only(tls.VersionTLS13), 50, idleBytesMax},
		{"1.3 without a post-quantum share", func(c *tls.Config) { only(tls.VersionTLS13)(c); smallHello(c) }, 50, idleBytesMax},
		{"1.2", only(tls.VersionTLS12), 50, idleBytesMax},
		// crypto/tls keeps the buffer of the longest record that came.
		{"1.3 after a record of 16 KiB", func(c *tls.Config) { c.DynamicRecordSizingDisabled = true }, plainBytes, 2*plainBytes + idleBytesMax},
	} {
		keep := make([]*Conn, conns)
		before := heap()
		for i := range keep {
			w := s.wire()
			c := s.client(t, w, tt.change)
			echo(t, c, make([]byte, tt.payload))
			w.conn.out = outputFunc(func(error) {}) // let go of the test's own end
			keep[i] = w.conn
		}
		each := (heap() - before) / conns
		runtime.KeepAlive(keep)
		testenv.Figure(t, "TLS", "%s: %d bytes an idle connection, at most %d", tt.name, each, tt.bytesMax)
		if each > tt.bytesMax {
			t.Errorf("%s: an idle connection holds %d bytes, want at most %d", tt.name, each, tt.bytesMax)
		}
	}
}

// heap is what is in use after a collection that empties pools too.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func benchmarkPair(b *testing.B) *wire {
	s := newServer(b, nil)
	w := s.wire()
	c := s.client(b, w, nil)
	echo(b, c, []byte("established on both sides"))
	return w
}

func BenchmarkSeal(b *testing.B) {
	for name, size := range map[string]int{"64B": 64, "1KiB": 1 << 10, "16KiB": 16 << 10} {
		b.Run(name, func(b *testing.B) {
			w := benchmarkPair(b)
			plain, dst := make([]byte, size), make([]byte, 0, 2*size+512)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.conn.Seal(dst, plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFeed feeds what a client of crypto/tls seals; the client's part of
// the time is not measured, since its records are made beforehand.
func BenchmarkFeed(b *testing.B) {
	for name, size := range map[string]int{"64B": 64, "1KiB": 1 << 10, "16KiB": 16 << 10} {
		b.Run(name, func(b *testing.B) {
			s := newServer(b, nil)
			w := s.wire()
			got := 0
			plain := func(p []byte) { got += len(p) }
			c := s.client(b, w, func(c *tls.Config) { c.DynamicRecordSizingDisabled = true })
			var records [][]byte
			payload := make([]byte, size)
			const batch = 256
			w.tap = func(p []byte) { records = append(records, append([]byte(nil), p...)) }
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if len(records) == 0 {
					b.StopTimer()
					for range batch {
						if _, err := c.Write(payload); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
				}
				if err := w.conn.Feed(records[0], plain); err != nil {
					b.Fatal(err)
				}
				records = records[1:]
			}
		})
	}
}

// BenchmarkHandshake is both ends of a handshake with ECDSA P-256.
func BenchmarkHandshake(b *testing.B) {
	s := newServer(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		s.client(b, s.wire(), nil)
	}
}
