package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/tools/ctl"
)

// newCtlCommand returns `holdfast ctl`, which looks at what runs.
func newCtlCommand() *cobra.Command {
	c := &ctlFlags{}
	cmd := group("ctl", "Look at a running gateway, and at the slots of its backends",
		newCtlRouteCommand(c), newCtlInstancesCommand(c), newCtlSlotsCommand(c))
	flags := cmd.PersistentFlags()
	flags.StringVar(&c.admin, "admin", "127.0.0.1:7070", "admin address of the gateway to ask")
	flags.BoolVar(&c.json, "json", false, "write JSON instead of a table")
	flags.DurationVar(&c.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	return cmd
}

// ctlFlags are those of all its commands.
type ctlFlags struct {
	admin   string
	json    bool
	timeout time.Duration
}

func (c *ctlFlags) gateway() ctl.Admin { return ctl.Admin{Address: c.admin, Timeout: c.timeout} }

func (c *ctlFlags) output(cmd *cobra.Command) ctl.Output {
	return ctl.Output{To: cmd.OutOrStdout(), JSON: c.json}
}

func newCtlRouteCommand(c *ctlFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "route UID [COMMAND]",
		Short: "Say where a user's requests go: service, slot, instance, and who stands in for it",
		Long: "Say where the requests of user UID go: service, slot, instance, and who stands in for it, in order.\n" +
			"Without COMMAND it is the service that judges logins.",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			command := ""
			if len(args) > 1 {
				command = args[1]
			}
			return ctl.Route(cmd.Context(), c.output(cmd), c.gateway(), args[0], command)
		},
	}
}

func newCtlInstancesCommand(c *ctlFlags) *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "instances",
		Short: "List the instances that a gateway knows, with what it sees of each",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return ctl.Instances(cmd.Context(), c.output(cmd), c.gateway(), service)
		},
	}
	cmd.Flags().StringVar(&service, "service", "", "only those of this service")
	return cmd
}

func newCtlSlotsCommand(c *ctlFlags) *cobra.Command {
	s := &ctlConsul{}
	cmd := &cobra.Command{
		Use:   "slots",
		Short: "List the slots of a service as they stand in Consul",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.config(c.timeout)
			if err != nil {
				return err
			}
			return ctl.Slots(cmd.Context(), c.output(cmd), cfg, s.service)
		},
	}
	s.flags(cmd)
	cmd.AddCommand(&cobra.Command{
		Use:   "retire SLOT",
		Short: "Take the top slot, which must be vacant, out of use: its users move to the others",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			slot, err := strconv.Atoi(args[0])
			if err != nil || slot < 0 {
				return usagef("%s: %q is not the number of a slot", cmd.CommandPath(), args[0])
			}
			cfg, err := s.config(c.timeout)
			if err != nil {
				return err
			}
			return ctl.RetireSlot(cmd.Context(), c.output(cmd), cfg, s.service, slot)
		},
	})
	return cmd
}
