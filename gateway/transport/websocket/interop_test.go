package websocket

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
)

// TestOtherClient decodes what another implementation's client sends: messages
// of every size in frames of every size, with control frames between them.
func TestOtherClient(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range sizes {
		var stream bytes.Buffer
		var want []seen
		payload := long(n)
		for _, frameBytes := range []int{1 << 16, max(n/7, 1), n + 1} {
			if err := ws.WriteFrame(&stream, ws.MaskFrame(ws.NewPingFrame([]byte("p")))); err != nil {
				t.Fatal(err)
			}
			w := wsutil.NewWriterBufferSize(&stream, ws.StateClientSide, ws.OpText, frameBytes+ws.MaxHeaderSize)
			if _, err := w.Write([]byte(payload)); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			want = append(want, seen{kind: Ping, text: "p"}, message(payload))
		}
		body := ws.NewCloseFrameBody(ws.StatusGoingAway, "bye")
		if err := ws.WriteFrame(&stream, ws.MaskFrame(ws.NewCloseFrame(body))); err != nil {
			t.Fatal(err)
		}
		want = append(want, seen{Close, "bye", 1001})
		expect(t, "whole", run(t, true, n, stream.String()), say(want...))
		expect(t, "cut at random", run(t, true, n, cutAtRandom(rnd, stream.String(), 1500)...), say(want...))
	}
}

// TestOtherReader: another implementation's client understands what we write.
func TestOtherReader(t *testing.T) {
	var stream []byte
	for _, n := range sizes {
		stream = AppendMessage(stream, n%2 == 0, []byte(long(n)))
		stream = AppendControl(stream, Ping, []byte("p"))
	}
	stream = AppendClose(stream, 4000, "draining")
	r := bytes.NewReader(stream)
	for _, n := range sizes {
		got, err := wsutil.ReadServerMessage(r, nil)
		if err != nil || len(got) != 1 || got[0].OpCode != messageOp(n%2 == 0) || string(got[0].Payload) != long(n) {
			t.Fatalf("message of %d bytes: %d messages, %v", n, len(got), err)
		}
		if got, err = wsutil.ReadServerMessage(r, nil); err != nil || got[0].OpCode != ws.OpPing {
			t.Fatalf("ping: %v, %v", got, err)
		}
	}
	got, err := wsutil.ReadServerMessage(r, nil)
	if err != nil || got[0].OpCode != ws.OpClose {
		t.Fatalf("close: %v, %v", got, err)
	}
	if code, reason := ws.ParseCloseFrameData(got[0].Payload); code != 4000 || reason != "draining" {
		t.Errorf("close %d %q", code, reason)
	}
}

// TestOtherHandshake: another implementation's client gets through Accept, by way
// of the parser that stands before it.
func TestOtherHandshake(t *testing.T) {
	for _, offers := range [][]string{nil, {SubprotocolBinary}, {"mqtt", SubprotocolJSON}} {
		client, server := net.Pipe()
		deadline := time.Now().Add(time.Minute) // only a hang takes so long
		_ = client.SetDeadline(deadline)        // a pipe's cannot fail
		_ = server.SetDeadline(deadline)
		answered := make(chan Upgrade, 1)
		go func() { answered <- answerHandshake(t, server) }()
		dialer := ws.Dialer{Protocols: offers}
		_, agreed, err := dialer.Upgrade(client, &url.URL{Scheme: "ws", Host: "gw", Path: "/v1/ws"})
		_ = client.Close()
		u := <-answered
		_ = server.Close()
		if err != nil || agreed.Protocol != u.Subprotocol || len(agreed.Extensions) != 0 {
			t.Errorf("offering %v: %+v, %v; the server %+v", offers, agreed, err, u)
		}
		if want := len(offers) != 1; u.JSON != want {
			t.Errorf("offering %v: JSON %t, want %t", offers, u.JSON, want)
		}
	}
}

// answerHandshake reads one request and answers it.
func answerHandshake(t *testing.T, conn net.Conn) Upgrade {
	parser := http1.NewParser(http1.Limits{HeadBytes: http1.HeadBytesMax})
	b := make([]byte, 512)
	for {
		n, err := conn.Read(b)
		if err != nil {
			t.Error(err)
			return Upgrade{}
		}
		req, _, err := parser.Next(b[:n])
		if err != nil {
			t.Error(err)
			return Upgrade{}
		}
		if req == nil {
			continue
		}
		u, response, refusal := Accept(req)
		if refusal != nil {
			t.Error(refusal)
			return Upgrade{}
		}
		if _, err := conn.Write(response); err != nil {
			t.Error(err)
		}
		return u
	}
}
