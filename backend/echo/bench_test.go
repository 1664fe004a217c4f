package echo_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/echo"
	"github.com/holdfast-io/holdfast/backend/kit/kittest"
	"github.com/holdfast-io/holdfast/idl/kitex_gen/holdfast"
)

// BenchmarkForward calls a running echo over loopback with batches of echo.say.
// Client and server share the machine, so the time a packet is the whole hop's.
func BenchmarkForward(b *testing.B) {
	for _, size := range []int{1, 32, 128} {
		b.Run(fmt.Sprintf("packets=%d", size), func(b *testing.B) { benchmarkForward(b, size) })
	}
}

func benchmarkForward(b *testing.B, size int) {
	cfg := echo.DefaultConfig()
	cfg.Kit.Listen = "127.0.0.1:0"
	s, err := echo.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	kittest.Run(b, s.Server)
	gw := kittest.NewGateway(b, s.Addr(), kittest.Options{Service: "echo"})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		session, seq := fmt.Sprintf("%p", pb), int64(0)
		req := &holdfast.ForwardRequest{Service: "echo", Packets: make([]*holdfast.Packet, size)}
		for pb.Next() {
			seq++
			for i := range req.Packets {
				req.Packets[i] = &holdfast.Packet{
					Session: fmt.Sprintf("%s-%d", session, i), Uid: "1001", Seq: seq, Command: "echo.say",
					Payload: make([]byte, 64), Attempt: 1, Gateway: gw.Address(),
				}
			}
			reply, err := gw.Logic.Forward(b.Context(), req)
			if err != nil || len(reply.Replies) != size {
				b.Errorf("Forward() = %v, %v", reply, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/packet")
}
