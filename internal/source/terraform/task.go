package terraform

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/hoplab/hoplab/internal/source/terraform/resource"
	"github.com/hoplab/hoplab/internal/topology"
)

func (b *builder) task(inst *resource.Instance) {
	d := &topology.TaskDefinition{
		Origin:      b.at,
		Family:      b.label(inst.Body, "family"),
		NetworkMode: b.text(inst.Body, "network_mode"),
		CPU:         b.amount(inst.Body, "cpu", "vcpu"),
		MemoryMiB:   b.amount(inst.Body, "memory", "gb"),
		TaskRole:    b.id(inst.Body, "task_role_arn", "aws_iam_role"),
		ExecRole:    b.id(inst.Body, "execution_role_arn", "aws_iam_role"),
	}
	for _, o := range inst.Body.Strings("requires_compatibilities") {
		d.Fargate = d.Fargate || o.Or("") == "FARGATE"
	}
	list, why := b.decoded(inst.Body, "container_definitions")
	if why != "" {
		b.note(why)
		d.Uncertain = why
	} else {
		containers, open := b.blocks(list, "container_definitions")
		d.Uncertain = open
		for _, c := range containers {
			d.Containers = append(d.Containers, b.container(c))
		}
	}
	b.of[inst.Address] = d
}

// decoded reads an attribute that holds JSON, such as the result of
// jsonencode, into a body with that attribute as the decoded value.
func (b *builder) decoded(body *resource.Body, name string) (out *resource.Body, why string) {
	a := body.Attrs[name]
	raw, ok := body.Raw(name)
	if !ok {
		return nil, first(body.String(name).Why(), b.placed("%s is missing", name))
	}
	where := b.placed("%s", name)
	if a.Line > 0 {
		where = fmt.Sprintf("%s:%d: %s", a.File, a.Line, name)
	}
	v, err := decodeJSON(raw)
	if err != nil {
		if !resource.IsSettled(raw) {
			return nil, fmt.Sprintf("%s: %s", where, resource.OpenParts(raw))
		}
		return nil, fmt.Sprintf("%s: not JSON: %v", where, err)
	}
	out = resource.NewBody(a.File, a.Line)
	out.Physical = body.Physical
	out.Attrs[name] = resource.Attr{Value: v, File: a.File, Line: a.Line}
	return out, ""
}

// maxJSONDepth bounds the nesting of JSON in an attribute; container
// definitions and policies need less than ten levels.
const maxJSONDepth = 100

func decodeJSON(raw string) (cty.Value, error) {
	if resource.JSONDepth(raw) > maxJSONDepth {
		return cty.NilVal, fmt.Errorf("it nests deeper than %d", maxJSONDepth)
	}
	t, err := ctyjson.ImpliedType([]byte(raw))
	if quoted := resource.QuoteHoles(raw); err != nil && quoted != raw {
		raw = quoted
		t, err = ctyjson.ImpliedType([]byte(raw))
	}
	if err != nil {
		return cty.NilVal, err
	}
	return ctyjson.Unmarshal([]byte(raw), t)
}

// amount reads CPU units or MiB: a number, or a number of vCPU or GB, each
// of which is 1024.
func (b *builder) amount(body *resource.Body, name, unit string) topology.Opt[int] {
	o := b.text(body, name)
	t, ok := o.Get()
	if !ok {
		if o.IsUnknown() {
			return topology.Unknown[int](o.Why())
		}
		return topology.Opt[int]{}
	}
	text := strings.ToLower(strings.ReplaceAll(t, " ", ""))
	if text == "" {
		return topology.Opt[int]{}
	}
	number, scaled := strings.CutSuffix(text, unit)
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0 && f < 1<<31) {
		return settled(b, topology.Unknown[int](b.placed("%s: %q is not an amount like 256 or 1 %s", name, t, unit)))
	}
	if scaled {
		f *= 1024
	}
	return topology.Known(int(f))
}

// hosts returns the names that Docker writes into the container's host file.
func (b *builder) hosts(body *resource.Body) map[string]bool {
	out := map[string]bool{}
	extra, _ := body.List("extraHosts")
	for _, h := range extra {
		out[h.String("hostname").Or("")] = true
	}
	for _, l := range body.Strings("links") {
		name, alias, ok := strings.Cut(l.Or(""), ":")
		if out[name] = true; ok {
			out[alias] = true
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// container reads a container definition; its keys are those of the ECS API.
func (b *builder) container(body *resource.Body) topology.Container {
	c := topology.Container{
		Name:         b.written(body, "name"),
		OpenName:     body.String("name").Why(),
		Hosts:        b.hosts(body),
		Image:        b.label(body, "image"),
		Essential:    b.boolean(body, "essential"),
		CPU:          b.integer(body, "cpu"),
		MemoryMiB:    b.integer(body, "memory"),
		ReserveMiB:   b.integer(body, "memoryReservation"),
		Command:      b.texts(body, "command"),
		EntryPoint:   b.texts(body, "entryPoint"),
		ReadOnlyRoot: b.boolean(body, "readonlyRootFilesystem"),
		User:         b.text(body, "user"),
		StopTimeout:  b.integer(body, "stopTimeout"),
	}
	if log, _ := b.one(body, "logConfiguration"); log != nil {
		c.LogDriver = b.label(log, "logDriver")
	}
	ports, open := b.blocks(body, "portMappings")
	for _, p := range ports {
		c.Ports = append(c.Ports, b.portMapping(p))
	}
	if open != "" {
		c.Ports = append(c.Ports, topology.PortMapping{Name: topology.Unknown[string](open), Port: topology.Unknown[int](open)})
	}
	env, _ := b.blocks(body, "environment")
	for _, e := range env {
		if name, ok := b.label(e, "name").Get(); ok {
			if c.Environment == nil {
				c.Environment = map[string]topology.Opt[string]{}
			}
			c.Environment[name] = b.label(e, "value")
		}
	}
	deps, _ := b.blocks(body, "dependsOn")
	for _, d := range deps {
		c.DependsOn = append(c.DependsOn, topology.ContainerDependency{Container: b.written(d, "containerName"),
			Condition: b.written(d, "condition")})
	}
	if h, _ := b.one(body, "healthCheck"); h != nil {
		c.Health = &topology.ContainerHealth{
			Command:           b.texts(h, "command"),
			IntervalSeconds:   b.integer(h, "interval"),
			TimeoutSeconds:    b.integer(h, "timeout"),
			Retries:           b.integer(h, "retries"),
			StartPeriodSecond: b.integer(h, "startPeriod"),
		}
	}
	return c
}

func (b *builder) portMapping(body *resource.Body) topology.PortMapping {
	p := topology.PortMapping{
		Name:        b.text(body, "name"),
		Port:        b.integer(body, "containerPort"),
		HostPort:    b.integer(body, "hostPort"),
		Protocol:    b.text(body, "protocol"),
		AppProtocol: b.text(body, "appProtocol"),
	}
	if body.Has("containerPortRange") {
		p.Port = settled(b, topology.Unknown[int](at(body)+": a range of container ports is not modelled"))
	}
	return p
}
