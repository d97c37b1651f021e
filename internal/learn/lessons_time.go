package learn

import "github.com/hoplab/hoplab/internal/scenario"

func timeLessons() []Lesson {
	return []Lesson{slowApp(), redirect(), bytesOnly()}
}

func slowApp() Lesson {
	slow := func(delay string, change func(*scenario.Config)) scenario.Config {
		return deployment("slow-app-"+delay, func(c *scenario.Config) {
			change(c)
			c.App = map[string]string{"DELAY": "/=" + delay}
			c.Health.Path = "/healthz"
		})
	}
	return Lesson{
		ID: "slow-app", Title: "Fifteen seconds, or sixty",
		Story: []string{
			"A report takes the app 20 s. Nothing is wrong with it: that is how long it takes. Users of the load balancer have always got their report. The port mode is override, so that their requests skip the agent.",
			"Now a service asks for the same report by its Service Connect name.",
		},
		Question: "Who gets the report?",
		Choices: []Choice{
			{"Both", func(r *Record) bool { return r.status("name") == 200 && r.status("alb") == 200 }},
			{"Only the user of the load balancer", func(r *Record) bool { return r.status("name") == 504 && r.status("alb") == 200 }},
			{"Only the service", func(r *Record) bool { return r.status("name") == 200 && r.status("alb") == 504 }},
			{"Nobody", func(r *Record) bool { return r.status("name") == 504 && r.status("alb") == 504 }},
		},
		Acts: []Act{
			{Title: "An app that takes 20 s", Scale: fast, Config: slow("20s", overridden), Steps: []Step{
				request{key: "name", say: "By name:", call: byName(80), want: want{status: 504, body: timeout, path: agentAgentApp}},
				request{key: "alb", say: "Through the load balancer:", call: throughALB("/"), want: want{status: 200, body: hello, path: albApp}},
			}},
			{Title: "An app that takes 70 s", Scale: fast, Config: slow("70s", overridden), Steps: []Step{
				request{key: "longer", say: "Through the load balancer:", call: throughALB("/"), want: want{status: 504, path: albApp}},
			}},
			{Title: "20 s again, with perRequestTimeout 30", Scale: fast,
				Config: slow("20s", func(c *scenario.Config) { overridden(c); limit := 30; c.PerRequestS = &limit }), Steps: []Step{
					request{key: "patient", say: "By name:", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
				}},
		},
		Why: []string{
			"An agent gives each request 15 s unless the service says otherwise (perRequestTimeout). A load balancer waits until a connection has been silent for its idle timeout, 60 s unless changed. Both answer 504; the agent in plain text, the load balancer with a page.",
		},
		Remember: []string{
			"Turning Service Connect on brings a limit of 15 s to callers by name, and in default mode to all callers.",
			"In default mode the app's agent applies it to the load balancer's requests too, and to the whole response: an event stream is cut after 15 s. A WebSocket is not.",
			"The text tells who gave up: upstream request timeout is an agent, 504 Gateway Time-out is the load balancer.",
		},
	}
}

func redirect() Lesson {
	public := func(name string, change func(*scenario.Config)) scenario.Config {
		return deployment(name, func(c *scenario.Config) { overridden(c); c.HTTPS = true; change(c) })
	}
	secure := throughALB("/")
	secure.HTTPS = true
	return Lesson{
		ID: "redirect-or-forward", Title: "Port 80 of a public load balancer",
		Story: []string{
			"A public load balancer has a listener on 443, with a certificate, and one on 80, without. Some people type the address without https. Two things can be done with them: forward the request to the app like any other, or redirect it to https.",
		},
		Question: "With the redirect, does the app see the request that came to port 80?",
		Choices: []Choice{
			{"Yes, and it answers with a redirect",
				func(r *Record) bool { return r.status("redirect") == 301 && r.path("redirect") != "client → alb" }},
			{"No: the load balancer answers it",
				func(r *Record) bool { return r.status("redirect") == 301 && r.path("redirect") == "client → alb" }},
			{"Yes, the load balancer forwards it and encrypts the answer", func(r *Record) bool { return r.status("redirect") == 200 }},
		},
		Acts: []Act{
			{Title: "Port 80 forwards", Config: public("forward", asItIs), Steps: []Step{
				request{key: "forward", call: throughALB("/"), want: want{status: 200, body: hello, path: albApp}},
			}},
			{Title: "Port 80 redirects",
				Config: public("redirect", func(c *scenario.Config) { c.DefaultAction.Redirect = "HTTP_301" }), Steps: []Step{
					request{key: "redirect", call: throughALB("/?year=2026"), want: want{status: 301, location: "https://", path: "client → alb"}},
					request{key: "secure",
						say:  "Where the redirect leads. (The certificate is signed by the lab's own authority, and the caller checks it.)",
						call: secure, want: want{status: 200, body: hello, path: albApp}},
				}},
		},
		Why: []string{
			"A redirect is an action of the listener: no target is involved, and it works while every target is down. Forwarding works too, and lets everything, passwords included, pass in clear text to whoever forgets the s.",
		},
		Remember: []string{
			"Redirect is the default of hoplab's own public edge (-c edge=public); -c httpMode=forward is there for those who need it.",
			"The first request has gone over the wire in clear text already when the redirect comes; HSTS tells browsers not to try again.",
		},
	}
}

func bytesOnly() Lesson {
	return Lesson{
		ID: "no-app-protocol", Title: "An agent that sees bytes",
		Story: []string{
			"A port mapping of a task definition may say which protocol the app speaks: appProtocol http, http2 or grpc. This one says nothing. Everything else is as in the first lessons, and everything works.",
		},
		Question: "What is missing in an answer to the client service?",
		Choices: []Choice{
			{"Nothing: appProtocol is a remark for people", func(r *Record) bool { return envoy(r, "bytes") }},
			{"The agent's headers: it passes bytes and reads no HTTP",
				func(r *Record) bool { return r.status("bytes") == 200 && !envoy(r, "bytes") }},
			{"The answer: a connection without a protocol is reset", func(r *Record) bool { return r.exit("bytes") == 56 }},
		},
		Acts: []Act{
			{Title: "appProtocol: http", Config: deployment("http-mode", asItIs), Steps: []Step{
				request{key: "http", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}},
			{Title: "No appProtocol", Config: deployment("tcp-mode", func(c *scenario.Config) { c.AppProtocol = "" }), Steps: []Step{
				request{key: "bytes", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
				finding{key: "rule", say: "The checks mention it:", rule: "app-protocol-unset"},
			}},
		},
		Why: []string{
			"Without appProtocol the agents are TCP proxies. Requests pass, two hops as before, and nothing of HTTP is there: no headers, no metrics of requests and codes, no limit of 15 s, and a connection that ends where an agent would otherwise write a 503.",
		},
		Remember: []string{
			"Set appProtocol where the app speaks HTTP; it cannot be changed later without deleting the endpoint.",
			"An answer without server: envoy does not prove that no agent was on the way. The app's caller, a loopback address, tells.",
		},
	}
}

// envoy reports whether the answer to the call of that key has an HTTP agent's headers.
func envoy(r *Record, key string) bool {
	c := r.find(key).Call
	return c != nil && c.Seen.Header.Get("Server") == "envoy"
}
