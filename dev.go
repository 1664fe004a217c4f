package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/echo"
	"github.com/holdfast-io/holdfast/backend/logic"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway/admission"
	"github.com/holdfast-io/holdfast/gateway/transport"
	"github.com/holdfast-io/holdfast/gateway/transport/secure"
)

// newDevCommand returns `holdfast dev`: everything in one process, over real
// calls, to try things.
func newDevCommand() *cobra.Command {
	cmd := roleCommand(configs.RoleDev, "Run gateway, echo and logic on this machine, to try things",
		map[string]string{"listen": "listen", "tls": "tls", "admin": "admin.listen", "data": "data", "log-level": "log.level"},
		func(c configs.Dev) (configs.Log, configs.Admin) { return c.Log, c.Admin }, startDev)
	cmd.Flags().Lookup("tls").NoOptDefVal = "true"
	return cmd
}

func startDev(cmd *cobra.Command, p *process, cfg configs.Dev) ([]part, error) {
	folder, err := keys.OpenFolder(cfg.Data, p.log)
	if err != nil {
		return nil, err
	}
	sockets, err := newSockets(cfg.Data)
	if err != nil {
		return nil, err
	}
	gwCfg, echoCfg, logicCfg := devConfigs(cfg, sockets)
	if cfg.TLS {
		if err := addTLS(&gwCfg, cfg); err != nil {
			return nil, err
		}
	}
	echoService, err := newEcho(p, echoCfg)
	if err != nil {
		return nil, err
	}
	logicService, err := newLogic(p, logicCfg)
	if err != nil {
		return nil, err
	}
	e, err := newEdge(p, gwCfg)
	if err != nil {
		return nil, err
	}
	hello := greeting{command: ownCommand(os.Args[0]), listen: e.server.Addrs()[0].String(), folder: folder, admin: p.admin}
	if cfg.TLS {
		hello.certificate = gwCfg.Gateway.Listeners[0].TLS.Certificates[0].Cert
	}
	greeting := part{"greeting", func(ctx context.Context) error {
		if p.awaitReady(ctx) {
			if err := hello.write(cmd.OutOrStdout()); err != nil {
				p.log.Error("no greeting", "error", err)
			}
		}
		<-ctx.Done()
		return nil
	}}
	backends := []part{sockets.part(), {"echo", echoService.Run}, {"logic", logicService.Run}}
	return append(append(backends, e.parts...), greeting), nil
}

// devConfigs turns the few settings of dev into those of its parts. The limits on
// who may connect and how fast, which a benchmark or a test on one machine would
// run into, are lifted, and pages that this machine serves may connect.
func devConfigs(cfg configs.Dev, s *sockets) (configs.Gateway, echo.Config, logic.Config) {
	gw, e, l := configs.DefaultGateway(), configs.DefaultEcho().Echo, configs.DefaultLogic().Logic
	gw.Gateway.Name = "dev"
	gw.Gateway.Listeners = []transport.ListenerConfig{{
		Transports: []transport.Name{transport.TCP, transport.WS, transport.Poll, transport.SSE},
		Address:    cfg.Listen,
	}}
	gw.Gateway.Origins = []string{"http://localhost:*", "http://127.0.0.1:*"}
	gw.Gateway.Admission = admission.Unlimited()
	gw.Gateway.RPC.Listen = s.address("gateway")
	gw.Gateway.Drain.Window, gw.Gateway.Drain.DeregisterDelay = cfg.DrainWindow, 0
	gw.Dispatcher.Services = []dispatcher.ServiceConfig{
		{Name: "logic", Instances: []dispatcher.InstanceConfig{{ID: "logic-0", Address: s.address("logic")}}},
		{Name: "echo", Instances: []dispatcher.InstanceConfig{{ID: "echo-0", Address: s.address("echo")}}},
	}
	gw.Dispatcher.Routes = []dispatcher.RouteConfig{
		{Prefix: "msg.", Service: "logic"},
		{Prefix: "echo.", Service: "echo"},
	}
	gw.Dispatcher.Login.Service = "logic"

	e.Kit.Listen, l.Kit.Listen = s.address("echo"), s.address("logic")
	// The only gateway has ended before its backends are told to: nobody to notice.
	e.Kit.DrainNotice, l.Kit.DrainNotice = 0, 0
	l.Data = cfg.Data
	return gw, e, l
}

// addTLS makes the only listener serve every transport over TLS too.
func addTLS(gw *configs.Gateway, cfg configs.Dev) error {
	certificate, err := secure.SelfSigned(cfg.Data, certificateHosts(cfg.Listen))
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	l := &gw.Gateway.Listeners[0]
	l.Transports = transport.Names
	l.TLS = secure.DefaultConfig()
	l.TLS.Certificates = []secure.Certificate{certificate}
	gw.Gateway.Origins = append(gw.Gateway.Origins, "https://localhost:*", "https://127.0.0.1:*")
	return nil
}

// certificateHosts are the names by which clients on this machine may call it, and
// the one that it listens on.
func certificateHosts(listen string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() || slices.Contains(hosts, host) {
		return hosts
	}
	return append(hosts, host)
}

// ownCommand is how a person called this program and can call it again. `go run`
// builds into a folder that it removes afterwards.
func ownCommand(arg0 string) string {
	if strings.Contains(arg0, string(filepath.Separator)+"go-build") {
		return "go run ."
	}
	return arg0
}
