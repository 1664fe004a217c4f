// A complete backend: it lets everybody in and counts their votes.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/holdfast-io/holdfast/backend/kit"
)

func main() {
	var votes atomic.Int64
	cfg := kit.DefaultConfig()
	cfg.Service, cfg.Listen = "votes", os.Args[1]
	srv, err := kit.New(cfg, kit.Backend{
		Connect: func(_ context.Context, l kit.Login) (kit.Identity, error) {
			return kit.Identity{UID: "user-" + l.Session.ID}, nil
		},
		Handle: func(_ context.Context, p kit.Packet) ([]byte, error) {
			if p.Command != "votes.cast" {
				return nil, kit.Fail(kit.Unimplemented, "no such command")
			}
			return fmt.Appendf(nil, `{"votes":%d}`, votes.Add(1)), nil
		},
	}, slog.Default(), prometheus.NewRegistry())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err == nil {
		err = srv.Run(ctx)
	}
	slog.Info("ended", "error", err)
}
