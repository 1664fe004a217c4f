package proof

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/testenv"
)

// The promise about memory (P9).
const (
	memoryLimit    = 512 << 20
	memoryRecovery = 10 * time.Second
)

// TestMemoryCap floods a gateway that may use 512 MiB: 500 slow readers for whom
// up to two of their megabytes wait, and waves of connections that send all but
// the last byte of a frame. It stays below, says all the time that it lives, and
// serves again ten seconds after the flood.
func TestMemoryCap(t *testing.T) {
	waves, readers := 8, 500
	if testenv.Soak() {
		waves = 60
	}
	g := deploy(t, options{admission: unlimited + fmt.Sprintf("  memory: {limit_bytes: %d}\n", memoryLimit)})
	stop := g.watch()
	almost := stream(request(1, "echo.say", make([]byte, 65_000)))
	almost = almost[:len(almost)-1]
	var flood crowd
	highest := 0.0
	for wave := range waves {
		began := time.Now()
		for range readers / 8 { // slow readers come all the time
			if e := g.slowReader(fmt.Sprintf("slow-%d-%d", wave, len(flood))); e != nil {
				flood = append(flood, e)
			}
		}
		for range 1000 {
			if e := attack(g.edge, almost); e != nil {
				flood = append(flood, e)
			}
		}
		highest = max(highest, g.metrics().value("holdfast_admission_memory_level"))
		time.Sleep(time.Until(began.Add(time.Second)))
	}
	g.gateway.Alive()
	resident := g.memory("VmHWM")
	peak := resident - g.memory("RssFile") // of the program itself, which is no matter of its limit
	m := g.metrics()
	ended := time.Now()
	flood.disperse()
	for time.Since(ended) < patience && (g.metrics().value("holdfast_admission_memory_level") > 0 || visit(g.edge) != nil) {
		time.Sleep(50 * time.Millisecond)
	}
	recovery := time.Since(ended)
	asked, longest, failure := stop()
	testenv.Figure(t, "P9", "limit %d MiB, %d connections in %d s: at most %d MiB and the program's own %d, highest memory step %.0f of 4, %.0f refused, %.0f slow readers dropped; /livez answered %d times, at most %v; recovered after %v",
		memoryLimit>>20, len(flood), waves, peak>>20, (resident-peak)>>20, highest, m.value("holdfast_admission_refusals_total"), m.value("holdfast_gateway_shed_sessions_total"), asked, longest.Round(time.Millisecond), recovery.Round(10*time.Millisecond))
	if peak > memoryLimit {
		t.Errorf("%d MiB in use, want at most %d", peak>>20, memoryLimit>>20)
	}
	if failure != nil {
		t.Errorf("/livez: %v", failure)
	}
	if recovery > memoryRecovery {
		t.Errorf("recovered after %v, want %v", recovery, memoryRecovery)
	}
	if highest == 0 {
		t.Error("no memory step was taken: the flood was too small to show anything")
	}
}

// attack opens a connection and sends b on it, as far as it is taken; nil when it
// did not come about.
func attack(address string, b []byte) *enemy {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return nil
	}
	_ = conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = conn.Write(b) // it may be refused
	e := &enemy{Conn: conn, opened: time.Now(), ended: make(chan struct{})}
	close(e.ended) // nobody reads
	return e
}

// slowReader logs in, asks for just less than is kept for one client, and reads no
// more.
func (g *target) slowReader(user string) *enemy {
	conn, err := net.DialTimeout("tcp", g.edge, time.Second)
	if err != nil {
		return nil
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	c, err := login(conn, user)
	if err != nil {
		_ = conn.Close() // it was refused
		return nil
	}
	_, _ = c.Write(stream(request(1, "echo.push", []byte(`{"n":120,"size":8192}`)))) // as above
	e := &enemy{Conn: conn, opened: time.Now(), ended: make(chan struct{})}
	close(e.ended)
	return e
}

// memorySlack is by how much a hundred megabytes a second, asked for by those who are
// there already, may go past the limit before what is dropped is free.
const memorySlack = memoryLimit / 20

// TestMemoryAllAtOnce has everybody be there before memory is short, so that
// refusing helps nothing: sessions that read nothing of what they ask for at the
// same time, and connections that all send most of a frame. What is there is
// dropped until it fits.
func TestMemoryAllAtOnce(t *testing.T) {
	almost := stream(request(1, "echo.say", make([]byte, 65_000)))
	almost = almost[:len(almost)-1]
	ask := stream(request(1, "echo.push", []byte(`{"n":120,"size":8192}`)))
	for _, tt := range []struct {
		name  string
		n     int
		reads bool
		at    []byte
	}{
		{"500 sessions that do not read", 500, false, ask},
		{"9000 connections with most of HELLO", 9000, true, almost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := deploy(t, options{admission: unlimited + fmt.Sprintf("  memory: {limit_bytes: %d}\n", memoryLimit)})
			stop := g.watch()
			if tt.reads {
				gather(t, tt.n, g.edge, nil).say(tt.at)
			} else {
				for _, e := range g.mutes(t, tt.n) {
					_, _ = e.Write(tt.at) // what becomes of it is looked at below
				}
			}
			time.Sleep(4 * time.Second)
			g.gateway.Alive()
			peak := g.memory("VmHWM") - g.memory("RssFile")
			dropped := g.metrics().value("holdfast_gateway_shed_sessions_total") + g.metrics().value(`holdfast_gateway_handshake_refusals_total{code="OVERLOADED"}`)
			ended := time.Now()
			for time.Since(ended) < patience && visit(g.edge) != nil { // while they are there
				time.Sleep(50 * time.Millisecond)
			}
			recovery := time.Since(ended)
			asked, longest, failure := stop()
			testenv.Figure(t, "P9", "limit %d MiB, %s: at most %d MiB, %.0f dropped; /livez answered %d times, at most %v; others in after %v",
				memoryLimit>>20, tt.name, peak>>20, dropped, asked, longest.Round(time.Millisecond), recovery.Round(10*time.Millisecond))
			if peak > memoryLimit+memorySlack {
				t.Errorf("%d MiB in use, want at most %d", peak>>20, (memoryLimit+memorySlack)>>20)
			}
			if failure != nil {
				t.Errorf("/livez: %v", failure)
			}
			if recovery > memoryRecovery {
				t.Errorf("recovered after %v, want %v", recovery, memoryRecovery)
			}
		})
	}
}

// mutes are sessions whose clients will read no more.
func (g *target) mutes(t *testing.T, n int) (all crowd) {
	t.Helper()
	next := welcomed()
	for range n {
		conn, err := net.DialTimeout("tcp", g.edge, patience)
		if err == nil {
			_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			_ = conn.SetDeadline(time.Now().Add(patience))
			err = next(conn)
		}
		if err != nil {
			t.Fatal(err)
		}
		e := &enemy{Conn: conn, opened: time.Now(), ended: make(chan struct{})}
		close(e.ended)
		all = append(all, e)
	}
	t.Cleanup(all.disperse)
	return all
}
