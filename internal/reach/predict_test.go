package reach

import (
	"fmt"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/test/topologytest"
	"github.com/hoplab/hoplab/internal/topology"
)

// line writes what a test compares of a prediction.
func line(p *Prediction) string {
	o := p.Outcome
	s := p.Path + " | " + string(o.Class)
	if o.Status != 0 {
		s += fmt.Sprint(" ", o.Status)
	}
	if o.Body != "" {
		s += fmt.Sprintf(" %q", o.Body)
	}
	if o.Curl != "" {
		s += " | " + o.Curl
	}
	if o.After > 0 {
		s += " | after " + o.After.String()
	}
	if p.Target != nil {
		s += " | " + p.Target.State
		if p.Target.Reason != "" {
			s += " " + p.Target.Reason
		}
	}
	return s
}

func TestPredict(t *testing.T) {
	const timeoutALB = "curl: (28) Failed to connect to Alb port 80"
	for _, tc := range []struct {
		name  string
		spoil func(*topologytest.Fixture)
		opts  Options
		want  map[string]string
	}{
		{
			name: "override", spoil: func(f *topologytest.Fixture) {},
			want: map[string]string{
				idALB:       `client → alb → app | ok 200`,
				idALBClient: `client → alb → app | ok 200`,
				idMesh:      `client → agent → agent → app | ok 200`,
				idWhatIf:    `client → agent | reset | curl: (56) Recv failure: Connection reset by peer`,
				idHealth:    `alb → app | ok 200 | healthy`,
				idDirect:    `client | timeout | curl: (28) Failed to connect to app-service port 80`,
				idDirect2:   `client → agent → app | ok 200`,
			},
		},
		{
			name: "default mode", spoil: func(f *topologytest.Fixture) { f.DefaultMode() },
			want: map[string]string{
				idALB:    `client → alb → agent → app | ok 200`,
				idMesh:   `client → agent → agent → app | ok 200`,
				idHealth: `alb → agent → app | ok 200 | healthy`,
				idDirect: `client → agent → app | ok 200`,
			},
		},
		{
			name: "override, only the container port is open",
			spoil: func(f *topologytest.Fixture) {
				f.AppGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.Group(f.ClientGroup))
			},
			want: map[string]string{
				idALB:    `client → alb → app | ok 200`,
				idMesh:   `client → agent | http-error 504 "upstream request timeout" | after 15s`,
				idDirect: `client → app | ok 200`,
			},
		},
		{
			name: "default mode, no rule for the client",
			spoil: func(f *topologytest.Fixture) {
				f.DefaultMode()
				f.AppGroup.Ingress = f.AppGroup.Ingress[:1]
			},
			want: map[string]string{
				idALB:  `client → alb → agent → app | ok 200`,
				idMesh: `client → agent | http-error 504 "upstream request timeout" | after 15s`,
			},
		},
		{
			name:  "client group without egress",
			spoil: func(f *topologytest.Fixture) { f.ClientGroup.Egress = nil },
			want: map[string]string{
				idALB:       `client → alb → app | ok 200`,
				idALBClient: `client | timeout | ` + timeoutALB,
				idMesh:      `client → agent | http-error 504 "upstream request timeout" | after 15s`,
			},
		},
		{
			name:  "load balancer group without egress",
			spoil: func(f *topologytest.Fixture) { f.ALBGroup.Egress = nil },
			want: map[string]string{
				idALB:    `client → alb | http-error 504 "504 Gateway Time-out" | after 10s`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name:  "app group without ingress from the load balancer",
			spoil: func(f *topologytest.Fixture) { f.AppGroup.Ingress = f.AppGroup.Ingress[1:] },
			want: map[string]string{
				idALB:    `client → alb | http-error 504 "504 Gateway Time-out" | after 10s`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "nobody may enter the load balancer",
			spoil: func(f *topologytest.Fixture) { f.ALBGroup.Ingress = nil },
			want: map[string]string{
				idALB:    `client | timeout | ` + timeoutALB,
				idHealth: `alb → app | ok 200 | healthy`,
			},
		},
		{
			name:  "health check on a port that is closed",
			spoil: func(f *topologytest.Fixture) { f.TargetGroup.Health.Port = topology.Known("9000") },
			want: map[string]string{
				idALB:    `client → alb → app | ok 200`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "privileged override",
			spoil: func(f *topologytest.Fixture) { f.Endpoint().IngressPortOverride = topology.Known(1024) },
			want: map[string]string{
				idALB:    `client → alb | deploy-fails`,
				idMesh:   `client | deploy-fails`,
				idHealth: `client | deploy-fails`,
			},
		},
		{
			name:  "override 0 for unset",
			spoil: func(f *topologytest.Fixture) { f.Endpoint().IngressPortOverride = topology.Known(0) },
			want:  map[string]string{idMesh: `client | deploy-fails`},
		},
		{
			name: "override equals container port",
			spoil: func(f *topologytest.Fixture) {
				f.Mapping().Port = topology.Known(8080)
				f.Server.LoadBalancers[0].Port = topology.Known(8080)
			},
			want: map[string]string{idMesh: `client | deploy-fails`},
		},
		{
			name:  "the server comes after the client",
			spoil: func(f *topologytest.Fixture) { f.Client.After = nil; f.Server.After = []topology.ID{f.Client.ID} },
			want:  map[string]string{idMesh: `client | no-name | curl: (6) Could not resolve host: app.sample-namespace`},
		},
		{
			name:  "no tasks",
			spoil: func(f *topologytest.Fixture) { f.Server.DesiredCount = topology.Known(0) },
			want: map[string]string{
				idALB:    `client → alb | http-error 503 "503 Service Temporarily Unavailable"`,
				idMesh:   `client → agent | http-error 503 "no healthy upstream"`,
				idHealth: `client | no-traffic`,
			},
		},
		{
			name:  "no registered targets",
			spoil: func(f *topologytest.Fixture) { f.Server.LoadBalancers = nil },
			want:  map[string]string{idALB: `client → alb | http-error 503 "503 Service Temporarily Unavailable"`},
		},
		{
			name: "fixed response",
			spoil: func(f *topologytest.Fixture) {
				f.Listener.Default = []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "404", Body: "nothing here"}}}
			},
			want: map[string]string{
				idALB:    `client → alb | http-error 404 "nothing here"`,
				idHealth: `client | no-traffic | unused Target.NotInUse`,
			},
		},
		{
			name:  "TLS endpoint behind an HTTP target group",
			spoil: func(f *topologytest.Fixture) { f.DefaultMode(); f.Endpoint().TLS = topology.Known(true) },
			want: map[string]string{
				idALB:    `client → alb → agent | http-error 502 "502 Bad Gateway"`,
				idHealth: `alb → agent | reset | after 30s | unhealthy Target.FailedHealthChecks`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name: "the app listens on loopback only, override mode",
			spoil: func(f *topologytest.Fixture) {
				f.App().Environment = map[string]topology.Opt[string]{"LISTEN_ADDRESS": topology.Known("127.0.0.1")}
			},
			want: map[string]string{
				idALB:    `client → alb | http-error 502 "502 Bad Gateway"`,
				idHealth: `alb | refused | after 30s | unhealthy Target.FailedHealthChecks`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name: "the app listens on its own address only, default mode",
			spoil: func(f *topologytest.Fixture) {
				f.DefaultMode()
				f.App().Environment = map[string]topology.Opt[string]{"LISTEN_ADDRESS": topology.Known("10.0.1.9")}
			},
			want: map[string]string{
				idALB:    `client → alb → agent | http-error 503 "upstream connect error or disconnect/reset before headers."`,
				idHealth: `alb → agent | http-error 503 | after 30s | unhealthy Target.ResponseCodeMismatch`,
				idMesh:   `client → agent → agent | http-error 503 "upstream connect error or disconnect/reset before headers."`,
			},
		},
		{
			name:  "the app is slower than 15 s",
			spoil: func(f *topologytest.Fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 20 * time.Second, Paths: map[string]int{"/": 200}} }},
			want: map[string]string{
				idALB:    `client → alb → app | ok 200 | after 20s`,
				idMesh:   `client → agent → agent → app | http-error 504 "upstream request timeout" | after 15s`,
				idHealth: `alb → app | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "the app is slower than the load balancer's idle timeout",
			spoil: func(f *topologytest.Fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 61 * time.Second} }},
			want:  map[string]string{idALB: `client → alb → app | http-error 504 "504 Gateway Time-out" | after 1m0s`},
		},
		{
			name:  "slow app behind the server's agent is cut off by its limit",
			spoil: func(f *topologytest.Fixture) { f.DefaultMode() },
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 20 * time.Second} }},
			want:  map[string]string{idALB: `client → alb → agent → app | http-error 504 "upstream request timeout" | after 15s`},
		},
		{
			name:  "health path answers 404",
			spoil: func(f *topologytest.Fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Status: 404} }},
			want: map[string]string{
				idALB:    `client → alb → app | http-error 404`,
				idHealth: `alb → app | http-error 404 | after 30s | unhealthy Target.ResponseCodeMismatch`,
			},
		},
		{
			name: "TCP endpoint, closed",
			spoil: func(f *topologytest.Fixture) {
				f.Mapping().AppProtocol = topology.Opt[string]{}
				f.AppGroup.Ingress = f.AppGroup.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | reset`},
		},
		{
			name: "no per-request timeout, closed",
			spoil: func(f *topologytest.Fixture) {
				f.Endpoint().PerRequestSeconds = topology.Known(0)
				f.AppGroup.Ingress = f.AppGroup.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | http-error 503 "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection timeout" | after 15s`},
		},
		{
			name: "per-request timeout of 3 s, closed",
			spoil: func(f *topologytest.Fixture) {
				f.Endpoint().PerRequestSeconds = topology.Known(3)
				f.AppGroup.Ingress = f.AppGroup.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | http-error 504 "upstream request timeout" | after 3s`},
		},
		{
			name: "unknown override",
			spoil: func(f *topologytest.Fixture) {
				f.Endpoint().IngressPortOverride = topology.Unknown[int]("Ref Override")
			},
			want: map[string]string{
				idALB:  `client → alb | unknown`,
				idMesh: `client → agent | unknown`,
			},
		},
		{
			name: "group of the server is imported",
			spoil: func(f *topologytest.Fixture) {
				f.Server.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID]("Fn::ImportValue AppSg")}
			},
			want: map[string]string{
				idALB:  `client → alb | unknown`,
				idMesh: `client → agent | unknown`,
			},
		},
		{
			name: "order-dependent egress",
			spoil: func(f *topologytest.Fixture) {
				f.ALBGroup.Egress = []topology.Rule{topologytest.AllowAll(), topologytest.TCP(9000, 9000, topologytest.Group(f.AppGroup))}
				f.ALBGroup.UncertainEgress = "an allow-all rule stands beside standalone rules"
			},
			want: map[string]string{idALB: `client → alb | unknown`},
		},
		{
			name:  "deregistered listener protocol",
			spoil: func(f *topologytest.Fixture) { f.ALB.Kind = "network" },
			want:  map[string]string{idALB: `client | unknown`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := topologytest.Healthy()
			tc.spoil(f)
			r := predict(t, f, tc.opts)
			for id, want := range tc.want {
				p := r.Find(id)
				if p == nil {
					t.Errorf("no prediction %s", id)
				} else if got := line(p); got != want {
					t.Errorf("%s:\n got %s\nwant %s\n(%s)", id, got, want, p.Outcome.Why)
				}
			}
		})
	}
}

