package proof

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// usage is what the gateway has spent or holds at a moment.
type usage struct {
	at         time.Time
	cpu        time.Duration // of all its threads, since it began
	rss        int64         // resident bytes
	peak       int64         // most that have ever been
	goroutines int
	open       int   // connections of clients, those that are being closed included
	heap       int64 // bytes in use, garbage included
}

// usage asks the kernel, and the metrics for what only the gateway knows.
func (g *target) usage() usage {
	g.t.Helper()
	u := usage{at: time.Now(), cpu: g.cpu()}
	u.rss, u.peak = g.memory("VmRSS"), g.memory("VmHWM")
	m := g.metrics()
	u.goroutines, u.open, u.heap = int(m.value("go_goroutines")), int(m.value("holdfast_gateway_connections_open")), int64(m.value("go_memstats_heap_inuse_bytes"))
	return u
}

// ticksPerSecond is the kernel's USER_HZ, which is 100 on every architecture that
// Go runs on.
const ticksPerSecond = 100

// cpu is the processor time of the gateway since it began.
func (g *target) cpu() time.Duration {
	g.t.Helper()
	text := g.proc("stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]) // from the third on: a name may hold spaces
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err1 != nil || err2 != nil {
		g.t.Fatalf("stat: %q", text)
	}
	return time.Duration(user+system) * time.Second / ticksPerSecond
}

// memory is a line of /proc/PID/status that ends in kB, in bytes.
func (g *target) memory(name string) int64 {
	g.t.Helper()
	_, rest, _ := strings.Cut(g.proc("status"), name+":")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		g.t.Fatal(err)
	}
	return n << 10
}

// files is how many descriptors the gateway has.
func (g *target) files() int {
	g.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.gateway.Cmd.Process.Pid))
	if err != nil {
		g.t.Fatal(err)
	}
	return len(list)
}

func (g *target) proc(name string) string {
	g.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", g.gateway.Cmd.Process.Pid, name))
	if err != nil {
		g.t.Fatalf("%v; the gateway's end: %s", err, g.gateway.Out.Tail())
	}
	return string(b)
}

// share is the part of one core that was used between two moments.
func share(from, to usage) float64 { return float64(to.cpu-from.cpu) / float64(to.at.Sub(from.at)) }

// metrics is what /metrics answered.
type metrics string

func (g *target) metrics() metrics {
	g.t.Helper()
	body, err := g.get("/metrics")
	if err != nil {
		g.t.Error(err)
	}
	return metrics(body)
}

// value adds up all series of a name; labels narrow it where name has them.
func (m metrics) value(name string) (sum float64) {
	for line := range strings.Lines(string(m)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		fields := strings.Fields(line)
		if v, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			sum += v
		}
	}
	return sum
}

// operator is the HTTP client of admin addresses. It keeps no connection, so that
// no goroutine outlives a call.
var operator = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (g *target) get(path string) (string, error) {
	resp, err := operator.Get("http://" + g.admin + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", path, resp.Status, b)
	}
	return string(b), err
}

// watch asks for /livez all the time until stop is called, which returns how often
// it was asked, the longest that it took and the first failure.
func (g *target) watch() (stop func() (asked int, longest time.Duration, failure error)) {
	var wg sync.WaitGroup
	var over atomic.Bool
	var asked int
	var longest time.Duration
	var failure error
	wg.Go(func() {
		for ; !over.Load(); time.Sleep(50 * time.Millisecond) {
			began := time.Now()
			_, err := g.get("/livez")
			asked++
			longest = max(longest, time.Since(began))
			if err != nil && failure == nil {
				failure = err
			}
		}
	})
	return func() (int, time.Duration, error) {
		over.Store(true)
		wg.Wait()
		return asked, longest, failure
	}
}
