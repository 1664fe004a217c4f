package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/gateway/client"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// messaging is a gateway and the reference backend as processes.
type messaging struct {
	t              *testing.T
	data, address  string
	gateway, logic *proc
	endpoint       string
	folder         keys.Folder
}

func deployMessaging(t *testing.T) *messaging {
	t.Helper()
	m := &messaging{t: t, data: filepath.Join(t.TempDir(), "data"), address: "127.0.0.1:" + freePort(t)}
	m.startLogic()
	var err error
	if m.folder, err = keys.OpenFolder(m.data, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	m.gateway = start(t, "gateway", nil, nil, holdfast(t), "gateway", "--admin=", "--set", "listeners[0].address=127.0.0.1:0",
		"--set", "rpc.listen=127.0.0.1:0", "--set", "drain.window=0s", "--set", "dispatcher.services[0].instances[0].address="+m.address)
	m.endpoint = m.gateway.Await(`(?m)msg=listening .* address=(\S+)$`)[1]
	m.gateway.Await(`msg="instance answers"`)
	return m
}

func (m *messaging) startLogic() {
	m.t.Helper()
	m.logic = start(m.t, "logic", nil, nil, holdfast(m.t), "logic", "--admin=", "--data", m.data, "--set", "kit.listen="+m.address)
	m.logic.Await(`(?m)msg=serving .* address=`)
}

func (m *messaging) connect(uid string) (*client.Client, error) {
	token, err := m.folder.Sign(uid, time.Hour)
	if err != nil {
		return nil, err
	}
	return client.Dial(m.t.Context(), client.Config{Endpoints: []string{m.endpoint}, Token: token, RequestTimeout: 2 * requestTimeout})
}

// conversation is one user who writes to another, a message at a time, each until
// it is acknowledged.
type conversation struct {
	from, to string
	client   *client.Client
	acked    []string // message ids in the order of sending
	again    int      // how often a message was sent again
}

// write sends until ctx ends. A message that was not acknowledged is sent again
// under the same client_msg_id.
func (c *conversation) write(ctx context.Context) error {
	const pause = 100 * time.Millisecond // of a person who types fast
	for n := 1; ctx.Err() == nil; n++ {
		payload := fmt.Appendf(nil, `{"to":%q,"client_msg_id":"m-%d","type":"text","content":%d}`, c.to, n, n)
		for {
			reply, err := c.client.Request(context.WithoutCancel(ctx), "msg.send", payload)
			if err == nil {
				var r struct {
					MsgID string `json:"msg_id"`
				}
				if err := json.Unmarshal(reply, &r); err != nil {
					return err
				}
				c.acked = append(c.acked, r.MsgID)
				break
			}
			var status *client.StatusError
			if !errors.As(err, &status) || !status.FromGateway {
				return fmt.Errorf("message %d: %w", n, err)
			}
			c.again++
			time.Sleep(max(status.RetryAfter, pause) / 2) // impatient, as a test should be
		}
		time.Sleep(pause)
	}
	return nil
}

// check pulls what the receiver has and holds it against what was acknowledged.
func (c *conversation) check(ctx context.Context, receiver *client.Client) error {
	delivered := map[string]bool{}
	last, after := 0, int64(0)
	for more := true; more; {
		reply, err := receiver.Request(ctx, "msg.pull", fmt.Appendf(nil, `{"after":%d,"limit":500}`, after))
		if err != nil {
			return err
		}
		var page struct {
			Items []struct {
				Position int64  `json:"position"`
				MsgID    string `json:"msg_id"`
				Content  int    `json:"content"`
				Seq      int    `json:"seq"`
			} `json:"items"`
			More bool `json:"more"`
		}
		if err := json.Unmarshal(reply, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			// A message is sent after the one before it was acknowledged, so all three
			// numbers are the same when nothing is lost, doubled or out of order.
			if last++; item.Content != last || item.Seq != last || item.Position != int64(last) {
				return fmt.Errorf("%s has message %d at seq %d, position %d, want all of them %d", c.to, item.Content, item.Seq, item.Position, last)
			}
			delivered[item.MsgID], after = true, item.Position
		}
		more = page.More
	}
	for n, id := range c.acked {
		if !delivered[id] {
			return fmt.Errorf("%s: message %d (%s) was acknowledged and is gone", c.to, n+1, id)
		}
	}
	return nil
}

// TestNothingAcknowledgedIsLost kills the messaging backend again and again while
// 200 conversations go on. What was acknowledged is delivered, once, in order (the
// part of P4 that is about logic).
func TestNothingAcknowledgedIsLost(t *testing.T) {
	const conversations = 200
	kills := 5
	if testenv.Soak() {
		kills = 50
	}
	m := deployMessaging(t)
	all := make([]*conversation, conversations)
	for i := range all {
		all[i] = &conversation{from: fmt.Sprintf("from-%d", i), to: fmt.Sprintf("to-%d", i)}
		c, err := m.connect(all[i].from)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		all[i].client = c
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for _, c := range all {
		wg.Go(func() {
			if err := c.write(ctx); err != nil {
				failed.Store(&err)
			}
		})
	}
	defer func() { stop(); wg.Wait() }()
	for range kills {
		time.Sleep(500*time.Millisecond + rand.N(time.Second))
		m.logic.Kill()
		m.startLogic()
	}
	time.Sleep(time.Second)
	stop()
	wg.Wait()
	if err := failed.Load(); err != nil {
		t.Fatalf("an answer that a client can do nothing with: %v", *err)
	}
	acked, again := 0, 0
	for _, c := range all {
		acked += len(c.acked)
		again += c.again
		receiver, err := m.connect(c.to)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.check(t.Context(), receiver); err != nil {
			t.Error(err)
		}
		_ = receiver.Close() // nothing is asked of it any more
	}
	testenv.Figure(t, "P4", "%d kills: %d messages acknowledged in %d conversations, %d sent again; none lost, doubled or out of order: %v",
		kills, acked, conversations, again, !t.Failed())
	if again == 0 {
		t.Error("no kill met a message on its way: this shows nothing")
	}
}
