package faults

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
	"github.com/holdfast-io/holdfast/tools/faults/check"
)

// unansweredMax is how many requests a caller has out at most; well below the
// gateway's window, which is no matter of these tests.
const unansweredMax = 40

// caller is one client connection that notes everything. It is not the client SDK,
// which would put right what these tests are to see.
type caller struct {
	user int
	conn net.Conn
	done chan struct{} // closed when the reader has ended

	wmu sync.Mutex // one write at a time, in the order of the requests; before mu

	mu         sync.Mutex      // guards the following
	requests   []check.Request // index + 1 is the id
	unanswered int
	lost       error // why the connection has ended
	leaving    bool  // the test ends it
}

// dial opens a session for a user and returns after WELCOME.
func dial(endpoint string, user int) (*caller, error) {
	conn, err := net.DialTimeout("tcp", endpoint, patience)
	if err != nil {
		return nil, err
	}
	c := &caller{user: user, conn: conn, done: make(chan struct{})}
	hello, err := wire.AppendHello(nil, &wire.Hello{Protocol: wire.ProtocolVersion, Token: strconv.Itoa(user), HasToken: true})
	if err == nil {
		err = c.write(&wire.Frame{Type: wire.TypeHello, Payload: hello})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	welcome := make(chan error, 1)
	go c.read(welcome)
	if err := <-welcome; err != nil {
		return nil, errors.Join(err, c.leave())
	}
	return c, nil
}

// send sends one request, unless too many are unanswered: then it reports false.
func (c *caller) send(command string, idempotent bool) bool {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	c.mu.Lock()
	if c.unanswered >= unansweredMax || c.lost != nil {
		c.mu.Unlock()
		return false
	}
	c.unanswered++
	id := check.ID{User: c.user, Number: len(c.requests) + 1}
	c.requests = append(c.requests, check.Request{ID: id, Idempotent: idempotent, Sent: clock()})
	c.mu.Unlock()
	frame := wire.Frame{Type: wire.TypeRequest, ID: uint32(id.Number), Command: []byte(command),
		Payload: fmt.Appendf(nil, "%d %d", id.User, id.Number)}
	if err := c.write(&frame); err != nil {
		c.lose(err)
	}
	return true
}

// write is for one goroutine at a time.
func (c *caller) write(f *wire.Frame) error {
	b, err := wire.AppendStream(nil, f)
	if err != nil {
		return err
	}
	_, err = c.conn.Write(b)
	return err
}

// read takes frames until the connection ends. The first decides welcome.
func (c *caller) read(welcome chan<- error) {
	defer close(c.done)
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // a failure shows in Read
	var buf []byte
	more := make([]byte, 16<<10)
	for greeted := false; ; {
		n, err := c.conn.Read(more)
		buf = append(buf, more[:n]...)
		for len(buf) > 0 && err == nil {
			f, size, parseErr := wire.ParseStream(buf, wire.FrameBytesMax, wire.FromGateway)
			if errors.Is(parseErr, wire.ErrIncomplete) {
				break
			}
			if err = parseErr; err != nil {
				break
			}
			if greeted {
				err = c.take(&f)
			} else if f.Type != wire.TypeWelcome {
				err = fmt.Errorf("%v %v %s instead of WELCOME", f.Type, f.Code, f.Reason)
			} else {
				greeted = true
				_ = c.conn.SetReadDeadline(time.Time{}) // from here on the test's end is the bound
				welcome <- nil
			}
			buf = append(buf[:0], buf[size:]...)
		}
		if err != nil {
			if !greeted {
				welcome <- err
			}
			c.lose(err)
			return
		}
	}
}

// take handles one frame; its slices are not kept.
func (c *caller) take(f *wire.Frame) error {
	switch f.Type {
	case wire.TypeReply:
		return c.answer(f)
	case wire.TypePing:
		c.wmu.Lock()
		defer c.wmu.Unlock()
		return c.write(&wire.Frame{Type: wire.TypePong, Payload: f.Payload})
	case wire.TypeGoAway, wire.TypeClose:
		return fmt.Errorf("%v %v %s%s", f.Type, f.Code, f.Reason, f.Payload)
	}
	return nil
}

func (c *caller) answer(f *wire.Frame) error {
	a := check.Answer{At: clock(), Status: int(f.Status), FromGateway: f.Flags.FromGateway(), By: string(f.Payload)}
	if a.FromGateway {
		e, err := wire.ParseErrorPayload(f.Payload)
		if err != nil {
			return err
		}
		a.By, a.Reason, a.RetryAfter = "", e.Reason, time.Duration(e.RetryAfterMS)*time.Millisecond
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if int(f.ID) > len(c.requests) {
		return fmt.Errorf("a reply to %d, which was not asked", f.ID)
	}
	r := &c.requests[f.ID-1]
	r.Answers = append(r.Answers, a)
	if len(r.Answers) == 1 {
		c.unanswered--
	}
	return nil
}

func (c *caller) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost == nil && !c.leaving {
		c.lost = err
	}
}

// leave ends the connection and waits for its reader.
func (c *caller) leave() error {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	err := c.conn.Close()
	<-c.done
	return err
}

func (c *caller) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unanswered
}

