package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/topology"
)

func newLabUp(s streams, f *labFlags) *cobra.Command {
	var healthy, anyway bool
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "up [PATH...]",
		Short:       "Start a lab beside the shell",
		Long: `Start a lab from a template, a cloud assembly, a CDK app or Terraform (PATH as
for check) and leave it running. A deployment that AWS refuses, or that never
starts there, is not run unless --anyway is given.

` + appHelp,
		Example: `  hoplab lab up cdk.out
  hoplab lab up . -c ingressPortOverride=8080 --name override
  hoplab lab up --situation override-sg-closed --scale 20`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := labctl.At(f.name)
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			// Reading the source here gives its errors at once, and only once.
			t, err := f.deployment(cmd.Context(), s, args)
			if err != nil {
				return err
			}
			if _, err := f.chosen(t); err != nil {
				return err
			}
			if err := refused(t); err != nil && !anyway && f.situation == "" {
				return err
			}
			if err := f.findEnvoy(cmd, s); err != nil {
				return err
			}
			log, err := p.Make()
			if err != nil {
				return err
			}
			defer log.Close()
			if err := detach(cmd, p, log, args); err != nil {
				return errors.Join(err, p.Remove())
			}
			if err := afterUp(cmd.Context(), s, p, healthy); err != nil {
				return err
			}
			return f.tellSituation(s)
		},
	}
	f.registerUp(cmd)
	cmd.Flags().BoolVar(&healthy, waitFlag, true, "wait until the first health checks have come to a result")
	cmd.Flags().BoolVar(&anyway, anywayFlag, false, "run what AWS refuses too, as if it did not")
	return cmd
}

// serveArgs are the arguments with which serve, beside cmd, owns the lab that
// cmd, up, was called for: every flag that was given, but for those of up alone.
func serveArgs(cmd *cobra.Command, args []string) []string {
	argv := []string{cmd.Parent().Name(), "serve"}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Name == waitFlag || f.Name == anywayFlag {
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			argv = append(argv, "--"+f.Name+"="+v)
		}
	})
	return append(append(argv, "--"), args...)
}

// The flags that lab up has and lab serve has not.
const (
	waitFlag   = "wait"
	anywayFlag = "anyway"
)

// refused is the error of a deployment that check finds AWS to refuse, so that
// nothing is shown running which does not run there; nil for any other.
func refused(t *topology.Topology) error {
	findings, err := check.Run(t, check.Options{})
	if err != nil {
		return err
	}
	list := check.Refusals(findings)
	if len(list) == 0 {
		return nil
	}
	more := ""
	if n := len(list) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fail.Newf(fail.Usage, "mend what hoplab check names, or run it all the same with --anyway",
		"%s does not run in AWS: %s: %s%s", t.Name, list[0].Rule, list[0].Message, more)
}
