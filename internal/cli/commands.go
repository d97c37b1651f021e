package cli

import "github.com/spf13/cobra"

// commands lists the subcommands in the order of the help text.
func commands(s streams) []*cobra.Command {
	return []*cobra.Command{
		newVersion(s),
		newSpin(s),
	}
}
