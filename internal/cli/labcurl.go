package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/labctl"
)

func newLabCurl(s streams, f *labFlags) *cobra.Command {
	var (
		from    string
		lookup  string
		timeout time.Duration
		include bool
		format  string
	)
	cmd := &cobra.Command{
		Use:   "curl URL",
		Short: "Make one GET request as a caller of the lab, and print what curl would",
		Long: `Make one GET request as a caller inside the lab. Names, rules and ports are what
that caller has: a Service Connect client resolves endpoint names, everybody
else does not. The exit code is curl's own.`,
		Example: `  hoplab lab curl --from client-service http://app.sample-namespace:80
  hoplab lab curl -i http://internal-alb/        # as a host of the VPC without Service Connect`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			if err := oneOf("lookup", lookup, "all", string(call.LookupFirst), string(call.LookupDNS)); err != nil {
				return err
			}
			caller, err := f.caller(from)
			if err != nil {
				return err
			}
			if lookup != "all" {
				caller.Lookup = call.Lookup(lookup)
			}
			var o call.Observation
			if err := f.call(labctl.Request{Op: labctl.OpCurl, Caller: caller, URL: args[0], Timeout: timeout}, &o); err != nil {
				return err
			}
			if format == "json" {
				return errors.Join(writeJSON(s, o), answer(fail.Code(o.Exit)))
			}
			return printObservation(s, o, include)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&from, "from", "", "the calling service or instance, by name or id; without it a host of the VPC without Service Connect")
	fl.StringVar(&lookup, "lookup", "all", "how the caller looks the host up: all addresses as curl does, first (and no other), or dns (the VPC's resolver only)")
	fl.DurationVarP(&timeout, "max-time", "m", 0, "give up after this time")
	fl.BoolVarP(&include, "include", "i", false, "print the response's status and headers too")
	fl.StringVar(&format, "format", "text", "text or json")
	return cmd
}
