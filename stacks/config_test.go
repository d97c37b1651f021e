package stacks

import (
	"reflect"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/ports"
)

func parse(k keys) (Config, error) {
	return ParseConfig(func(key string) any { return k[key] })
}

// TestRefusals holds every reason to refuse a context, with the words that
// name the key or value and the rule.
func TestRefusals(t *testing.T) {
	public := func(k keys) keys {
		k["edge"] = "public"
		return k
	}
	for _, c := range []struct {
		name string
		keys keys
		want string
	}{
		{"override is no number", keys{"ingressPortOverride": "http"}, `ingressPortOverride "http": not an integer`},
		{"override with a fraction", keys{"ingressPortOverride": 8080.5}, "ingressPortOverride 8080.5: not an integer"},
		{"override is the article's 80", keys{"ingressPortOverride": "80"}, "ingressPortOverride 80: Amazon ECS refuses ports <= 1024"},
		{"override 0", keys{"ingressPortOverride": 0.0}, "ingressPortOverride 0: Amazon ECS refuses"},
		{"override 1024", keys{"ingressPortOverride": "1024"}, "ingressPortOverride 1024: Amazon ECS refuses"},
		{"override above 65535", keys{"ingressPortOverride": "65536"}, "ingressPortOverride 65536: a TCP port is at most 65535"},
		{"override is a list", keys{"ingressPortOverride": []any{8080.0}}, "ingressPortOverride"},
		{"override empty", keys{"ingressPortOverride": ""}, "ingressPortOverride"},
		{"override in both arms", keys{"arms": "both", "ingressPortOverride": "1"}, "ingressPortOverride 1"},
		{"arms unknown", keys{"arms": "three"}, "arms=three: expected one or both"},
		{"arms is a number", keys{"arms": 2.0}, "arms=2: expected a string"},
		{"image with a blank", keys{"appImage": "my image"}, "appImage=my image: expected an image reference"},
		{"image is an URL", keys{"clientImage": "https://example.com/x"}, "clientImage=https://example.com/x: expected an image reference"},
		{"architecture unknown", keys{"architecture": "amd64"}, "architecture=amd64: expected X86_64 or ARM64"},
		{"egress unknown", keys{"albEgress": "some"}, "albEgress=some: expected targets or none or all"},
		{"check unknown", keys{"healthCheck": "curl"}, "healthCheck=curl: expected alb-root"},
		{"two checks of one side", keys{"healthCheck": "alb-root,alb-ready"}, "healthCheck=alb-root,alb-ready: both ask the same side"},
		{"two container checks", keys{"healthCheck": "container-http,container-socket"}, "both ask the same side"},
		{"edge unknown", keys{"edge": "outer"}, "edge=outer: expected internal or public"},
		{"public without a certificate", public(keys{}), "edge=public: HTTPS needs a certificate"},
		{"public name without a zone", public(keys{"domainName": "api.example.com"}),
			"domainName=api.example.com: without -c hostedZoneId=... no certificate"},
		{"public zone without a name", public(keys{"certificateArn": anARN, "hostedZoneId": "Z0123456789ABC"}),
			"hostedZoneId=Z0123456789ABC: no name"},
		{"name in capitals", public(keys{"domainName": "API.example.com", "hostedZoneId": "Z0123456789ABC"}),
			"domainName=API.example.com: expected a lower-case name"},
		{"wildcard name", public(keys{"domainName": "*.example.com", "hostedZoneId": "Z0123456789ABC"}), "domainName=*.example.com"},
		{"zone by name", public(keys{"domainName": "api.example.com", "hostedZoneId": "example.com"}),
			"hostedZoneId=example.com: expected the id"},
		{"certificate by id", public(keys{"certificateArn": "12345678"}), "certificateArn=12345678: expected the ARN"},
		{"HTTP mode unknown", public(keys{"certificateArn": anARN, "httpMode": "drop"}), "httpMode=drop: expected redirect or forward"},
		{"address type unknown", public(keys{"certificateArn": anARN, "ipAddressType": "ipv6"}),
			"ipAddressType=ipv6: expected ipv4 or dualstack"},
		{"name inside", keys{"domainName": "api.example.com"}, "domainName=api.example.com: it belongs to the public load balancer"},
		{"zone inside", keys{"hostedZoneId": "Z0123456789ABC"}, "hostedZoneId=Z0123456789ABC: it belongs to the public"},
		{"certificate inside", keys{"certificateArn": anARN}, "it belongs to the public load balancer"},
		{"HTTP mode inside", keys{"httpMode": "redirect"}, "httpMode=redirect: it belongs to the public"},
		{"address type inside", keys{"ipAddressType": "dualstack"}, "ipAddressType=dualstack: it belongs to the public"},
		{"public with both arms", public(keys{"certificateArn": anARN, "arms": "both"}), "arms=both needs a listener port per arm"},
		{"public with load", public(keys{"certificateArn": anARN, "load": "true"}), "load=true: edge=public would put the internet"},
		{"load is no boolean", keys{"load": "yes"}, "load=yes: expected true or false"},
		{"no generator", keys{"load": "true", "generators": "0"}, "generators=0: expected a whole number from 1 to 1000"},
		{"half a generator", keys{"load": "true", "generators": 1.5}, "generators=1.5: expected a whole number"},
		{"too many generators", keys{"load": "true", "generators": 1001.0}, "generators=1001: expected"},
		{"generators are a list", keys{"load": "true", "generators": []any{}}, "generators=[]: expected"},
		{"generators without load", keys{"generators": "2"}, "generators=2: it belongs to the Load stack"},
		{"load image without load", keys{"loadImage": "alpine"}, "loadImage=alpine: it belongs to the Load stack"},
		{"host unknown", keys{"host": "lambda"}, "host=lambda: expected fargate or ec2-nginx"},
		{"nginx with an override", keys{"host": "ec2-nginx", "ingressPortOverride": "8080"},
			"ingressPortOverride=8080: host=ec2-nginx is one instance without ECS"},
		{"nginx with arms", keys{"host": "ec2-nginx", "arms": "both"}, "arms=both: host=ec2-nginx"},
		{"nginx with load", keys{"host": "ec2-nginx", "load": "true"}, "load=true: host=ec2-nginx"},
		{"nginx with an image", keys{"host": "ec2-nginx", "appImage": "nginx"}, "appImage=nginx: host=ec2-nginx"},
		{"nginx with checks", keys{"host": "ec2-nginx", "healthCheck": "alb-root"}, "healthCheck=alb-root: host=ec2-nginx"},
		{"nginx for the world", public(keys{"host": "ec2-nginx", "certificateArn": anARN}), "edge=public: host=ec2-nginx"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parse(c.keys)
			if err == nil {
				t.Fatalf("%v was accepted", c.keys)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, expected it to contain %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	override, err := ports.CheckOverride(9000, ports.Container)
	if err != nil {
		t.Fatal(err)
	}
	example, err := ports.CheckOverride(ports.ExampleOverride, ports.Container)
	if err != nil {
		t.Fatal(err)
	}
	base := Config{
		Host: HostFargate, Arms: []Arm{{Listener: 80}}, Architecture: "X86_64", AlbEgress: EgressTargets,
		Health: Health{Path: "/"}, Generators: 1, Source: ".",
	}
	with := func(change func(*Config)) Config {
		c := base
		change(&c)
		return c
	}
	for _, c := range []struct {
		name string
		keys keys
		want Config
	}{
		{"nothing", keys{}, base},
		{"empty values count as absent", keys{"arms": "", "load": "", "appImage": "", "healthCheck": "", "generators": ""}, base},
		{"default values",
			keys{"arms": "one", "host": "fargate", "edge": "internal", "load": false, "architecture": "X86_64",
				"albEgress": "targets", "healthCheck": "alb-root"},
			base},
		{"override from the command line", keys{"ingressPortOverride": "9000"},
			with(func(c *Config) { c.Arms = []Arm{{Listener: 80, Override: override}} })},
		{"override from cdk.json", keys{"ingressPortOverride": 9000.0},
			with(func(c *Config) { c.Arms = []Arm{{Listener: 80, Override: override}} })},
		{"both arms take the article's override", keys{"arms": "both"}, with(func(c *Config) {
			c.Arms = []Arm{{Name: "agent", Listener: 80}, {Name: "bypass", Listener: 81, Override: example}}
		})},
		{"both arms take the given override", keys{"arms": "both", "ingressPortOverride": "9000"}, with(func(c *Config) {
			c.Arms = []Arm{{Name: "agent", Listener: 80}, {Name: "bypass", Listener: 81, Override: override}}
		})},
		{"one check of each side", keys{"healthCheck": "container-http,alb-proxy"}, with(func(c *Config) {
			c.Health = Health{Path: "/proxyz", Proxy: true, Container: containerHTTP}
		})},
		{"generators", keys{"load": true, "generators": "20"}, with(func(c *Config) { c.Load, c.Generators = true, 20 })},
		{"public", keys{"edge": "public", "domainName": "api.example.com", "hostedZoneId": "Z0123456789ABC"}, with(func(c *Config) {
			c.Health = Health{Path: "/api/v1/health_check"}
			c.Public = &PublicEdge{DomainName: "api.example.com", HostedZoneID: "Z0123456789ABC", Redirect: true}
		})},
		{"nginx", keys{"host": "ec2-nginx", "albEgress": "none"}, with(func(c *Config) {
			c.Host, c.AlbEgress, c.Arms = HostNginx, EgressNone, nil
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parse(c.keys)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestImageReferences(t *testing.T) {
	for _, ref := range []string{
		"nginx", "nginx:stable", "library/nginx", "public.ecr.aws/amazonlinux/amazonlinux:2023", "localhost:5000/app:a_1", aPrivate,
		"ghcr.io/x/y@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	} {
		if _, err := parse(keys{"appImage": ref}); err != nil {
			t.Error(err)
		}
	}
	for _, ref := range []string{":1", "a b", "nginx:", "nginx@sha256:1", "../x", "-c", "nginx:tag\n"} {
		if _, err := parse(keys{"appImage": ref}); err == nil {
			t.Errorf("image reference %q was accepted", ref)
		}
	}
}
