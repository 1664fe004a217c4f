package admission_test

import (
	"fmt"
	"log/slog"
	"net/netip"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/gateway/admission"
)

// A connection is judged as more becomes known of it, and given back in the
// reverse order.
func Example() {
	cfg := admission.DefaultConfig()
	cfg.ConnectionsPerAddress.Max = 1
	clock := func() int64 { return 1 } // the timer wheel's, in a gateway
	gate, err := admission.New(cfg, clock, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		fmt.Println(err)
		return
	}
	client := netip.MustParseAddr("2001:db8::1")
	neighbour := netip.MustParseAddr("2001:db8::2") // in the same /64

	_, accepted := gate.Accept()
	_, entered := gate.Enter(client)
	_, welcome := gate.Handshake(client)
	_, user := gate.User("1001")
	fmt.Println(accepted, entered, welcome, user)

	gate.Accept()
	refusal, ok := gate.Enter(neighbour)
	fmt.Println(ok, refusal.Reason, refusal.Code)
	gate.Released() // what Accept let in is released, whatever Enter said

	var buckets [2]int64 // a field of the session
	reason, _ := gate.Request("1001", &buckets, []byte("msg.send"), 64)
	fmt.Printf("%q\n", reason)

	gate.UserLeft("1001")
	gate.Leave(client)
	gate.Released()
	// Output:
	// true true true true
	// false address_connections RATE_LIMITED
	// ""
}
