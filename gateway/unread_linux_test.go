package gateway_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// unread is how many bytes wait between the clients of a listener and its reader.
// addr is 127.0.0.1 and a port.
func unread(t *testing.T, addr string) (n uint64) {
	t.Helper()
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	ap := netip.MustParseAddrPort(addr)
	ip := ap.Addr().As4()
	door := strings.ToUpper(hex.EncodeToString([]byte{ip[3], ip[2], ip[1], ip[0]})) + fmt.Sprintf(":%04X", ap.Port())
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[3] != established || (f[1] != door && f[2] != door) {
			continue
		}
		var sending, waiting uint64
		if _, err := fmt.Sscanf(f[4], "%X:%X", &sending, &waiting); err != nil {
			t.Fatal(err)
		}
		if f[2] == door { // the client's end: what has not arrived
			n += sending
		} else { // the gateway's: what it has not read
			n += waiting
		}
	}
	return n
}

const established = "01"
