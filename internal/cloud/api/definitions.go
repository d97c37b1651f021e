package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// definitions are all task definitions that there were, by ARN. A deleted one
// becomes inactive and can still be described, as in ECS.
type definitions map[string]*definition

type definition struct {
	family     string
	revision   int
	properties map[string]any        // of one that a stack has made
	registered *types.TaskDefinition // one that a client has
	active     bool
	since      time.Time
}

// maxDefinitions bounds them; the oldest inactive ones are forgotten first.
const maxDefinitions = 1000

// firstRegistered is the first revision that RegisterTaskDefinition gives. What
// stacks make counts from 1, and the two must not meet.
const firstRegistered = 100001

func newDefinitions() definitions { return definitions{} }

// note takes in what the stacks have now.
func (d definitions) note(v *view) {
	there := map[string]bool{}
	for _, r := range v.of(typeDefinition) {
		arn := r.PhysicalID
		there[arn] = true
		if d[arn] == nil {
			family, revision := familyOf(arn)
			d[arn] = &definition{family: family, revision: revision, properties: r.Properties, active: true, since: r.Created}
		}
	}
	for arn, def := range d {
		if def.registered == nil {
			def.active = there[arn]
		}
	}
	d.forget()
}

func (d definitions) forget() {
	if len(d) <= maxDefinitions {
		return
	}
	var old []string
	for arn, def := range d {
		if !def.active {
			old = append(old, arn)
		}
	}
	slices.SortFunc(old, func(x, y string) int { return d[x].since.Compare(d[y].since) })
	for _, arn := range old[:min(len(old), len(d)-maxDefinitions)] {
		delete(d, arn)
	}
}

// familyOf reads family and revision from an ARN, or from family:revision; the
// revision is 0 when there is none.
func familyOf(ref string) (family string, revision int) {
	family, digits, _ := strings.Cut(lastPart(ref), ":")
	revision, _ = strconv.Atoi(digits) // none, or one that nothing has
	return family, revision
}

// find returns the definition that a request means: by ARN, by family and
// revision, or a family's newest that is active.
func (d definitions) find(ref string) (arn string, def *definition, ok bool) {
	family, revision := familyOf(ref)
	for a, c := range d {
		switch {
		case c.family != family:
		case revision != 0 && c.revision == revision:
			return a, c, true
		case revision == 0 && c.active && (def == nil || c.revision > def.revision):
			arn, def = a, c
		}
	}
	return arn, def, def != nil
}

// describe is a definition as DescribeTaskDefinition shows it.
func (d *definition) describe(arn string) (*types.TaskDefinition, error) {
	t := &types.TaskDefinition{}
	if d.registered != nil {
		*t = *d.registered
	} else if err := wire.Into(t, d.properties); err != nil {
		return nil, fmt.Errorf("%s: %w", arn, err)
	}
	t.TaskDefinitionArn, t.Family, t.Revision = aws.String(arn), aws.String(d.family), int32(d.revision)
	t.RegisteredAt, t.Status = aws.Time(d.since), types.TaskDefinitionStatusActive
	if !d.active {
		t.Status = types.TaskDefinitionStatusInactive
	}
	t.Compatibilities = []types.Compatibility{types.CompatibilityEc2}
	if t.NetworkMode == types.NetworkModeAwsvpc {
		t.Compatibilities = append(t.Compatibilities, types.CompatibilityFargate)
	}
	for i := range t.ContainerDefinitions { // ECS has them, empty, when they were left out
		c := &t.ContainerDefinitions[i]
		c.Environment, c.PortMappings = there(c.Environment), there(c.PortMappings)
		c.MountPoints, c.VolumesFrom = there(c.MountPoints), there(c.VolumesFrom)
		if c.Essential == nil {
			c.Essential = aws.Bool(true)
		}
		for j := range c.PortMappings {
			p := &c.PortMappings[j]
			if p.Protocol == "" {
				p.Protocol = types.TransportProtocolTcp
			}
			if p.HostPort == nil && t.NetworkMode == types.NetworkModeAwsvpc {
				p.HostPort = p.ContainerPort
			}
		}
	}
	t.Volumes, t.PlacementConstraints = there(t.Volumes), there(t.PlacementConstraints)
	return t, nil
}

