package learn

import (
	"strings"

	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
)

func healthLessons() []Lesson {
	return []Lesson{albEgress(), lyingProxy(), aliveOrReady(), failOpen(), wrongAddress()}
}

const (
	healthy    = "healthy"
	timedOut   = "unhealthy Target.Timeout"
	mismatched = "unhealthy Target.ResponseCodeMismatch"
	badGateway = "bad gateway"
)

// probeFields are the parts of a log line that tell a health check from a user's request.
var probeFields = []string{"remote_addr", "host", "request", "status", "user_agent", "http_connection", "x_forwarded_for"}

func is(r *Record, key, want string) bool {
	state, reason := r.state(key)
	return strings.TrimSpace(state+" "+reason) == want
}

func albEgress() Lesson {
	logged := func(r *Record) bool { t := r.find("closed").Target; return t != nil && t.Logged > 0 }
	plain := func(name string, change func(*scenario.Config)) scenario.Config {
		return deployment(name, func(c *scenario.Config) { c.Connect, c.Client = false, false; change(c) })
	}
	return Lesson{
		ID: "alb-egress", Title: "The load balancer that may not speak",
		Story: []string{
			"A load balancer asks its targets regularly whether they are well: a GET request, an answer with code 200. A target that fails is unhealthy.",
			"This time there is no Service Connect, and the target never gets healthy. The app runs, a check inside its container is green, its security group admits the load balancer on port 80. The load balancer's own group was written with Terraform and has rules for what comes in, and none for what goes out.",
		},
		Question: "What stands in the app's access log?",
		Choices: []Choice{
			{"The health checks, each with an error", logged},
			{"Nothing: they never arrive", func(r *Record) bool { return is(r, "closed", timedOut) && !logged(r) }},
			{"The health checks with 200: the answers get lost", func(r *Record) bool { return is(r, "closed", healthy) }},
		},
		Acts: []Act{
			{Title: "Nothing may leave the load balancer", Scale: fast,
				Config: plain("alb-egress-none", func(c *scenario.Config) { c.NoALBEgress = true }), Steps: []Step{
					target{key: "closed", want: timedOut},
					request{key: "user", say: "A user's request meanwhile:", call: throughALB("/"), want: want{status: 504, path: "client → alb"}},
					finding{key: "rule", say: "The checks name the rule that is missing:", rule: "alb-egress-closed"},
				}},
			{Title: "One egress rule: port 80 to the app's group",
				Config: plain("alb-egress-targets", func(c *scenario.Config) { c.ALBEgress = []int{80} }), Steps: []Step{
					target{key: "open", want: healthy},
					probe{key: "probe",
						say:    "The app's log has the probe now. (On the loopback fabric a host of the VPC is an address of 127.0.0.0/8.)",
						fields: probeFields},
				}},
		},
		Why: []string{
			"A health check is a request like any other, and it starts at the load balancer. The load balancer's group must let it out. It is easily forgotten because most tools allow all traffic out unless told otherwise; Terraform's aws_security_group takes that rule away.",
			"Users get an answer only after the load balancer has given up connecting. It tries at all because, with no healthy target, it sends requests to the unhealthy ones.",
		},
		Remember: []string{
			"Unhealthy by Target.Timeout and an empty app log: the probe does not arrive. Look at egress of the load balancer, then ingress of the target.",
			"A health check has the load balancer's private address, ELB-HealthChecker/2.0, the target's address as Host, and no X-Forwarded-For.",
			"A check inside the container proves that the app lives, not that anybody reaches it.",
		},
	}
}

