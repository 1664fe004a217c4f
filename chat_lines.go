package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// chatLineBytesMax bounds a line of input; a gateway's frame is 64 KiB.
const chatLineBytesMax = 64 << 10

// conversation is an interactive chat.
type conversation struct {
	// static
	uid     string // who we are
	to      string
	timeout time.Duration

	mu   sync.Mutex // guards the following; lines must not run into each other
	out  io.Writer
	errs io.Writer
	last int64 // the highest position shown
}

// chatByLine sends each line of input and prints what comes, until the input
// ends, /quit, a signal, or a gateway that wants this client to stay away.
func chatByLine(ctx context.Context, f chatFlags, cfg client.Config, streams chatStreams) error {
	v := &conversation{to: f.to, timeout: f.timeout, out: streams.out, errs: streams.errs, last: f.after}
	cfg.OnPush = func(_ context.Context, p client.Push) {
		if p.Command == cmdNew {
			_ = v.show(p.Payload) // on a broken terminal there is nobody to tell
		}
	}
	cfg.OnState = v.state
	dialing, cancel := context.WithTimeoutCause(ctx, f.timeout, errChatTimeout)
	c, err := client.Dial(dialing, cfg)
	cancel()
	if err != nil {
		return err
	}
	defer c.Close()
	v.note("%s at %s, talking to %s; /help says what else there is", printable(c.Session().UID), c.Session().Endpoint, printable(f.to))
	ended := make(chan struct{})
	defer close(ended)
	for lines := chatLines(streams.in, ended); ; {
		select {
		case <-ctx.Done(): // a signal is a way to leave
			return nil
		case <-c.Done():
			return c.Err()
		case line := <-lines:
			if line.err != nil || line.text == "/quit" {
				return line.problem()
			}
			v.say(ctx, c, line.text)
		}
	}
}

// inputLine is a line, or why there are no more.
type inputLine struct {
	text string
	err  error
}

// problem is the error to exit with; the end of the input is none.
func (l inputLine) problem() error {
	if l.err == nil || errors.Is(l.err, io.EOF) {
		return nil
	}
	return fmt.Errorf("standard input: %w", l.err)
}

// chatLines reads lines until the input ends, or one is ready after quit was
// closed. Its goroutine is not waited for: reading a terminal cannot be
// interrupted, so it ends with the process.
func chatLines(in *bufio.Reader, quit <-chan struct{}) <-chan inputLine {
	lines := make(chan inputLine)
	put := func(l inputLine) bool {
		select {
		case lines <- l:
			return true
		case <-quit:
			return false
		}
	}
	go func() {
		scanner := bufio.NewScanner(in)
		scanner.Buffer(nil, chatLineBytesMax)
		for scanner.Scan() {
			if !put(inputLine{text: scanner.Text()}) {
				return
			}
		}
		err := scanner.Err()
		if err == nil {
			err = io.EOF
		}
		put(inputLine{err: err})
	}()
	return lines
}

// say handles a line of input. What goes wrong is told, and the chat goes on.
func (v *conversation) say(ctx context.Context, c *client.Client, line string) {
	ctx, cancel := context.WithTimeoutCause(ctx, v.timeout, errChatTimeout)
	defer cancel()
	switch text := strings.TrimSpace(line); {
	case text == "":
	case text == "/help":
		v.note("/pull shows what is stored and was not shown, /quit leaves, //text sends /text, anything else is sent")
	case text == "/pull":
		v.mu.Lock()
		after := v.last
		v.mu.Unlock()
		if err := chatPull(ctx, c, after, v.show); err != nil {
			v.note("not pulled: %v", err)
		}
	case strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//"):
		v.note("there is no %s; /help says what there is", printable(text))
	default:
		_, err := chatSend(ctx, c, v.to, strings.TrimPrefix(line, "/"))
		status, answered := errors.AsType[*client.StatusError](err)
		switch {
		case err == nil:
		case client.NotRun(err):
			v.note("not sent: %v", err)
		case answered && !status.MayHaveRun():
			v.note("refused: %v", err)
		default:
			v.note("perhaps sent: %v", err)
		}
	}
}

// show prints a message that came.
func (v *conversation) show(item json.RawMessage) error {
	var m message
	if err := json.Unmarshal(item, &m); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.last = max(v.last, m.Position)
	who := printable(m.From)
	if m.From == v.uid {
		who = "me to " + printable(m.To)
	}
	at := time.UnixMilli(m.TimeMS).Format(time.TimeOnly)
	_, err := fmt.Fprintf(v.out, "%s %s: %s\n", at, who, printable(m.Content))
	return err
}

// state tells of the connection's fate.
func (v *conversation) state(change client.Change) {
	switch change.State {
	case client.StateWaiting:
		v.note("disconnected (%v), trying again in %v", change.Err, change.RetryIn.Round(time.Millisecond))
	case client.StateResumed:
		v.note("connected again, to %s; nothing was missed", change.Endpoint)
	case client.StateConnected:
		v.mu.Lock()
		again := v.uid != ""
		v.uid = change.Session.UID
		v.mu.Unlock()
		if again {
			v.note("connected again, to %s; /pull shows what came meanwhile", change.Endpoint)
		}
	}
}

// note prints a remark that is not part of the conversation.
func (v *conversation) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.errs, "* "+format+"\n", args...)
}

// printable keeps another user's text from steering our terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !strconv.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
