package discovery_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/dispatcher/discovery"
	"github.com/holdfast-io/holdfast/dispatcher/discovery/discoverytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStatic(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Subject {
		s, err := discovery.NewStatic(nil)
		if err != nil {
			t.Fatal(err)
		}
		return discoverytest.Subject{Discovery: s, Set: func(t *testing.T, is []discovery.Instance) {
			if err := s.Replace(is); err != nil {
				t.Fatal(err)
			}
		}}
	})
}

func TestMemory(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Subject {
		m := discovery.NewMemory()
		return discoverytest.Subject{Discovery: m, Set: func(t *testing.T, is []discovery.Instance) {
			// The suite only ever adds instances and changes them.
			for _, i := range is {
				if _, err := m.Register(i); err != nil {
					t.Fatal(err)
				}
			}
		}}
	})
}

func TestStaticRefuses(t *testing.T) {
	good := discovery.Instance{ID: "a", Service: "logic", Slot: 0, Address: "127.0.0.1:7001"}
	change := func(f func(*discovery.Instance)) discovery.Instance { i := good; f(&i); return i }
	tests := []struct {
		name string
		in   []discovery.Instance
		want string
	}{
		{"no id", []discovery.Instance{change(func(i *discovery.Instance) { i.ID = "" })}, "id: empty"},
		{"no service", []discovery.Instance{change(func(i *discovery.Instance) { i.Service = "" })}, "service: empty"},
		{"slot too high", []discovery.Instance{change(func(i *discovery.Instance) { i.Slot = 1 << 20 })}, "slot: 1048576"},
		{"slot too low", []discovery.Instance{change(func(i *discovery.Instance) { i.Slot = -2 })}, "slot: -2"},
		{"no address", []discovery.Instance{change(func(i *discovery.Instance) { i.Address = "" })}, "address:"},
		{"same id", []discovery.Instance{good, change(func(i *discovery.Instance) { i.Slot = 1 })}, "id: used twice"},
		{"same slot", []discovery.Instance{good, change(func(i *discovery.Instance) { i.ID = "b" })}, `slot: 0 is held by "a"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := discovery.NewStatic(tt.in)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewStatic(%+v) = %v, want an error with %q", tt.in, err, tt.want)
			}
		})
	}
}

func TestStaticKeepsTheOldOnError(t *testing.T) {
	s, err := discovery.NewStatic([]discovery.Instance{{ID: "a", Service: "logic", Address: "127.0.0.1:7001"}})
	if err != nil {
		t.Fatal(err)
	}
	before, _ := s.Next(t.Context(), 0)
	if err := s.Replace([]discovery.Instance{{}}); err == nil {
		t.Fatal("Replace with an empty instance = nil, want an error")
	}
	if after, _ := s.Next(t.Context(), 0); after != before {
		t.Errorf("a refused membership became snapshot %+v", after)
	}
}

// TestMemorySlots plays DESIGN's life of slots: a slot outlives its holder, and
// only retiring the top makes n smaller.
func TestMemorySlots(t *testing.T) {
	m := discovery.NewMemory()
	register := func(id string) int {
		t.Helper()
		i, err := m.Register(discovery.Instance{ID: id, Service: "logic", Slot: discovery.NoSlot, Address: "127.0.0.1:7001"})
		if err != nil {
			t.Fatal(err)
		}
		return i.Slot
	}
	slotsNow := func() int {
		s, _ := m.Next(t.Context(), 0)
		return s.Services["logic"].Slots
	}
	for want, id := range []string{"a", "b", "c"} {
		if got := register(id); got != want {
			t.Fatalf("instance %s got slot %d, want %d", id, got, want)
		}
	}
	m.Deregister("logic", "b")
	m.Deregister("logic", "c")
	m.Deregister("logic", "nobody")
	if n := slotsNow(); n != 3 {
		t.Errorf("after two of three left n = %d, want 3", n)
	}
	if got := register("d"); got != 1 {
		t.Errorf("a new instance got slot %d, want the lowest vacant one, 1", got)
	}
	m.Retire("logic")
	if n := slotsNow(); n != 2 {
		t.Errorf("after retiring the top n = %d, want 2", n)
	}
	if _, err := m.Register(discovery.Instance{ID: "e", Service: "logic", Slot: 1, Address: "127.0.0.1:7001"}); err == nil {
		t.Error("registering for a slot that is held = nil, want an error")
	}
}

func TestSplitAddress(t *testing.T) {
	tests := []struct{ in, network, target string }{
		{"127.0.0.1:7001", "tcp", "127.0.0.1:7001"},
		{"[::1]:7001", "tcp", "[::1]:7001"},
		{"logic.example.com:7001", "tcp", "logic.example.com:7001"},
		{"unix:/run/l.sock", "unix", "/run/l.sock"},
		{"/run/l.sock", "unix", "/run/l.sock"},
		{"unix:l.sock", "unix", "l.sock"},
	}
	for _, tt := range tests {
		if network, target, err := discovery.SplitAddress(tt.in); network != tt.network || target != tt.target || err != nil {
			t.Errorf("SplitAddress(%q) = %q, %q, %v, want %q, %q", tt.in, network, target, err, tt.network, tt.target)
		}
	}
	long := "/" + strings.Repeat("x", 107)
	for _, in := range []string{"", "unix:", "logic", ":7001", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:http2", long} {
		if network, target, err := discovery.SplitAddress(in); err == nil {
			t.Errorf("SplitAddress(%q) = %q, %q, want an error", in, network, target)
		}
	}
}
