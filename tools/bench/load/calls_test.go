package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// fakeCalls answers the calls of long poll and SSE, as far as the loader makes
// them, through net/http.
type fakeCalls struct {
	mangle func(payload string) string // of replies
	hello  string                      // answers HELLO instead of WELCOME

	mu       sync.Mutex // guards the following
	sessions map[string]chan string
	named    int
	ended    int
}

func newFakeCalls(t *testing.T, secure bool, options ...func(*fakeCalls)) (*fakeCalls, string) {
	t.Helper()
	g := &fakeCalls{sessions: map[string]chan string{}, mangle: func(s string) string { return s }}
	for _, o := range options {
		o(g)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/poll", g.login)
	mux.HandleFunc("GET /v1/poll", g.poll)
	mux.HandleFunc("GET /v1/events", g.events)
	mux.HandleFunc("POST /v1/poll/frames", g.frames)
	mux.HandleFunc("DELETE /v1/poll", g.end)
	s := httptest.NewUnstartedServer(mux)
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return g, s.Listener.Addr().String()
}

func (g *fakeCalls) login(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hello != "" {
		io.WriteString(w, g.hello)
		return
	}
	name := fmt.Sprintf("s%d", len(g.sessions))
	g.sessions["Bearer "+name+".x"] = make(chan string, 1)
	welcome := wire.Welcome{Session: name, Secret: "x", UID: "u", Gateway: "fake", Window: 64, MaxFrame: 64 << 10}
	b, err := wire.AppendJSON(nil, &wire.Frame{Type: wire.TypeWelcome, Payload: wire.AppendWelcome(nil, &welcome)})
	if err != nil {
		panic(err)
	}
	w.Write(b)
}

func (g *fakeCalls) of(r *http.Request) chan string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.URL.Query().Get("replies") != "" {
		g.named++
	}
	return g.sessions[r.Header.Get("Authorization")]
}

func (g *fakeCalls) poll(w http.ResponseWriter, r *http.Request) {
	select {
	case frame := <-g.of(r):
		fmt.Fprintf(w, "[%s]", frame)
	case <-time.After(20 * time.Millisecond):
		io.WriteString(w, "[]")
	case <-r.Context().Done():
	}
}

func (g *fakeCalls) events(w http.ResponseWriter, r *http.Request) {
	io.WriteString(w, ":\n\n")
	http.NewResponseController(w).Flush()
	for {
		select {
		case frame := <-g.of(r):
			fmt.Fprintf(w, "data: %s\n\n", frame)
			http.NewResponseController(w).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

func (g *fakeCalls) frames(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	frames, err := wire.ParseJSONArray(nil, body, wire.FromClient)
	if err != nil || len(frames) != 1 || string(frames[0].Command) != echoCommand {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	io.WriteString(w, "[]")
	g.of(r) <- fmt.Sprintf(`{"type":"reply","id":%d,"status":0,"payload":%s}`, frames[0].ID, g.mangle(string(frames[0].Payload)))
}

func (g *fakeCalls) end(w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ended++
	io.WriteString(w, `{"type":"close","code":1000,"reason":""}`)
}

func newTestCalls(t *testing.T, endpoint string) *Calls {
	t.Helper()
	f, err := NewCalls(DefaultConfig(endpoint))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestCalls(t *testing.T) {
	for _, transport := range CallTransports {
		t.Run(transport, func(t *testing.T) {
			g, addr := newFakeCalls(t, strings.HasSuffix(transport, "ls") || transport == "sses")
			f := newTestCalls(t, transport+"://"+addr)
			for total := 3; total <= 6; total += 3 { // the second time those that are there stay
				tally, err := f.Connect(t.Context(), total)
				if err != nil || tally.Done != 3 || len(tally.Errors) > 0 || f.Open() != total {
					t.Fatalf("Connect(%d) = %d, %v, %v; %d open", total, tally.Done, tally.Errors, err, f.Open())
				}
				tally, err = f.EchoOnce(t.Context(), 64)
				if err != nil || tally.Done != 3 || len(tally.Errors) > 0 {
					t.Errorf("EchoOnce = %d, %v, %v", tally.Done, tally.Errors, err)
				}
			}
			ctx, stop := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer stop()
			held, err := f.Hold(ctx)
			if err != nil || len(held.Errors) > 0 || (held.Pings == 0) != strings.HasPrefix(transport, "sse") {
				t.Errorf("Hold = %d beats, %v, %v", held.Pings, held.Errors, err)
			}
			if left, err := f.Leave(t.Context()); err != nil || len(left.Errors) > 0 {
				t.Errorf("Leave = %v, %v", left.Errors, err)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.ended != 6 || (g.named > 0) != strings.HasPrefix(transport, "poll") {
				t.Errorf("the gateway saw %d sessions end, want 6, and %d replies named", g.ended, g.named)
			}
		})
	}
}

func TestCallsThatFail(t *testing.T) {
	tests := []struct {
		name   string
		option func(*fakeCalls)
		kind   string
	}{
		{"refused", func(g *fakeCalls) { g.hello = `{"type":"close","code":4003,"reason":""}` }, closeKind(wire.CloseOverloaded)},
		{"nonsense", func(g *fakeCalls) { g.hello = "hello" }, KindFrame},
		{"mangled", func(g *fakeCalls) { g.mangle = func(string) string { return `"other"` } }, KindPayload},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, addr := newFakeCalls(t, false, tt.option)
			f := newTestCalls(t, "poll://"+addr)
			tally, err := f.Connect(t.Context(), 2)
			if err == nil {
				tally, err = f.EchoOnce(t.Context(), 64)
			} else {
				err = nil // nobody was let in, as is told
			}
			if err != nil || tally.Errors[tt.kind] != 2 {
				t.Errorf("errors %v, %v; want two of %s", tally.Errors, err, tt.kind)
			}
		})
	}
}
