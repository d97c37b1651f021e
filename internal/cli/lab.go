package cli

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
)

// labFlags say which lab is meant and what a new one is made of.
type labFlags struct {
	sourceFlags
	name   string
	fabric string
	agent  string
	envoy  string // the program that the agent envoy is
	scale  float64
	delay  time.Duration
	seed   uint64
	// profile names a lab.Timing; timing overrides single values of it.
	profile string
	timing  lab.Timing
	// situation names what to run instead of a source.
	situation string
	// only names the services that run, and perService bounds their tasks; nothing
	// and 0 are as the source has it.
	only       []string
	perService int
	// apps are commands in the place of images, as SERVICE=COMMAND.
	apps []string
}

func newLab(s streams) *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run a deployment on this machine: load balancer, agents, app, names, rules",
		Long: `Run what a template describes on this machine, and call it as its callers do.
hoplab lab up starts it beside the shell; the other commands talk to it.`,
		Example: `  hoplab lab up stacks/testdata/golden/bypass
  hoplab lab curl --from client-service http://app.sample-namespace:80
  hoplab lab status
  hoplab lab down`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&f.name, "name", "default", "which lab, when several are up")
	cmd.AddCommand(newLabUp(s, &f), newLabServe(s, &f), newLabStatus(s, &f), newLabCurl(s, &f), newLabDial(s, &f), newLabDoor(s, &f), newLabExec(s, &f), newLabLogs(s, &f), newLabDown(s, &f),
		newLabSituations(s), newLabKill(s, &f), newLabDrain(s, &f), newLabScale(s, &f), newLabRedeploy(s, &f), newLabApply(s, &f), newLabPage(s, &f))
	return cmd
}

func (f *labFlags) registerUp(cmd *cobra.Command) {
	f.register(cmd)
	f.registerRunning(cmd)
	fl := cmd.Flags()
	fl.StringArrayVar(&f.only, "only", nil, "run this service alone, by name or id, with what is in front of it (may repeat)")
	fl.IntVar(&f.perService, "tasks-per-service", 0, "start no more tasks of a service than this; 0 for as many as the source wants")
	fl.StringVar(&f.situation, "situation", "", "run a situation with a known outcome instead of PATH (hoplab lab situations lists them)")
}

// registerRunning registers how a lab runs, whatever it is made of.
func (f *labFlags) registerRunning(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.fabric, "fabric", "loopback", "the network under the lab: loopback or netns")
	fl.StringVar(&f.agent, "agent", lab.AgentLab, "what runs as the agents: lab (its own) or envoy (a real one)")
	registerEnvoy(cmd, &f.envoy)
	fl.DurationVar(&f.delay, "link-delay", 0, "how long a packet takes between a host and its subnet, one way (with --fabric netns)")
	fl.Float64Var(&f.scale, "scale", 1, "run the lab's timers so many times faster than real")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of addresses and start order")
	fl.StringArrayVar(&f.apps, "app", nil,
		"SERVICE=COMMAND: a command of this machine in the place of the service's image; it listens on $LISTEN_ADDRESS and $PORT (Linux; may repeat)")
	fl.StringVar(&f.profile, "profile", "", "times of starts and pauses: fargate, as they were seen there; without it at once")
	fl.DurationVar(&f.timing.TaskStart, "task-start", 0, "from the decision to start a task until its containers run")
	fl.DurationVar(&f.timing.AgentReady, "agent-ready", 0, "from running containers until the agent has its clusters")
	fl.DurationVar(&f.timing.Register, "register", 0, "from a running task until its callers' agents know it")
	fl.DurationVar(&f.timing.Deregister, "drain", 0, "from the order to stop a task until its callers' agents know; it serves them until then")
}

// check refuses what no lab can be made of, before anything is read.
func (f *labFlags) check() error {
	if err := oneOf("fabric", f.fabric, plan.FabricLoopback, plan.FabricNetns); err != nil {
		return err
	}
	if !(f.scale >= 1 && f.scale <= maxScale) {
		return fail.Newf(fail.Usage, "1 is real time", "--scale %v: expected 1 to %v", f.scale, maxScale)
	}
	if f.delay < 0 || f.delay > time.Second {
		return fail.Newf(fail.Usage, "", "--link-delay %s: expected 0s to 1s", f.delay)
	}
	if f.delay > 0 && f.fabric != plan.FabricNetns {
		return fail.Newf(fail.Usage, "add --fabric netns", "--link-delay %s: hosts of the fabric %s have no links", f.delay, f.fabric)
	}
	if _, err := f.times(); err != nil {
		return err
	}
	if f.perService < 0 || f.perService > lab.MaxTasks {
		return fail.Newf(fail.Usage, "0 is as many as the source wants", "--tasks-per-service %d: expected 0 to %d", f.perService, lab.MaxTasks)
	}
	if err := lab.CheckPrograms(f.programs()); err != nil {
		return err
	}
	return f.checkAgent()
}

