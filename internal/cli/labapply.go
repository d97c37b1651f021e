package cli

import (
	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
)

func newLabApply(s streams, f *labFlags) *cobra.Command {
	var wait, anyway bool
	var format string
	cmd := &cobra.Command{
		Use:   "apply [PATH...]",
		Short: "Make a running lab that of another template, as an update does",
		Long: `Make a running lab that of another template, cloud assembly, CDK app or
Terraform (PATH as for lab up). Security groups and listeners change at once,
while connections that are up stay up. Services whose tasks would differ get a
new deployment, which rolls within minimum and maximum percent; the command
waits until it is through. One that fails is exit code 1.`,
		Example: `  hoplab lab apply cdk.out
  hoplab lab apply . -c ingressPortOverride=8080
  hoplab lab apply other.yaml --wait=false`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			// Reading the source here gives its errors before the lab is asked.
			t, err := f.deployment(cmd.Context(), s, args)
			if err != nil {
				return err
			}
			if err := refused(t); err != nil && !anyway {
				return err
			}
			made, err := f.made(args)
			if err != nil {
				return err
			}
			changes := []lab.Change{}
			if err := f.call(labctl.Request{Op: labctl.OpApply, Made: &made}, &changes); err != nil {
				return err
			}
			if format == "json" {
				err = writeJSON(s, changes)
			} else {
				err = printChanges(s, changes)
			}
			if err != nil || !wait {
				return err
			}
			return f.call(labctl.Request{Op: labctl.OpSettled}, nil)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&wait, waitFlag, true, "wait until every deployment is through")
	cmd.Flags().BoolVar(&anyway, anywayFlag, false, "apply what AWS refuses too, as if it did not")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// printChanges lists what an update does, one thing a line.
func printChanges(s streams, changes []lab.Change) error {
	if len(changes) == 0 {
		return say(s, "nothing but rules and names may have changed: no service, load balancer or instance did")
	}
	words := map[string]string{"deployed": "gets a new deployment"}
	for _, c := range changes {
		how := words[c.How]
		if how == "" {
			how = c.How
		}
		if err := say(s, "%s %s: %s", c.What, c.Name, how); err != nil {
			return err
		}
	}
	return nil
}
