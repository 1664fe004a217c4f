package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/holdfast-io/holdfast/tools/bench/proc"
)

// TestMain makes this test binary the bare servers too: a baseline starts its
// own program again.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "bench" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := ServeBare(ctx, strings.TrimPrefix(os.Args[2], "serve-"), "127.0.0.1:0", os.Stdin, os.Stdout)
		stop()
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// TestEchoBaselines measures the two bare servers, as separate processes.
func TestEchoBaselines(t *testing.T) {
	r, err := Echo(t.Context(), EchoOptions{Conns: 5, Inflight: 2, Size: 64, Duration: 200 * time.Millisecond, Rounds: 2, Baseline: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rounds) != 4 || r.Failed() {
		t.Fatalf("%d rounds, failed %v: %+v", len(r.Rounds), r.Failed(), r.Rounds)
	}
	for i, want := range []string{Netpoll, Goroutines, Netpoll, Goroutines} {
		if x := r.Rounds[i]; x.Subject != want || x.Rate <= 0 || x.Conns != 5 {
			t.Errorf("round %d = %+v, want %s", i, x, want)
		}
	}
	if s := r.Of(Netpoll); s.OfNetpoll.Rate.Median != 1 || s.Rate.Rounds != 2 {
		t.Errorf("netpoll of itself = %+v", s)
	}
	checkReport(t, r, "echo: 5 connections x 2 in flight", Goroutines)
}

func TestIdleBaseline(t *testing.T) {
	o := DefaultIdleOptions()
	o.Baseline, o.Low, o.High = true, 20, 60
	o.Calm = proc.Calm{Every: time.Millisecond, Readings: 2, Band: 1, Longest: time.Minute}
	r, err := Idle(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rounds) != 1 || r.Failed() || r.Rounds[0].HighEchoed < 1<<20 || !r.Rounds[0].Calm {
		t.Errorf("rounds %+v", r.Rounds)
	}
	checkReport(t, r, "slope from 20 to 60", Netpoll)
}

func TestConnectBaseline(t *testing.T) {
	r, err := Connect(t.Context(), ConnectOptions{Server: Server{Parallel: 10}, Duration: 300 * time.Millisecond, Rounds: 1, Baseline: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Summary) != 1 || r.Failed() || r.Summary[0].Rate.Median <= 0 {
		t.Errorf("summary %+v", r.Summary)
	}
	checkReport(t, r, "10 at once", Netpoll)
}

// checkReport writes r in every form and looks for the words.
func checkReport(t *testing.T, r Report, words ...string) {
	t.Helper()
	var text, markdown, asJSON bytes.Buffer
	for _, err := range []error{WriteText(&text, r), WriteMarkdown(&markdown, r), WriteJSON(&asJSON, r)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range words {
		for _, out := range []string{text.String(), markdown.String()} {
			if !strings.Contains(out, w) {
				t.Errorf("%q is not in\n%s", w, out)
			}
		}
	}
	var back map[string]any
	if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil || back["machine"] == nil || back["rounds"] == nil {
		t.Errorf("JSON %v: %s", err, asJSON.String())
	}
}

func TestOptionsValidate(t *testing.T) {
	err := EchoOptions{Server: Server{Endpoint: "x"}}.Validate()
	for _, want := range []string{"endpoint", "conns", "rounds", "inflight", "duration"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("EchoOptions: %v lacks %s", err, want)
		}
	}
	o := DefaultIdleOptions()
	o.Endpoint, o.High = "127.0.0.1:1", o.Low
	err = o.Validate()
	for _, want := range []string{"pid", "conns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("IdleOptions: %v lacks %s", err, want)
		}
	}
	if err := (ConnectOptions{}).Validate(); err == nil {
		t.Error("empty ConnectOptions pass")
	}
}
