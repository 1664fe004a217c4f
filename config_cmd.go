package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/configs"
)

// newConfigCommand returns `holdfast config`, which looks at configurations
// without starting anything.
func newConfigCommand() *cobra.Command {
	return group("config", "Check a configuration, or print one to start from", newValidateCommand(), newDefaultCommand())
}

func newValidateCommand() *cobra.Command {
	var name string
	var noEnv bool
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Load FILE as its role would, with the environment, and report every mistake",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role := configs.RoleOf(filepath.Base(args[0]))
			if name != "" {
				role = configs.Role(name)
			}
			if !role.Valid() {
				return usagef("cannot tell the role of %s from its name: give --role, one of %s", args[0], configs.RoleNames())
			}
			src := configs.Sources{File: args[0]}
			if !noEnv {
				src.Environ = os.Environ()
			}
			if err := configs.Check(role, src); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: a correct configuration of holdfast %s\n", args[0], role)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "role", "", "whose configuration FILE is; default: the first word of its name")
	cmd.Flags().BoolVar(&noEnv, "no-env", false, "leave HOLDFAST_... variables out")
	return cmd
}

func newDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "default ROLE",
		Short: "Print the defaults of a role as a file with comments",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			role := configs.Role(args[0])
			if !role.Valid() {
				return usagef("no role %q: want one of %s", args[0], configs.RoleNames())
			}
			return configs.WriteDefault(cmd.OutOrStdout(), role)
		},
	}
}
