package cli

import (
	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/diagnose"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

func newDiagnose(s streams) *cobra.Command {
	var (
		from   sourceFlags
		format string
		group  string
		inLab  string
	)
	cmd := &cobra.Command{
		Use:   "diagnose [PATH...]",
		Short: "Answer \"why is my target unhealthy?\", the culprit first",
		Long: `Go through the checklist of an unhealthy target: process, listening port, path
and port of the health check, ingress of the target, egress of the load
balancer. Each line has its evidence, the culprit stands first. The exit code
is 1 when something is wrong.

With --lab the answers rest on what a running lab shows; without PATH, of the
source that the lab was started from.

` + appHelp,
		Example: "  hoplab diagnose cdk.out\n  hoplab diagnose infra/ --var enable_alb_egress=false\n  hoplab diagnose --lab default",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			var t *topology.Topology
			var err error
			if inLab != "" && len(args) == 0 {
				t, err = remake(cmd.Context(), s, inLab)
			} else {
				t, err = from.load(cmd.Context(), s, args)
			}
			if err != nil {
				return err
			}
			o := diagnose.Options{TargetGroup: topology.ID(group)}
			if inLab != "" {
				if o.Evidence, err = labEvidence(t, inLab); err != nil {
					return err
				}
			}
			return printDiagnoses(s, t, o, format)
		},
	}
	from.register(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().StringVar(&inLab, "lab", "", "name of a running lab whose targets to look at (see hoplab lab up)")
	cmd.Flags().StringVar(&group, "target-group", "", "only this target group (its id, e.g. App/TargetGroup)")
	return cmd
}

// printDiagnoses prints the checklist of every target and answers 1 when one has a fault.
func printDiagnoses(s streams, t *topology.Topology, o diagnose.Options, format string) error {
	ds, err := diagnose.Diagnose(t, o)
	if err != nil {
		return err
	}
	if format == "json" {
		err = diagnose.JSON(s.out, ds)
	} else {
		err = diagnose.Text(s.out, ds, renderOptions(s))
	}
	if err != nil {
		return err
	}
	for i := range ds {
		if len(ds[i].Faults()) > 0 {
			return answer(fail.Finding)
		}
	}
	return nil
}
