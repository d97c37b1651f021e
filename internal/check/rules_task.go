package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/semantics"
	"github.com/hoplab/hoplab/internal/topology"
)

// What AWS advises to add to a task for the agent (section 4 of the semantics).
const (
	agentCPU    = 256 // units
	agentMemory = 64  // MiB
)

// taskRules are about task definitions and their roles.
var taskRules = []Rule{
	{
		ID: "no-headroom-for-agent", Severity: Warning, Title: "The task leaves no room for the agent",
		Explain: "The agent runs in what the containers leave of the task's CPU and memory. AWS advises 256 CPU units and at least 64 MiB on top of the containers, 512 units above 500 requests/s per task. Without room the app and the agent slow each other down or are killed for memory.",
		Fix:     "Make the task larger, or the containers' shares smaller.", Source: semantics.Section(4).Row(32).Cite(),
		run: headroom,
	},
	{
		ID: "over-wide-task-role", Severity: Note, Title: "A task role allows far more than the task needs",
		Explain: "A server behind Service Connect needs no permission at all for that; with ECS Exec it needs four ssmmessages actions. Full-access policies hand the whole account to whoever gets into the container.",
		Fix:     "Name the actions and the resources.", Source: semantics.Section(8).Cite(),
		run: wideRole,
	},
	{
		ID: "exec-without-permissions", Severity: Warning, Title: "ECS Exec is on and the task role cannot use it",
		Explain: "ECS Exec needs ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel in the task role.",
		Fix:     "Add the four actions to the task role.", Source: semantics.Section(8).Cite(),
		run: execWithoutPermissions,
	},
	{
		ID: "app-bound-to-loopback", Severity: Warning, Title: "The app is told to listen on loopback only",
		Explain: "An app on 127.0.0.1 is reached by the agent in its own task and by nobody else. In override mode, and without Service Connect, the load balancer and other tasks find the port closed.",
		Fix:     "Listen on 0.0.0.0.", Source: semantics.Section(1).Row(15).Cite(),
		run: boundToLoopback,
	},
	{
		ID: "port-variable-differs", Severity: Note, Title: "The PORT variable is no port that the container declares",
		Explain: "Many servers listen on what the environment variable PORT says. Here it differs from every port mapping of the container, so the target group may ask a port on which nothing listens.",
		Fix:     "Make PORT and the port mapping agree.", Source: semantics.Section(1).Cite(),
		run: portVariable,
	},
}

func headroom(c *checker) {
	seen := map[*topology.TaskDefinition]bool{}
	for _, s := range c.x.Topology.Services {
		d := s.Task
		if !s.Connected() || d == nil || seen[d] || d.Uncertain != "" {
			continue
		}
		seen[d] = true
		var lacks []string
		if have, ok := d.CPU.Get(); ok {
			used, settled := sum(d, func(k *topology.Container) topology.Opt[int] { return k.CPU })
			if settled && have-used < agentCPU {
				lacks = append(lacks, fmt.Sprintf("%d of %d CPU units", have-used, have))
			} else if settled && used == 0 && have <= agentCPU {
				lacks = append(lacks, fmt.Sprintf("%d CPU units for app and agent together", have))
			}
		}
		if have, ok := d.MemoryMiB.Get(); ok {
			used, settled := sum(d, func(k *topology.Container) topology.Opt[int] {
				if k.MemoryMiB.IsAbsent() {
					return k.ReserveMiB
				}
				return k.MemoryMiB
			})
			if settled && have-used < agentMemory {
				lacks = append(lacks, fmt.Sprintf("%d of %d MiB", have-used, have))
			}
		}
		if len(lacks) > 0 {
			f := c.add(d.Origin, fmt.Sprintf("Leave %d CPU units and %d MiB to the agent.", agentCPU, agentMemory),
				"the task of %s leaves its agent %s", topology.Label(s.Origin, s.Name), strings.Join(lacks, " and "))
			f.Related = []topology.Origin{s.Origin}
		}
	}
}

// sum adds up what the containers reserve; absent counts as nothing, and an
// unknown value leaves the sum unsettled.
func sum(d *topology.TaskDefinition, of func(*topology.Container) topology.Opt[int]) (int, bool) {
	n := 0
	for i := range d.Containers {
		v := of(&d.Containers[i])
		if v.IsUnknown() {
			return 0, false
		}
		n += v.Or(0)
	}
	return n, true
}

func wideRole(c *checker) {
	used := map[topology.ID]*topology.Service{}
	var order []topology.ID
	c.eachTask(func(d *topology.TaskDefinition, s *topology.Service) {
		if id, ok := d.TaskRole.Get(); ok {
			if _, dup := used[id]; !dup {
				used[id] = s
				order = append(order, id)
			}
		}
	})
	for _, id := range order {
		r := c.x.Role(id)
		if r == nil {
			continue
		}
		wide, all := widths(r)
		if len(wide) == 0 {
			continue
		}
		f := c.add(r.Origin, "Replace them by the actions and resources that the app uses.",
			"task role %s allows %s", topology.OriginLabel(r.Origin), strings.Join(wide, ", "))
		if all {
			f.Severity = Warning
		}
		if s := used[id]; s != nil {
			f.Related = []topology.Origin{s.Origin}
		}
	}
}

