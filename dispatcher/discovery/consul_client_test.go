package discovery

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// TestFollowIndex plays an index that goes back, as after a restore, and a failure:
// after both the present state is asked for without waiting.
func TestFollowIndex(t *testing.T) {
	script := []int{7, 9, 3, 3, 500, 3, 0, 2} // what Consul answers; 500 is a failure
	asked := make(chan string, len(script)+1)
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Load() == int64(len(script)) {
			<-r.Context().Done()
			return
		}
		q := r.URL.Query()
		if q.Has("consistent") == q.Has("index") {
			t.Errorf("the query is %q, want it consistent when it does not wait, and only then", r.URL.RawQuery)
		}
		asked <- q.Get("index")
		if index := script[n.Load()]; index == 500 {
			w.WriteHeader(500)
		} else {
			w.Header().Set("X-Consul-Index", strconv.Itoa(index))
			_, _ = w.Write([]byte("[]"))
		}
		n.Add(1)
	}))
	defer server.Close()
	cfg := DefaultConsulConfig()
	cfg.Address = server.URL
	c, err := newConsulClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx, cancel := context.WithCancel(t.Context())
	ended, failures, answers := make(chan struct{}), 0, []uint64{}
	go func() {
		defer close(ended)
		c.follow(ctx, func(q *api.QueryOptions) (func(), *api.QueryMeta, error) {
			_, meta, err := c.KV().List("x", q)
			return func() { answers = append(answers, meta.LastIndex) }, meta, err
		}, func(error) { failures++ })
	}()
	var got []string
	for range len(script) {
		got = append(got, <-asked)
	}
	for n.Load() < int64(len(script)) {
		time.Sleep(time.Millisecond) // the last answer is being written
	}
	cancel()
	<-ended
	if want := []string{"", "7", "9", "", "3", "", "3", ""}; !slices.Equal(got, want) {
		t.Errorf("asked with the indexes %q, want %q", got, want)
	}
	// An answer from before what was known does not count.
	if want := []uint64{7, 9, 3, 3}; len(answers) < 4 || !slices.Equal(answers[:4], want) {
		t.Errorf("the answers that count have the indexes %d, want %d", answers, want)
	}
	if failures != 1 {
		t.Errorf("%d failures were reported, want 1", failures)
	}
}

// TestCallsHaveDeadlines talks to a Consul that takes connections and says nothing.
func TestCallsHaveDeadlines(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	cfg := DefaultConsulConfig()
	cfg.Address, cfg.Timeout, cfg.Wait = server.URL, 20*time.Millisecond, time.Second
	c, err := newConsulClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	r := Registration{ID: "a", Service: "logic", Address: "127.0.0.1:1"}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"register":      func() error { return c.register(ctx, r, 0) },
		"touch":         func() error { return c.touch(ctx, r) },
		"deregister":    func() error { return c.deregister(ctx, r) },
		"new session":   func() error { _, err := c.newSession(ctx, "a"); return err },
		"renew session": func() error { _, err := c.renewSession(ctx, "a"); return err },
		"end session":   func() error { return c.endSession(ctx, "a") },
		"list slots":    func() error { _, err := ListSlots(ctx, cfg, "logic"); return err },
		"retire":        func() error { _, err := RetireTop(ctx, cfg, "logic"); return err },
	} {
		if err := call(); err == nil {
			t.Errorf("%s returned without an error", name)
		}
	}
}

func TestTokenFile(t *testing.T) {
	tokens := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens <- r.Header.Get("X-Consul-Token")
		_, _ = w.Write([]byte("[]"))
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "token")
	cfg := DefaultConsulConfig()
	cfg.Address, cfg.TokenFile = server.URL, path
	c, err := newConsulClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, _, err := c.KV().List("x", query(t.Context())); err == nil {
		t.Error("a call without the token file succeeds")
	}
	for n, token := range []string{"first", "second"} {
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(int64(n+1), 0)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.KV().List("x", query(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := <-tokens; got != token {
			t.Errorf("the token sent is %q, want %q", got, token)
		}
	}
}
