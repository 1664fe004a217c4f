package main

import "github.com/spf13/cobra"

// commands lists the subcommands in the order that help shows.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newConfigCommand(),
	}
}
