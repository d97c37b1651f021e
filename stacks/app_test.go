package stacks

import (
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hoplab/hoplab/internal/test/layer"
)

// built synthesizes k and returns the template of one stack.
func built(t *testing.T, k keys, stack string) *template {
	t.Helper()
	return readTemplate(t, filepath.Join(synth(t, k), stack+".template.json"))
}

// only returns the single resource of a type.
func only(t *testing.T, tpl *template, kind string) (string, *templateResource) {
	t.Helper()
	found := tpl.of(kind)
	if len(found) != 1 {
		t.Fatalf("%s has %d resources of type %s, expected one", tpl.Path, len(found), kind)
	}
	for id, r := range found {
		return id, r
	}
	return "", nil
}

// expect compares a value inside properties; path is as for at.
func expect(t *testing.T, what string, properties any, want any, path ...any) {
	t.Helper()
	if got := at(properties, path...); !reflect.DeepEqual(got, want) {
		t.Errorf("%s %v = %v, expected %v", what, path, got, want)
	}
}

// TestIngressRules: who reaches an app's group on which port, by rules that an
// update of the port does not take away before the new tasks run. The trap of the third
// article is the client's: it must be the port on which the app's agent is
// reached, while the load balancer's stays the container port.
func TestIngressRules(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	for _, c := range []struct {
		name string
		keys keys
		want map[string]string // by the description of the app's group
	}{
		{"default", keys{}, map[string]string{"hoplab app": "AlbSg 80, ClientSg 80"}},
		{"override", keys{"ingressPortOverride": "8080"}, map[string]string{"hoplab app": "AlbSg 80, ClientSg 8080"}},
		{"both", keys{"arms": "both", "ingressPortOverride": 9000.0}, map[string]string{
			"hoplab app-agent": "AlbSg 80, ClientSg 80", "hoplab app-bypass": "AlbSg 80, ClientSg 9000",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tpl := built(t, c.keys, "App")
			rules := map[string][]string{}
			for id, r := range tpl.of("AWS::EC2::SecurityGroupIngress") {
				group, _ := at(r.Properties, "GroupId", "Fn::GetAtt", 0).(string)
				source, _ := at(r.Properties, "SourceSecurityGroupId", "Fn::GetAtt", 0).(string)
				if from, to := at(r.Properties, "FromPort"), at(r.Properties, "ToPort"); from != to {
					t.Errorf("%s opens %v to %v", id, from, to)
				}
				if strings.ContainsAny(id, "0123456789") {
					t.Errorf("the rule %s has a number in its name: one that changes with the port is another rule", id)
				}
				name := tpl.Resources[group].Properties["GroupDescription"].(string)
				rules[name] = append(rules[name], source[:len(source)-8]+" "+text(at(r.Properties, "FromPort")))
				if inline := list(tpl.Resources[group].Properties["SecurityGroupIngress"]); len(inline) > 0 {
					t.Errorf("%s has rules of both kinds: %v", name, inline)
				}
				if !dependedOn(tpl, "AWS::ECS::Service", id) {
					t.Errorf("no service waits for the rule %s", id)
				}
			}
			got := map[string]string{}
			for name, r := range rules {
				slices.Sort(r)
				got[name] = strings.Join(r, ", ")
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("rules %v, expected %v", got, c.want)
			}
		})
	}
}

// dependedOn reports whether a resource of the type waits for the one with the id.
func dependedOn(tpl *template, kind, id string) bool {
	for _, r := range tpl.of(kind) {
		if slices.Contains(r.DependsOn, id) {
			return true
		}
	}
	return false
}

