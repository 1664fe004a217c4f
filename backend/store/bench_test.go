package store

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkSend is one sender after another: what a transaction costs, mostly
// the disk's flush.
func BenchmarkSend(b *testing.B) {
	s := openForBenchmark(b, DefaultConfig())
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, err := s.Send(context.Background(), text("a"+strconv.Itoa(i%100), "b", strconv.Itoa(i)), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPull(b *testing.B) {
	s := openForBenchmark(b, DefaultConfig())
	for i := range 200 {
		if _, err := s.Send(context.Background(), text("a", "b", strconv.Itoa(i)), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if got, _, err := s.Pull(context.Background(), Page{UID: "b", Limit: 100, ContentBytesMax: 1 << 20}); err != nil || len(got) != 100 {
			b.Fatal(len(got), err)
		}
	}
}

func openForBenchmark(b *testing.B, cfg Config) *SQLite {
	b.Helper()
	cfg.Path = filepath.Join(b.TempDir(), "im.db")
	s, err := OpenSQLite(context.Background(), cfg, prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}
