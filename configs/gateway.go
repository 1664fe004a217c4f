package configs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-io/holdfast/dispatcher"
	"github.com/holdfast-io/holdfast/gateway"
)

// Gateway is the configuration of `holdfast gateway`.
type Gateway struct {
	// Gateway is what concerns clients; its keys stand at the top of the file.
	Gateway gateway.Config `koanf:",squash"`
	// Dispatcher says which backends there are and which commands go to them.
	Dispatcher dispatcher.Config `koanf:"dispatcher"`
	// Discovery says how the instances of those backends are found.
	Discovery Discovery `koanf:"discovery"`
	// Reload says how a changed file reaches the running gateway.
	Reload Reload `koanf:"reload"`
	// Admin is the HTTP server for operators.
	Admin Admin `koanf:"admin"`
	// Log is how the process writes its log.
	Log Log `koanf:"log"`
}

// DefaultGateway is a gateway beside a `holdfast logic` with its defaults.
func DefaultGateway() Gateway {
	c := Gateway{
		Gateway:    gateway.DefaultConfig(),
		Dispatcher: dispatcher.DefaultConfig(),
		Discovery:  DefaultDiscovery(),
		Reload:     Reload{Watch: 2 * time.Second},
		Admin:      Admin{Listen: "127.0.0.1:7070"},
		Log:        DefaultLog(),
	}
	c.Dispatcher.Services = []dispatcher.ServiceConfig{{
		Name: "logic", Instances: []dispatcher.InstanceConfig{{ID: "logic-0", Address: logicAddress}},
	}}
	c.Dispatcher.Routes = []dispatcher.RouteConfig{{Prefix: "msg.", Service: "logic"}}
	c.Dispatcher.Login.Service = "logic"
	return c
}

// replyAroundBytes is what a REPLY frame has around its payload
// (docs/protocol.md section 2): type, id, status and flags.
const replyAroundBytes = 1 + 4 + 1 + 1

// Check reports what gateway and dispatcher cannot see of each other, or of the
// process.
func (c Gateway) Check() error {
	var errs []error
	if told, kept := c.Gateway.Session.RequestTimeout, c.Dispatcher.RequestTimeout; kept > told {
		errs = append(errs, fmt.Errorf("dispatcher.request_timeout: %v, but clients are told session.request_timeout %v", kept, told))
	}
	if told, kept := c.Gateway.Session.RequestTimeout, c.Dispatcher.Login.Timeout; kept > told { // $refresh is a request too
		errs = append(errs, fmt.Errorf("dispatcher.login.timeout: %v, but $refresh is answered within session.request_timeout %v", kept, told))
	}
	if room := c.Gateway.Limits.FrameBytes - replyAroundBytes; c.Dispatcher.ReplyBytes > room {
		errs = append(errs, fmt.Errorf("dispatcher.reply_bytes: %d, but limits.frame_bytes leaves %d", c.Dispatcher.ReplyBytes, room))
	}
	if strings.HasPrefix(c.Gateway.HealthListen, "unix:") {
		errs = append(errs, fmt.Errorf("health_listen: %q, want host:port: balancers ask from elsewhere", c.Gateway.HealthListen))
	}
	for i, s := range c.Dispatcher.Services {
		if c.Discovery.Kind == KindConsul && len(s.Instances) > 0 {
			errs = append(errs, fmt.Errorf("dispatcher.services[%d].instances: given, but discovery.kind is consul, which tells them", i))
		}
	}
	return errors.Join(errs...)
}
