package websocket

import (
	"bufio"
	"bytes"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// FuzzDecoder holds the decoder to the reference: the same events and the same
// fault whether a stream comes whole, a byte at a time or cut at random; and a
// byte at a time, the fault on the first byte that shows it.
func FuzzDecoder(f *testing.F) {
	for _, tt := range ruleTests {
		f.Add(tt.in, !tt.binary, testLimit, uint64(1))
		f.Add(sent(wholeText, "a")+tt.in, true, 700, uint64(2))
	}
	f.Fuzz(func(t *testing.T, in string, asText bool, limit int, seed uint64) {
		limit = max(0, min(limit, 1<<20))
		want := reference(in, asText, limit)
		expect(t, "bytewise", run(t, asText, limit, bytewise(in)...), want)
		want.at = 0
		rnd := rand.New(rand.NewPCG(seed, 0))
		for how, pieces := range map[string][]string{
			"whole":         {in},
			"cut at random": cutAtRandom(rnd, in, 1+rnd.IntN(40)),
		} {
			got := run(t, asText, limit, pieces...)
			got.at = 0
			expect(t, how, got, want)
		}
	})
}

// FuzzFrames makes a valid conversation out of the bytes it is given, since
// random streams seldom get beyond their first head, and breaks a byte of it.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x01\x05Hello\x09\x01p\x80\x02\xce\xba"), 3, byte(0), uint64(1))
	f.Add([]byte("\x01\x01\xf0\x00\x02\x9f\x98\x00\x00\x80\x01\x80\x88\x02\x03\xe8"), 0, byte(0x80), uint64(2))
	f.Fuzz(func(t *testing.T, script []byte, at int, flip byte, seed uint64) {
		b := conversation(script)
		if len(b) > 0 {
			b[(at%len(b)+len(b))%len(b)] ^= flip
		}
		want := reference(string(b), true, testLimit)
		expect(t, "bytewise", run(t, true, testLimit, bytewise(string(b))...), want)
		want.at = 0
		rnd := rand.New(rand.NewPCG(seed, 0))
		got := run(t, true, testLimit, cutAtRandom(rnd, string(b), 1+rnd.IntN(40))...)
		got.at = 0
		expect(t, "cut at random", got, want)
	})
}

// conversation reads a script of first byte, length and payload, and makes the
// frames that a client would send.
func conversation(script []byte) (stream []byte) {
	for len(script) >= 2 {
		first, n := string(script[:1]), min(int(script[1]), len(script)-2)
		stream = append(stream, sent(first, string(script[2:2+n]))...)
		script = script[2+n:]
	}
	return stream
}

// FuzzAccept holds the handshake to this: what it accepts another implementation
// reads as the answer to that key, with a subprotocol only out of the offers;
// what it refuses is 400 or 426.
func FuzzAccept(f *testing.F) {
	f.Add("websocket", "Upgrade", "dGhlIHNhbXBsZSBub25jZQ==", "13", "holdfast.v1")
	f.Add("h2c, WebSocket", "keep-alive, upgrade", "AAAAAAAAAAAAAAAAAAAAAA==", "13", "a,, holdfast.v1.json ,")
	f.Fuzz(func(t *testing.T, upgrade, connection, key, version, offers string) {
		r := handshake("Upgrade: "+upgrade, "Connection: "+connection, "Sec-WebSocket-Key: "+key,
			"Sec-WebSocket-Version: "+version, "Sec-WebSocket-Protocol: "+offers)
		u, response, refusal := Accept(r)
		if refusal != nil {
			if refusal.Status != 400 && refusal.Status != 426 || response != nil {
				t.Fatalf("refused with %v and %q", refusal, response)
			}
			return
		}
		got, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(response)), nil)
		if err != nil || got.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("answer %q: %v", response, err)
		}
		if accept := got.Header.Get("Sec-WebSocket-Accept"); accept != acceptance(key) || len(key) != 24 {
			t.Fatalf("key %q accepted with %q", key, accept)
		}
		if got := got.Header.Get("Sec-WebSocket-Protocol"); got != u.Subprotocol || !strings.Contains(offers, got) || got == "" {
			t.Fatalf("offers %q answered with %q, agreed %q", offers, got, u.Subprotocol)
		}
	})
}
