package main

import (
	"crypto/tls"
	"net/http"
	"testing"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// TestEdgeSample runs configs/gateway.edge.yaml: each name has its certificate,
// clients are seen as who they are, and balancers are answered.
func TestEdgeSample(t *testing.T) {
	w, ca := startWitness(t), testenv.NewCA(t)
	com, net := ca.Issue("gw.example.com"), ca.Issue("gw.example.net")
	g := startSample(t, "gateway.edge.yaml", w.addr, com, map[string]string{
		"listeners[0].tls.certificates[1].cert": net.CertFile, "listeners[0].tls.certificates[1].key": net.KeyFile,
		"drain.deregister_delay": "0s", "drain.window": "1s",
	})
	for name, cert := range map[string]testenv.Cert{"gw.example.com": com, "gw.example.net": net} {
		conn, err := edgeDialer{from: "127.0.0.31", config: ca.Client(name, "holdfast.v1")}.dial(t.Context(), g.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		state := conn.(*tls.Conn).ConnectionState()
		if state.PeerCertificates[0].SerialNumber.Cmp(cert.Serial) != 0 || state.NegotiatedProtocol != "holdfast.v1" {
			t.Errorf("%s: another certificate, or ALPN %q", name, state.NegotiatedProtocol)
		}
		if err := login(conn, name); err != nil || w.saw(name) != "127.0.0.31" {
			t.Errorf("%s: %v, the backend sees %q", name, err, w.saw(name))
		}
	}
	awaitAdmin(t, g.health, "/readyz", func(status int, body string) bool { return status == http.StatusOK && body == "ok\n" }, "ok")
}