func lyingProxy() Lesson {
	proxied := func(path string) scenario.Config {
		return deployment("proxy"+path, func(c *scenario.Config) {
			// Port 9 is where nobody listens: the app behind the proxy is dead.
			c.App = map[string]string{"PROXY_TO": "http://127.0.0.1:9", "PROXY_ANSWERS": "/health"}
			c.Health.Path = path
		})
	}
	app := &reach.App{Status: 502, Paths: map[string]int{"/health": 200}}
	return Lesson{
		ID: "lying-health-check", Title: "The health check that lies",
		Story: []string{
			"In each task a web server stands in front of the app, in the same task: it takes the requests and hands them on. To keep health checks cheap, it answers /health itself, and the target group's health check asks for /health.",
			"The app behind it has just died.",
		},
		Question: "What do the load balancer and the users see?",
		Choices: []Choice{
			{"The target is unhealthy, and users get errors", func(r *Record) bool { return !is(r, "cheap", healthy) && r.status("user") >= 400 }},
			{"The target is healthy, and users get errors", func(r *Record) bool { return is(r, "cheap", healthy) && r.status("user") >= 400 }},
			{"The target is healthy, and users are served", func(r *Record) bool { return is(r, "cheap", healthy) && r.status("user") == 200 }},
		},
		Acts: []Act{
			{Title: "The proxy answers the health check", Config: proxied("/health"), App: app, Steps: []Step{
				target{key: "cheap", want: healthy},
				request{key: "user", say: "A user's request:", call: throughALB("/"), want: want{status: 502, body: badGateway, path: albAgentApp}},
			}},
			{Title: "The health check asks the app", Scale: fast, Config: proxied("/"), App: app, Steps: []Step{
				target{key: "honest", want: mismatched},
			}},
		},
		Why: []string{
			"A health check says that whoever answers it is well, and no more. The proxy is well. With a path that the proxy hands on, the same death is seen: the code is not the one that the target group wants.",
		},
		Remember: []string{
			"Know which process answers the path of your health check.",
			"The agent of Service Connect is no such liar: it hands health checks on to the app, and answers with an error of its own when the app is gone.",
		},
	}
}

func aliveOrReady() Lesson {
	checked := func(path string) scenario.Config {
		return deployment("check"+path, func(c *scenario.Config) {
			// Nobody listens on port 9: the database is down.
			c.App = map[string]string{"DEPENDENCIES": "tcp://127.0.0.1:9"}
			c.Health.Path = path
		})
	}
	app := &reach.App{Status: 404, Paths: map[string]int{"/": 200, "/healthz": 200, "/readyz": 503}}
	return Lesson{
		ID: "alive-or-ready", Title: "Alive or ready",
		Story: []string{
			"The app has two paths for health checks. /healthz says that the process lives. /readyz also tries the database. Pages that need no database work without it.",
			"The health check asks for /readyz. Now the database, which all tasks share, is down.",
		},
		Question: "What becomes of a request for a page that needs no database?",
		Choices: []Choice{
			{"It is served: the health check is green", func(r *Record) bool { return is(r, "ready", healthy) }},
			{"It fails: all targets are unhealthy, nobody is left to serve it",
				func(r *Record) bool { return is(r, "ready", mismatched) && r.status("page") != 200 }},
			{"It is served, although all targets are unhealthy",
				func(r *Record) bool { return is(r, "ready", mismatched) && r.status("page") == 200 }},
		},
		Acts: []Act{
			{Title: "The health check tests the database", Scale: fast, Config: checked("/readyz"), App: app, Steps: []Step{
				target{key: "ready", want: mismatched},
				request{key: "probe", say: "What the health check is answered:", call: throughALB("/readyz"),
					want: want{status: 503, path: albAgentApp}},
				request{key: "page", say: "A page without the database:", call: throughALB("/"),
					want: want{status: 200, body: hello, path: albAgentApp}},
			}},
			{Title: "The health check tests the process", Config: checked("/healthz"), App: app, Steps: []Step{
				target{key: "alive", want: healthy},
			}},
		},
		Why: []string{
			"One database makes every target unhealthy at once. The load balancer, having no healthy target, sends requests to all of them, so pages are served. But ECS replaces tasks that the load balancer calls unhealthy, one after the other, and no new task can repair the database. (The lab was told to leave them for now: its grace period is long.)",
		},
		Remember: []string{
			"A check that ends tasks should fail only where a new task would be better off: /healthz.",
			"A check of what all tasks share belongs into an alarm. As a health check it turns trouble with a dependency into trouble with everything.",
		},
	}
}

