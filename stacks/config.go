package stacks

import (
	"github.com/hoplab/hoplab/internal/ports"
)

// Config is what the context keys say, checked. Build accepts only what
// ParseConfig returned.
type Config struct {
	// Host is HostFargate or HostNginx.
	Host string
	// Arms has one element, or two with -c arms=both; none with HostNginx.
	Arms []Arm
	// AppImage, ClientImage and LoadImage are image references; "" means the
	// Docker asset of this repository, and DefaultClientImage for the client.
	AppImage, ClientImage, LoadImage string
	// Architecture of every task: X86_64 or ARM64.
	Architecture string
	// AlbEgress is what the load balancer's group lets out: EgressNone,
	// EgressTargets or EgressAll.
	AlbEgress string
	Health    Health
	// Public is nil unless the load balancer faces the internet.
	Public *PublicEdge
	// Load adds the Load stack; Generators, from 1, is how many load tasks a
	// run may start at once.
	Load       bool
	Generators int
	// Source is the directory of the repository, for Docker assets.
	Source string
}

// Values of Config.Host.
const (
	HostFargate = "fargate"   // the app as a Service Connect service on Fargate
	HostNginx   = "ec2-nginx" // nginx on an EC2 instance, to watch health checks arrive
)

// Values of Config.AlbEgress.
const (
	EgressTargets = "targets" // the targets' group on the target port
	EgressNone    = "none"    // nothing: every health check times out
	EgressAll     = "all"     // everything
)

// Arm is one deployed configuration of the app.
type Arm struct {
	// Name is "" when there is one arm: then no name and no logical id
	// carries the mode, so that switching it replaces nothing. With both
	// arms it is "agent" or "bypass".
	Name     string
	Override ports.Override
	// Listener is the ALB port that reaches this arm.
	Listener int
}

// suffix returns "-agent" and the like for names, "" for a single arm.
func (a Arm) suffix() string {
	if a.Name == "" {
		return ""
	}
	return "-" + a.Name
}

// title returns "Agent" and the like for logical ids, "" for a single arm.
func (a Arm) title() string {
	if a.Name == "" {
		return ""
	}
	return string(a.Name[0]-'a'+'A') + a.Name[1:]
}

// discovery returns the Service Connect discovery name.
func (a Arm) discovery() string { return ports.PortName + a.suffix() }

// maxGenerators bounds -c generators; it is what merging is tested with.
const maxGenerators = 1000

// ParseConfig reads the context through get, which returns nil for a key
// that is not set. Values are strings from -c key=value and any JSON value
// from cdk.json. The error names the key, the value and the rule.
//
//	ingressPortOverride  1025 to 65535; absent for the default mode
//	arms                 one | both
//	albEgress            targets | none | all
//	healthCheck          alb-root | alb-ready | alb-api | alb-proxy and
//	                     container-process | container-socket | container-http | container-combined
//	appImage, clientImage, loadImage
//	                     image references; absent for this repository's own
//	architecture         X86_64 | ARM64
//	edge                 internal | public, the latter with
//	    domainName, hostedZoneId, certificateArn
//	    httpMode         redirect | forward
//	    ipAddressType    ipv4 | dualstack
//	load                 false | true, the latter with
//	    generators       1 to 1000
//	host                 fargate | ec2-nginx
func ParseConfig(get func(key string) any) (Config, error) {
	r := &reader{get: get}
	c := Config{
		Source:       ".",
		Host:         r.choice("host", HostFargate, HostNginx),
		AlbEgress:    r.choice("albEgress", EgressTargets, EgressNone, EgressAll),
		Architecture: r.choice("architecture", "X86_64", "ARM64"),
		AppImage:     r.image("appImage"),
		ClientImage:  r.image("clientImage"),
		LoadImage:    r.image("loadImage"),
		Load:         r.boolean("load"),
		Generators:   r.whole("generators", 1, maxGenerators),
	}
	both := r.choice("arms", "one", "both") == "both"
	c.Arms = r.arms(both)
	c.Public = r.public()
	c.Health = r.health(c.Public != nil)

	if c.Host == HostNginx {
		c.Arms = nil
		r.refuse("host=ec2-nginx is one instance without ECS",
			"ingressPortOverride", "arms", "appImage", "clientImage", "loadImage", "load", "generators", "edge", "healthCheck")
	}
	if c.Public != nil {
		if both {
			r.fail("arms=both needs a listener port per arm, and edge=public has 80 and 443 for one; choose one of them")
		}
		r.refuse("edge=public would put the internet between the load tasks and the load balancer", "load")
	}
	if !c.Load {
		r.refuse("it belongs to the Load stack; add -c load=true", "generators", "loadImage")
	}
	return c, r.err
}

// arms reads the override and makes one arm or both.
func (r *reader) arms(both bool) []Arm {
	override, err := ports.ParseOverride(r.get("ingressPortOverride"), ports.Container)
	if err != nil {
		r.fail("%v", err)
	}
	if !both {
		return []Arm{{Listener: ports.Listener, Override: override}}
	}
	if _, set := override.Port(); !set {
		// An error is impossible: the example obeys the rules that it shows.
		override, _ = ports.CheckOverride(ports.ExampleOverride, ports.Container)
	}
	return []Arm{
		{Name: "agent", Listener: ports.Listener},
		{Name: "bypass", Listener: ports.SecondListener, Override: override},
	}
}
