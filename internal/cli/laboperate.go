package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
)

func newLabKill(s streams, f *labFlags) *cobra.Command {
	var task, part, balancer string
	cmd := &cobra.Command{
		Use:   "kill [SERVICE]",
		Short: "Kill a task, its agent or its app, or a load balancer's node",
		Long: `Kill processes at once, as a lost host or a lack of memory does. Nothing is
drained and nobody is told. The service replaces the task; a load balancer
gets a new node.`,
		Example: `  hoplab lab kill sample-ecs-app                # a whole task
  hoplab lab kill sample-ecs-app --part agent   # its agent only
  hoplab lab kill --load-balancer Alb`,
		Args: atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneOf("part", part, string(lab.WholeTask), string(lab.AgentPart), string(lab.AppPart)); err != nil {
				return err
			}
			switch {
			case (balancer == "") == (len(args) == 0):
				return fail.Newf(fail.Usage, "see hoplab lab status", "name a service or a --load-balancer to kill")
			case balancer != "" && (task != "" || cmd.Flags().Changed("part")):
				return fail.Newf(fail.Usage, "leave them out", "--task and --part are about a service's tasks")
			case balancer != "":
				return f.killBalancer(s, balancer)
			}
			r, name, err := f.onTask(labctl.OpKill, args[0], task)
			if err != nil {
				return err
			}
			r.Part = lab.Part(part)
			if err := f.call(r, nil); err != nil {
				return err
			}
			what := "task " + r.Task
			if r.Part != lab.WholeTask {
				what = "the " + part + " of " + what
			}
			return say(s, "killed %s of %s", what, name)
		},
	}
	cmd.Flags().StringVar(&task, "task", "", "this task (its id); without it the first that runs")
	cmd.Flags().StringVar(&part, "part", string(lab.WholeTask), "task, agent or app")
	cmd.Flags().StringVar(&balancer, "load-balancer", "", "a load balancer instead, by name or id")
	return cmd
}

func (f *labFlags) killBalancer(s streams, name string) error {
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return err
	}
	var names []string
	for _, b := range st.LoadBalancers {
		if name == b.Name || name == string(b.ID) || name == b.DNSName || strings.HasSuffix(string(b.ID), "/"+name) {
			if err := f.call(labctl.Request{Op: labctl.OpKill, LoadBalancer: b.ID}, nil); err != nil {
				return err
			}
			return say(s, "killed the node of load balancer %s", b.Name)
		}
		names = append(names, b.Name)
	}
	return fail.Newf(fail.Usage, choose(names), "the lab has no load balancer %q", name)
}

func newLabDrain(s streams, f *labFlags) *cobra.Command {
	var task string
	cmd := &cobra.Command{
		Use:   "drain SERVICE",
		Short: "Stop a task in good order; its service replaces it",
		Long: `Stop a task as StopTask does: it is taken out of the load balancer, its agent
drains, its app gets SIGTERM. The service starts another one.`,
		Example: "  hoplab lab drain sample-ecs-app",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, name, err := f.onTask(labctl.OpDrain, args[0], task)
			if err != nil {
				return err
			}
			if err := f.call(r, nil); err != nil {
				return err
			}
			return say(s, "task %s of %s drains", r.Task, name)
		},
	}
	cmd.Flags().StringVar(&task, "task", "", "this task (its id); without it the first that runs")
	return cmd
}

func newLabScale(s streams, f *labFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "scale SERVICE COUNT",
		Short:   "Set how many tasks a service wants",
		Example: "  hoplab lab scale sample-ecs-app 3",
		Args:    exactly(2),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil || n < 0 || n > lab.MaxTasks {
				return fail.Newf(fail.Usage, fmt.Sprintf("give a number from 0 to %d", lab.MaxTasks), "%q is no count of tasks", args[1])
			}
			c, err := f.caller(args[0])
			if err != nil {
				return err
			}
			if err := f.call(labctl.Request{Op: labctl.OpScale, Service: c.Service, Count: n}, nil); err != nil {
				return err
			}
			return say(s, "%s wants %s", args[0], render.Plural(n, "task"))
		},
	}
}

func newLabRedeploy(s streams, f *labFlags) *cobra.Command {
	var limit time.Duration
	var env []string
	cmd := &cobra.Command{
		Use:   "redeploy SERVICE",
		Short: "Replace a service's tasks by new ones, which see the names of now",
		Long: `Replace the tasks of a service as a new deployment does, within its minimum and
maximum percent, and wait until the new tasks have taken over. With --env it is
a new revision, whose app answers in another way. One that does not become
healthy is rolled back where the circuit breaker says so; that is exit code 1.`,
		Example: `  hoplab lab redeploy client-service
  hoplab lab redeploy sample-ecs-app --env STATUS=500`,
		Args: exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := f.caller(args[0])
			if err != nil {
				return err
			}
			if err := f.call(labctl.Request{Op: labctl.OpRedeploy, Service: c.Service, Timeout: limit, Env: env}, nil); err != nil {
				return err
			}
			return say(s, "%s is redeployed", args[0])
		},
	}
	cmd.Flags().DurationVar(&limit, "timeout", 2*time.Minute, "how long to wait for the new tasks")
	cmd.Flags().StringArrayVar(&env, "env", nil, "a variable of the new tasks' app, NAME=value, such as STATUS or DELAY (may repeat)")
	return cmd
}

// onTask makes the request for an operation on a task of the service, the one
// with the id or the first that runs, and returns the service's name too.
func (f *labFlags) onTask(op, name, id string) (labctl.Request, string, error) {
	c, err := f.caller(name)
	if err != nil {
		return labctl.Request{}, "", err
	}
	var st lab.Status
	if err := f.call(labctl.Request{Op: labctl.OpStatus}, &st); err != nil {
		return labctl.Request{}, "", err
	}
	sv := st.Service(c.Service, "")
	if sv == nil {
		return labctl.Request{}, "", fail.Newf(fail.Usage, "name a service", "%s is no service and has no tasks", name)
	}
	var ids []string
	for _, t := range sv.Tasks {
		if t.State != lab.Running {
			continue
		}
		if id == "" || id == t.ID {
			return labctl.Request{Op: op, Service: c.Service, Task: t.ID}, sv.Name, nil
		}
		ids = append(ids, t.ID)
	}
	if id == "" || len(ids) == 0 {
		return labctl.Request{}, "", fail.Newf(fail.Usage, "see hoplab lab status", "no task of %s runs", sv.Name)
	}
	return labctl.Request{}, "", fail.Newf(fail.Usage, choose(ids), "%s has no running task %q", sv.Name, id)
}

func choose(names []string) string {
	if len(names) == 0 {
		return "see hoplab lab status"
	}
	return "choose from " + strings.Join(names, ", ")
}

func say(s streams, format string, args ...any) error {
	_, err := printable.Fprintf(s.out, format+"\n", args...)
	return err
}
