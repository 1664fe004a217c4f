package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// The commands of the reference backend that chat uses.
const (
	cmdSend = "msg.send"
	cmdPull = "msg.pull"
	cmdNew  = "msg.new"
)

// chatPullLimit is how many items one msg.pull asks for.
const chatPullLimit = 100

// outgoing is what msg.send takes.
type outgoing struct {
	To          string `json:"to"`
	ClientMsgID string `json:"client_msg_id"`
	Type        string `json:"type"`
	Content     string `json:"content"`
}

// message is what msg.new and msg.pull give, as far as chat looks into it.
type message struct {
	Position int64  `json:"position"`
	Seq      int64  `json:"seq"`
	From     string `json:"from"`
	To       string `json:"to"`
	Type     string `json:"type"`
	Content  string `json:"content"`
	TimeMS   int64  `json:"time_ms"`
}

// pulled is the reply of msg.pull.
type pulled struct {
	Items []json.RawMessage `json:"items"`
	More  bool              `json:"more"`
}

var errChatTimeout = errors.New("--timeout has passed")

// chatBatch pulls, sends and receives, as far as asked for, within f.timeout.
func chatBatch(ctx context.Context, f chatFlags, cfg client.Config, out io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, errChatTimeout)
	defer cancel()
	c, err := client.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if f.pull {
		err := chatPull(ctx, c, f.after, func(item json.RawMessage) error { return printJSON(out, item) })
		if err != nil {
			return err
		}
	}
	if f.sends {
		reply, err := chatSend(ctx, c, f.to, f.send)
		if err != nil {
			return err
		}
		if err := printJSON(out, reply); err != nil {
			return err
		}
	}
	if f.receives {
		return chatReceive(ctx, c, f.receive, out)
	}
	return nil
}

// chatSend sends a text and returns the backend's reply. The id is new each time:
// a message that should be sent twice is two messages.
func chatSend(ctx context.Context, c *client.Client, to, text string) ([]byte, error) {
	payload, err := json.Marshal(outgoing{To: to, ClientMsgID: rand.Text(), Type: "text", Content: text})
	if err != nil {
		return nil, err
	}
	return c.Request(ctx, cmdSend, payload)
}

// chatReceive prints the next n messages.
func chatReceive(ctx context.Context, c *client.Client, n int, out io.Writer) error {
	got := 0
	for p := range c.Pushes(ctx) {
		if p.Command != cmdNew {
			continue
		}
		if err := printJSON(out, p.Payload); err != nil {
			return err
		}
		if got++; got == n {
			return nil
		}
	}
	why := c.Err()
	switch {
	case why != nil: // the client has stopped
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		why = errChatTimeout
	default:
		why = ctx.Err() // a signal
	}
	return fmt.Errorf("received %d of %d: %w", got, n, why)
}

// chatPull hands the stored messages after a position to show, oldest first,
// page by page.
func chatPull(ctx context.Context, c *client.Client, after int64, show func(json.RawMessage) error) error {
	for {
		reply, err := c.Request(ctx, cmdPull, fmt.Appendf(nil, `{"after":%d,"limit":%d}`, after, chatPullLimit))
		if err != nil {
			return err
		}
		var page pulled
		if err := json.Unmarshal(reply, &page); err != nil {
			return fmt.Errorf("%s: reply: %w", cmdPull, err)
		}
		for _, item := range page.Items {
			var m message
			if err := json.Unmarshal(item, &m); err != nil {
				return fmt.Errorf("%s: item: %w", cmdPull, err)
			}
			if m.Position <= after {
				return fmt.Errorf("%s: position %d after %d", cmdPull, m.Position, after)
			}
			after = m.Position
			if err := show(item); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		if len(page.Items) == 0 {
			return fmt.Errorf("%s: there is more, but no item", cmdPull)
		}
	}
}

// printJSON writes one JSON value on one line; what is not JSON is shown as a
// JSON string.
func printJSON(out io.Writer, value []byte) error {
	var line bytes.Buffer
	if json.Compact(&line, value) != nil {
		line.Reset()
		text, err := json.Marshal(string(value))
		if err != nil {
			return err
		}
		line.Write(text)
	}
	line.WriteByte('\n')
	_, err := out.Write(line.Bytes())
	return err
}