func TestBlockedPathNamesTheRuleToAdd(t *testing.T) {
	f := topologytest.Healthy()
	f.AppGroup.Ingress[1] = topologytest.TCP(80, 80, topologytest.Group(f.ClientGroup))
	p := predict(t, f, Options{}).Find(idMesh)
	if len(p.Blocks) != 1 {
		t.Fatalf("%d blocks, want 1", len(p.Blocks))
	}
	b := p.Blocks[0]
	if got, want := b.Open.String(), "AppSg: ingress tcp 8080 from ClientSg"; got != want {
		t.Errorf("rule to add is %q, want %q", got, want)
	}
	if got, want := b.Nearest, "ingress tcp 80 from ClientSg"; got != want {
		t.Errorf("nearest rule is %q, want %q", got, want)
	}
	if b.At.ID != f.AppGroup.ID {
		t.Errorf("blocked at %s, want %s", b.At.ID, f.AppGroup.ID)
	}
}

func TestEvidence(t *testing.T) {
	override, def := topologytest.Healthy(), topologytest.Healthy().DefaultMode()
	for _, tc := range []struct {
		name string
		f    *topologytest.Fixture
		id   string
		want Evidence
	}{
		{"bypass", override, idALB, Evidence{0, "alb", "app", false}},
		{"agent", def, idALB, Evidence{1, "loopback", "envoy", true}},
		{"mesh", override, idMesh, Evidence{2, "loopback", "envoy", true}},
	} {
		if p := predict(t, tc.f, Options{}).Find(tc.id); p.Evidence == nil || *p.Evidence != tc.want {
			t.Errorf("%s: evidence %+v, want %+v", tc.name, p.Evidence, tc.want)
		}
	}
}

