package admission

import "testing"

func TestClassOf(t *testing.T) {
	m := newClassMatcher([]Class{
		{Name: "0", Commands: []string{"*"}},
		{Name: "1", Commands: []string{"msg."}},
		{Name: "2", Commands: []string{"msg.send", "typ*"}},
		{Name: "3", Commands: []string{"msg.se*"}},
	})
	for command, want := range map[string]int{
		"msg.send": 2, "msg.sender": 3, "msg.se": 3, "msg.s": 1, "msg.": 1, "msg": 0, "typing": 2, "ty": 0, "x": 0, "": 0,
	} {
		if got := m.find([]byte(command)); got != want {
			t.Errorf("find(%q) = %d, want %d", command, got, want)
		}
	}
	if got := newClassMatcher([]Class{{Commands: []string{"a"}}}).find([]byte("b")); got != -1 {
		t.Errorf("find of a command in no class = %d, want -1", got)
	}
}

func TestSlowOfCommand(t *testing.T) {
	g := newWorld().gate(t, Config{Memory: DefaultConfig().Memory, Classes: []Class{
		{Name: "state", Commands: []string{"state."}, Slow: "conflate"},
		{Name: "strict", Commands: []string{"strict."}, Slow: "disconnect"},
		{Name: "plain", Commands: []string{"plain."}},
	}})
	for command, want := range map[string]Slow{
		"state.room": SlowConflate, "strict.x": SlowDisconnect, "plain.x": SlowDropOldest, "other": SlowDropOldest,
	} {
		if got := g.Slow([]byte(command)); got != want {
			t.Errorf("Slow(%q) = %v, want %v", command, got, want)
		}
	}
}

// TestClassSlots: a class keeps its place across reloads, and places are used again.
func TestClassSlots(t *testing.T) {
	slots := classSlots([]Class{{Name: "a"}, {Name: "b"}, {Name: "c"}}, nil)
	slots = classSlots([]Class{{Name: "d"}, {Name: "c"}, {Name: "a"}, {Name: "e"}}, slots)
	for name, want := range map[string]int{"a": 0, "d": 1, "c": 2, "e": 3} {
		if slots[name] != want {
			t.Errorf("slot of %s = %d, want %d", name, slots[name], want)
		}
	}
}
