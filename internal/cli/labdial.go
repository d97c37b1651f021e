package cli

import (
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/printable"
)

func newLabDial(s streams, f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "dial URL",
		Short: "Options with which this machine's own curl gets through to a load balancer",
		Long: `Print the options that let the curl of this machine ask the lab for URL: where
to connect to, and the authority of the lab's certificates. curl still verifies
names. On the netns fabric hoplab lab exec runs curl inside, without options.`,
		Example: `  curl $(hoplab lab dial https://backend.elb.lab.test/) https://backend.elb.lab.test/`,
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return f.printDial(s, args[0]) },
	}
}

// newLabDoor is what lab dial was called before; it goes with the next release.
func newLabDoor(s streams, f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:    "door URL",
		Short:  "Old name of hoplab lab dial",
		Hidden: true,
		Args:   exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// Not cobra's Deprecated, which would write into what $(...) takes.
			fmt.Fprintln(s.err, "hoplab lab door is now hoplab lab dial; the old name goes with the next release")
			return f.printDial(s, args[0])
		},
	}
}

// printDial prints curl's options for a URL of the lab.
func (f *labFlags) printDial(s streams, rawURL string) error {
	var info labctl.Info
	if err := f.call(labctl.Request{Op: labctl.OpInfo}, &info); err != nil {
		return err
	}
	if info.Fabric != "loopback" {
		return fail.Newf(fail.Usage, "hoplab lab exec load -- curl "+rawURL, "hosts of the %s fabric cannot be dialled from this machine", info.Fabric)
	}
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return err
	}
	var d lab.DialInfo
	if err := f.call(labctl.Request{Op: labctl.OpDial, URL: rawURL}, &d); err != nil {
		return err
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return fail.Newf(fail.Usage, "", "%q is not a URL: %w", rawURL, err)
	}
	options := fmt.Sprintf("--connect-to %s:%d:%s --noproxy %[1]s", u.Hostname(), d.Logical.Port(), d.Dial)
	if st.CA != "" && u.Scheme == "https" {
		options += " --cacert " + st.CA
	}
	_, err = printable.Fprintln(s.out, options)
	return err
}
