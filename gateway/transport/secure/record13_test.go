package secure

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

// half is one direction of a TLS 1.3 connection with TLS_AES_128_GCM_SHA256,
// written from RFC 8446 sections 5.2 and 7: crypto/tls's client cannot be made
// to ask for a key update.
type half struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

func expandLabel(secret []byte, label string, size int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	b, err := hkdf.Expand(sha256.New, secret, string(info), size)
	if err != nil {
		panic(err)
	}
	return b
}

func (h *half) setSecret(secret []byte) {
	block, err := aes.NewCipher(expandLabel(secret, "key", 16))
	if err != nil {
		panic(err)
	}
	if h.aead, err = cipher.NewGCM(block); err != nil {
		panic(err)
	}
	h.secret, h.iv, h.seq = secret, expandLabel(secret, "iv", 12), 0
}

func (h *half) update() { h.setSecret(expandLabel(h.secret, "traffic upd", 32)) }

func (h *half) nonce() []byte {
	nonce := bytes.Clone(h.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, h.seq) {
		nonce[4+i] ^= b
	}
	h.seq++
	return nonce
}

// seal makes a record of this type.
func (h *half) seal(typ byte, b []byte) []byte {
	head := []byte{0x17, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(head[3:], uint16(len(b)+1+16))
	return h.aead.Seal(head, h.nonce(), append(bytes.Clone(b), typ), head)
}

// open reads the record at the start of b.
func (h *half) open(b []byte) (typ byte, plain, rest []byte, err error) {
	size := recordHeaderBytes + int(binary.BigEndian.Uint16(b[3:]))
	plain, err = h.aead.Open(nil, h.nonce(), b[recordHeaderBytes:size], b[:recordHeaderBytes])
	if err != nil {
		return 0, nil, nil, err
	}
	return plain[len(plain)-1], plain[:len(plain)-1], b[size:], nil
}

// rawClient shakes hands with crypto/tls and then lets the test make records.
func rawClient(t *testing.T, s *server, w *wire) (in, out *half) {
	t.Helper()
	var keys strings.Builder
	c := s.client(t, w, func(c *tls.Config) { only(tls.VersionTLS13)(c); c.KeyLogWriter = &keys })
	if c.ConnectionState().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("this machine prefers another cipher suite than the one that the test writes itself")
	}
	secret := func(label string) []byte {
		for line := range strings.Lines(keys.String()) {
			if f := strings.Fields(line); f[0] == label {
				b, err := hex.DecodeString(f[2])
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
		}
		t.Fatalf("no %s in the key log", label)
		return nil
	}
	in, out = &half{}, &half{}
	in.setSecret(secret("SERVER_TRAFFIC_SECRET_0"))
	out.setSecret(secret("CLIENT_TRAFFIC_SECRET_0"))
	return in, out
}

func noTickets(c *Config) { c.SessionTickets = false }

const (
	typeData       = 0x17
	typeAlert      = 0x15
	typeKeyUpdate  = 24
	askedForUpdate = 1
)

func keyUpdate(ask byte) []byte { return []byte{typeKeyUpdate, 0, 0, 1, ask} }

// TestKeyUpdate changes keys, asked for and not, also cut at each byte, while
// another goroutine seals: all of what was sealed can be read, in order.
func TestKeyUpdate(t *testing.T) {
	const updates = 50
	s := newServer(t, noTickets)
	var got []byte
	w := s.wire()
	w.take = func(_ *wire, b []byte) { got = append(got, b...) }
	in, out := rawClient(t, s, w)
	done := make(chan struct{})
	var wg sync.WaitGroup
	sent := 0
	wg.Go(func() {
		for ; ; sent++ {
			select {
			case <-done:
				return
			default:
			}
			if err := w.say(fmt.Appendf(nil, "%07d ", sent)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var want []byte
	for i := range updates {
		ask := byte(i % 2)
		b := out.seal(typeHandshake, keyUpdate(ask))
		out.update()
		b = append(b, out.seal(typeData, []byte{byte(i)})...)
		want = append(want, byte(i))
		for len(b) > 0 {
			n := min(len(b), i%7+1)
			w.feed(b[:n])
			b = b[n:]
		}
	}
	close(done)
	wg.Wait()
	if !bytes.Equal(got, want) || w.err() != nil {
		t.Fatalf("the server got %x, %v, want %x", got, w.err(), want)
	}
	updated, next := 0, 0
	for rest := w.inbox; len(rest) > 0; {
		typ, plain, left, err := in.open(rest)
		if err != nil {
			t.Fatalf("after %d updates and %d messages: %v", updated, next, err)
		}
		rest = left
		switch typ {
		case typeHandshake:
			if !bytes.Equal(plain, keyUpdate(0)) {
				t.Fatalf("handshake message %x, want a key update that asks for none", plain)
			}
			in.update()
			updated++
		case typeData:
			if want := fmt.Sprintf("%07d ", next); string(plain) != want {
				t.Fatalf("message %q, want %q", plain, want)
			}
			next++
		}
	}
	if updated != updates/2 || next != sent {
		t.Errorf("%d updates and %d messages, want %d and %d", updated, next, updates/2, sent)
	}
}

// TestKeyUpdateFlood asks for key updates and reads none: what waits is bounded,
// by crypto/tls between data, by us where data comes in between.
func TestKeyUpdateFlood(t *testing.T) {
	s := newServer(t, noTickets)
	for _, data := range []bool{false, true} {
		w := s.wire()
		_, out := rawClient(t, s, w)
		conn := w.conn
		conn.out = outputFunc(func(error) {}) // nobody takes
		var err error
		for i := 0; i < 10_000 && err == nil; i++ {
			b := out.seal(typeHandshake, keyUpdate(askedForUpdate))
			out.update()
			if data {
				b = append(b, out.seal(typeData, []byte{1})...)
			}
			err = conn.Feed(b, func([]byte) {})
		}
		if err == nil || err == io.EOF {
			t.Errorf("with data %v: Feed = %v after 10,000 key updates", data, err)
		}
		if n := len(conn.Take(nil)); n > pendingBytesMax+1024 {
			t.Errorf("with data %v: %d bytes waited", data, n)
		}
	}
}

// TestAlerts end the connection with the client's reason.
func TestAlerts(t *testing.T) {
	s := newServer(t, noTickets)
	w := s.wire()
	_, out := rawClient(t, s, w)
	w.feed(out.seal(typeAlert, []byte{2, 80}))
	if err := w.err(); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("Feed = %v, want the client's alert", err)
	}
}

// TestConcurrency seals, takes, feeds, asks and closes at once, for the race
// detector.
func TestConcurrency(t *testing.T) {
	s := newServer(t, nil)
	for range 20 {
		w := s.wire()
		c := s.client(t, w, nil)
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 50 {
				if w.say([]byte("from another goroutine")) != nil {
					return // closed
				}
				w.conn.State()
			}
			w.closeNotify()
		})
		wg.Go(func() {
			for range 50 {
				if _, err := c.Write(make([]byte, 300)); err != nil {
					return
				}
			}
			w.conn.Close()
		})
		var reader sync.WaitGroup
		reader.Go(func() { _, _ = io.Copy(io.Discard, c) }) // until it ends, one way or another
		wg.Go(func() {
			for range 50 {
				w.Pending()
			}
		})
		wg.Wait()
		w.hangUp()
		reader.Wait()
	}
}
