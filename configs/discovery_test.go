package configs

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestConsulMistakes checks what is said of a file that cannot work, with its line.
func TestConsulMistakes(t *testing.T) {
	const services = "dispatcher:\n  services: [{name: logic}]\n"
	tests := []struct {
		name string
		role Role
		text string
		want []string
	}{
		{"kind", RoleGateway, "discovery: {kind: dns}\n", []string{`f.yaml:1: discovery.kind: "dns", want static or consul`}},
		{"unused Consul is judged too", RoleGateway, "discovery: {consul: {address: nowhere}}\n", []string{"f.yaml:1: discovery.consul.address:"}},
		{"no Consul", RoleGateway, services + "discovery:\n  kind: consul\n  consul: {address: \"\"}\n",
			[]string{"f.yaml:5: discovery.consul.address: empty, but kind is consul"}},
		{"two keys", RoleGateway, services + "discovery:\n  kind: consul\n  consul:\n    token: a\n    token_file: b\n    wait: 1ms\n",
			[]string{"f.yaml:7: discovery.consul.token_file: given beside token", "f.yaml:8: discovery.consul.wait: 1ms, want at least 1s"}},
		{"instances beside Consul", RoleGateway, "discovery: {kind: consul}\ndispatcher: {services: [{name: logic, instances: [{address: \"h:1\"}]}]}\n",
			[]string{"f.yaml:2: dispatcher.services[0].instances: given, but discovery.kind is consul, which tells them"}},
		{"unknown", RoleGateway, "discovery: {consul: {adress: x}}\n", []string{`did you mean "address"`}},
		{"watch", RoleGateway, "reload: {watch: 1ms}\n", []string{"f.yaml:1: reload.watch: 1ms, want at least 100ms, or 0s for none"}},
		{"register kind", RoleEcho, "register: {kind: static}\n", []string{`f.yaml:1: register.kind: "static", want none or consul`}},
		{"slot", RoleEcho, "register: {slot: top}\n", []string{`f.yaml:1: register.slot: want auto, none or a number from 0 to 65535, got "top"`}},
		{"negative slot", RoleLogic, "register: {slot: -2}\n", []string{`register.slot: want auto, none or a number`}},
		{"weight", RoleLogic, "register: {weight: 0}\n", []string{"f.yaml:1: register.weight: 0, want at least 1"}},
		{"address", RoleLogic, "register: {address: nowhere}\n", []string{"f.yaml:1: register.address:"}},
		{"a socket has no name", RoleEcho, "kit: {listen: \"unix:/run/e.sock\"}\nregister: {kind: consul}\n", []string{"register.id: empty, and kit.listen is the unix socket /run/e.sock"}},
		{"every address", RoleEcho, "kit: {listen: \"0.0.0.0:7091\"}\nregister: {kind: consul}\n", []string{"register.address: empty, and kit.listen 0.0.0.0:7091 is every address"}},
		{"name", RoleEcho, "kit: {service: a/b}\nregister: {kind: consul}\n", []string{`f.yaml:1: kit.service: "a/b", want letters`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(tt.role, tt.role.Default(), Sources{File: "f.yaml"}, []byte(tt.text))
			if err == nil {
				t.Fatalf("load(%q) = nil, want %q", tt.text, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("load(%q) = %v, want %q", tt.text, err, want)
				}
			}
		})
	}
}

// TestRegister checks what an instance announces of itself.
func TestRegister(t *testing.T) {
	got, err := load(RoleEcho, DefaultEcho(), Sources{File: "f.yaml"}, []byte(
		"register: {kind: consul, slot: 3, zone: z1, version: 1.2.0, track: canary, weight: 5}\n"))
	if err != nil {
		t.Fatal(err)
	}
	r := got.(Echo).Register
	if !r.Enabled() || r.Slot != 3 {
		t.Errorf("Enabled() = %v, Slot = %v, want true, 3", r.Enabled(), r.Slot)
	}
	if diff := cmp.Diff(map[string]string{"version": "1.2.0", "track": "canary", "weight": "5"}, r.Meta()); diff != "" {
		t.Errorf("Meta() (-want +got):\n%s", diff)
	}
	for slot, text := range map[Slot]string{SlotAuto: "auto", SlotNone: "none", 0: "0", 65535: "65535"} {
		var back Slot
		written, err := slot.MarshalText()
		if err != nil || string(written) != text || back.UnmarshalText(written) != nil || back != slot {
			t.Errorf("%d is written %q (%v) and read back as %d, want %q", int(slot), written, err, int(back), text)
		}
	}
}

func TestDifferences(t *testing.T) {
	a, b := DefaultGateway(), DefaultGateway()
	if got := Differences(a, b); got != nil {
		t.Errorf("of equal ones: %v", got)
	}
	b.Log.Format = "json"
	b.Dispatcher.Routes = b.Dispatcher.Routes[:0:0]
	b.Dispatcher.Login.Queue++
	b.Gateway.Labels = map[string]string{"rack": "1"}
	want := []string{"dispatcher.login.queue", "dispatcher.routes", "labels.rack", "log.format"}
	if got := Differences(a, b); !slices.Equal(got, want) {
		t.Errorf("Differences = %v, want %v", got, want)
	}
}
