package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
)

func newLabDoor(s streams, f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "door URL",
		Short: "Options with which this machine's own curl gets through to a load balancer",
		Long: `Print the options that let the curl of this machine ask the lab for URL: where
to connect to, and the authority of the lab's certificates. Names are verified
as ever. On the netns fabric hoplab lab exec runs curl inside, without options.`,
		Example: `  curl $(hoplab lab door https://backend.elb.lab.test/) https://backend.elb.lab.test/`,
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var info labctl.Info
			if err := f.call(labctl.Request{Op: labctl.OpInfo}, &info); err != nil {
				return err
			}
			if info.Fabric != "loopback" {
				return fail.Newf(fail.Usage, "hoplab lab exec load -- curl "+args[0], "the %s fabric has no doors on this machine", info.Fabric)
			}
			var st lab.Status
			if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
				return err
			}
			var d lab.DialInfo
			if err := f.call(labctl.Request{Op: labctl.OpDoor, URL: args[0]}, &d); err != nil {
				return err
			}
			u, err := url.Parse(args[0])
			if err != nil {
				return fail.Newf(fail.Usage, "", "%q is not a URL: %w", args[0], err)
			}
			options := fmt.Sprintf("--connect-to %s:%d:%s --noproxy %[1]s", u.Hostname(), d.Logical.Port(), d.Dial)
			if st.CA != "" && u.Scheme == "https" {
				options += " --cacert " + st.CA
			}
			_, err = fmt.Fprintln(s.out, options)
			return err
		},
	}
}
