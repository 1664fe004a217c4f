package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"github.com/holdfast-io/holdfast/configs"
)

func TestLoggerFollowsConfig(t *testing.T) {
	var b bytes.Buffer
	log := newLogger(configs.Log{Level: slog.LevelWarn, Format: "json"}, &b)
	log.Info("unimportant")
	log.Warn("important", "n", 1)
	if got := b.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"msg":"important","n":1`) {
		t.Errorf("logged %q, want the warning alone, as JSON", got)
	}
}

// TestKitexLogIsBounded checks that Kitex's lines keep their level and lose
// their prefix, and that those above the rate are counted and not written.
func TestKitexLogIsBounded(t *testing.T) {
	var b bytes.Buffer
	k := &kitexLog{log: slog.New(slog.NewTextHandler(&b, nil)), limit: rate.NewLimiter(0, 2)}
	line := "2026/01/02 15:04:05.000000 client.go:12: [Error] KITEX: dial refused\n"
	for range 5 {
		if n, err := k.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	got := b.String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=ERROR msg="kitex says" text="KITEX: dial refused"`) {
		t.Errorf("logged %q, want two lines of level ERROR", got)
	}
	k.limit.SetLimit(rate.Inf)
	if _, err := k.Write([]byte("no prefix")); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, `text="no prefix" lines_dropped=3`) {
		t.Errorf("logged %q, want the count of dropped lines", got)
	}
}
