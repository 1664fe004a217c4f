package proof

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// options say what is attacked.
type options struct {
	// files is the gateway's limit of descriptors, 0 for this process's own.
	files int
	// more is more of the gateway's configuration.
	more string
	// admission replaces the one that lets everybody in.
	admission string
}

// unlimited admission: the tests' clients all come from one address.
const unlimited = `
  connections_per_address: {max: 0}
  connections_per_user: {max: 0}
  accepts: {per_second: 0, burst: 0}
  accepts_per_address: {per_second: 0, burst: 0}
  handshakes: {per_second: 0, burst: 0}
  handshakes_per_address: {per_second: 0, burst: 0}
  session_requests: {per_second: 0, burst: 0}
  session_bytes: {per_second: 0, burst: 0}
`

// target is a gateway and an echo backend as processes, on loopback.
type target struct {
	t       *testing.T
	gateway *proc
	echo    *proc
	edge    string // every transport
	proxied string // every plain transport behind a PROXY header
	admin   string
	tls     *tls.Config // of clients
}

// deploy starts both and returns when the gateway has heard from echo.
func deploy(t *testing.T, o options) *target {
	t.Helper()
	if o.admission == "" {
		o.admission = unlimited
	}
	g := &target{t: t}
	address := testenv.FreeAddress(t)
	g.echo = start(t, "echo", holdfast(t), "echo", "--admin", "", "--set", "kit.listen="+address)
	g.echo.AwaitAll(`msg=serving`, 1)

	ca := testenv.NewCA(t)
	cert := ca.Issue("localhost")
	g.tls = ca.Client("localhost")
	config := filepath.Join(t.TempDir(), "gateway.yaml")
	text := fmt.Sprintf(`name: proof
listeners:
  - transports: [tcp, ws, poll, sse, tls, wss, polls, sses]
    address: 127.0.0.1:0
    tls: {certificates: [{cert: %s, key: %s}]}
  - transports: [tcp, ws, poll, sse]
    address: 127.0.0.1:0
    proxy: {required: true, trusted: [127.0.0.0/8]}
rpc: {listen: 127.0.0.1:0}
drain: {window: 0s, deregister_delay: 0s}
admin: {listen: 127.0.0.1:0}
dispatcher:
  services:
    - name: echo
      instances: [{id: echo-0, slot: 0, address: %s}]
  routes: [{prefix: echo., service: echo}]
  login: {service: echo}
admission:%s%s`, cert.CertFile, cert.KeyFile, address, o.admission, o.more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{holdfast(t), "gateway", "--config", config}
	if o.files > 0 {
		args = append([]string{"sh", "-c", "ulimit -n " + strconv.Itoa(o.files) + ` && exec "$0" "$@"`}, args...)
	}
	g.gateway = start(t, "gateway", args[0], args[1:]...)
	listening := g.gateway.AwaitAll(`(?m)msg=listening .* address=(\S+)$`, 2)
	g.edge, g.proxied = listening[0][1], listening[1][1]
	if strings.Contains(listening[1][0], "tls") { // which is logged first is chance
		g.edge, g.proxied = g.proxied, g.edge
	}
	g.admin = g.gateway.Await(`(?m)msg="admin server listens" address=(\S+)$`)[1]
	g.gateway.AwaitAll(`msg="instance answers"`, 1)
	return g
}
