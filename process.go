package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
)

// process is what the parts of one process share.
type process struct {
	role   configs.Role
	log    *slog.Logger
	reg    *prometheus.Registry
	health *health
	admin  net.Listener // nil: switched off
	api    []endpoint   // what the admin server serves besides what every process has
	// again loads the configuration once more, from the same file, environment and
	// flags; file, if there is one, tells when that is due.
	again func() (any, error)
	file  *fileWatch
	// drain is how long the parts may take to end by their own bounds, a gateway
	// apart. What takes longer than all of that is abandoned.
	drain time.Duration
	// leaving is the same for a gateway, or for what hangs where there is none; a
	// reload may change it.
	leaving atomic.Int64
}

// hardStopDefault is what a part that hangs is given beyond its own bounds,
// where no configuration says otherwise.
const hardStopDefault = 30 * time.Second

// roleCommand returns the subcommand of a role. flags maps named flags to the
// keys they set; start puts the parts together, without starting them.
func roleCommand[T any](role configs.Role, short string, flags map[string]string,
	common func(T) (configs.Log, configs.Admin), start func(cmd *cobra.Command, p *process, cfg T) ([]part, error)) *cobra.Command {
	cmd := &cobra.Command{Use: string(role), Short: short, Args: cobra.NoArgs}
	file := cmd.Flags().String("config", "", "configuration file (YAML); `holdfast config default "+string(role)+"` prints one")
	pairs := cmd.Flags().StringArray("set", nil, "KEY=VALUE, sets any key of the configuration; may be repeated")
	for name, key := range flags {
		cmd.Flags().String(name, "", "sets "+key)
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var watch *fileWatch
		if *file != "" {
			watch = watchFile(*file)
		}
		load := func(again bool) (T, error) {
			return configs.Load[T](role, configs.Sources{
				File: *file, Environ: os.Environ(), Again: again,
				Flags: configs.Flags{Set: cmd.Flags(), Keys: flags, Pairs: *pairs, PairsFlag: "set"},
			})
		}
		cfg, err := load(false)
		if err != nil {
			return err
		}
		logCfg, adminCfg := common(cfg)
		p, err := newProcess(role, logCfg, adminCfg, cmd)
		if err != nil {
			return err
		}
		defer p.close()
		p.again, p.file = func() (any, error) { return load(true) }, watch
		parts, err := start(cmd, p, cfg)
		if err != nil {
			return err
		}
		return p.run(cmd.Context(), parts)
	}
	return cmd
}

// newProcess opens what a process has besides its parts. The admin port is
// bound here, so that a taken one is known before anything starts.
func newProcess(role configs.Role, logCfg configs.Log, adminCfg configs.Admin, cmd *cobra.Command) (*process, error) {
	p := &process{role: role, log: newLogger(logCfg, cmd.ErrOrStderr()), reg: newRegistry(), health: &health{}}
	p.leaving.Store(int64(hardStopDefault))
	adoptKitexLog(p.log)
	if adminCfg.Listen == "" {
		return p, nil
	}
	ln, err := net.Listen("tcp", adminCfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", listenError(adminCfg.Listen, err))
	}
	p.admin = ln
	if a, ok := ln.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
		p.log.Warn("the admin server asks nobody who they are and is reachable from other machines", "address", ln.Addr().String())
	}
	return p, nil
}

// close gives back what run did not get to own.
func (p *process) close() {
	if p.admin != nil {
		_ = p.admin.Close() // a second close of a listener; there is nothing to lose
	}
}

// run runs the parts until ctx ends, with the admin server around them: it is
// there before the first and after the last, so a drain can be watched.
func (p *process) run(ctx context.Context, parts []part) error {
	if p.admin != nil {
		handler := adminHandler(p.health, p.reg, p.api...)
		parts = append([]part{{"admin", func(ctx context.Context) error {
			return serveAdmin(ctx, p.admin, handler, p.log)
		}}}, parts...)
		p.log.Info("admin server listens", "address", p.admin.Addr().String())
	}
	stopping := context.AfterFunc(ctx, func() {
		if sig, ok := stoppedBy(ctx); ok {
			p.log.Info("stopping; a second signal exits at once", "signal", signalName(sig))
		}
	})
	defer stopping()
	begun := time.Now()
	if err := runParts(ctx, p.stopWithin, parts...); err != nil {
		return err
	}
	p.log.Info("stopped", "ran", time.Since(begun).Round(time.Millisecond).String())
	return nil
}

// stopWithin is how long all parts together may take to end.
func (p *process) stopWithin() time.Duration { return p.drain + time.Duration(p.leaving.Load()) }

// newRegistry returns a registry with what every process reports of itself.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "holdfast_build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version(), "go": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(build)
	return reg
}

// version is what the module says it is, with the commit where it is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && (v == "" || v == "(devel)") {
			v = s.Value[:12]
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v
}

// listenError says in one line why an address cannot be had.
func listenError(address string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use by another process", address)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%s: %w", address, err)
}
