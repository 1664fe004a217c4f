package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

func echo(_ context.Context, p *holdfast.Packet) Answer { return Answer{Payload: p.Payload} }

func testConfig() Config {
	return Config{
		DeferAfter: 2 * time.Millisecond, HandlerTimeout: 10 * time.Second,
		MaxRunning: 64, MaxWaiting: 4096, Sessions: 131072, Answers: 65536, Bytes: 32 << 20, Window: time.Minute,
	}
}

// BenchmarkForward runs batches of a trivial command; the time a packet is what
// the kit costs besides Kitex.
func BenchmarkForward(b *testing.B) {
	for _, size := range []int{1, 8, 128} {
		for _, perLane := range []int{1, 8} {
			if perLane > size {
				continue
			}
			b.Run(fmt.Sprintf("packets=%d/lane=%d", size, perLane), func(b *testing.B) {
				benchmarkForward(b, size, perLane)
			})
		}
	}
}

func benchmarkForward(b *testing.B, size, perLane int) {
	e := New(testConfig(), echo, func(*holdfast.Packet, Answer) {})
	defer e.Close(b.Context())
	sessions := make([]string, 1024)
	for i := range sessions {
		sessions[i] = fmt.Sprintf("session-%014d", i)
	}
	seqs := make([]int64, len(sessions))
	payload := make([]byte, 64)
	packets := make([]*holdfast.Packet, size)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		slab := make([]holdfast.Packet, size) // what decoding a request makes
		for i := range packets {
			s := (at + i/perLane) % len(sessions)
			seqs[s]++
			slab[i] = holdfast.Packet{Session: sessions[s], Seq: seqs[s], Command: "echo.say", Payload: payload, Attempt: 1, Gateway: "gw"}
			packets[i] = &slab[i]
		}
		at += size / perLane
		e.Forward(packets)
	}
	st := e.Stats()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/packet")
	b.ReportMetric(float64(st.Deferred), "deferred")
}
