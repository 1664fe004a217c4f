package discovery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

func TestConsulConfig(t *testing.T) {
	if c := discovery.DefaultConsulConfig(); c.Enabled() || c.Validate() != nil {
		t.Errorf("the default is enabled = %v, Validate = %v, want neither", c.Enabled(), c.Validate())
	}
	tests := []struct {
		name   string
		change func(*discovery.ConsulConfig)
		want   string // "" for none
	}{
		{"plain", func(c *discovery.ConsulConfig) {}, ""},
		{"http", func(c *discovery.ConsulConfig) { c.Address = "http://127.0.0.1:8500" }, ""},
		{"https", func(c *discovery.ConsulConfig) { c.Address, c.TLS.CA = "https://consul:8501", "ca.pem" }, ""},
		{"no port", func(c *discovery.ConsulConfig) { c.Address = "consul" }, "address: "},
		{"other scheme", func(c *discovery.ConsulConfig) { c.Address = "ftp://consul:21" }, "address: "},
		{"tls without https", func(c *discovery.ConsulConfig) { c.TLS.CA = "ca.pem" }, "tls: given"},
		{"cert without key", func(c *discovery.ConsulConfig) { c.Address, c.TLS.Cert = "https://c:1", "c.pem" }, "tls: cert and key"},
		{"two tokens", func(c *discovery.ConsulConfig) { c.Token, c.TokenFile = "t", "f" }, "token_file: "},
		{"prefix", func(c *discovery.ConsulConfig) { c.Prefix = "/holdfast" }, "prefix: "},
		{"session", func(c *discovery.ConsulConfig) { c.SessionTTL = 9 * time.Second }, "session_ttl: 9s"},
		{"deregister", func(c *discovery.ConsulConfig) { c.DeregisterAfter = time.Second }, "deregister_after: 1s"},
		{"timeout", func(c *discovery.ConsulConfig) { c.Timeout = 0 }, "timeout: 0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := discovery.DefaultConsulConfig()
			c.Address = "127.0.0.1:8500"
			tt.change(&c)
			err := c.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Validate = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestRegistrationValidate(t *testing.T) {
	good := discovery.Registration{ID: "echo-1.local:7091", Service: "echo", Address: "unix:/run/e.sock", Slot: discovery.ClaimSlot}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate(%+v) = %v", good, err)
	}
	bad := discovery.Registration{ID: "a/b", Service: "", Address: "x", Slot: -3}
	err := bad.Validate()
	for _, want := range []string{"id: ", "service: ", "slot: ", "address: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate(%+v) = %v, want it to name %q", bad, err, want)
		}
	}
}
