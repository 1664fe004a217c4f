package proc

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes this test binary the child of TestStartBare too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		os.Exit(child(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func child(kind string) int {
	switch kind {
	case "good":
		if err := Announce(os.Stdout, "127.0.0.1:1"); err != nil {
			return 1
		}
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent ends
		return 0
	case "fails":
		fmt.Fprintln(os.Stderr, "no such thing")
		return 3
	case "odd":
		fmt.Println("hello")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	return 0
}

func TestParseStat(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"42 (holdfast) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0", 3 * time.Second, true},
		{"42 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 1 2 0 0 20 0", 30 * time.Millisecond, true}, // the name may hold anything
		{"42 (holdfast) S 1 2 3", 0, false},
		{"42 (holdfast) S 1 2 3 4 5 6 7 8 9 10 x 50 0", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		if got, err := parseStat([]byte(tt.in)); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseStat(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestMachineTime(t *testing.T) {
	got, err := parseMachineTime([]byte("cpu  100 10 50 900 3 1 7 20 0 0\ncpu0 1 2 3\n"))
	if want := (MachineTime{Processes: 1600 * time.Millisecond, Stolen: 200 * time.Millisecond}); err != nil || got != want {
		t.Errorf("parseMachineTime = %+v, %v, want %+v", got, err, want)
	}
	for _, in := range []string{"", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 x 5 6 7 8"} {
		if _, err := parseMachineTime([]byte(in)); err == nil {
			t.Errorf("parseMachineTime(%q) = nil error", in)
		}
	}
	if m, err := ReadMachineTime(); err != nil || m.Processes <= 0 {
		t.Errorf("ReadMachineTime() = %+v, %v", m, err)
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		in   string
		want int64
		ok   bool
	}{
		{"Name:\tx\nVmHWM:\t    9 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n", 2 << 20, true},
		{"Name:\tx\nState:\tZ (zombie)\n", 0, false},
		{"VmRSS:\t 12 MB\n", 0, false},
		{"VmRSS:\t x kB\n", 0, false},
	}
	for _, tt := range tests {
		if got, err := parseStatus([]byte(tt.in)); got != tt.want || (err == nil) != tt.ok {
			t.Errorf("parseStatus(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

// TestOwnProcess reads this very process through /proc.
func TestOwnProcess(t *testing.T) {
	if n, err := Resident(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("Resident(self) = %d, %v", n, err)
	}
	before, err := OwnCPUTime()
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after-before < 30*time.Millisecond; { // burns until it shows
		if after, err = OwnCPUTime(); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := CPUTime(os.Getpid()); err != nil || d < 20*time.Millisecond {
		t.Errorf("CPUTime(self) = %v, %v after burning 30ms", d, err)
	}
	if _, err := CPUTime(1 << 30); err == nil {
		t.Error("CPUTime of no process = nil error")
	}
}

func TestCalm(t *testing.T) {
	c := Calm{Readings: 3, Band: 0.01}
	tests := []struct {
		seen []int64
		want bool
	}{
		{[]int64{1000, 1000}, false}, // too few
		{[]int64{1000, 1005, 1000}, true},
		{[]int64{1000, 1005, 1020}, false},
		{[]int64{1, 1000, 1005, 1001}, true}, // only the last count
		{[]int64{1030, 1005, 1001}, false},
	}
	for _, tt := range tests {
		if got := c.settled(tt.seen); got != tt.want {
			t.Errorf("settled(%v) = %v, want %v", tt.seen, got, tt.want)
		}
	}
}

func TestSettle(t *testing.T) {
	c := Calm{Every: time.Millisecond, Readings: 3, Band: 1, Longest: time.Hour}
	if n, calm, err := c.Settle(t.Context(), os.Getpid()); err != nil || !calm || n == 0 {
		t.Errorf("Settle = %d, %v, %v", n, calm, err)
	}
	c.Readings, c.Longest = 1<<30, 5*time.Millisecond
	if _, calm, err := c.Settle(t.Context(), os.Getpid()); err != nil || calm {
		t.Errorf("Settle that cannot = calm %v, %v", calm, err)
	}
	c.Longest = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Settle(ctx, os.Getpid()); err == nil {
		t.Error("Settle after its context ended = nil error")
	}
}

func TestMallocs(t *testing.T) {
	body := "# HELP go_memstats_mallocs_total x\ngo_memstats_mallocs_total_other 7\ngo_memstats_mallocs_total 1.234567e+06\n"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, body)
	}))
	defer s.Close()
	addr := strings.TrimPrefix(s.URL, "http://")
	if n, err := Mallocs(t.Context(), addr); err != nil || n != 1234567 {
		t.Errorf("Mallocs = %v, %v", n, err)
	}
	body = "up 1\n"
	if _, err := Mallocs(t.Context(), addr); err == nil || !strings.Contains(err.Error(), mallocsMetric) {
		t.Errorf("Mallocs without the metric = %v", err)
	}
}

func TestStartBare(t *testing.T) {
	c, err := StartBare(t.Context(), "child", "good")
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:1" || c.Err() != nil {
		t.Errorf("child at %q, %v", c.Addr, c.Err())
	}
	if _, err := Resident(c.PID); err != nil {
		t.Error(err)
	}
	c.Stop()
	if err := syscall.Kill(c.PID, 0); err == nil {
		t.Error("the child is still there after Stop")
	}
	for kind, want := range map[string]string{"fails": "no such thing", "odd": "unexpected first line"} {
		if _, err := StartBare(t.Context(), "child", kind); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("StartBare(%s) = %v, want an error with %q", kind, err, want)
		}
	}
}

func TestSpawnTellsTheEnd(t *testing.T) {
	c, err := Spawn(nil, "child", "fails")
	if err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("Err = %v, want the child's last words", err)
	}
	c.Stop() // of a process that is gone: returns at once
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	if s := out.String(); s != "" {
		t.Errorf("empty tail = %q", s)
	}
	w := bufio.NewWriter(&out)
	for i := range 2000 {
		fmt.Fprintf(w, "line %d\n", i)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); len(s) > outputBytesMax+40 || !strings.HasSuffix(s, "line 1999") {
		t.Errorf("tail of %d bytes ends with %q", len(s), s[max(len(s)-20, 0):])
	}
}

func TestDescribeMachine(t *testing.T) {
	m := DescribeMachine()
	if m.Cores < 1 || m.Kernel == "" || m.MemoryMB < 1 || m.Go == "" {
		t.Errorf("DescribeMachine() = %+v", m)
	}
	if got := cpuModel([]byte("processor\t: 0\nmodel name\t: A CPU: fast\n")); got != "A CPU: fast" {
		t.Errorf("cpuModel = %q", got)
	}
}