// TestArms compares the services with the article's, and the two arms with
// each other.
func TestArms(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	tpl := built(t, keys{"arms": "both"}, "App")
	endpoints := map[string]any{}
	for id, s := range tpl.of("AWS::ECS::Service") {
		expect(t, id, s.Properties, "FARGATE", "LaunchType")
		expect(t, id, s.Properties, "1.4.0", "PlatformVersion")
		expect(t, id, s.Properties, 240.0, "HealthCheckGracePeriodSeconds")
		expect(t, id, s.Properties, 80.0, "LoadBalancers", 0, "ContainerPort")
		name := s.Properties["ServiceName"].(string)
		endpoints[name] = at(s.Properties, "ServiceConnectConfiguration", "Services")
	}
	want := map[string]any{
		"sample-ecs-app-agent": []any{map[string]any{
			"PortName": "app", "DiscoveryName": "app-agent", "ClientAliases": []any{map[string]any{"Port": 80.0}},
		}},
		"sample-ecs-app-bypass": []any{map[string]any{
			"PortName": "app", "DiscoveryName": "app-bypass", "ClientAliases": []any{map[string]any{"Port": 80.0}}, "IngressPortOverride": 8080.0,
		}},
	}
	if !reflect.DeepEqual(endpoints, want) {
		t.Errorf("endpoints %v, expected %v", endpoints, want)
	}
	listeners := tpl.of("AWS::ElasticLoadBalancingV2::Listener")
	for id, port := range map[string]float64{"AlbAgentListener": 80, "AlbBypassListener": 81} {
		found := false
		for l, r := range listeners {
			if strings.HasPrefix(l, id) {
				found = true
				expect(t, l, r.Properties, port, "Port")
				group := at(r.Properties, "DefaultActions", 0, "TargetGroupArn", "Ref").(string)
				if arm := strings.TrimSuffix(strings.TrimPrefix(id, "Alb"), "Listener"); !strings.HasPrefix(group, arm) {
					t.Errorf("%s forwards to %s", l, group)
				}
			}
		}
		if !found {
			t.Errorf("no listener %s in %v", id, slices.Sorted(maps.Keys(listeners)))
		}
	}
	for _, g := range tpl.of("AWS::Logs::LogGroup") {
		if name := g.Properties["LogGroupName"].(string); !strings.HasSuffix(name, "-agent") && !strings.HasSuffix(name, "-bypass") {
			t.Errorf("log group %s carries no arm", name)
		}
	}
}

func TestTargetGroup(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	_, g := only(t, built(t, keys{}, "App"), "AWS::ElasticLoadBalancingV2::TargetGroup")
	for name, want := range map[string]any{ // the third article's numbers
		"HealthCheckEnabled": true, "HealthCheckProtocol": "HTTP", "HealthCheckPort": "80", "HealthCheckPath": "/",
		"HealthCheckIntervalSeconds": 30.0, "HealthCheckTimeoutSeconds": 5.0,
		"HealthyThresholdCount": 2.0, "UnhealthyThresholdCount": 5.0, "Matcher": map[string]any{"HttpCode": "200"},
		"Port": 80.0, "Protocol": "HTTP", "TargetType": "ip",
	} {
		expect(t, "target group", g.Properties, want, name)
	}
	expect(t, "target group", g.Properties, map[string]any{"Key": "deregistration_delay.timeout_seconds",
		"Value": "90"}, "TargetGroupAttributes", 0)
}

// TestAlbEgress: what leaves the load balancer, in the three settings.
func TestAlbEgress(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	const open = "0.0.0.0/0"
	for _, c := range []struct {
		egress string
		rules  int    // standalone egress rules
		inline string // CidrIp of the inline rule
	}{
		{EgressTargets, 1, "255.255.255.255/32"}, // CDK's rule that allows nothing
		{EgressNone, 0, "255.255.255.255/32"},
		{EgressAll, 0, open},
	} {
		t.Run(c.egress, func(t *testing.T) {
			tpl := built(t, keys{"albEgress": c.egress}, "App")
			rules := tpl.of("AWS::EC2::SecurityGroupEgress")
			if len(rules) != c.rules {
				t.Errorf("%d egress rules, expected %d", len(rules), c.rules)
			}
			for id, r := range rules {
				expect(t, id, r.Properties, 80.0, "FromPort")
				expect(t, id, r.Properties, 80.0, "ToPort")
				app := fmt.Sprint(at(r.Properties, "DestinationSecurityGroupId", "Fn::GetAtt", 0))
				expect(t, "the rule's destination", tpl.Resources[app].Properties, "hoplab app", "GroupDescription")
			}
			for id, g := range tpl.of("AWS::EC2::SecurityGroup") {
				if !strings.HasPrefix(id, "AlbSg") {
					continue
				}
				expect(t, id, g.Properties, c.inline, "SecurityGroupEgress", 0, "CidrIp")
				expect(t, id, g.Properties, vpcCIDR, "SecurityGroupIngress", 0, "CidrIp")
				if n := len(list(g.Properties["SecurityGroupIngress"])); n != 1 {
					t.Errorf("%s has %d ingress rules, expected one", id, n)
				}
			}
		})
	}
}