// programs are the commands that --app gives, split at blanks.
func (f *labFlags) programs() (out []lab.Program) {
	for _, text := range f.apps {
		service, command, _ := strings.Cut(text, "=")
		out = append(out, lab.Program{Service: strings.TrimSpace(service), Command: strings.Fields(command)})
	}
	return out
}

// checkAgent refuses what cannot be the agents.
func (f *labFlags) checkAgent() error {
	if f.envoy != "" && f.agent != lab.AgentEnvoy {
		return fail.Newf(fail.Usage, "add --agent envoy, or leave out --envoy", "--envoy %s: the agents of this lab are not Envoy", f.envoy)
	}
	return (&lab.Options{Agent: f.agent, Fabric: f.fabric, Scale: f.scale}).CheckAgent()
}

// times returns the profile with the values that flags give.
func (f *labFlags) times() (lab.Timing, error) {
	t, err := lab.Profile(f.profile)
	if err != nil {
		return t, err
	}
	for _, v := range []struct {
		name     string
		to, from *time.Duration
	}{
		{"task-start", &t.TaskStart, &f.timing.TaskStart}, {"agent-ready", &t.AgentReady, &f.timing.AgentReady},
		{"register", &t.Register, &f.timing.Register}, {"drain", &t.Deregister, &f.timing.Deregister},
	} {
		if *v.from < 0 || *v.from > maxPause {
			return t, fail.Newf(fail.Usage, "", "--%s %s: expected 0s to %s", v.name, *v.from, maxPause)
		}
		if *v.from > 0 {
			*v.to = *v.from
		}
	}
	return t, nil
}

// maxPause bounds the times of starts and pauses.
const maxPause = time.Hour

// findEnvoy finds or fetches the Envoy that the agents are to be, as if the user
// had named it: the process that owns the lab gets it from the flags.
func (f *labFlags) findEnvoy(cmd *cobra.Command, s streams) error {
	if f.agent != lab.AgentEnvoy {
		return nil
	}
	b, err := envoybin.Get(cmd.Context(), envoybin.Wanted{Path: f.envoy, Progress: s.err})
	if err != nil {
		return err
	}
	return cmd.Flags().Set("envoy", b.Path)
}

// maxScale is where the lab's timers reach their least, a millisecond for each second.
const maxScale = 1000

func newLabStatus(s streams, f *labFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "Tasks, names, agents and targets of a running lab",
		Example: "  hoplab lab status --format json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			var st lab.Status
			if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(s, st)
			}
			printLab(s, &st)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func newLabDown(s streams, f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "down",
		Short:   "Stop a lab and remove everything of it",
		Example: "  hoplab lab down --name override",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := labctl.At(f.name)
			if err != nil {
				return err
			}
			if err := f.call(labctl.Request{Op: labctl.OpDown}, nil); err != nil {
				return err
			}
			for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if _, err := os.Stat(p.Dir); err != nil {
					return nil
				}
			}
			return fail.Newf(fail.Environment, "see "+p.Log(), "the lab called %q is slow to stop", f.name)
		},
	}
}

func (f *labFlags) call(r labctl.Request, v any, files ...*os.File) error {
	p, err := labctl.At(f.name)
	if err != nil {
		return err
	}
	c, err := labctl.Dial(p)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Call(r, v, files...)
}

// caller finds the service or instance that --from names.
func (f *labFlags) caller(name string) (lab.Caller, error) {
	if name == "" {
		return lab.Caller{}, nil
	}
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return lab.Caller{}, err
	}
	var names []string
	for _, sv := range st.Services {
		if called(name, sv.Name, sv.ID) {
			return lab.Caller{Service: sv.ID}, nil
		}
		names = append(names, sv.Name)
	}
	for _, in := range st.Instances {
		if in.Name == name || string(in.ID) == name {
			return lab.Caller{Service: in.ID}, nil
		}
		names = append(names, in.Name)
	}
	return lab.Caller{}, fail.Newf(fail.Usage, "choose from "+strings.Join(names, ", "), "the lab has no service or instance %q", name)
}

func writeJSON(s streams, v any) error {
	return printable.JSON(s.out, v)
}
