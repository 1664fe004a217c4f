package gateway_test

import (
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/gateway/wire"
)

// TestBurstAfterWelcome: what a client sends once it has WELCOME is not taken for
// what may be sent ahead of it, which has a bound of its own.
func TestBurstAfterWelcome(t *testing.T) {
	const clients, requests = 60, 8
	gw := start(t)
	payload := `"` + strings.Repeat("x", 60<<10) + `"`
	var burst []wire.Frame
	for id := range uint32(requests) {
		burst = append(burst, request(id+1, "echo.say", payload))
	}
	for i := range clients {
		p := gw.login("u")
		p.send(burst...)
		for range requests {
			if f := p.next(); f.Type != wire.TypeReply {
				t.Fatalf("client %d: %s %s, want REPLY", i, f.Type, describe(f))
			}
		}
		p.Close()
	}
}
