package learn

import (
	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
)

const noName = "curl: (6) Could not resolve host: app.sample-namespace"

func callerLessons() []Lesson {
	return []Lesson{namesFrozen(), whoHasNames(), twoAddresses()}
}

func namesFrozen() Lesson {
	return Lesson{
		ID: "names-frozen", Title: "Names are frozen when a deployment is created",
		Story: []string{
			"The client service was deployed first. Then the app was deployed and published as app.sample-namespace in the same namespace. Both run, both are healthy, all rules are open.",
			"A name of Service Connect is no DNS name: ECS writes it into the hosts file of each task.",
			"Then the client's only task is stopped, and ECS starts another one in its place.",
		},
		Question: "The client service calls http://app.sample-namespace:80. When does that work?",
		Choices: []Choice{
			{"At once: the names of a namespace are known to all of its services", func(r *Record) bool { return r.status("before") == 200 }},
			{"From the task that takes the place of the stopped one: it starts after the name exists",
				func(r *Record) bool { return r.exit("before") == 6 && r.status("replaced") == 200 }},
			{"Not before the client is deployed again",
				func(r *Record) bool {
					return r.exit("before") == 6 && r.exit("replaced") == 6 && r.status("after") == 200
				}},
			{"Never: a new deployment does not help either",
				func(r *Record) bool { return r.exit("before") == 6 && r.status("after") != 200 }},
		},
		Acts: []Act{{Title: "The client before the app",
			Config: deployment("names-frozen", func(c *scenario.Config) { c.ClientFirst = true }), Steps: []Step{
				names{key: "hosts-before", say: "What the client's task was given:"},
				request{key: "before", call: byName(80), want: want{curl: noName}},
				replace{key: "replace", say: "The task is stopped. The one that takes its place was started later than the app:"},
				names{key: "hosts-replaced"},
				request{key: "replaced", call: byName(80), want: want{curl: noName}},
				redeploy{key: "redeploy", say: "The client service is deployed again, unchanged. Its new task:"},
				names{key: "hosts-after", want: 1},
				request{key: "after", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}}},
		Why: []string{
			"The list of endpoints belongs to the deployment. It holds what existed when the deployment was created, and every task of it gets the same list: the first ones, those that replace a stopped or crashed one, those of a scale-out. An endpoint that comes later is unknown to all of them, in the hosts file and in the agent.",
		},
		Remember: []string{
			"Deploy whoever publishes a name before those who call it; in one template let the client's service depend on the app's.",
			"A new name needs a new deployment of its callers (aws ecs update-service --force-new-deployment). Stopping a task is none.",
			"A name exists as soon as the service that publishes it does, before its first task.",
			"dig and nslookup do not read the hosts file; getent hosts does.",
		},
	}
}

func whoHasNames() Lesson {
	return Lesson{
		ID: "who-has-names", Title: "Who may use the name",
		Story: []string{
			"A nightly job runs in the same VPC and the same subnets as the app. It is a task too, but RunTask starts it: no service stands behind it. Its security group is admitted wherever the client service's is.",
		},
		Question: "The job calls http://app.sample-namespace:80, as the client service does. What does it see?",
		Choices: []Choice{
			{"200, the same as the client service", func(r *Record) bool { return r.status("job") == 200 }},
			{"The name does not resolve", func(r *Record) bool { return r.exit("job") == 6 }},
			{"A connection that is reset", func(r *Record) bool { return r.exit("job") == 56 }},
		},
		Acts: []Act{{Title: "Two callers in one VPC", Config: deployment("without-service-connect", asItIs), Steps: []Step{
			request{key: "client", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			request{key: "job", say: "A caller without Service Connect:", call: situation.Call{To: "name", Path: "/"}, want: want{curl: noName}},
			request{key: "alb", say: "Its way in is the load balancer:", call: throughALB("/"),
				want: want{status: 200, body: hello, path: albAgentApp}},
		}}},
		Why: []string{
			"ECS writes names, and adds agents, only for tasks of services with Service Connect. Standalone tasks, Lambda functions, CloudShell and services of another namespace have neither.",
		},
		Remember: []string{
			"An app with callers of both kinds needs a load balancer beside its name, and then the question of the needless hop comes up.",
		},
	}
}

func twoAddresses() Lesson {
	by := func(l call.Lookup) situation.Call {
		return situation.Call{FromClient: true, To: "name", Path: "/", Lookup: l}
	}
	const unreachable = "curl: (7) Failed to connect to app.sample-namespace port 80"
	return Lesson{
		ID: "two-addresses", Title: "A name with two addresses, and one of them leads nowhere",
		Story: []string{
			"In the hosts file of the client's task the name stands twice: once with 127.255.0.1, once with 2600:f0f0:0:0:0:0:0:1. The subnets have no IPv6.",
			"curl in that task is served. Then nginx is put in front of the client, as a reverse proxy to http://app.sample-namespace:80.",
		},
		Question: "A program takes the first address that the name has, the IPv6 one, and tries no other. What does it see?",
		Choices: []Choice{
			{"200: the agent takes both", func(r *Record) bool { return r.status("first") == 200 }},
			{"It cannot connect, at once", func(r *Record) bool { return r.exit("first") == 7 }},
			{"It waits until its connect timeout", func(r *Record) bool { return r.exit("first") == 28 }},
			{"The name does not resolve", func(r *Record) bool { return r.exit("first") == 6 }},
		},
		Acts: []Act{{Title: "Three programs in one task", Config: deployment("two-addresses", asItIs), Steps: []Step{
			request{key: "all", say: "A program that tries one address after the other, as curl and Go do:", call: by(call.LookupAll),
				want: want{status: 200, body: hello, path: agentAgentApp}},
			request{key: "first", say: "One that takes the first and tries no other:", call: by(call.LookupFirst), want: want{curl: unreachable}},
			request{key: "dns", say: "One that asks the VPC's resolver itself, as nginx does when it has a resolver directive:",
				call: by(call.LookupDNS), want: want{curl: noName}},
		}}},
		Why: []string{
			"ECS writes both lines into every task, whether it has IPv6 or not. The agent listens on 127.0.0.1, and a task without IPv6 has no route to 2600:f0f0::/96: the kernel says \"network is unreachable\" before a packet leaves.",
			"nginx takes all addresses of an upstream for servers of equal rank, so some of its connections fail. With a resolver directive it asks DNS, which does not know the names at all. Some gRPC libraries behave alike.",
		},
		Remember: []string{
			"\"network is unreachable\" with 2600:f0f0 in it is the client's way to look names up, not a security group.",
			"Resolve to IPv4 when the container starts: getent ahostsv4 NAME.",
			"getent hosts prints the IPv6 address, dig neither.",
		},
	}
}
