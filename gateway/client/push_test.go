package client

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// collect makes an OnPush that hands each payload to the returned channel.
func collect() (func(context.Context, Push), chan string) {
	got := make(chan string, 10_000)
	return func(_ context.Context, p Push) { got <- string(p.Payload) }, got
}

// TestAckAfterHandler: nothing is acknowledged before the handler has returned,
// and then within half a second.
func TestAckAfterHandler(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		release := make(chan struct{})
		cfg.OnPush = func(context.Context, Push) { <-release }
		_, p := dialed(t, g, cfg, nil)
		p.push(1, "a")
		time.Sleep(20 * time.Second)
		p.silent()
		began := time.Now()
		close(release)
		if f := p.expect(wire.TypeAck); f.Seq != 1 || time.Since(began) != ackDelay {
			t.Errorf("ACK %d after %v, want 1 after %v", f.Seq, time.Since(began), ackDelay)
		}
		p.silent()
	})
}

// TestAckIsCumulative sends 70 pushes at once: an ACK for about 32 each at once,
// and one for the rest half a second later.
func TestAckIsCumulative(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		_, p := dialed(t, g, cfg, nil)
		began := time.Now()
		for seq := range uint64(70) {
			p.push(seq+1, fmt.Sprint(seq+1))
		}
		var acks []uint64
		for len(acks) == 0 || acks[len(acks)-1] < 70 {
			acks = append(acks, p.expect(wire.TypeAck).Seq)
			if n := len(acks); acks[n-1] < 64 && time.Since(began) > 0 {
				t.Errorf("ACK %d only after %v, want every 32 at once", acks[n-1], time.Since(began))
			}
		}
		if took := time.Since(began); took > time.Second || len(acks) > 6 {
			t.Errorf("ACKs %v in %v, want a few within 1s", acks, took)
		}
		for i := range 70 {
			if s := <-got; s != fmt.Sprint(i+1) {
				t.Fatalf("push %d is %q", i+1, s)
			}
		}
	})
}

// TestAckTimerStartsAnew: each burst has a timer of its own.
func TestAckTimerStartsAnew(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.OnPush = Discard
		_, p := dialed(t, g, cfg, nil)
		for seq := uint64(1); seq <= 3; seq++ {
			began := time.Now()
			p.push(seq, "")
			if f := p.expect(wire.TypeAck); f.Seq != seq || time.Since(began) != ackDelay {
				t.Errorf("ACK %d after %v, want %d after %v", f.Seq, time.Since(began), seq, ackDelay)
			}
		}
	})
}

// TestTransientIsNotAcknowledged: seq 0 is delivered and nothing else.
func TestTransientIsNotAcknowledged(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		_, p := dialed(t, g, cfg, nil)
		p.push(0, "now")
		if s := <-got; s != "now" {
			t.Errorf("got %q, want now", s)
		}
		time.Sleep(10 * time.Second)
		p.silent()
	})
}

func TestRepeatedPushIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		_, p := dialed(t, g, cfg, nil)
		for _, seq := range []uint64{1, 2, 1, 2, 3} {
			p.push(seq, fmt.Sprint(seq))
		}
		if f := p.expect(wire.TypeAck); f.Seq != 3 {
			t.Errorf("ACK %d, want 3", f.Seq)
		}
		if len(got) != 3 {
			t.Errorf("%d pushes delivered, want 3", len(got))
		}
	})
}

// TestBackPressure: with the buffer full the client stops reading; a request in
// flight makes it read on, so that its reply comes.
func TestBackPressure(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		gate := make(chan struct{})
		cfg.PushBuffer = 4
		cfg.OnPush = func(ctx context.Context, p Push) {
			<-gate
			onPush(ctx, p)
		}
		c, p := dialed(t, g, cfg, nil)
		const n = 20
		written := 0
		go func() {
			for seq := range n {
				p.push(uint64(seq+1), fmt.Sprint(seq+1))
				written++
			}
		}()
		synctest.Wait()
		// 4 queued, 1 in the handler, 1 in the reader's hands, 1 in its write.
		if written < 4 || written > 7 {
			t.Errorf("%d pushes taken from the gateway, want about 5", written)
		}
		answered := request(t.Context(), c, "q")
		synctest.Wait()
		if written != n {
			t.Errorf("%d pushes taken while a request waits, want all %d", written, n)
		}
		p.expect(wire.TypeRequest)
		p.reply(1, "a")
		if a := <-answered; a.payload != "a" {
			t.Errorf("request behind the pushes = %q, %v, want a", a.payload, a.err)
		}
		close(gate)
		for i := range n {
			if s := <-got; s != fmt.Sprint(i+1) {
				t.Fatalf("push %d is %q", i+1, s)
			}
		}
	})
}

