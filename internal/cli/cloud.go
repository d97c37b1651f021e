package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/cdk"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/labctl"
)

// cloudFlags say which account is meant and what a new one is made of.
type cloudFlags struct {
	labFlags
	region, listen string
}

func newCloud(s streams) *cobra.Command {
	var f cloudFlags
	cmd := &cobra.Command{
		Use:   "cloud",
		Short: "A local AWS account for cdk deploy, with the lab behind it",
		Long: `Answer the CDK CLI and the aws CLI on this machine, without an AWS account,
Docker or network: what they deploy runs in a lab. hoplab cloud up starts it
beside the shell, and hoplab lab's commands work on its lab.`,
		Example: `  hoplab cloud up
  eval "$(hoplab cloud env)"
  npx cdk deploy --all
  hoplab lab curl --from client-service http://app.sample-namespace:80
  hoplab cloud down`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&f.name, "name", "default", "which account, when several are up")
	cmd.AddCommand(newCloudUp(s, &f), newCloudServe(s, &f), newCloudEnv(s, &f), newCloudStatus(s, &f), newCloudDown(s, &f))
	for _, sub := range cmd.Commands() {
		run := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			err := run(cmd, args)
			if errors.Is(err, labctl.ErrNotUp) {
				return fail.Newf(fail.Usage, "start one with hoplab cloud up", "no account called %q %w", f.name, labctl.ErrNotUp)
			}
			return err
		}
	}
	return cmd
}

func (f *cloudFlags) registerCloud(cmd *cobra.Command) {
	f.registerRunning(cmd)
	cmd.Flags().StringVar(&f.region, "region", "us-east-1", "the account's region")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:0", "the endpoint's address, on loopback; port 0 for any that is free")
}

// regionName is the form of a region's name. What cloud env prints of it goes
// through a shell.
var regionName = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}$`)

func newCloudUp(s streams, f *cloudFlags) *cobra.Command {
	cmd := &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "up",
		Short:       "Start the account beside the shell",
		Long: `Start a local account in which cdk bootstrap was run and nothing is deployed.
It listens on loopback only and answers signed requests only. Images are neither
built nor run: the measured app stands for each, or a command that --app gives.
IAM is not enforced.`,
		Example: "  hoplab cloud up\n  hoplab cloud up --fabric netns --scale 20 --task-start 30s\n" +
			"  hoplab cloud up --app 'app-service=python3 -m http.server --bind $LISTEN_ADDRESS $PORT'",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := labctl.At(f.name)
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			if !regionName.MatchString(f.region) {
				return fail.Newf(fail.Usage, "", "--region %q: expected a region such as eu-west-1", f.region)
			}
			if err := f.findEnvoy(cmd, s); err != nil {
				return err
			}
			left, err := leftBehind(p)
			if err != nil {
				return err
			}
			log, err := p.Make()
			if err != nil {
				return err
			}
			defer log.Close()
			if left != "" {
				if err := say(s, "%s", left); err != nil {
					return err
				}
			}
			if err := detach(cmd, p, log, nil); err != nil {
				return errors.Join(err, p.Remove())
			}
			info, err := f.info()
			if err != nil {
				return err
			}
			return say(s, "account %s, region %s, at %s\n  %s\n  npx cdk deploy --all", account.ID, f.region, info.Endpoint, f.evalEnv())
		},
	}
	f.registerCloud(cmd)
	return cmd
}

// evalEnv is what the user types to use the account in his shell.
func (f *cloudFlags) evalEnv() string {
	name := ""
	if f.name != "default" {
		name = " --name " + f.name
	}
	return `eval "$(hoplab cloud env` + name + `)"`
}

// journalName is the file of the place that says what the account holds.
const journalName = "cloud.json"

// leftBehind says what an account held that ended without hoplab cloud down.
// Nothing else of it is left: what it had started ended with it.
func leftBehind(p labctl.Place) (string, error) {
	c, err := labctl.Dial(p)
	if err == nil {
		c.Close()
		return "", nil // it is up; Make says so
	}
	data, err := p.Read(journalName)
	if err != nil || len(data) == 0 {
		return "", err
	}
	var was cloud.Summary
	if err := json.Unmarshal(data, &was); err != nil {
		return "", nil // cut short by what ended it
	}
	var stacks []string
	for _, st := range was.Stacks {
		stacks = append(stacks, st.Name+" "+st.Status)
	}
	return fmt.Sprintf("the account of %s ended without hoplab cloud down; its stacks are gone: %s", was.Since.Local().Format("2006-01-02 15:04"), strings.Join(stacks, ", ")), nil
}

// info asks the account for its endpoint. A lab of its own has none.
func (f *cloudFlags) info() (labctl.Info, error) {
	var info labctl.Info
	if err := f.call(labctl.Request{Op: labctl.OpInfo}, &info); err != nil {
		return info, err
	}
	if info.Endpoint == "" {
		return info, fail.Newf(fail.Usage, "hoplab cloud up --name OTHER starts an account beside it", "the lab called %q %w", f.name, errNoAccount)
	}
	return info, nil
}

var errNoAccount = errors.New("is no account")

func newCloudEnv(s streams, f *cloudFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print what a shell exports to use the account",
		Long: `Print what a shell exports so that the CDK CLI, the aws CLI and the SDKs use the