func TestUnorderedClientHasAnAlternative(t *testing.T) {
	f := topologytest.Healthy()
	f.Client.After = nil
	p := predict(t, f, Options{}).Find(idMesh)
	if p.Outcome.Class != OK || p.Otherwise == nil || p.Otherwise.Outcome.Class != NoName {
		t.Errorf("got %s, otherwise %+v; want ok, otherwise no-name", p.Outcome.Class, p.Otherwise)
	}
}

func TestOutsideCallers(t *testing.T) {
	f := topologytest.Healthy()
	f.Standalone = []*topology.TaskDefinition{{Origin: topologytest.Origin("Batch", "AWS::ECS::TaskDefinition")}}
	r := predict(t, f, Options{Callers: []Caller{{Kind: CallerLambda, Name: "fn", Groups: []topology.ID{f.ClientGroup.ID}}}})
	for id, want := range map[string]string{
		"outside/fn/app.sample-namespace:80":    `client | no-name | curl: (6) Could not resolve host: app.sample-namespace`,
		"outside/Batch/app.sample-namespace:80": `client | no-name | curl: (6) Could not resolve host: app.sample-namespace`,
		"alb/fn/Main/Alb:80/default":            `client → alb → app | ok 200`,
		"direct/fn/Main/Service:80":             `client | timeout | curl: (28) Failed to connect to app-service port 80`,
	} {
		if p := r.Find(id); p == nil {
			t.Errorf("no prediction %s", id)
		} else if got := line(p); got != want {
			t.Errorf("%s:\n got %s\nwant %s", id, got, want)
		}
	}
	if _, err := Predict(f.Topology, Options{Callers: []Caller{{Name: "x", Groups: []topology.ID{"nowhere"}}}}); err == nil {
		t.Error("a caller with an unknown group is not refused")
	}
}

func TestCallerWithoutPlaceIsInTheOnlyVPC(t *testing.T) {
	f := topologytest.Healthy()
	r := predict(t, f, Options{Callers: []Caller{{Kind: CallerCloudShell, Name: "shell"}}})
	const id = "alb/shell/Main/Alb:80/default"
	if got, want := line(r.Find(id)), "client → alb → app | ok 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.VPCs = append(f.VPCs, &topology.VPC{Origin: topologytest.Origin("Other", "AWS::EC2::VPC")})
	r = predict(t, f, Options{Callers: []Caller{{Kind: CallerCloudShell, Name: "shell"}}})
	if got := r.Find(id).Outcome.Class; got != Unknown {
		t.Errorf("with two VPCs it is %s, want unknown", got)
	}
}