// definition returns a task definition by what a request calls it.
func (a *API) definition(v *view, ref string) (*types.TaskDefinition, error) {
	r := a.revisions
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions.note(v)
	arn, def, ok := r.definitions.find(ref)
	if !ok {
		return nil, &types.ClientException{Message: aws.String("Unable to describe task definition.")}
	}
	return def.describe(arn)
}

func (a *API) describeTaskDefinition(_ context.Context, in *ecs.DescribeTaskDefinitionInput) (*ecs.DescribeTaskDefinitionOutput, error) {
	d, err := a.definition(a.resources(), aws.ToString(in.TaskDefinition))
	if err != nil {
		return nil, err
	}
	out := &ecs.DescribeTaskDefinitionOutput{TaskDefinition: d}
	for _, f := range in.Include {
		if f == types.TaskDefinitionFieldTags {
			out.Tags = []types.Tag{}
		}
	}
	return out, nil
}

func (a *API) listTaskDefinitions(_ context.Context, in *ecs.ListTaskDefinitionsInput) (*ecs.ListTaskDefinitionsOutput, error) {
	v, r := a.resources(), a.revisions
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions.note(v)
	var arns []string
	for arn, d := range r.definitions {
		prefix := aws.ToString(in.FamilyPrefix)
		if d.active == (in.Status != types.TaskDefinitionStatusInactive) && (prefix == "" || d.family == prefix) {
			arns = append(arns, arn)
		}
	}
	slices.SortFunc(arns, func(x, y string) int {
		return cmp.Or(cmp.Compare(r.definitions[x].family, r.definitions[y].family), cmp.Compare(r.definitions[x].revision, r.definitions[y].revision))
	})
	if in.Sort == types.SortOrderDesc {
		slices.Reverse(arns)
	}
	arns, next := page(arns, in.NextToken, or32(in.MaxResults, 100), self)
	return &ecs.ListTaskDefinitionsOutput{TaskDefinitionArns: there(arns), NextToken: next}, nil
}

func (a *API) registerTaskDefinition(_ context.Context, in *ecs.RegisterTaskDefinitionInput) (*ecs.RegisterTaskDefinitionOutput, error) {
	family := aws.ToString(in.Family)
	if family == "" || len(in.ContainerDefinitions) == 0 {
		return nil, &types.ClientException{Message: aws.String("Family and container definitions are required.")}
	}
	t, err := registered(in)
	if err != nil {
		return nil, err
	}
	v, r := a.resources(), a.revisions
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions.note(v)
	d := &definition{family: family, revision: firstRegistered, registered: t, active: true, since: time.Now()}
	for _, o := range r.definitions {
		if o.family == family {
			d.revision = max(d.revision, o.revision+1)
		}
	}
	arn := v.arn("ecs", fmt.Sprintf("task-definition/%s:%d", family, d.revision))
	r.definitions[arn] = d
	t, err = d.describe(arn)
	return &ecs.RegisterTaskDefinitionOutput{TaskDefinition: t}, err
}

// registered is what a client registers as a definition: the members of the two
// types have the same names.
func registered(in *ecs.RegisterTaskDefinitionInput) (*types.TaskDefinition, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	t := &types.TaskDefinition{}
	return t, json.Unmarshal(text, t)
}

func (a *API) deregisterTaskDefinition(_ context.Context,
	in *ecs.DeregisterTaskDefinitionInput) (*ecs.DeregisterTaskDefinitionOutput, error) {
	v, r := a.resources(), a.revisions
	r.mu.Lock()
	defer r.mu.Unlock()
	r.definitions.note(v)
	arn, d, ok := r.definitions.find(aws.ToString(in.TaskDefinition))
	switch {
	case !ok:
		return nil, &types.ClientException{Message: aws.String("The specified task definition does not exist.")}
	case d.registered == nil:
		return nil, &types.ClientException{Message: aws.String("hoplab cloud deregisters what RegisterTaskDefinition has made; " + arn + " belongs to a stack")}
	}
	d.active = false
	t, err := d.describe(arn)
	return &ecs.DeregisterTaskDefinitionOutput{TaskDefinition: t}, err
}
