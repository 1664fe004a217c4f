package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// Connect, ask, and be told.
func Example() {
	gateway := startTiny()
	defer gateway.stop()
	ctx := context.Background()

	told := make(chan struct{})
	c, err := client.Dial(ctx, client.Config{
		Endpoints: []string{gateway.addr()},
		Token:     "a token of the application's",
		OnPush: func(_ context.Context, p client.Push) {
			fmt.Printf("push %d: %s %s\n", p.Seq, p.Command, p.Payload)
			close(told)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	fmt.Println("I am", c.Session().UID)
	reply, err := c.Request(ctx, "echo.push", []byte("good news"))
	<-told
	fmt.Printf("reply: %s %v\n", reply, err)
	// Output:
	// I am 1001
	// push 1: echo.pushed good news
	// reply: good news <nil>
}

// Errors say whether a request may be sent again.
func ExampleClient_Request() {
	gateway := startTiny()
	defer gateway.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, client.Config{Endpoints: []string{gateway.addr()}, OnPush: client.Discard})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	_, err = c.Request(ctx, "echo.fail", nil)
	var status *client.StatusError
	if errors.As(err, &status) {
		fmt.Println(status.Status, status.Reason, "- again in", status.RetryAfter)
	}
	fmt.Println("safe to send again:", client.NotRun(err))

	// A cut is no error: the session is resumed, and the reply comes.
	gateway.cut()
	reply, err := c.Request(ctx, "echo.say", []byte("still there?"))
	fmt.Printf("%s %v\n", reply, err)
	// Output:
	// UNAVAILABLE vacant - again in 200ms
	// safe to send again: true
	// still there? <nil>
}

// Pushes as a loop, for a program that has nothing else to do.
func ExampleClient_Pushes() {
	gateway := startTiny()
	defer gateway.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, client.Config{Endpoints: []string{gateway.addr()}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	for i := range 3 {
		if _, err := c.Request(ctx, "echo.push", fmt.Append(nil, "number ", i+1)); err != nil {
			log.Fatal(err)
		}
	}
	for p := range c.Pushes(ctx) { // each is acknowledged when the body ends
		fmt.Println(p.Seq, string(p.Payload))
		if p.Seq == 3 {
			break
		}
	}
	// Output:
	// 1 number 1
	// 2 number 2
	// 3 number 3
}

// OnState is where an application learns that it has a new session, and so has
// to fetch what it missed. After StateResumed it has missed nothing.
func ExampleConfig_onState() {
	gateway := startTiny()
	defer gateway.stop()
	states := make(chan client.Change, 16)
	c, err := client.Dial(context.Background(), client.Config{
		Endpoints: []string{gateway.addr()},
		Backoff:   client.Backoff{Base: 10 * time.Millisecond}, // 1 s unless you know better
		OnPush:    client.Discard,
		OnState:   func(ch client.Change) { states <- ch },
	})
	if err != nil {
		log.Fatal(err)
	}
	show := func(last client.State) {
		for ch := range states {
			fmt.Println(ch.State)
			if ch.State == last {
				break
			}
		}
	}
	show(client.StateConnected)
	gateway.cut() // the network's doing: the session is still there
	show(client.StateResumed)
	gateway.forget() // a restart, for instance
	gateway.cut()
	show(client.StateConnected)
	c.Close()
	fmt.Println((<-states).State, "because:", c.Err())
	// Output:
	// connecting
	// connected
	// waiting
	// connecting
	// resumed
	// waiting
	// connecting
	// connected
	// stopped because: client: closed
}
