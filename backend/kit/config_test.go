package kit

import (
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestConfigNamesEveryMistake(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Service, cfg.Listen = "im", "127.0.0.1:0"
	if err := cfg.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	err := Config{DrainTimeout: -1, DrainNotice: -1, Gateways: GatewaysConfig{Batch: batchMax + 1}}.Validate()
	if err == nil {
		t.Fatal("the zero Config is valid")
	}
	for _, key := range keys(reflect.TypeFor[Config](), "") {
		if !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("no mistake is named for %s in:\n%v", key, err)
		}
	}
}

// keys lists the settings as the configuration file has them.
func keys(t reflect.Type, prefix string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		key := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			out = append(out, keys(f.Type, key+".")...)
			continue
		}
		out = append(out, key)
	}
	return out
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	cfg := DefaultConfig()
	cfg.Service, cfg.Listen = "im", "127.0.0.1:0"
	if _, err := New(cfg, Backend{}, log, prometheus.NewRegistry()); err == nil {
		t.Error("New() with an empty Backend = nil error")
	}
	if _, err := New(Config{}, Backend{Connect: judgeByToken}, log, prometheus.NewRegistry()); err == nil {
		t.Error("New() with an empty Config = nil error")
	}
	reg := prometheus.NewRegistry()
	for i, wantErr := range []bool{false, true} {
		if _, err := New(cfg, Backend{Connect: judgeByToken}, log, reg); (err != nil) != wantErr {
			t.Errorf("New() number %d on one registry = %v", i, err)
		}
	}
	cfg.Service = "other"
	if _, err := New(cfg, Backend{Connect: judgeByToken}, log, reg); err != nil {
		t.Errorf("New() of another service on the same registry = %v", err)
	}
}

// TestMetricsExistFromTheStart: a dashboard finds every series at zero.
func TestMetricsExistFromTheStart(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Service, cfg.Listen = "im", "127.0.0.1:0"
	reg := prometheus.NewRegistry()
	if _, err := New(cfg, Backend{Connect: judgeByToken}, slog.New(slog.DiscardHandler), reg); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		series[strings.TrimPrefix(f.GetName(), "holdfast_kit_")] = len(f.GetMetric())
	}
	want := map[string]int{
		"answers_total": 17, "refused_packets_total": 3, "repeated_packets_total": 3, "inline_packets_total": 1,
		"deferred_packets_total": 1, "helped_batches_total": 1, "panics_total": 1, "malformed_packets_total": 1,
		"late_answers_total": 4, "pushes_total": 9, "connects_total": 4, "events_total": 2, "gateway_call_failures_total": 1,
		"batch_packets": 1, "running": 2, "waiting_packets": 1, "remembered_sessions": 1, "kept_answers": 1,
		"gateways": 1, "queued_items": 2,
	}
	for name, n := range want {
		if series[name] != n {
			t.Errorf("%s has %d series, want %d", name, series[name], n)
		}
	}
	if len(series) != len(want) {
		t.Errorf("%d metrics, want %d: %v", len(series), len(want), series)
	}
}

func TestReachable(t *testing.T) {
	for _, tt := range []struct {
		addr net.Addr
		want bool
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, false},
		{&net.TCPAddr{IP: net.IPv6loopback}, false},
		{&net.UnixAddr{Name: "/run/s", Net: "unix"}, false},
		{&net.TCPAddr{IP: net.IPv4zero}, true},
		{&net.TCPAddr{IP: net.IPv6unspecified}, true},
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, true},
	} {
		if got := reachable(tt.addr); got != tt.want {
			t.Errorf("reachable(%v) = %v, want %v", tt.addr, got, tt.want)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for s := OK; s <= Unauthenticated; s++ {
		if !s.Valid() || s.String() == "" || strings.HasPrefix(s.String(), "STATUS") {
			t.Errorf("%d: Valid %v, name %q", s, s.Valid(), s)
		}
	}
	for _, s := range []Status{-1, 17} {
		if s.Valid() {
			t.Errorf("%d is valid", s)
		}
	}
	if got := Unavailable.String() + Canceled.String(); got != "UNAVAILABLECANCELLED" {
		t.Errorf("names = %s", got)
	}
}

func TestCut(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aä", 2, "a"}, {"ää", 2, "ä"}, {"ä", 1, ""}, {"", 0, ""}} {
		if got := cut(tt.in, tt.n); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}
