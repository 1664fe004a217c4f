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
		newCtlSlotsCommand(c))
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
