package transport

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestPipelinedInParts: a request that comes in parts while the one before it is
// being answered is read in the order in which its bytes came, whether the
// answer goes out before the last part comes or after.
func TestPipelinedInParts(t *testing.T) {
	for name, answerFirst := range map[string]bool{"answer, then the rest": true, "the rest, then the answer": false} {
		t.Run(name, func(t *testing.T) {
			calls := make(chan *Call, 2)
			paths := make(chan string, 2)
			deps := testDeps()
			deps.Serve = func(k *Call) {
				paths <- k.Request().Path
				calls <- k
			}
			l := serve(t, ListenerConfig{Transports: []Name{Poll}}, deps)
			conn := dial(t, l)
			answers := bufio.NewReader(conn)
			say(t, conn, "GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /t")
			first := nextCall(t, calls)
			awaitKept(t, l)
			rest := "wo HTTP/1.1\r\nHost: x\r\n\r\n"
			if answerFirst {
				first.Answer(200, 0, []byte(`"one"`))
				wantAnswer(t, answers, `"one"`) // the client has it before it goes on
				say(t, conn, rest)
			} else {
				say(t, conn, rest)
				first.Answer(200, 0, []byte(`"one"`))
				wantAnswer(t, answers, `"one"`)
			}
			nextCall(t, calls).Answer(200, 0, []byte(`"two"`))
			wantAnswer(t, answers, `"two"`)
			if one, two := <-paths, <-paths; one != "/one" || two != "/two" {
				t.Errorf("paths %q and %q, want /one and /two", one, two)
			}
		})
	}
}

// awaitKept waits until the listener's only connection keeps a part of a request.
func awaitKept(t *testing.T, l *Listener) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		kept := 0
		l.Each(func(c *Conn) {
			c.readMu.Lock()
			defer c.readMu.Unlock()
			kept += len(c.partial)
		})
		if kept > 0 {
			return
		}
	}
	t.Fatal("nothing of the second request was kept")
}

func nextCall(t *testing.T, calls <-chan *Call) *Call {
	t.Helper()
	select {
	case k := <-calls:
		return k
	case <-time.After(patience / 3):
		t.Fatal("no call came")
		return nil
	}
}

func say(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

func wantAnswer(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || string(body) != want {
		t.Fatalf("%d %s, want 200 %s", resp.StatusCode, body, want)
	}
}