// widths lists what is far too wide in a role; all is set when it allows everything.
func widths(r *topology.Role) (wide []string, all bool) {
	for _, m := range r.Managed {
		name := m.Or("")
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			name = name[i+1:]
		}
		if name == "AdministratorAccess" || name == "PowerUserAccess" {
			all = true
		}
		if all || strings.HasSuffix(name, "FullAccess") {
			wide = append(wide, name)
		}
	}
	for _, s := range r.Statements {
		if !slices.Contains(s.Resources, "*") {
			continue
		}
		for _, a := range s.Actions {
			if a == "*" || a == "*:*" {
				all = true
			}
			if a == "*" || strings.HasSuffix(a, ":*") {
				wide = append(wide, a+" on *")
			}
		}
		if len(s.NotActions) > 0 {
			all = true
			wide = append(wide, "everything but "+strings.Join(s.NotActions, ", "))
		}
	}
	return wide, all
}

var execActions = []string{"CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"}

func execWithoutPermissions(c *checker) {
	for _, s := range c.x.Topology.Services {
		on, ok := s.ExecuteCommand.Get()
		if !ok || !on || s.Task == nil {
			continue
		}
		if s.Task.TaskRole.IsAbsent() {
			c.add(s.Task.Origin, "Give the task a role with the four ssmmessages actions.", "%s has ECS Exec on and no task role", topology.Label(s.Origin, s.Name))
			continue
		}
		id, ok := s.Task.TaskRole.Get()
		r := c.x.Role(id)
		if !ok || r == nil || len(r.Managed) > 0 || r.Open != "" {
			continue // a managed policy, or one that was not read, may grant it
		}
		var missing []string
		for _, a := range execActions {
			if !allows(r, "ssmmessages:"+a) {
				missing = append(missing, a)
			}
		}
		if len(missing) > 0 {
			f := c.add(r.Origin, "Allow the four ssmmessages channel actions on *.",
				"%s has ECS Exec on, and its task role lacks ssmmessages:%s", topology.Label(s.Origin, s.Name), strings.Join(missing, ", "))
			f.Related = []topology.Origin{s.Origin}
		}
	}
}

// allows reports whether a statement of the role allows the action.
func allows(r *topology.Role, action string) bool {
	for _, s := range r.Statements {
		if len(s.NotActions) > 0 {
			return true
		}
		for _, a := range s.Actions {
			if reach.Wildcard(strings.ToLower(a), strings.ToLower(action)) {
				return true
			}
		}
	}
	return false
}

// bindVariables are environment variables by which common servers are told
// where to listen; LISTEN_ADDRESS is hoplab's own app.
var bindVariables = []string{"LISTEN_ADDRESS", "HOST", "HOSTNAME", "BIND", "BIND_ADDRESS"}

func boundToLoopback(c *checker) {
	c.eachTask(func(d *topology.TaskDefinition, s *topology.Service) {
		if s == nil || len(s.LoadBalancers) == 0 {
			return
		}
		direct := false
		for _, lb := range s.LoadBalancers {
			if port, ok := lb.Port.Get(); ok {
				a := c.p.Deliver(s, port, false)
				direct = direct || a.Agent == nil && a.Kind != reach.DeliveryUnsettled
			}
		}
		if !direct {
			return
		}
		for i := range d.Containers {
			for _, k := range bindVariables {
				v := d.Containers[i].Environment[k].Or("")
				if v != "127.0.0.1" && v != "localhost" && v != "::1" {
					continue
				}
				f := c.add(d.Origin, "Listen on 0.0.0.0.", "%s=%s tells container %s of %s to listen on loopback, and its load balancer reaches it from outside",
					k, v, d.Containers[i].Name, topology.Label(s.Origin, s.Name))
				f.Effect = "the target is unhealthy and callers get 502"
				f.Related = []topology.Origin{s.Origin}
			}
		}
	})
}

func portVariable(c *checker) {
	c.eachTask(func(d *topology.TaskDefinition, _ *topology.Service) {
		for i := range d.Containers {
			k := &d.Containers[i]
			port, err := strconv.Atoi(k.Environment["PORT"].Or(""))
			if err != nil || port == 0 || len(k.Ports) == 0 || k.MayMap(port) {
				continue
			}
			c.add(d.Origin, "Make PORT and the port mapping agree.", "container %s has PORT=%d and declares no such port", k.Name, port)
		}
	})
}
