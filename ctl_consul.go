package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
	"github.com/holdfast-io/holdfast/dispatcher/discovery"
)

// ctlConsul says which Consul the slots are in, and of which service.
type ctlConsul struct {
	service, file, role string
	set                 map[string]*string // flag -> what it was given
}

// consulFlags set one field each, over what the file says.
var consulFlags = []struct {
	name, usage string
	field       func(*discovery.ConsulConfig) *string
}{
	{"consul", "address of Consul (default 127.0.0.1:8500)", func(c *discovery.ConsulConfig) *string { return &c.Address }},
	{"token-file", "file with the ACL token", func(c *discovery.ConsulConfig) *string { return &c.TokenFile }},
	{"datacenter", "datacenter to ask", func(c *discovery.ConsulConfig) *string { return &c.Datacenter }},
	{"namespace", "namespace to ask (Consul Enterprise)", func(c *discovery.ConsulConfig) *string { return &c.Namespace }},
	{"prefix", "where the keys of slots stand (default holdfast/slots)", func(c *discovery.ConsulConfig) *string { return &c.Prefix }},
	{"ca", "certificates that sign Consul's (https)", func(c *discovery.ConsulConfig) *string { return &c.TLS.CA }},
	{"cert", "own certificate (https)", func(c *discovery.ConsulConfig) *string { return &c.TLS.Cert }},
	{"key", "its key (https)", func(c *discovery.ConsulConfig) *string { return &c.TLS.Key }},
	{"server-name", "name in Consul's certificate (https)", func(c *discovery.ConsulConfig) *string { return &c.TLS.ServerName }},
}

// flags adds those of cmd and of the commands below it.
func (s *ctlConsul) flags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&s.service, "service", "logic", "whose slots")
	flags.StringVar(&s.file, "config", "", "configuration of a gateway or a backend that says how Consul is reached")
	flags.StringVar(&s.role, "role", "", "whose configuration it is; default: the first word of its name")
	s.set = map[string]*string{}
	for _, f := range consulFlags {
		s.set[f.name] = flags.String(f.name, "", f.usage)
	}
}

// config is how Consul is reached: by the file, if there is one, with the flags on top.
func (s *ctlConsul) config(timeout time.Duration) (discovery.ConsulConfig, error) {
	cfg := configs.DefaultDiscovery().Consul
	if s.file != "" {
		var err error
		if cfg, err = s.fromFile(); err != nil {
			return cfg, err
		}
	}
	cfg.Timeout = timeout
	for _, f := range consulFlags {
		if given := *s.set[f.name]; given != "" {
			*f.field(&cfg) = given
		}
	}
	if *s.set["token-file"] != "" {
		cfg.Token = "" // the file's; two would contradict each other
	}
	if err := cfg.Validate(); err != nil {
		return cfg, fmt.Errorf("consul: %w", oneLine(err))
	}
	return cfg, nil
}

// fromFile reads the section about Consul of a role's file.
func (s *ctlConsul) fromFile() (discovery.ConsulConfig, error) {
	role := configs.RoleOf(filepath.Base(s.file))
	if s.role != "" {
		role = configs.Role(s.role)
	}
	src := configs.Sources{File: s.file, Environ: os.Environ()}
	switch role {
	case configs.RoleGateway:
		cfg, err := configs.Load[configs.Gateway](role, src)
		return cfg.Discovery.Consul, err
	case configs.RoleLogic:
		cfg, err := configs.Load[configs.Logic](role, src)
		return cfg.Register.Consul, err
	case configs.RoleEcho:
		cfg, err := configs.Load[configs.Echo](role, src)
		return cfg.Register.Consul, err
	}
	return discovery.ConsulConfig{}, usagef("cannot tell the role of %s: give --role gateway, logic or echo", s.file)
}

// oneLine puts what errors.Join has put on several lines onto one.
func oneLine(err error) error {
	return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
}
