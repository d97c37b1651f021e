// Package resource knows the types of resources that the local account has: how
// each is called, what its attributes are, what its service refuses, and what
// is behind it in the lab or among the objects. What has nothing behind it is
// state that can be read.
package resource

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// Lab is the lab behind the resources.
type Lab interface {
	// Show makes the lab that of what there is in the stacks now.
	Show(ctx context.Context) error
	// Deployed waits for the end of a service's deployment. The error of one that
	// failed is ErrBreaker.
	Deployed(ctx context.Context, stack, key string) error
	// Gone waits until the last task of a service that was removed has ended.
	Gone(ctx context.Context, stack, key string) error
}

// Objects are the buckets behind AWS::S3::Bucket.
type Objects interface {
	Make(bucket string) error
	Remove(bucket string) error // fails when it is not empty
	Empty(bucket string) error
}

// Provider is a stack.Provider. Lab and Objects must be set before it is used.
type Provider struct {
	Region  string
	Lab     Lab
	Objects Objects

	mu         sync.Mutex
	revisions  map[string]int    // of task definitions by family
	parameters map[string]string // of SSM by name
}

// Revision counts a task definition of a family and returns its number.
func (p *Provider) Revision(family string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revisions == nil {
		p.revisions = map[string]int{}
	}
	p.revisions[family]++
	return p.revisions[family]
}

// Parameter returns a parameter of SSM: one that a stack made, or the image that
// AWS publishes under a name, which here is the same for all.
func (p *Provider) Parameter(name string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v, ok := p.parameters[name]; ok {
		return v, true
	}
	if strings.HasPrefix(name, "/aws/service/ami-") {
		return "ami-00000000000000000", true
	}
	return "", false
}

func (p *Provider) setParameter(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.parameters == nil {
		p.parameters = map[string]string{}
	}
	p.parameters[name] = value
}

// Identify gives a resource its ids. Those of a resource that is updated stay,
// for they follow from its stack and key.
func (p *Provider) Identify(r stack.Resource) (stack.Identity, error) {
	if err := refused(r); err != nil {
		return stack.Identity{}, err
	}
	name, ok := types[r.Type]
	if !ok {
		return stack.Identity{}, fmt.Errorf("hoplab cloud does not model %s", r.Type)
	}
	if r.Type == typeTaskDefinition && r.PhysicalID != "" {
		return r.Identity, nil // it would be another revision
	}
	return name(namer{p, r}), nil
}

// Kind says what is behind a type.
type Kind string

// The kinds.
const (
	InLab     Kind = "lab"     // it shapes what runs
	InObjects Kind = "objects" // it is a bucket
	State     Kind = "state"   // it can be read, and nothing runs
)

// KindOf says what is behind a type of resource.
func KindOf(typ string) Kind {
	switch typ {
	case "AWS::EC2::VPC", "AWS::EC2::Subnet", "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress",
		"AWS::EC2::Instance", "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::ElasticLoadBalancingV2::Listener",
		"AWS::ElasticLoadBalancingV2::ListenerRule", "AWS::ElasticLoadBalancingV2::TargetGroup", typeTaskDefinition, typeService,
		"AWS::ServiceDiscovery::HttpNamespace", "AWS::ServiceDiscovery::PrivateDnsNamespace", "AWS::ServiceDiscovery::Service":
		return InLab
	case typeBucket, typeAutoDelete:
		return InObjects
	}
	return State
}

// The types of which more is known than a name.
const (
	typeService        = "AWS::ECS::Service"
	typeTaskDefinition = "AWS::ECS::TaskDefinition"
	typeBucket         = "AWS::S3::Bucket"
	typeAutoDelete     = "Custom::S3AutoDeleteObjects"
	typeParameter      = "AWS::SSM::Parameter"
)

// Carry makes a step real.
func (p *Provider) Carry(ctx context.Context, s stack.Step) error {
	r := s.Resource
	switch r.Type {
	case typeBucket:
		return p.bucket(s)
	case typeAutoDelete:
		if s.What == stack.Delete {
			return p.Objects.Empty(account.Text(r.Properties, "BucketName"))
		}
	case typeParameter:
		if s.What == stack.Delete {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.parameters, r.PhysicalID)
			return nil
		}
		p.setParameter(r.PhysicalID, account.Text(r.Properties, "Value"))
	}
	if KindOf(r.Type) != InLab {
		return nil
	}
	if err := p.Lab.Show(ctx); err != nil {
		return err
	}
	if r.Type != typeService {
		return nil
	}
	if s.What == stack.Delete {
		return p.Lab.Gone(ctx, r.Stack, r.Key)
	}
	return p.Lab.Deployed(ctx, r.Stack, r.Key)
}

func (p *Provider) bucket(s stack.Step) error {
	switch s.What {
	case stack.Create:
		return p.Objects.Make(s.Resource.PhysicalID)
	case stack.Delete:
		return p.Objects.Remove(s.Resource.PhysicalID)
	}
	return nil
}
