package reach

import (
	"fmt"
	"regexp"

	"github.com/hoplab/hoplab/internal/topology"
)

// serviceFlaws returns what makes Amazon ECS refuse the service, or run no
// task of it, whatever Service Connect has to do with it.
func (x *index) serviceFlaws(s *topology.Service, who string) []Flaw {
	var out []Flaw
	if n, ok := s.GraceSeconds.Get(); ok && n > 0 && len(s.LoadBalancers) == 0 && s.OtherBalancing == "" {
		out = append(out, Flaw{Rule: "grace-period-without-load-balancer", At: s.Origin,
			Text:  fmt.Sprintf("%s has a health check grace period of %d s and no load balancer", who, n),
			Fix:   "Drop the grace period, or put the service behind a load balancer.",
			Error: "Health check grace period is only valid for services configured to use load balancers"})
	}
	if f, ok := x.listenerLate(s, who); ok {
		out = append(out, f)
	}
	if f, ok := x.hostPort(s, who); ok {
		out = append(out, f)
	}
	if f, ok := x.taskNetwork(s, who); ok {
		out = append(out, f)
	}
	if f, ok := x.noExecutionRole(s, who); ok {
		out = append(out, f)
	}
	if f, ok := x.noWayOut(s, who); ok {
		out = append(out, f)
	}
	return out
}

// listenerLate reports a service that registers with a target group before a
// listener forwards to it.
func (x *index) listenerLate(s *topology.Service, who string) (Flaw, bool) {
	for _, lb := range s.LoadBalancers {
		id, ok := lb.Group.Get()
		g := x.TargetGroup(id)
		if !ok || g == nil {
			continue
		}
		forwards := x.Forwards(id)
		if forwards.Why() != "" || len(forwards.Read()) == 0 {
			continue
		}
		late := true
		for _, f := range forwards.Read() {
			at := f.Listener.ID
			if f.Rule != nil {
				at = f.Rule.ID
			}
			late = late && contains(s.BeforeListeners, at)
		}
		if late {
			f := forwards.Read()[0]
			name := topology.OriginLabel(f.Listener.Origin)
			if f.Rule != nil {
				name = topology.OriginLabel(f.Rule.Origin)
			}
			return Flaw{Rule: "listener-after-service", At: s.Origin,
				Text: fmt.Sprintf("nothing creates %s before %s, and ECS refuses a service whose target group %s has no load balancer yet",
					name, who, topology.Label(g.Origin, g.Name)),
				Fix:   fmt.Sprintf("Add DependsOn from %s to %s.", who, name),
				Error: "The target group does not have an associated load balancer"}, true
		}
	}
	return Flaw{}, false
}

func contains(list []topology.ID, id topology.ID) bool {
	for _, v := range list {
		if v == id {
			return true
		}
	}
	return false
}

// hostPort reports a port mapping whose host port ECS refuses.
func (x *index) hostPort(s *topology.Service, who string) (Flaw, bool) {
	if s.Task == nil {
		return Flaw{}, false
	}
	mode, _ := s.Task.NetworkMode.Get()
	if mode != "awsvpc" && mode != "host" {
		return Flaw{}, false
	}
	for _, c := range s.Task.Containers {
		for _, m := range c.Ports {
			host, okh := m.HostPort.Get()
			port, okp := m.Port.Get()
			if okh && okp && host != port && (host != 0 || mode == "host") {
				return Flaw{Rule: "host-port-differs", At: s.Task.Origin,
					Text:  fmt.Sprintf("container %s of %s maps container port %d to host port %d in network mode %s, where both are the same port", c.Name, who, port, host, mode),
					Fix:   "Leave the host port out, or give the container port.",
					Error: fmt.Sprintf("When networkMode=%s, the host ports and container ports in port mappings must match", mode)}, true
			}
		}
	}
	return Flaw{}, false
}