func failOpen() Lesson {
	return Lesson{
		ID: "fail-open", Title: "Unhealthy, and served all the same",
		Story: []string{
			"The health check asks for /nope, which the app does not have. The app answers 404, the target group wants 200. The only target is unhealthy.",
		},
		Question: "A user asks for / through the load balancer. What comes back?",
		Choices: []Choice{
			{"503 from the load balancer: it has no healthy target", func(r *Record) bool { return r.status("user") == 503 }},
			{"200 from the app", func(r *Record) bool { return r.status("user") == 200 }},
			{"404, as for the health check", func(r *Record) bool { return r.status("user") == 404 }},
		},
		Acts: []Act{
			{Title: "One target, unhealthy", Scale: fast,
				Config: deployment("health-path-missing", func(c *scenario.Config) { c.Health.Path = "/nope" }), Steps: []Step{
					target{key: "target", want: mismatched},
					probe{key: "probe", say: "The probe is in the app's log, and so is the answer it got:",
						fields: []string{"request", "status", "user_agent"}},
					request{key: "user", call: throughALB("/"), want: want{status: 200, body: hello, path: albAgentApp}},
				}},
			{Title: "No target at all", Config: deployment("no-targets", func(c *scenario.Config) { c.RegisterNobody = true }), Steps: []Step{
				request{key: "nobody", say: "The same request when nobody is registered:", call: throughALB("/"),
					want: want{status: 503, path: "client → alb"}},
			}},
		},
		Why: []string{
			"When all targets are unhealthy the load balancer takes its own checks for mistaken and sends requests to all of them: it fails open. Only a group without any target gives 503.",
		},
		Remember: []string{
			"That users are served does not mean that targets are healthy; and ECS goes on replacing them.",
			"Target.ResponseCodeMismatch and a line in the log: the way is open, the path or the code is wrong. Target.Timeout and no line: the way is closed.",
		},
	}
}

func wrongAddress() Lesson {
	bound := func(name, address string, change func(*scenario.Config)) scenario.Config {
		return deployment(name, func(c *scenario.Config) {
			change(c)
			c.App = map[string]string{"LISTEN_ADDRESS": address}
		})
	}
	return Lesson{
		ID: "wrong-address", Title: "An app that listens on the wrong address",
		Story: []string{
			"A task has two network interfaces that matter: eth0, with the task's address in the VPC, and lo, the loopback with 127.0.0.1, for what runs inside the task.",
			"Some frameworks bind one address only. This app binds the task's address. Its port is open in every security group, and curl from another host worked until yesterday. Then Service Connect was turned on.",
		},
		Question: "What does a user of the load balancer get now?",
		Choices: []Choice{
			{"200, as before", func(r *Record) bool { return r.status("default") == 200 }},
			{"503 from the agent: it cannot reach its app", func(r *Record) bool { return r.status("default") == 503 }},
			{"502 from the load balancer: the port is closed", func(r *Record) bool { return r.status("default") == 502 }},
		},
		Acts: []Act{
			{Title: "On eth0 only, default mode", Scale: fast, Config: bound("app-on-eni-only", "eth0", asItIs), Steps: []Step{
				target{key: "target", want: mismatched},
				request{key: "default", call: throughALB("/"), want: want{status: 503, body: "upstream connect error", path: "client → alb → agent"}},
			}},
			{Title: "On eth0 only, override mode", Config: bound("app-on-eni-only-override", "eth0", overridden), Steps: []Step{
				request{key: "override", say: "The load balancer calls the task's address again:", call: throughALB("/"),
					want: want{status: 200, body: hello, path: albApp}},
			}},
			{Title: "On loopback only, override mode", Scale: fast, Config: bound("app-on-loopback-only", "127.0.0.1", overridden), Steps: []Step{
				request{key: "alb", say: "The other way round the load balancer finds nobody:", call: throughALB("/"),
					want: want{status: 502, path: "client → alb"}},
				request{key: "name", say: "and the agent does:", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}},
		},
		Why: []string{
			"The agent calls its app on 127.0.0.1, always. A load balancer calls the task's address. Which of the two the app must listen on depends on who stands in front of it, and an app that listens on all addresses is right in every mode.",
		},
		Remember: []string{
			"Bind 0.0.0.0 (or ::). Look for HOSTNAME, HOST and LISTEN variables in your framework.",
			"503 upstream connect error … comes from an agent; 502 Bad Gateway as an HTML page comes from the load balancer.",
		},
	}
}
