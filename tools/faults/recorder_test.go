package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/holdfast-io/holdfast/backend/kit"
)

// recorderEnv, in the environment, makes this test binary an instance. Its value
// is a recorderSettings as JSON.
const recorderEnv = "HOLDFAST_TEST_RECORDER"

// recorderSettings say what an instance is.
type recorderSettings struct {
	ID, Listen, Journal string
	// Bare: without the kit, so that its calls themselves can fail ("throw").
	Bare bool
	// Wait: listen only after the line "go".
	Wait bool
}

// recorder is an instance that notes what it runs. Lines on its standard input
// change how it behaves: "slow 5s", "fail" (every handler returns an error),
// "normal"; and where it is Bare "throw" (every Forward call fails) and "refuse"
// (every packet is answered as not executed).
type recorder struct {
	settings recorderSettings
	journal  *os.File
	mode     atomic.Pointer[mode]
	told     chan struct{} // closed by "go"
}

type mode struct {
	slow                time.Duration
	fail, throw, refuse bool
}

func recorderMain(text string) int {
	r := &recorder{told: make(chan struct{})}
	r.mode.Store(&mode{})
	if err := r.run(text); err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		return 1
	}
	return 0
}

func (r *recorder) run(text string) error {
	if err := json.Unmarshal([]byte(text), &r.settings); err != nil {
		return err
	}
	var err error
	if r.journal, err = os.OpenFile(r.settings.Journal, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	defer r.journal.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { r.obey(os.Stdin); stop() }() // the process ends with it, or it with the process
	if r.settings.Wait {
		select {
		case <-r.told:
		case <-ctx.Done():
			return nil
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if r.settings.Bare {
		return r.serveBare(ctx)
	}
	cfg := kit.DefaultConfig()
	cfg.Service, cfg.Listen, cfg.DrainTimeout = service, r.settings.Listen, time.Second
	server, err := kit.New(cfg, kit.Backend{Connect: welcome, Handle: r.handle}, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

// obey follows the lines that come until there are no more.
func (r *recorder) obey(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		word, arg, _ := strings.Cut(lines.Text(), " ")
		next := mode{fail: word == "fail", throw: word == "throw", refuse: word == "refuse"}
		switch word {
		case "go":
			close(r.told)
			continue
		case "slow":
			next.slow, _ = time.ParseDuration(arg) // the tests' own words
		}
		r.mode.Store(&next)
		fmt.Fprintln(os.Stderr, "obeys:", lines.Text())
	}
}

// welcome takes any token; its text is the uid.
func welcome(_ context.Context, l kit.Login) (kit.Identity, error) {
	return kit.Identity{UID: l.Token}, nil
}

// handle runs one packet. A payload is "USER NUMBER", every answer's the instance.
func (r *recorder) handle(_ context.Context, p kit.Packet) ([]byte, error) {
	m := r.mode.Load()
	r.note('b', p.Payload, p.Attempt)
	defer r.note('e', p.Payload, p.Attempt)
	time.Sleep(m.slow) // it does not heed that nobody waits any more
	if m.fail {
		return nil, kit.FailPayload(kit.Internal, []byte(r.settings.ID))
	}
	return []byte(r.settings.ID), nil
}

// note writes one line by one call, so that lines do not mix and a killed process
// has written all that it noted.
func (r *recorder) note(what byte, payload []byte, attempt int) {
	line := fmt.Appendf(nil, "%c %d %s %d\n", what, clock(), payload, attempt)
	if _, err := r.journal.Write(line); err != nil {
		fmt.Fprintln(os.Stderr, "journal:", err)
		os.Exit(1) // a record with gaps proves nothing
	}
}

// clock is the machine's monotonic clock, which all processes share.
func clock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err) // Linux has it
	}
	return time.Duration(ts.Nano())
}