// fleet is all callers of a test.
type fleet struct {
	t       *testing.T
	callers []*caller

	// owned by the one goroutine that loads
	next    int // of the plan: which caller's turn it is
	skipped int // requests not sent since too many were out
}

// connect opens a session for each of n users. They leave with the test.
func connect(t *testing.T, endpoint string, n int) *fleet {
	t.Helper()
	f := &fleet{t: t, callers: make([]*caller, n)}
	t.Cleanup(func() {
		for _, c := range f.callers {
			if c != nil {
				_ = c.leave() // the test is over
			}
		}
	})
	const parallel = 32
	var wg sync.WaitGroup
	for w := range parallel {
		wg.Go(func() {
			for i := w; i < n; i += parallel {
				c, err := dial(endpoint, i)
				if err != nil {
					t.Errorf("user %d: %v", i, err)
					return
				}
				f.callers[i] = c
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return f
}

// load sends rate requests a second, from each caller in its turn, for a time. The
// plan does not wait for answers. It alternates between the commands, of which
// those that begin with idem. go by an idempotent route.
func (f *fleet) load(rate float64, d time.Duration, commands ...string) {
	begun := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for now := begun; now.Sub(begun) < d; now = <-tick.C {
		for due := int(now.Sub(begun).Seconds() * rate); sent < due; sent++ {
			command := commands[f.next/len(f.callers)%len(commands)] // each caller uses all of them
			if !f.callers[f.next%len(f.callers)].send(command, command == idemRun) {
				f.skipped++
			}
			f.next++
		}
	}
}

// background loads from a goroutine of its own until stop is called, which waits
// for it.
func (f *fleet) background(rate float64, commands ...string) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				f.load(rate, 100*time.Millisecond, commands...)
			}
		}
	}()
	var once sync.Once
	stop = func() { once.Do(func() { close(quit) }); <-done }
	f.t.Cleanup(stop)
	return stop
}

// requests waits until everything is answered, or can be no more, and returns what
// the callers have noted. Connections that were lost are failures: no fault of a
// backend closes one.
func (f *fleet) requests() []check.Request {
	f.t.Helper()
	for deadline := time.Now().Add(requestTimeout + 10*time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		out := 0
		for _, c := range f.callers {
			out += c.waiting()
		}
		if out == 0 {
			break
		}
	}
	var all []check.Request
	lost := 0
	for _, c := range f.callers {
		c.mu.Lock()
		all = append(all, c.requests...)
		if c.lost != nil && !errors.Is(c.lost, net.ErrClosed) {
			if lost++; lost <= 3 {
				f.t.Errorf("user %d lost the connection: %v", c.user, describeLoss(c.lost))
			}
		}
		c.mu.Unlock()
	}
	if lost > 0 {
		f.t.Errorf("%d connections were lost, want 0", lost)
	}
	return all
}

func describeLoss(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("ended without CLOSE")
	}
	return err
}