// TestHealthChecks: what each pattern asks, and whom.
func TestHealthChecks(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	command := func(args ...string) []any {
		l := []any{"CMD", "/service"}
		for _, a := range args {
			l = append(l, a)
		}
		return l
	}
	for _, c := range []struct {
		value, path string
		command     any
		front       string // the container with the container port
	}{
		{"", "/", nil, "App"},
		{"alb-root", "/", nil, "App"},
		{"alb-ready", "/readyz", nil, "App"},
		{"alb-api", "/api/v1/health_check", nil, "App"},
		{"alb-proxy", "/proxyz", nil, "Proxy"},
		{"container-process", "/", command("-check-process", "service"), "App"},
		{"container-socket", "/", command("-check-socket", "/run/hoplab/app.sock"), "App"},
		{"container-http", "/", command("-healthcheck", "http://127.0.0.1:80/healthz"), "App"},
		{"container-combined", "/", command("-check-process", "service", "-healthcheck", "http://127.0.0.1:80/healthz"), "App"},
		{"alb-proxy,container-http", "/proxyz", command("-healthcheck", "http://127.0.0.1:8081/healthz"), "Proxy"},
	} {
		t.Run(c.value, func(t *testing.T) {
			tpl := built(t, keys{"healthCheck": c.value}, "App")
			_, g := only(t, tpl, "AWS::ElasticLoadBalancingV2::TargetGroup")
			expect(t, "target group", g.Properties, c.path, "HealthCheckPath")
			_, task := only(t, tpl, "AWS::ECS::TaskDefinition")
			_, service := only(t, tpl, "AWS::ECS::Service")
			expect(t, "service", service.Properties, c.front, "LoadBalancers", 0, "ContainerName")
			for _, container := range list(task.Properties["ContainerDefinitions"]) {
				name := at(container, "Name")
				if name == "App" {
					expect(t, "App", container, c.command, "HealthCheck", "Command")
				} else {
					expect(t, "Proxy", container, nil, "HealthCheck")
				}
				if named := at(container, "PortMappings", 0, "Name") == "app"; named != (name == c.front) {
					t.Errorf("container %v: the port mapping app is at the wrong container", name)
				}
			}
		})
	}
}

func TestClientDependsOnApp(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	for name, k := range variants {
		if k["host"] != nil {
			continue
		}
		var manifest struct {
			Artifacts map[string]struct{ Dependencies []string }
		}
		readJSON(t, filepath.Join("testdata", "golden", name, "manifest.json"), &manifest)
		for stack, want := range map[string][]string{
			"Network": {}, "App": {"Network"}, "Client": {"App", "Network"}, "Load": {"App", "Network"},
		} {
			artifact, ok := manifest.Artifacts[stack]
			if !ok {
				continue
			}
			if got := artifact.Dependencies; !slices.Equal(slices.Sorted(slices.Values(got)), want) {
				t.Errorf("%s: %s depends on %v, expected %v", name, stack, got, want)
			}
		}
	}
}

// TestSuppression: the finding that the experiment is about is accepted in the
// template, in the form that `hoplab check` reads, and only where it arises.
func TestSuppression(t *testing.T) {
	layer.Full(t, "synthesizes, which needs Node")
	for id, s := range built(t, keys{"arms": "both"}, "App").of("AWS::ECS::Service") {
		if strings.HasPrefix(id, "Bypass") {
			if _, there := s.Metadata["hoplab"]; there {
				t.Errorf("%s suppresses a finding that it does not have", id)
			}
			continue
		}
		expect(t, id, s.Metadata, "needless-agent-hop", "hoplab", "suppress", 0, "rule")
		if reason, _ := at(s.Metadata, "hoplab", "suppress", 0, "reason").(string); len(reason) < 20 {
			t.Errorf("%s: no reason for the suppression", id)
		}
	}
}
