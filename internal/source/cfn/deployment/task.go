package deployment

import (
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/source/cfn"
	"github.com/hoplab/hoplab/internal/topology"
)

func (b *builder) task(r *cfn.Resource) *topology.TaskDefinition {
	d := &topology.TaskDefinition{
		Origin:      b.at,
		Family:      b.label(r.Prop("Family")),
		NetworkMode: b.text(r.Prop("NetworkMode")),
		CPU:         b.amount(r.Prop("Cpu"), "vcpu"),
		MemoryMiB:   b.amount(r.Prop("Memory"), "gb"),
		TaskRole:    b.roleID(r.Prop("TaskRoleArn")),
		ExecRole:    b.roleID(r.Prop("ExecutionRoleArn")),
	}
	for _, v := range r.Prop("RequiresCompatibilities").Each() {
		text, _ := v.Text()
		d.Fargate = d.Fargate || text == "FARGATE"
	}
	list := r.Prop("ContainerDefinitions")
	if !list.IsAbsent() && list.Kind() != cfn.List {
		d.Uncertain = b.why(list, "a list of containers")
	}
	for _, v := range list.Items() {
		if v.Kind() != cfn.Map {
			d.Uncertain = first(d.Uncertain, b.why(v, "a container"))
			continue
		}
		d.Containers = append(d.Containers, b.container(v))
	}
	return d
}

// amount reads CPU units or MiB: a number, or a number of vCPU or GB, each of
// which is 1024.
func (b *builder) amount(v cfn.Value, unit string) topology.Opt[int] {
	o := b.text(v)
	t, ok := o.Get()
	if !ok {
		if o.IsUnknown() {
			return topology.Unknown[int](o.Why())
		}
		return topology.Opt[int]{}
	}
	text := strings.ToLower(strings.ReplaceAll(t, " ", ""))
	number, scaled := strings.CutSuffix(text, unit)
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || f > 1<<31 {
		return open[int](b, v, "an amount like 256 or 1 "+unit)
	}
	if scaled {
		f *= 1024
	}
	return topology.Known(int(f))
}

func (b *builder) roleID(v cfn.Value) topology.Opt[topology.ID] {
	return b.id(v, "AWS::IAM::Role", "Arn")
}

func (b *builder) container(v cfn.Value) topology.Container {
	c := topology.Container{
		Name:         b.written(v.Get("Name")),
		OpenName:     v.Get("Name").Why(),
		Image:        b.label(v.Get("Image")),
		Essential:    b.boolean(v.Get("Essential")),
		CPU:          b.integer(v.Get("Cpu")),
		MemoryMiB:    b.integer(v.Get("Memory")),
		ReserveMiB:   b.integer(v.Get("MemoryReservation")),
		Environment:  quietly(b, b.environment, v.Get("Environment")),
		Command:      b.texts(v.Get("Command")),
		EntryPoint:   b.texts(v.Get("EntryPoint")),
		ReadOnlyRoot: b.boolean(v.Get("ReadonlyRootFilesystem")),
		User:         b.text(v.Get("User")),
		StopTimeout:  b.integer(v.Get("StopTimeout")),
		LogDriver:    b.label(v.At("LogConfiguration", "LogDriver")),
	}
	for _, p := range v.Get("PortMappings").Each() {
		c.Ports = append(c.Ports, b.portMapping(p))
	}
	c.Hosts = b.hosts(v)
	for _, d := range v.Get("DependsOn").Each() {
		c.DependsOn = append(c.DependsOn, topology.ContainerDependency{
			Container: b.written(d.Get("ContainerName")), Condition: b.written(d.Get("Condition")),
		})
	}
	if h := v.Get("HealthCheck"); !h.IsAbsent() {
		c.Health = &topology.ContainerHealth{
			Command:           b.texts(h.Get("Command")),
			IntervalSeconds:   b.integer(h.Get("Interval")),
			TimeoutSeconds:    b.integer(h.Get("Timeout")),
			Retries:           b.integer(h.Get("Retries")),
			StartPeriodSecond: b.integer(h.Get("StartPeriod")),
		}
	}
	return c
}

// hosts returns the names that Docker writes into the container's host file.
func (b *builder) hosts(v cfn.Value) map[string]bool {
	if v.Get("ExtraHosts").IsAbsent() && v.Get("Links").IsAbsent() {
		return nil
	}
	out := map[string]bool{}
	for _, h := range v.Get("ExtraHosts").Each() {
		out[b.written(h.Get("Hostname"))] = true
	}
	for _, l := range v.Get("Links").Each() {
		name, alias, ok := strings.Cut(b.written(l), ":")
		if out[name] = true; ok {
			out[alias] = true
		}
	}
	return out
}

func (b *builder) environment(v cfn.Value) map[string]topology.Opt[string] {
	return b.keyed(v, "Name", "Value")
}

func (b *builder) portMapping(v cfn.Value) topology.PortMapping {
	p := topology.PortMapping{
		Name:        b.text(v.Get("Name")),
		Port:        b.integer(v.Get("ContainerPort")),
		HostPort:    b.integer(v.Get("HostPort")),
		Protocol:    b.text(v.Get("Protocol")),
		AppProtocol: b.text(v.Get("AppProtocol")),
	}
	if r := v.Get("ContainerPortRange"); !r.IsAbsent() {
		p.Port = topology.Unknown[int](r.Pos().String() + ": a range of container ports is not modelled")
	}
	return p
}
