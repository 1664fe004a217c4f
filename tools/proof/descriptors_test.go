package proof

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about running out of descriptors (P12).
const (
	filesLimit    = 1024
	filesDials    = 5000
	filesShare    = 0.5
	filesRecovery = time.Second
)

// TestOutOfDescriptors gives the gateway 1,024 descriptors and dials 5,000 times
// without closing anything. Once the storm of dials is over it does not spin, the
// admin address answers all the time, clients that were in are still served, and
// others get in within a second of the end.
func TestOutOfDescriptors(t *testing.T) {
	g := deploy(t, options{files: filesLimit})
	before := g.usage()
	conn, err := net.Dial("tcp", g.edge)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	early, err := login(conn, "early")
	if err != nil {
		t.Fatal(err)
	}
	stop := g.watch()
	siege := g.besiege(t)
	dialled := g.usage()
	most := 0
	for i := range 20 { // hello_timeout is 8 s: nobody is closed for its silence meanwhile
		time.Sleep(100 * time.Millisecond)
		most = max(most, g.files())
		if err := early.echo(uint32(i + 1)); err != nil {
			t.Fatalf("a client that was in: %v", err)
		}
	}
	held := g.usage()
	asked, longest, failure := stop()
	refused := g.metrics().value("holdfast_admission_refusals_total")

	ended := time.Now()
	siege()
	for time.Since(ended) < patience && visit(g.edge) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	recovery := time.Since(ended)
	testenv.Figure(t, "P12", "%d descriptors, %d dials: %d open, %.0f refused; %.1f %% of a core while dialled (%v), %.1f %% afterwards; /livez answered %d times, at most %v; others in after %v",
		filesLimit, filesDials, most, refused, 100*share(before, dialled), dialled.at.Sub(before.at).Round(10*time.Millisecond), 100*share(dialled, held), asked, longest.Round(time.Millisecond), recovery.Round(time.Millisecond))
	if s := share(dialled, held); s > filesShare {
		t.Errorf("%.1f %% of a core, want at most %.0f %%", 100*s, 100*filesShare)
	}
	if failure != nil {
		t.Errorf("/livez: %v", failure)
	}
	if recovery > filesRecovery {
		t.Errorf("others get in after %v, want %v", recovery, filesRecovery)
	}
	if refused == 0 && most < filesLimit-1 {
		t.Errorf("%d descriptors and nobody refused: it did not run out", most)
	}
}

// besiege dials filesDials times and keeps what stays open; lift closes it. Those
// that the gateway closes count too, and are dialled once.
func (g *target) besiege(t *testing.T) (lift func()) {
	t.Helper()
	var mu sync.Mutex
	var open []net.Conn
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range dialersMax {
		wg.Go(func() {
			for next.Add(1) <= filesDials {
				conn, err := net.DialTimeout("tcp", g.edge, 5*time.Second)
				if err != nil {
					failed.Add(1) // the kernel's queue may be full
					continue
				}
				_ = conn.(*net.TCPConn).SetLinger(0)
				mu.Lock()
				open = append(open, conn)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var once sync.Once
	lift = func() {
		once.Do(func() {
			for _, conn := range open {
				_ = conn.Close() // the gateway may have been faster
			}
		})
	}
	t.Cleanup(lift)
	if n := failed.Load(); n > filesDials/2 {
		t.Error(fmt.Errorf("%d of %d dials failed", n, filesDials))
	}
	return lift
}
