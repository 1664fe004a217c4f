package proc

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is where and with what a benchmark ran. Figures without it cannot
// be compared.
type Machine struct {
	Cores    int               `json:"cores"`
	CPU      string            `json:"cpu"`
	Kernel   string            `json:"kernel"`
	Arch     string            `json:"arch"`
	Go       string            `json:"go"`
	MemoryMB int64             `json:"memory_mb"`
	Modules  map[string]string `json:"modules"`
}

// modules are those whose version explains a figure.
var modules = []string{"github.com/cloudwego/netpoll", "github.com/cloudwego/kitex"}

// DescribeMachine returns what it can find out; what it cannot stays empty.
func DescribeMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version(), Modules: map[string]string{}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = cpuModel(b)
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.MemoryMB = int64(s.Totalram) * int64(s.Unit) >> 20
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			for _, want := range modules {
				if d.Path == want {
					m.Modules[want] = d.Version
				}
			}
		}
	}
	return m
}

// LoadAverage is how busy the machine has been over 1, 5 and 15 minutes.
func LoadAverage() (string, error) {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	fields := strings.Fields(string(b))
	return strings.Join(fields[:min(3, len(fields))], " "), nil
}

// descriptorsBeside is what a process needs besides its connections.
const descriptorsBeside = 100

// CheckDescriptors tells whether a process may have conns connections. Go
// raises the soft limit to the hard one by itself.
func CheckDescriptors(conns int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("descriptor limit: %w", err)
	}
	if l.Max < uint64(conns+descriptorsBeside) {
		return fmt.Errorf("descriptor limit: %d is too low for %d connections (ulimit -Hn)", l.Max, conns)
	}
	return nil
}

func cpuModel(cpuinfo []byte) string {
	for line := range bytes.Lines(cpuinfo) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
