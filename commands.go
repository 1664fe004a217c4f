package main

import "github.com/spf13/cobra"

// commands lists the subcommands: the roles, then the tools.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newDevCommand(),
		newGatewayCommand(),
		newLogicCommand(),
		newEchoCommand(),
		newConfigCommand(),
		newCtlCommand(),
		newTokenCommand(),
		newChatCommand(),
		newBenchCommand(),
	}
}
