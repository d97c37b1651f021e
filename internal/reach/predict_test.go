package reach

import (
	"fmt"
	"testing"
	"time"

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
		spoil func(*fixture)
		opts  Options
		want  map[string]string
	}{
		{
			name: "override", spoil: func(f *fixture) {},
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
			name: "default mode", spoil: func(f *fixture) { f.defaultMode() },
			want: map[string]string{
				idALB:    `client → alb → agent → app | ok 200`,
				idMesh:   `client → agent → agent → app | ok 200`,
				idHealth: `alb → agent → app | ok 200 | healthy`,
				idDirect: `client → agent → app | ok 200`,
			},
		},
		{
			name:  "override, only the container port is open",
			spoil: func(f *fixture) { f.appSG.Ingress[1] = tcp(80, 80, group(f.clientSG)) },
			want: map[string]string{
				idALB:    `client → alb → app | ok 200`,
				idMesh:   `client → agent | http-error 504 "upstream request timeout" | after 15s`,
				idDirect: `client → app | ok 200`,
			},
		},
		{
			name: "default mode, no rule for the client",
			spoil: func(f *fixture) {
				f.defaultMode()
				f.appSG.Ingress = f.appSG.Ingress[:1]
			},
			want: map[string]string{
				idALB:  `client → alb → agent → app | ok 200`,
				idMesh: `client → agent | http-error 504 "upstream request timeout" | after 15s`,
			},
		},
		{
			name:  "client group without egress",
			spoil: func(f *fixture) { f.clientSG.Egress = nil },
			want: map[string]string{
				idALB:       `client → alb → app | ok 200`,
				idALBClient: `client | timeout | ` + timeoutALB,
				idMesh:      `client → agent | http-error 504 "upstream request timeout" | after 15s`,
			},
		},
		{
			name:  "load balancer group without egress",
			spoil: func(f *fixture) { f.albSG.Egress = nil },
			want: map[string]string{
				idALB:    `client → alb | http-error 504 "504 Gateway Time-out" | after 10s`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name:  "app group without ingress from the load balancer",
			spoil: func(f *fixture) { f.appSG.Ingress = f.appSG.Ingress[1:] },
			want: map[string]string{
				idALB:    `client → alb | http-error 504 "504 Gateway Time-out" | after 10s`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "nobody may enter the load balancer",
			spoil: func(f *fixture) { f.albSG.Ingress = nil },
			want: map[string]string{
				idALB:    `client | timeout | ` + timeoutALB,
				idHealth: `alb → app | ok 200 | healthy`,
			},
		},
		{
			name:  "health check on a port that is closed",
			spoil: func(f *fixture) { f.tg.Health.Port = known("9000") },
			want: map[string]string{
				idALB:    `client → alb → app | ok 200`,
				idHealth: `alb | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "privileged override",
			spoil: func(f *fixture) { f.endpoint().IngressPortOverride = known(1024) },
			want: map[string]string{
				idALB:    `client → alb | deploy-fails`,
				idMesh:   `client | deploy-fails`,
				idHealth: `client | deploy-fails`,
			},
		},
		{
			name:  "override 0 for unset",
			spoil: func(f *fixture) { f.endpoint().IngressPortOverride = known(0) },
			want:  map[string]string{idMesh: `client | deploy-fails`},
		},
		{
			name:  "override equals container port",
			spoil: func(f *fixture) { f.mapping().Port = known(8080); f.server.LoadBalancers[0].Port = known(8080) },
			want:  map[string]string{idMesh: `client | deploy-fails`},
		},
		{
			name:  "the server comes after the client",
			spoil: func(f *fixture) { f.client.After = nil; f.server.After = []topology.ID{f.client.ID} },
			want:  map[string]string{idMesh: `client | no-name | curl: (6) Could not resolve host: app.sample-namespace`},
		},
		{
			name:  "no tasks",
			spoil: func(f *fixture) { f.server.DesiredCount = known(0) },
			want: map[string]string{
				idALB:    `client → alb | http-error 503 "503 Service Temporarily Unavailable"`,
				idMesh:   `client → agent | http-error 503 "no healthy upstream"`,
				idHealth: `client | no-traffic`,
			},
		},
		{
			name:  "no registered targets",
			spoil: func(f *fixture) { f.server.LoadBalancers = nil },
			want:  map[string]string{idALB: `client → alb | http-error 503 "503 Service Temporarily Unavailable"`},
		},
		{
			name: "fixed response",
			spoil: func(f *fixture) {
				f.listener.Default = []topology.Action{{Type: "fixed-response", Fixed: &topology.FixedResponse{Status: "404", Body: "nothing here"}}}
			},
			want: map[string]string{
				idALB:    `client → alb | http-error 404 "nothing here"`,
				idHealth: `client | no-traffic | unused Target.NotInUse`,
			},
		},
		{
			name:  "TLS endpoint behind an HTTP target group",
			spoil: func(f *fixture) { f.defaultMode(); f.endpoint().TLS = true },
			want: map[string]string{
				idALB:    `client → alb → agent | http-error 502 "502 Bad Gateway"`,
				idHealth: `alb → agent | reset | after 30s | unhealthy Target.FailedHealthChecks`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name: "the app listens on loopback only, override mode",
			spoil: func(f *fixture) {
				f.app().Environment = map[string]topology.Opt[string]{"LISTEN_ADDRESS": known("127.0.0.1")}
			},
			want: map[string]string{
				idALB:    `client → alb | http-error 502 "502 Bad Gateway"`,
				idHealth: `alb | refused | after 30s | unhealthy Target.FailedHealthChecks`,
				idMesh:   `client → agent → agent → app | ok 200`,
			},
		},
		{
			name: "the app listens on its own address only, default mode",
			spoil: func(f *fixture) {
				f.defaultMode()
				f.app().Environment = map[string]topology.Opt[string]{"LISTEN_ADDRESS": known("10.0.1.9")}
			},
			want: map[string]string{
				idALB:    `client → alb → agent | http-error 503 "upstream connect error or disconnect/reset before headers."`,
				idHealth: `alb → agent | http-error 503 | after 30s | unhealthy Target.ResponseCodeMismatch`,
				idMesh:   `client → agent → agent | http-error 503 "upstream connect error or disconnect/reset before headers."`,
			},
		},
		{
			name:  "the app is slower than 15 s",
			spoil: func(f *fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 20 * time.Second, Paths: map[string]int{"/": 200}} }},
			want: map[string]string{
				idALB:    `client → alb → app | ok 200 | after 20s`,
				idMesh:   `client → agent → agent → app | http-error 504 "upstream request timeout" | after 15s`,
				idHealth: `alb → app | timeout | after 30s | unhealthy Target.Timeout`,
			},
		},
		{
			name:  "the app is slower than the load balancer's idle timeout",
			spoil: func(f *fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 61 * time.Second} }},
			want:  map[string]string{idALB: `client → alb → app | http-error 504 "504 Gateway Time-out" | after 1m0s`},
		},
		{
			name:  "slow app behind the server's agent is not documented",
			spoil: func(f *fixture) { f.defaultMode() },
			opts:  Options{App: func(*topology.Service) App { return App{Delay: 20 * time.Second} }},
			want:  map[string]string{idALB: `client → alb → agent → app | unknown`},
		},
		{
			name:  "health path answers 404",
			spoil: func(f *fixture) {},
			opts:  Options{App: func(*topology.Service) App { return App{Status: 404} }},
			want: map[string]string{
				idALB:    `client → alb → app | http-error 404`,
				idHealth: `alb → app | http-error 404 | after 30s | unhealthy Target.ResponseCodeMismatch`,
			},
		},
		{
			name: "TCP endpoint, closed",
			spoil: func(f *fixture) {
				f.mapping().AppProtocol = topology.Opt[string]{}
				f.appSG.Ingress = f.appSG.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | reset`},
		},
		{
			name: "no per-request timeout, closed",
			spoil: func(f *fixture) {
				f.endpoint().PerRequestSeconds = known(0)
				f.appSG.Ingress = f.appSG.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | http-error 503 "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: connection timeout" | after 15s`},
		},
		{
			name: "per-request timeout of 3 s, closed",
			spoil: func(f *fixture) {
				f.endpoint().PerRequestSeconds = known(3)
				f.appSG.Ingress = f.appSG.Ingress[:1]
			},
			want: map[string]string{idMesh: `client → agent | http-error 504 "upstream request timeout" | after 3s`},
		},
		{
			name:  "unknown override",
			spoil: func(f *fixture) { f.endpoint().IngressPortOverride = topology.Unknown[int]("Ref Override") },
			want: map[string]string{
				idALB:  `client → alb | unknown`,
				idMesh: `client → agent | unknown`,
			},
		},
		{
			name: "group of the server is imported",
			spoil: func(f *fixture) {
				f.server.Groups = []topology.Opt[topology.ID]{topology.Unknown[topology.ID]("Fn::ImportValue AppSg")}
			},
			want: map[string]string{
				idALB:  `client → alb | unknown`,
				idMesh: `client → agent | unknown`,
			},
		},
		{
			name: "order-dependent egress",
			spoil: func(f *fixture) {
				f.albSG.Egress = []topology.Rule{allowAll(), tcp(9000, 9000, group(f.appSG))}
				f.albSG.UncertainEgress = "an allow-all rule stands beside standalone rules"
			},
			want: map[string]string{idALB: `client → alb | unknown`},
		},
		{
			name:  "deregistered listener protocol",
			spoil: func(f *fixture) { f.alb.Kind = "network" },
			want:  map[string]string{idALB: `client | unknown`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := healthy()
			tc.spoil(f)
			r := f.predict(t, tc.opts)
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
	f := healthy()
	f.appSG.Ingress[1] = tcp(80, 80, group(f.clientSG))
	p := f.predict(t, Options{}).Find(idMesh)
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
	if b.At.ID != f.appSG.ID {
		t.Errorf("blocked at %s, want %s", b.At.ID, f.appSG.ID)
	}
}

func TestEvidence(t *testing.T) {
	override, def := healthy(), healthy().defaultMode()
	for _, tc := range []struct {
		name string
		f    *fixture
		id   string
		want Evidence
	}{
		{"bypass", override, idALB, Evidence{0, "alb", "app", false}},
		{"agent", def, idALB, Evidence{1, "loopback", "envoy", true}},
		{"mesh", override, idMesh, Evidence{2, "loopback", "envoy", true}},
	} {
		if p := tc.f.predict(t, Options{}).Find(tc.id); p.Evidence == nil || *p.Evidence != tc.want {
			t.Errorf("%s: evidence %+v, want %+v", tc.name, p.Evidence, tc.want)
		}
	}
}

func TestUnorderedClientHasAnAlternative(t *testing.T) {
	f := healthy()
	f.client.After = nil
	p := f.predict(t, Options{}).Find(idMesh)
	if p.Outcome.Class != OK || p.Otherwise == nil || p.Otherwise.Outcome.Class != NoName {
		t.Errorf("got %s, otherwise %+v; want ok, otherwise no-name", p.Outcome.Class, p.Otherwise)
	}
}

func TestOutsideCallers(t *testing.T) {
	f := healthy()
	f.Standalone = []*topology.TaskDefinition{{Origin: origin("Batch", "AWS::ECS::TaskDefinition")}}
	r := f.predict(t, Options{Callers: []Caller{{Kind: CallerLambda, Name: "fn", Groups: []topology.ID{f.clientSG.ID}}}})
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
	f := healthy()
	r := f.predict(t, Options{Callers: []Caller{{Kind: CallerCloudShell, Name: "shell"}}})
	const id = "alb/shell/Main/Alb:80/default"
	if got, want := line(r.Find(id)), "client → alb → app | ok 200"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	f.VPCs = append(f.VPCs, &topology.VPC{Origin: origin("Other", "AWS::EC2::VPC")})
	r = f.predict(t, Options{Callers: []Caller{{Kind: CallerCloudShell, Name: "shell"}}})
	if got := r.Find(id).Outcome.Class; got != Unknown {
		t.Errorf("with two VPCs it is %s, want unknown", got)
	}
}
