package situation

import (
	"time"

	"github.com/hoplab/hoplab/internal/scenario"
)

const (
	hello   = "Hello World"
	timeout = "upstream request timeout"
	failure = "upstream connect error or disconnect/reset before headers. …"
)

func nothing(*scenario.Config) {}

var catalogue = []Situation{
	{Name: "default-alb", Row: 1, What: "default mode, called through the ALB", Config: with("default-alb", nothing),
		Call: throughALB, Status: 200, Body: hello, Target: "healthy", Proof: "agent",
		Why: "Without an override the agent intercepts the container port, so traffic from the load balancer passes it too."},
	{Name: "override-alb", Row: 2, What: "override mode, called through the ALB", Config: with("override-alb", override),
		Call: throughALB, Status: 200, Body: hello, Target: "healthy", Proof: "app",
		Why: "With an override nothing is intercepted on the container port: the load balancer reaches the app itself."},
	{Name: "override-mesh", Row: 3, What: "override mode, a Service Connect client on the client port", Config: with("override-mesh", override),
		Call: byName, Status: 200, Body: hello, Proof: "agent",
		Why: "The client's URL keeps the client port; its agent knows that the server's agent listens on the override."},
	{Name: "override-sg-closed", Row: 4, What: "override mode, the group opens only the container port",
		Config: with("override-sg-closed", func(c *scenario.Config) { override(c); c.AppFromClient = []int{80} }),
		Call:   byName, Status: 504, Body: timeout,
		Why: "The security group drops what the client's agent sends to 8080. Three tries of 5 s reach the 15 s limit of the request."},
	{Name: "override-port-in-url", Row: 5, What: "the override used as the port of the URL", Config: with("override-port-in-url", override),
		Call: &Call{FromClient: true, To: "name", Port: 8080, Path: "/"}, Curl: "curl: (56) Recv failure: Connection reset by peer",
		Why: "Every port of the virtual address goes to the client's agent, and it has no listener for 8080: only the client port counts."},
	{Name: "alb-egress-none", Row: 9, What: "the ALB's group lets nothing out", Config: with("alb-egress-none", func(c *scenario.Config) { c.NoALBEgress = true }),
		Call: throughALB, Status: 504, Target: "unhealthy Target.Timeout",
		Why: "The health check never leaves the load balancer, and the app's log stays empty. All targets being unhealthy, requests are sent anyway and time out."},
	{Name: "target-ingress-closed", Row: 10, What: "the app's group admits nothing from the ALB", Config: with("target-ingress-closed", func(c *scenario.Config) { c.AppFromALB = []int{} }),
		Call: throughALB, Status: 504, Target: "unhealthy Target.Timeout",
		Why: "The same as a missing egress rule, one group further on."},
	{Name: "client-ingress-closed", Row: 11, What: "default mode, the app's group admits nothing from the client", Config: with("client-ingress-closed", func(c *scenario.Config) { c.AppFromClient = []int{} }),
		Call: byName, Status: 504, Body: timeout, Target: "healthy",
		Why: "The path through the load balancer is fine, and the client still waits for its 15 s: the rule of the other caller is missing."},
	{Name: "health-path-missing", Row: 12, What: "the health check asks for a path that is not there", Config: with("health-path-missing", func(c *scenario.Config) { c.Health.Path = "/nope" }),
		Call: throughALB, Status: 200, Body: hello, Target: "unhealthy Target.ResponseCodeMismatch",
		Why: "The probe is answered, with the wrong code, and it stands in the app's log. Users are served because all targets are unhealthy."},
	{Name: "app-on-eni-only", Row: 14, What: "default mode, the app listens on the task's address but not on loopback", Config: with("app-on-eni-only", func(c *scenario.Config) { c.App = env("LISTEN_ADDRESS", "eth0") }),
		Call: throughALB, Status: 503, Body: failure, Target: "unhealthy Target.ResponseCodeMismatch",
		Why: "The agent reaches its app at 127.0.0.1 only."},
	{Name: "app-on-eni-only-override", Row: 14, What: "the same app in override mode", Config: with("app-on-eni-only-override", func(c *scenario.Config) { override(c); c.App = env("LISTEN_ADDRESS", "eth0") }),
		Call: throughALB, Status: 200, Body: hello, Target: "healthy", Proof: "app",
		Why: "The load balancer calls the task's address, where this app listens."},
	{Name: "app-on-loopback-only", Row: 15, What: "override mode, the app listens on loopback only", Config: with("app-on-loopback-only", func(c *scenario.Config) { override(c); c.App = env("LISTEN_ADDRESS", "127.0.0.1") }),
		Call: throughALB, Status: 502, Target: "unhealthy Target.FailedHealthChecks",
		Why: "Nothing listens on the task's address any more; Service Connect callers, who come by the agent, are fine."},
	{Name: "app-on-loopback-only-mesh", Row: 15, What: "the same deployment, called by name", Config: with("app-on-loopback-only-mesh", func(c *scenario.Config) { override(c); c.App = env("LISTEN_ADDRESS", "127.0.0.1") }),
		Call: byName, Status: 200, Body: hello, Proof: "agent",
		Why: "The agent of the task calls the app over loopback."},
	{Name: "slow-app-mesh", Row: 16, What: "the app takes 20 s, called by name", Config: with("slow-app-mesh", func(c *scenario.Config) { c.App = delay(20 * time.Second); c.Health.Path = "/healthz" }),
		Call: byName, Status: 504, Body: timeout, Target: "healthy",
		Why: "The agent gives a request 15 s unless told otherwise."},
	{Name: "slow-app-override-alb", Row: 17, What: "the app takes 20 s, override mode, through the ALB", Config: with("slow-app-override-alb", func(c *scenario.Config) { override(c); c.App = delay(20 * time.Second); c.Health.Path = "/healthz" }),
		Call: throughALB, Status: 200, Body: hello, Target: "healthy", Proof: "app",
		Why: "No agent, no 15 s: the load balancer waits for its idle timeout of 60 s."},
	{Name: "slower-app-override-alb", Row: 17, What: "the app takes 70 s, override mode, through the ALB", Config: with("slower-app-override-alb", func(c *scenario.Config) { override(c); c.App = delay(70 * time.Second); c.Health.Path = "/healthz" }),
		Call: throughALB, Status: 504, Target: "healthy",
		Why: "After 60 s without a byte the load balancer answers for the app."},
	{Name: "names-frozen", Row: 18, What: "the client was deployed before the endpoint existed", Config: with("names-frozen", func(c *scenario.Config) { c.ClientFirst = true }),
		Call: byName, Curl: "curl: (6) Could not resolve host: app.sample-namespace",
		Why: "A task gets its list of names when it starts, and keeps it until it is replaced."},
	{Name: "other-namespace", Row: 19, What: "the client uses another namespace", Config: with("other-namespace", func(c *scenario.Config) { c.OtherNamespace = true }),
		Call: byName, Curl: "curl: (6) Could not resolve host: app.sample-namespace",
		Why: "Names are known inside their namespace only."},
	{Name: "without-service-connect", Row: 19, What: "a caller without Service Connect uses the name", Config: with("without-service-connect", nothing),
		Call: byNameAlone, Curl: "curl: (6) Could not resolve host: app.sample-namespace",
		Why: "RunTask, Lambda and CloudShell have no agent and no names; they go through the load balancer."},
	{Name: "wrong-health-port", Row: 10, What: "the health check goes to a port that no rule opens", Config: with("wrong-health-port", func(c *scenario.Config) { c.Health.Port = "9000" }),
		Call: throughALB, Status: 200, Body: hello, Target: "unhealthy Target.Timeout",
		Why: "The probe's port needs a rule of its own; requests are fine and, all targets being unhealthy, still served."},
	{Name: "no-targets", Row: 28, What: "nobody is registered with the target group", Config: with("no-targets", func(c *scenario.Config) { c.RegisterNobody = true }),
		Call: throughALB, Status: 503,
		Why: "A load balancer without targets answers 503 itself."},
	{Name: "tcp-mode", Row: 31, What: "appProtocol is not set", Config: with("tcp-mode", func(c *scenario.Config) { c.AppProtocol = "" }),
		Call: byName, Status: 200, Body: hello, Proof: "app",
		Why: "The agents pass bytes and do not speak HTTP: no Envoy headers, no HTTP metrics, no request timeout."},
	{Name: "tcp-mode-app-down", Row: 31, What: "the same, and the app does not listen on loopback", Config: with("tcp-mode-app-down", func(c *scenario.Config) { c.AppProtocol = ""; c.App = env("LISTEN_ADDRESS", "eth0") }),
		Call: byName, Curl: "curl: (56) Recv failure: Connection reset by peer" + Or + "curl: (52) Empty reply from server",
		Why: "Without HTTP there is no 503 to write: the connection ends."},
	{Name: "egress-on-the-wrong-port", Row: 35, What: "the ALB may reach port 80 only, the app listens on 3000", Config: with("egress-on-the-wrong-port", func(c *scenario.Config) {
		c.ContainerPort, c.AliasPort = 3000, 3000
		c.AppFromALB, c.AppFromClient, c.ALBEgress = []int{3000}, []int{3000}, []int{80}
	}),
		Call: throughALB, Status: 504, Target: "unhealthy Target.Timeout",
		Why: "A rule on the wrong port is no rule."},
}
