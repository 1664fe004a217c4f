package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/echo"
	"github.com/holdfast-io/holdfast/backend/logic"
	"github.com/holdfast-io/holdfast/backend/logic/keys"
	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway/transport"
)

// newDevCommand returns `holdfast dev`: everything in one process, over real
// calls, to try things.
func newDevCommand() *cobra.Command {
	return roleCommand(configs.RoleDev, "Run gateway, echo and logic on this machine, to try things",
		map[string]string{"listen": "listen", "admin": "admin.listen", "data": "data", "log-level": "log.level"},
		func(c configs.Dev) (configs.Log, configs.Admin) { return c.Log, c.Admin }, startDev)
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
	listen := e.server.Addrs()[0].String()
	greeting := part{"greeting", func(ctx context.Context) error {
		if p.awaitReady(ctx) {
			p.greet(cmd.OutOrStdout(), listen, folder)
		}
		<-ctx.Done()
		return nil
	}}
	backends := []part{sockets.part(), {"echo", echoService.Run}, {"logic", logicService.Run}}
	return append(append(backends, e.parts...), greeting), nil
}

// devConfigs turns the few settings of dev into those of its parts. The three
// limits on who may connect, which a benchmark or a test on one machine would
// run into, are lifted here once the gateway has them.
func devConfigs(cfg configs.Dev, s *sockets) (configs.Gateway, echo.Config, logic.Config) {
	gw, e, l := configs.DefaultGateway(), configs.DefaultEcho().Echo, configs.DefaultLogic().Logic
	gw.Gateway.Name = "dev"
	gw.Gateway.Listeners = []transport.ListenerConfig{{Transport: transport.TCP, Address: cfg.Listen}}
	gw.Gateway.RPC.Listen = s.address("gateway")
	gw.Gateway.Drain.Window = cfg.DrainWindow
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

// greet prints what a person does next.
func (p *process) greet(out io.Writer, listen string, folder keys.Folder) {
	const ttl = 24 * time.Hour
	var tokens [2]string
	for i, uid := range []string{"1001", "1002"} {
		token, err := folder.Sign(uid, ttl)
		if err != nil {
			p.log.Error("no token for the greeting", "error", err)
			return
		}
		tokens[i] = token
	}
	chat := fmt.Sprintf("%s chat --endpoint %s --token ", ownCommand(os.Args[0]), listen)
	fmt.Fprintf(out, "\nclients    %s\n", listen)
	if p.admin != nil {
		fmt.Fprintf(out, "admin      http://%s (/livez, /readyz, /metrics, /debug/pprof/)\n", p.admin.Addr())
	}
	fmt.Fprintf(out, "data       %s\n\n", folder.Path)
	fmt.Fprintf(out, "A first message: paste the first line into a second terminal, the second into a third.\n\n")
	fmt.Fprintf(out, "%s%s --receive 1 --timeout 10m\n\n", chat, tokens[1])
	fmt.Fprintf(out, "%s%s --to 1002 --send 'hello from 1001'\n\n", chat, tokens[0])
	fmt.Fprintf(out, "To talk line by line see `%s chat --help`. Ctrl-C ends this process.\n", ownCommand(os.Args[0]))
}

// ownCommand is how a person called this program and can call it again. `go run`
// builds into a folder that it removes afterwards.
func ownCommand(arg0 string) string {
	if strings.Contains(arg0, string(filepath.Separator)+"go-build") {
		return "go run ."
	}
	return arg0
}
