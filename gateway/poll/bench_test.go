package poll

import (
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/transport/http1"
	"github.com/holdfast-io/holdfast/gateway/wire"
)

// nullCall costs nothing, so that what is measured is ours.
type nullCall struct {
	req  http1.Request
	gone func()
	n    int
}

func (k *nullCall) Request() *http1.Request           { return &k.req }
func (k *nullCall) RemoteIP() string                  { return "192.0.2.7" }
func (k *nullCall) Secure() bool                      { return false }
func (k *nullCall) SetField(string, string)           {}
func (k *nullCall) Answer(int, time.Duration, []byte) { k.n++ }
func (k *nullCall) Stream() bool                      { return true }
func (k *nullCall) Event([]byte) bool                 { k.n++; return true }
func (k *nullCall) End()                              {}
func (k *nullCall) OnGone(fn func())                  { k.gone = fn }

// quiet is a receiver that does nothing.
type quiet struct{}

func (quiet) Receive(wire.Frame)         {}
func (quiet) Refuse(*wire.ProtocolError) {}
func (quiet) Closed()                    {}
func (quiet) Expire(int64) int64         { return 0 }
func (quiet) Away()                      {}
func (quiet) Back()                      {}
func (quiet) Arrived(uint32)             {}

func quietWorld(t testing.TB) (*world, *nullCall) {
	w := begin(t)
	w.r.conn.SetReceiver(quiet{})
	k := &nullCall{req: http1.Request{Method: "GET", Path: "/v1/poll", RawQuery: "seq=7&replies=9", Minor: 1}}
	k.req.Header = map[string][]string{"Authorization": {"Bearer s.x"}}
	return w, k
}

// wake lets a GET wait, queues a push and has it answered.
func wake(w *world, k *nullCall, f *wire.Frame) {
	w.srv.Serve(k)
	w.r.conn.Queue(*f)
	w.r.conn.Flush()
}

func BenchmarkWakeGET(b *testing.B) {
	w, k := quietWorld(b)
	f := wire.Frame{Type: wire.TypePush, Seq: 7, Command: []byte("msg.new"), Payload: []byte(`{"text":"hello"}`)}
	b.ReportAllocs()
	for b.Loop() {
		wake(w, k, &f)
	}
	if k.n != b.N {
		b.Fatalf("%d answers to %d GETs", k.n, b.N)
	}
}

func BenchmarkStreamPush(b *testing.B) {
	w, k := quietWorld(b)
	k.req.Path = "/v1/events"
	w.srv.Serve(k)
	f := wire.Frame{Type: wire.TypePush, Seq: 7, Command: []byte("msg.new"), Payload: []byte(`{"text":"hello"}`)}
	b.ReportAllocs()
	for b.Loop() {
		w.r.conn.Queue(f)
		w.r.conn.Flush()
		w.r.conn.acknowledged(7)
	}
}

func BenchmarkPOST(b *testing.B) {
	w, k := quietWorld(b)
	k.req.Method, k.req.Path, k.req.RawQuery = "POST", "/v1/poll/frames", ""
	k.req.Body = []byte(`[{"type":"request","id":1,"command":"msg.send","payload":{"text":"hello"}}]`)
	b.ReportAllocs()
	for b.Loop() {
		w.srv.Serve(k)
	}
}

// TestWakeAllocates: a GET that waits and is woken costs its watcher, the place
// in the list and the encoded frame.
func TestWakeAllocates(t *testing.T) {
	w, k := quietWorld(t)
	f := wire.Frame{Type: wire.TypePush, Seq: 7, Command: []byte("msg.new"), Payload: []byte(`{"text":"hello"}`)}
	if n := testing.AllocsPerRun(100, func() { wake(w, k, &f) }); n > 3 && !raceEnabled {
		t.Errorf("a GET that is woken allocates %v times, want at most 3", n)
	}
}