// TestHandlerMayRequest: the handler's own request must not wait for the pushes
// behind the one that it handles.
func TestHandlerMayRequest(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		var c *Client
		ready, got := make(chan struct{}), make(chan answer, 10)
		cfg.PushBuffer = 1
		cfg.OnPush = func(ctx context.Context, p Push) {
			<-ready
			b, err := c.Request(ctx, "test.echo", p.Payload)
			got <- answer{string(b), err}
		}
		c, p := dialed(t, g, cfg, nil)
		close(ready)
		go func() {
			for seq := range uint64(5) {
				p.push(seq+1, fmt.Sprint(seq+1))
			}
		}()
		for answered := 0; answered < 5; {
			f := <-p.frames
			if f.Type != wire.TypeRequest {
				continue // ACK
			}
			p.reply(f.ID, string(f.Payload))
			answered++
		}
		for i := range 5 {
			if a := <-got; a.payload != fmt.Sprint(i+1) || a.err != nil {
				t.Errorf("request of handler %d = %q, %v", i+1, a.payload, a.err)
			}
		}
	})
}

// TestPushesIterator: the loop acknowledges what its body has ended for, also by
// break, and a second loop goes on behind the first.
func TestPushesIterator(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		go func() {
			for seq := range uint64(5) {
				p.push(seq+1, fmt.Sprint(seq+1))
			}
		}()
		var got []string
		for push := range c.Pushes(t.Context()) {
			got = append(got, string(push.Payload))
			if push.Seq == 2 {
				break
			}
		}
		if f := p.expect(wire.TypeAck); f.Seq != 2 {
			t.Errorf("ACK %d after the break, want 2", f.Seq)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for push := range c.Pushes(ctx) {
			got = append(got, string(push.Payload))
		}
		if want := []string{"1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestPushesEnd: Close ends a loop at once; a CLOSE that stops the client ends
// it after what had arrived.
func TestPushesEnd(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		p.push(1, "last words")
		p.close(wire.CloseKicked)
		<-c.Done()
		var got []string
		for push := range c.Pushes(t.Context()) {
			got = append(got, string(push.Payload))
		}
		if want := []string{"last words"}; !slices.Equal(got, want) {
			t.Errorf("after a kick got %v, want %v", got, want)
		}
	})
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		c, p := dialed(t, g, cfg, nil)
		ended := make(chan struct{})
		go func() {
			for range c.Pushes(t.Context()) { // waits for the first push
			}
			close(ended)
		}()
		go func() {
			p.expect(wire.TypeClose)
			p.conn.Close()
		}()
		c.Close()
		<-ended
	})
}

func TestPushesBesideOnPushPanics(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		cfg.OnPush = Discard
		c, _ := dialed(t, g, cfg, nil)
		defer func() {
			if recover() == nil {
				t.Error("Pushes beside OnPush did not panic")
			}
		}()
		c.Pushes(t.Context())
	})
}

// TestPushGap: a push whose seq is not the next one is a fault of the gateway;
// it is told so, and the client begins anew.
func TestPushGap(t *testing.T) {
	bubble(t, func(t *testing.T, g *scripted, cfg Config) {
		onPush, got := collect()
		cfg.OnPush = onPush
		_, p := dialed(t, g, cfg, nil)
		p.push(1, "one")
		p.push(3, "three")
		var code wire.CloseCode
		for f := range p.frames {
			if f.Type == wire.TypeClose {
				code = f.Code
			}
		}
		if code != wire.CloseProtocolError || len(got) != 1 {
			t.Errorf("CLOSE %d and %d pushes, want %d and 1", code, len(got), wire.CloseProtocolError)
		}
		p = g.welcome(nil)
		p.push(1, "again")
		<-got
		if s := <-got; s != "again" {
			t.Errorf("new session's first push is %q", s)
		}
	})
}