account and nothing else: no profile, no file of credentials and no instance's
role wins over it.`,
		Example: `  eval "$(hoplab cloud env)"`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			info, err := f.info()
			if err != nil {
				return err
			}
			sum, err := f.summary()
			if err != nil {
				return err
			}
			for _, v := range cdk.Environment(info.Endpoint, sum.Region) {
				if err := say(s, "export %s", v); err != nil {
					return err
				}
			}
			return say(s, "unset AWS_PROFILE AWS_SESSION_TOKEN")
		},
	}
}

// summary reads what the account holds.
func (f *cloudFlags) summary() (cloud.Summary, error) {
	var sum cloud.Summary
	if _, err := f.info(); err != nil {
		return sum, err
	}
	p, err := labctl.At(f.name)
	if err != nil {
		return sum, err
	}
	data, err := p.Read(journalName)
	if err != nil {
		return sum, err
	}
	if err := json.Unmarshal(data, &sum); err != nil {
		return sum, fail.Newf(fail.Environment, "see "+p.Log(), "what the account holds: %w", err)
	}
	return sum, nil
}

func newCloudStatus(s streams, f *cloudFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Stacks of the account, and what of them is state only",
		Example: "  hoplab cloud status --format json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			sum, err := f.summary()
			if err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(s, sum)
			}
			return printCloud(s, &sum)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func printCloud(s streams, sum *cloud.Summary) error {
	lines := []string{fmt.Sprintf("account %s, region %s, at %s", account.ID, sum.Region, sum.Endpoint)}
	for _, st := range sum.Stacks {
		line := fmt.Sprintf("%s  %s  %d resources", st.Name, st.Status, st.Resources)
		if st.Reason != "" {
			line += "  " + st.Reason
		}
		lines = append(lines, line)
	}
	if len(sum.StateOnly) > 0 {
		var list []string
		for _, typ := range slices.Sorted(maps.Keys(sum.StateOnly)) {
			list = append(list, fmt.Sprintf("%s (%d)", strings.TrimPrefix(typ, "AWS::"), sum.StateOnly[typ]))
		}
		lines = append(lines, "state only, nothing runs: "+strings.Join(list, ", "))
	}
	if len(sum.Images) > 0 {
		lines = append(lines, "not run, the measured app stands for it: "+strings.Join(sum.Images, ", "))
	}
	for _, app := range sum.Apps {
		lines = append(lines, "but for a service's image this command: "+app)
	}
	for _, line := range lines {
		if err := say(s, "%s", line); err != nil {
			return err
		}
	}
	return nil
}

func newCloudDown(s streams, f *cloudFlags) *cobra.Command {
	down := newLabDown(s, &f.labFlags)
	end := down.RunE
	down.Short = "Stop the account with its lab and remove everything of it"
	down.Example = "  hoplab cloud down"
	down.RunE = func(cmd *cobra.Command, args []string) error {
		if _, err := f.info(); errors.Is(err, errNoAccount) {
			return err
		}
		return end(cmd, args) // also of one that is still starting
	}
	return down
}
