package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/cloudwego/kitex/pkg/klog"
	"golang.org/x/time/rate"

	"github.com/holdfast-io/holdfast/configs"
)

// newLogger writes to w as cfg says.
func newLogger(cfg configs.Log, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// adoptKitexLog sends what Kitex logs of itself into log, from warnings up. It
// is process-wide, as Kitex's logger is.
func adoptKitexLog(log *slog.Logger) {
	klog.SetLevel(klog.LevelWarn)
	klog.SetOutput(&kitexLog{log: log.With("component", "kitex"), limit: rate.NewLimiter(kitexLogRate, kitexLogRate)})
}

// kitexLogRate bounds Kitex's lines per second. One dead instance under load
// makes Kitex write a line for each call, which would drown everything else.
const kitexLogRate = 5

// kitexLog takes the lines of Kitex's default logger. Write may be called from
// any goroutine.
type kitexLog struct {
	log     *slog.Logger
	limit   *rate.Limiter
	dropped atomic.Int64 // lines since the last one that was written
}

// Write logs one line: "2026/01/02 15:04:05.000000 file.go:12: [Warn] text".
func (k *kitexLog) Write(line []byte) (int, error) {
	if !k.limit.Allow() {
		k.dropped.Add(1)
		return len(line), nil
	}
	level, text := slog.LevelWarn, bytes.TrimSpace(line)
	if _, rest, ok := bytes.Cut(text, []byte(": [")); ok {
		name, message, _ := bytes.Cut(rest, []byte("] "))
		if string(name) == "Error" || string(name) == "Fatal" {
			level = slog.LevelError
		}
		text = message
	}
	attrs := []any{"text", string(text)}
	if n := k.dropped.Swap(0); n > 0 {
		attrs = append(attrs, "lines_dropped", n)
	}
	k.log.Log(context.Background(), level, "kitex says", attrs...) // a writer is given no context
	return len(line), nil
}
