package discovery_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/tools/testenv"
)

// policy is all that a token needs, as ConsulConfig.Token says.
const policy = `
key_prefix "holdfast-test/" { policy = "write" }
session_prefix "" { policy = "write" }
service_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
`

// TestConsulSecured uses a Consul that wants a token of everybody, and over TLS a
// certificate too.
func TestConsulSecured(t *testing.T) {
	t.Parallel()
	const root = "11111111-2222-3333-4444-555555555555"
	files := newCertificates(t)
	server := testenv.StartConsul(t, testenv.ConsulOptions{HTTPS: true, Token: root, HCL: fmt.Sprintf(`
acl {
  enabled = true
  default_policy = "deny"
  tokens { initial_management = %q  agent = %q }
}
tls { defaults {
  ca_file = %q
  cert_file = %q
  key_file = %q
  verify_incoming = true
} }`, root, root, files.ca, files.cert, files.key)})
	cfg := consulConfig("https://"+server.TLS, t.Name())
	cfg.Settle = 0
	cfg.TLS = discovery.ConsulTLS{CA: files.ca, Cert: files.cert, Key: files.key, ServerName: "consul.test"}
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(cfg.TokenFile, []byte(newToken(t, server.Addr, root)), 0o600); err != nil {
		t.Fatal(err)
	}

	d := watch(t, cfg, discovery.Watch{Services: []string{"echo"}})
	told, leave := announce(t, cfg, echoAt("a", discovery.ClaimSlot))
	told.awaitSlot(t, 0)
	until(t, d, "echo", func(s discovery.Service) bool { return len(s.Instances) == 1 && s.Instances[0].Slot == 0 })
	if err := leave(); err != nil {
		t.Fatal(err)
	}
	if slot, err := discovery.RetireTop(t.Context(), cfg, "echo"); slot != 0 || err != nil {
		t.Errorf("RetireTop = %d, %v, want 0", slot, err)
	}
	for name, spoil := range map[string]func(*discovery.ConsulConfig){
		"a wrong token":          func(c *discovery.ConsulConfig) { c.TokenFile, c.Token = "", "66666666-2222-3333-4444-555555555555" },
		"no certificate":         func(c *discovery.ConsulConfig) { c.TLS.Cert, c.TLS.Key = "", "" },
		"another authority":      func(c *discovery.ConsulConfig) { c.TLS.CA = newCertificates(t).ca },
		"another name":           func(c *discovery.ConsulConfig) { c.TLS.ServerName = "other.test" },
		"plain HTTP on the port": func(c *discovery.ConsulConfig) { c.Address, c.TLS = server.TLS, discovery.ConsulTLS{} },
	} {
		bad := cfg
		spoil(&bad)
		if states, err := discovery.ListSlots(t.Context(), bad, "echo"); err == nil {
			t.Errorf("with %s ListSlots = %+v, want an error", name, states)
		}
	}
}

// newToken asks Consul for a token with the policy alone.
func newToken(t *testing.T, addr, root string) string {
	t.Helper()
	client := dial(t, addr)
	w := &api.WriteOptions{Token: root}
	if _, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: "holdfast", Rules: policy}, w); err != nil {
		t.Fatal(err)
	}
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLTokenPolicyLink{{Name: "holdfast"}}}, w)
	if err != nil {
		t.Fatal(err)
	}
	return token.SecretID
}

// certificates are files: an authority, and a certificate that it has signed for
// both ends.
type certificates struct{ ca, cert, key string }

func newCertificates(t *testing.T) certificates {
	t.Helper()
	folder := t.TempDir()
	save := func(name, kind string, der []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	must(err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "consul.test"}, DNSNames: []string{"consul.test"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	must(err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	must(err)
	return certificates{
		ca:   save("ca.pem", "CERTIFICATE", caDER),
		cert: save("cert.pem", "CERTIFICATE", leafDER),
		key:  save("key.pem", "EC PRIVATE KEY", keyDER),
	}
}
