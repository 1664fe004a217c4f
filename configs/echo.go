package configs

import "github.com/holdfast-io/holdfast/backend/echo"

// echoAddress is where echo listens by default.
const echoAddress = "127.0.0.1:7091"

// Echo is the configuration of `holdfast echo`.
type Echo struct {
	// Echo is the service; its keys stand at the top of the file.
	Echo echo.Config `koanf:",squash"`
	// Register says how gateways learn of this instance.
	Register Register `koanf:"register"`
	// Admin is the HTTP server for operators.
	Admin Admin `koanf:"admin"`
	// Log is how the process writes its log.
	Log Log `koanf:"log"`
}

// DefaultEcho is on loopback, since echo lets everybody in.
func DefaultEcho() Echo {
	c := Echo{Echo: echo.DefaultConfig(), Register: DefaultRegister(), Admin: Admin{Listen: "127.0.0.1:7092"}, Log: DefaultLog()}
	c.Echo.Kit.Listen = echoAddress
	return c
}

// Check reports what the sections cannot see of each other.
func (c Echo) Check() error { return c.Register.checkFor(c.Echo.Kit.Service, c.Echo.Kit.Listen) }
