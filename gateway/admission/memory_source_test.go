package admission

import (
	"os"
	"path/filepath"
	"testing"
)

// tree writes files below a root that stands for /.
func tree(t *testing.T, files map[string]string) procMemory {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return procMemory{root: root}
}

func TestLimitOfGroup(t *testing.T) {
	const v1none = "9223372036854771712\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		limit int64
		group string
	}{
		{"no control groups", nil, 0, ""},
		{"version 2 in a container", map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000\n",
		}, 1000000, "sys/fs/cgroup"},
		{"version 2, none", map[string]string{
			"proc/self/cgroup": "0::/a.slice\n", "sys/fs/cgroup/a.slice/memory.max": "max\n",
		}, 0, ""},
		{"version 2, a group above has the lower one", map[string]string{
			"proc/self/cgroup":                           "0::/a.slice/b.service\n",
			"sys/fs/cgroup/a.slice/memory.max":           "500\n",
			"sys/fs/cgroup/a.slice/b.service/memory.max": "900\n",
		}, 500, "sys/fs/cgroup/a.slice"},
		{"version 1", map[string]string{
			"proc/self/cgroup": "9:name=systemd:/x\n4:cpu,memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "700\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":          v1none,
		}, 700, "sys/fs/cgroup/memory/docker/1"},
		{"version 1, path of the host", map[string]string{
			"proc/self/cgroup": "4:memory:/docker/1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "800\n",
		}, 800, "sys/fs/cgroup/memory"},
		{"version 1, none", map[string]string{
			"proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": v1none,
		}, 0, ""},
		{"nonsense", map[string]string{"proc/self/cgroup": "x\n:::\n0::/../../..\n"}, 0, ""},
	} {
		m := tree(t, c.files)
		limit, group := m.Limit()
		if c.group != "" {
			c.group = filepath.Join(m.root, c.group)
		}
		if limit != c.limit || group != c.group {
			t.Errorf("%s: Limit() = %d, %q, want %d, %q", c.name, limit, group, c.limit, c.group)
		}
	}
}

func TestUsed(t *testing.T) {
	page := int64(os.Getpagesize())
	m := tree(t, map[string]string{
		"proc/self/statm":          "900 100 40 1 0 9 0\n",
		"v2/memory.current":        "9000000\n",
		"v2/memory.stat":           "anon 1\nactive_file 1000\ninactive_file 2000\nsock 77\n",
		"v1/memory.usage_in_bytes": "8000000\n",
		"v1/memory.stat":           "active_file 5\ntotal_active_file 1000\ntotal_inactive_file 2000\n",
		"small/memory.current":     "10\n",
		"small/memory.stat":        "active_file 4\n",
	})
	for group, want := range map[string]int64{
		"": 60 * page, "v2": 9000000 - 3000, "v1": 8000000 - 3000, "small": 60 * page, "none": 60 * page,
	} {
		path := group
		if group != "" {
			path = filepath.Join(m.root, group)
		}
		if got, err := m.Used(path); got != want || err != nil {
			t.Errorf("Used(%q) = %d, %v, want %d", group, got, err, want)
		}
	}
	if _, err := tree(t, map[string]string{"proc/self/statm": "1 x"}).Used(""); err == nil {
		t.Error("Used of a broken statm = nil error")
	}
}

// TestUsedOfThisProcess: what is touched counts, and what is given back does not.
func TestUsedOfThisProcess(t *testing.T) {
	m := procMemory{root: "/"}
	before, err := m.Used("")
	if err != nil {
		t.Skip("no /proc here: ", err)
	}
	const size = 64 << 20
	b := make([]byte, size)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	during, _ := m.Used("")
	if grown := during - before; grown < size/2 {
		t.Errorf("64 MiB touched: %d bytes more in use, want about %d", grown, size)
	}
	t.Logf("before %d, with %d touched %d, %d", before, size, during, b[1])
	m.Release()
	if after, _ := m.Used(""); after > during-size/2 {
		t.Errorf("after Release %d bytes are in use, want about %d", after, during-size)
	}
}