// taskNetwork reports a task whose network Fargate does not take, and a service
// that gives tasks of mode awsvpc no subnets.
func (x *index) taskNetwork(s *topology.Service, who string) (Flaw, bool) {
	own := s.DeploymentController.Or("ECS") == "EXTERNAL" || s.DeploymentController.IsUnknown() // of its task sets
	if own || s.Task == nil || s.Task.NetworkMode.IsUnknown() {
		return Flaw{}, false
	}
	mode := s.Task.NetworkMode.Or("bridge")
	switch {
	case mode != "awsvpc" && (s.Task.Fargate || s.LaunchType.Or("") == "FARGATE"):
		return Flaw{Rule: "fargate-network-mode", At: s.Task.Origin,
			Text:  fmt.Sprintf("the task definition of %s is for Fargate and has network mode %s", who, mode),
			Fix:   "Set NetworkMode to awsvpc.",
			Error: "Fargate only supports network mode 'awsvpc'"}, true
	case mode == "awsvpc" && len(s.Subnets) == 0 && len(s.Groups) == 0:
		return Flaw{Rule: "network-configuration-missing", At: s.Origin,
			Text:  fmt.Sprintf("%s runs tasks in network mode awsvpc and gives them no subnets", who),
			Fix:   "Give the service a network configuration with subnets and security groups.",
			Error: "Network Configuration must be provided when networkMode 'awsvpc' is specified"}, true
	}
	return Flaw{}, false
}

// noExecutionRole reports a Fargate task without the role by which its image is
// pulled from Amazon ECR, or its log written to CloudWatch.
func (x *index) noExecutionRole(s *topology.Service, who string) (Flaw, bool) {
	if s.Task == nil || !s.Task.Fargate || !s.Task.ExecRole.IsAbsent() {
		return Flaw{}, false
	}
	for _, c := range s.Task.Containers {
		need, what := "", ""
		switch image, _ := c.Image.Get(); {
		case c.LogDriver.Or("") == "awslogs":
			need, what = "writes its log with awslogs", "log driver awslogs"
		case privateImage.MatchString(image):
			need, what = "has an image of Amazon ECR", "ECR images"
		default:
			continue
		}
		return Flaw{Rule: "execution-role-missing", At: s.Task.Origin,
			Text:  fmt.Sprintf("the task definition of %s names no execution role, and container %s %s", who, c.Name, need),
			Fix:   "Give the task definition an execution role with AmazonECSTaskExecutionRolePolicy.",
			Error: "Fargate requires task definition to have execution role ARN to support " + what}, true
	}
	return Flaw{}, false
}

// privateImage matches the name of an image in a private registry of Amazon ECR.
var privateImage = regexp.MustCompile(`^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/`)

// noWayOut reports a Fargate service whose tasks cannot pull their image: they
// stand in public subnets without a public address, and the VPC has no endpoint.
func (x *index) noWayOut(s *topology.Service, who string) (Flaw, bool) {
	if s.LaunchType.Or("") != "FARGATE" || s.AssignPublicIP.IsUnknown() || s.AssignPublicIP.Or("DISABLED") != "DISABLED" || len(s.Subnets) == 0 {
		return Flaw{}, false
	}
	for _, o := range s.Subnets {
		id, ok := o.Get()
		n := x.Subnet(id)
		if !ok || n == nil {
			return Flaw{}, false
		}
		public, known := n.Public.Get()
		v := x.VPC(n.VPC)
		if !known || !public || v == nil || v.OtherWay != "" || n.Maybe != "" || !n.CIDR6.IsAbsent() {
			return Flaw{}, false
		}
	}
	return Flaw{Rule: "no-way-to-registry", At: s.Origin,
		Text: fmt.Sprintf("the tasks of %s stand in public subnets without a public address, and the VPC has no endpoint for a registry: their image is never pulled, so no task starts", who),
		Fix:  "Set AssignPublicIp to ENABLED, or use subnets whose default route leads to a NAT gateway."}, true
}
