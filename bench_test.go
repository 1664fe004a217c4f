package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-io/holdfast/tools/bench"
)

// TestBenchAll runs everything that `make bench` runs, with real processes but
// for moments only: no connection and no request may fail, and every figure
// must be there. Their values mean nothing here.
func TestBenchAll(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes and thousands of connections")
	}
	t.Setenv(asBinary, "1") // this test binary is the gateway, the backend and the baselines
	o := bench.DefaultAllOptions()
	o.Warmup, o.Duration, o.Rounds = 0, 300*time.Millisecond, 1
	o.OpenRate = 200 // what the slowest machine keeps up with
	o.Idle.Low, o.Idle.High = 50, 150
	o.Idle.Calm.Every, o.Idle.Calm.Readings, o.Idle.Calm.Band = time.Millisecond, 2, 1
	o.Idle.Beats = 50 * time.Millisecond // shorter than a heartbeat: the code runs, there is no figure
	if err := addBenchCertificate(&o, t.TempDir()); err != nil {
		t.Fatal(err)
	}
	o.Progress = t.Output()
	r, err := bench.All(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() {
		t.Errorf("errors under load: %+v %+v %+v %+v %+v", r.Many.Summary, r.Deep.Summary, r.Open.Summary, r.Connect.Summary, r.Idle.Summary)
	}
	for _, g := range r.Goals {
		if g.Value.Median == 0 {
			t.Errorf("no figure for %q", g.Name)
		}
	}
	out := t.TempDir()
	if err := r.Write(out); err != nil {
		t.Fatal(err)
	}
	md, err := os.ReadFile(filepath.Join(out, "bench.md"))
	if err != nil || !strings.Contains(string(md), "| heap objects in the gateway") {
		t.Errorf("bench.md: %v\n%s", err, md)
	}
	b, err := os.ReadFile(filepath.Join(out, "bench.json"))
	if err != nil || !json.Valid(b) {
		t.Errorf("bench.json: %v\n%s", err, b)
	}
}

func TestBenchMistakes(t *testing.T) {
	tests := []struct{ args, want string }{
		{"bench nosuch", "unknown command"},
		{"bench echo --endpoint nowhere --inflight 0", "inflight: 0"},
		{"bench echo --pid x", "want PID or ROLE=PID"},
		{"bench echo --pid gateway=0", "want PID or ROLE=PID"},
		{"bench echo --token a --data b", "group"},
		{"bench idle --endpoint 127.0.0.1:1", "no process to measure"},
		{"bench connect --duration 0s", "duration"},
		{"bench all --rounds 0", "rounds: 0"},
	}
	for _, tt := range tests {
		code, _, errs := holdfast(t, strings.Fields(tt.args)...)
		if code != exitUsage || !strings.Contains(errs, tt.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("holdfast %s = %d, %q, want %d and one line with %q", tt.args, code, errs, exitUsage, tt.want)
		}
	}
}

// TestBenchWithoutGateway fails in one line, since there is nothing to report.
func TestBenchWithoutGateway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	addr := l.Addr().String()
	code, out, errs := holdfast(t, "bench", "echo", "--endpoint", addr, "--conns", "2", "--duration", "10ms")
	if code != exitFailure || out != "" || !strings.Contains(errs, "none of 2 connections opened") {
		t.Errorf("holdfast bench echo = %d, %q, %q", code, out, errs)
	}
}

func TestBenchTokens(t *testing.T) {
	if source, err := (&benchFlags{}).tokens(); source != nil || err != nil {
		t.Errorf("without flags: a token source, %v", err)
	}
	same, err := (&benchFlags{token: "t"}).tokens()
	if err != nil {
		t.Fatal(err)
	}
	if token, err := same(7); token != "t" || err != nil {
		t.Errorf("--token: %q, %v", token, err)
	}
	made, err := (&benchFlags{data: filepath.Join(t.TempDir(), "data"), errs: t.Output()}).tokens()
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := made(0)
	second, err2 := made(1)
	if err1 != nil || err2 != nil || first == second || strings.Count(first, ".") != 2 {
		t.Errorf("--data: %q, %q, %v, %v", first, second, err1, err2)
	}
}
