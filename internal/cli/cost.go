package cli

import (
	"encoding/json"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/cost"
	"github.com/hoplab/hoplab/internal/printable"
)

func newCost(s streams) *cobra.Command {
	var from sourceFlags
	var format string
	cmd := &cobra.Command{
		Use:   "cost [PATH...]",
		Short: "Estimate what a deployment costs per hour, and the agent's room per task",
		Long: `Estimate what a deployment costs per hour while nobody calls it, from a dated
price table of one region, and what the room that AWS advises for the Service
Connect agent costs per task and month. PATH is as for check.

` + appHelp,
		Example: "  hoplab cost cdk.out\n  hoplab cost . -c arms=both --format json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			t, err := from.load(cmd.Context(), s, args)
			if err != nil {
				return err
			}
			e := cost.Deployed(t, cost.USEast1)
			if format == "json" {
				enc := json.NewEncoder(s.out)
				enc.SetIndent("", "  ")
				return enc.Encode(struct {
					cost.Estimate
					AgentMonth float64 `json:"agent_room_usd_per_task_month"`
				}{e, cost.AgentMonth(cost.USEast1)})
			}
			return printCost(s, e)
		},
	}
	from.register(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func printCost(s streams, e cost.Estimate) error {
	tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, l := range e.Lines {
		printable.Fprintf(tw, "%s\t%g %s\t$%.4f\n", l.What, l.Count, l.Unit, l.USD)
	}
	printable.Fprintf(tw, "per %s\t\t$%.4f\n", e.Per, e.USD)
	if err := tw.Flush(); err != nil {
		return err
	}
	printable.Fprintf(s.out, "\nPrices of %s as of %s; other regions differ. Not counted: %s.\n", e.Region, e.Dated, strings.Join(e.Without, "; "))
	printable.Fprintf(s.out, "Room for the Service Connect agent (%d CPU units, %d MiB): $%.2f per task and month.\n",
		cost.AgentCPUUnits, cost.AgentMemoryMiB, cost.AgentMonth(cost.USEast1))
	_, err := printable.Fprintf(s.out, "Sources: %s\n", strings.Join(e.Sources, ", "))
	return err
}
