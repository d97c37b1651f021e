package learn

import (
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
)

// Times of the lab: health checks and time-outs are shown this much faster.
const fast = 20

// deployment is scenario.Default with changes.
func deployment(name string, change func(*scenario.Config)) scenario.Config {
	c := scenario.Default()
	c.Name = name
	change(&c)
	return c
}

func asItIs(*scenario.Config) {}

// overridden is the article's override, with the rule that follows it.
func overridden(c *scenario.Config) {
	port := 8080
	c.Override = &port
	c.AppFromClient = []int{8080}
}

// byName calls the endpoint on a port, as the client service does.
func byName(port int) situation.Call {
	return situation.Call{FromClient: true, To: "name", Port: port, Path: "/"}
}

func throughALB(path string) situation.Call { return situation.Call{To: "alb", Path: path} }

const (
	hello   = "Hello World"
	timeout = "upstream request timeout"
	reset   = "curl: (56) Recv failure: Connection reset by peer"

	albAgentApp   = "client → alb → agent → app"
	albApp        = "client → alb → app"
	agentAgentApp = "client → agent → agent → app"
)

func portLessons() []Lesson {
	return []Lesson{threePorts(), needlessHop(), override(), forgottenRule(), underWay(), wrongPort(), privilegedPort()}
}

func threePorts() Lesson {
	return Lesson{
		ID: "three-ports", Title: "Three ports, one URL",
		Story: []string{
			"Amazon ECS runs an app in tasks. With Service Connect, ECS puts a small proxy, the agent, into each task. A caller writes a name such as http://app.sample-namespace; its own agent takes the request, finds a task of the app and sends it to the agent there, which hands it to the app.",
			"On that way there are three port numbers. Mostly all three are 80, and nobody notices that they are three. Here they differ: the app listens on 3000, the agent of its task is reached on 9090, and the endpoint was published for callers on 8888.",
		},
		Question: "The calling program writes http://app.sample-namespace:PORT. Which port?",
		Choices: []Choice{
			{"3000, where the app listens (the container port)", func(r *Record) bool { return r.status("container") == 200 }},
			{"9090, where the agent is reached (the ingress port)", func(r *Record) bool { return r.status("ingress") == 200 }},
			{"8888, which was published (the client port)", func(r *Record) bool { return r.status("client") == 200 }},
		},
		Acts: []Act{{
			Title: "Three ports that differ", Config: deployment("three-ports", func(c *scenario.Config) {
				port := 9090
				c.ContainerPort, c.Override, c.AliasPort = 3000, &port, 8888
				c.AppFromALB, c.AppFromClient = []int{3000}, []int{9090}
			}),
			Steps: []Step{
				request{key: "container", say: "First the container port:", call: byName(3000), want: want{curl: reset}},
				request{key: "ingress", say: "Then the ingress port:", call: byName(9090), want: want{curl: reset}},
				request{key: "client", say: "Then the client port:", call: byName(8888), want: want{status: 200, body: hello, path: agentAgentApp}},
			},
		}},
		Why: []string{
			"The name stands for a virtual address that leads into the caller's own agent. That agent knows one port for the name, the client port; a connection to any other port it resets. Where to go from there, to which task and on which of its ports, is the agent's business and in nobody's URL.",
		},
		Remember: []string{
			"Client port: in the URL of callers. Nobody binds it, and no security-group rule names it.",
			"Ingress port: where the agent is reached from outside the task. Rules for Service Connect callers name it.",
			"Container port: where the app listens. Without an override it is the ingress port too.",
		},
	}
}

func needlessHop() Lesson {
	return Lesson{
		ID: "needless-hop", Title: "The hop that nobody asked for",
		Story: []string{
			"The same app has two kinds of callers. Services with Service Connect call it by name. Others cannot: a task started by RunTask, a Lambda function, a person's CloudShell. They go through an Application Load Balancer (ALB), which sends their requests to the app's task.",
			"The load balancer knows nothing of Service Connect. It was told the container port, 80, and calls that.",
		},
		Question: "A request comes through the load balancer. Does it pass the Service Connect agent in the app's task?",
		Choices: []Choice{
			{"No. The load balancer calls the app's own port, so it reaches the app", func(r *Record) bool { return r.path("default") == albApp }},
			{"Yes. The agent takes what comes to that port from outside", func(r *Record) bool { return r.path("default") == albAgentApp }},
		},
		Acts: []Act{
			{Title: "Service Connect as it comes", Config: deployment("default", asItIs), Steps: []Step{
				request{key: "default", say: "A host of the VPC calls the load balancer:", call: throughALB("/"),
					want: want{status: 200, body: hello, path: albAgentApp}},
				finding{key: "rule", say: "The checks know this hop:", rule: "needless-agent-hop"},
			}},
			{Title: "The agent moved to port 8080 (ingressPortOverride)", Config: deployment("override", overridden), Steps: []Step{
				request{key: "override", say: "The same call:", call: throughALB("/"), want: want{status: 200, body: hello, path: albApp}},
			}},
		},
		Why: []string{
			"In the default mode ECS redirects the container port inside the task: whatever comes from outside to port 80 lands on the agent, the load balancer's requests and health checks included. The answer shows it. The agent writes its own server header and the time that the app took, and the app sees a caller on its own loopback address.",
			"With an override no port is redirected. The load balancer meets the app, which sees the load balancer's address, and the answer comes without the agent's two headers.",
		},
		Remember: []string{
			"With Service Connect on, load balancer traffic passes the agent by default. ingressPortOverride is the documented way around it.",
			"server: envoy in the answer, and a loopback address as the app's caller, prove an agent on the way.",
			"What the hop costs is for hoplab run to measure.",
		},
	}
}

func override() Lesson {
	return Lesson{
		ID: "override", Title: "What an override changes, and for whom",
		Story: []string{
			"You set ingressPortOverride to 8080 so that requests through the load balancer skip the agent. The security group of the app now has a rule for the load balancer on 80 and one for the client service on 8080.",
			"The client service calls http://app.sample-namespace:80, as it always has. Nobody told its developers about the change.",
		},
		Question: "After the change, what must the callers do?",
		Choices: []Choice{
			{"The client service must write :8080 into its URL",
				func(r *Record) bool { return r.status("url80") != 200 && r.status("url8080") == 200 }},
			{"Nothing: the URLs of both kinds of callers stay as they are",
				func(r *Record) bool { return r.status("url80") == 200 && r.status("alb") == 200 }},
			{"Callers of the load balancer must use port 8080", func(r *Record) bool { return r.find("alb").Call != nil && r.status("alb") != 200 }},
		},
		Acts: []Act{{Title: "The agent on 8080, the app on 80", Config: deployment("override", overridden), Steps: []Step{
			request{key: "url80", say: "The client service, as before:", call: byName(80),
				want: want{status: 200, body: hello, path: agentAgentApp}},
			request{key: "url8080", say: "The client service with the override in its URL:", call: byName(8080), want: want{curl: reset}},
			request{key: "alb", say: "Through the load balancer, as before:", call: throughALB("/"),
				want: want{status: 200, body: hello, path: albApp}},
		}}},
		Why: []string{
			"Two ports lead into the task now: 80 straight to the app, 8080 to the agent. The client's agent learns the new port from ECS and keeps answering to the old client port. The load balancer keeps calling 80, where it now meets the app.",
		},
		Remember: []string{
			"An override changes the port between the client's agent and the app's agent, and nothing that a caller writes.",
			"It does change security groups: rules for Service Connect callers must open the override.",
			"The app's own port is open beside it, without the agent. Only security groups keep the two apart.",
		},
	}
}

func forgottenRule() Lesson {
	closed := func(c *scenario.Config) { overridden(c); c.AppFromClient = []int{80} }
	return Lesson{
		ID: "forgotten-rule", Title: "The forgotten rule",
		Story: []string{
			"Again the override moves the agent to 8080. This time nobody touched the security group: it admits the load balancer on 80 and the client service on 80, as before.",
			"A security group drops what no rule admits. It does not answer; the caller hears nothing at all.",
		},
		Question: "The client service calls http://app.sample-namespace:80. What does it read?",
		Choices: []Choice{
			{"200 Hello World: the rule for port 80 is there, and the URL says 80", func(r *Record) bool { return r.status("closed") == 200 }},
			{"Connection refused, at once", func(r *Record) bool { return r.exit("closed") == 7 }},
			{"504 upstream request timeout, after a while", func(r *Record) bool { return r.status("closed") == 504 }},
			{"Nothing: it waits until it gives up itself", func(r *Record) bool { return r.exit("closed") == 28 }},
		},
		Acts: []Act{
			{Title: "An override without its rule", Scale: fast, Config: deployment("override-sg-closed", closed), Steps: []Step{
				request{key: "closed", call: byName(80), want: want{status: 504, body: timeout, path: "client → agent"}},
				request{key: "alb", say: "Meanwhile through the load balancer, so that nobody gets an alarm:", call: throughALB("/"),
					want: want{status: 200, body: hello, path: albApp}},
				finding{key: "rule", say: "Before the deployment the checks would have said:", rule: "ingress-port-closed"},
			}},
			{Title: "With the rule", Config: deployment("override-mesh", overridden), Steps: []Step{
				request{key: "open", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}},
		},
		Why: []string{
			"The client talks to its own agent, which does answer: it is the agent that waits. It tries to connect to port 8080 of the task, gives up after a few seconds, tries again, and is stopped by the 15 s that a request may take. Then it writes the 504 itself. The app never hears of it.",
		},
		Remember: []string{
			"upstream request timeout from a Service Connect name: look at the app's security group, on the ingress port.",
			"That the load balancer's path works proves nothing about the other path: it uses another port.",
		},
	}
}

func wrongPort() Lesson {
	return Lesson{
		ID: "wrong-port", Title: "The right port in the wrong place",
		Story: []string{
			"The override is 8080 and the rule for it is there. A developer of the client service reads the security group, sees 8080, and writes http://app.sample-namespace:8080.",
		},
		Question: "What does the developer see?",
		Choices: []Choice{
			{"200: the agent listens on 8080 and the rule is there", func(r *Record) bool { return r.status("8080") == 200 }},
			{"504 upstream request timeout", func(r *Record) bool { return r.status("8080") == 504 }},
			{"The connection is made and then reset", func(r *Record) bool { return r.exit("8080") == 56 }},
			{"The name does not resolve", func(r *Record) bool { return r.exit("8080") == 6 }},
		},
		Acts: []Act{{Title: "The override is open, and used as a client port", Config: deployment("override", overridden), Steps: []Step{
			request{key: "8080", call: byName(8080), want: want{curl: reset}},
			request{key: "80", say: "With the client port:", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
		}}},
		Why: []string{
			"Every TCP port of the virtual address is led into the caller's own agent, so the connection is made. Only then the agent looks which endpoint it is for, finds none for port 8080, and resets. The request has not left the caller's task: no rule and no log on the other side can show it.",
		},
		Remember: []string{
			"Connection reset by peer on a Service Connect name means: this port is no client port of the name.",
			"Security groups speak of ingress ports, URLs of client ports. hoplab explain prints both beside each other.",
		},
	}
}

func privilegedPort() Lesson {
	return Lesson{
		ID: "privileged-port", Title: "A port that the agent may not have",
		Story: []string{
			"The app listens on 3000. Somebody wants to keep the number 80 in all security groups and sets ingressPortOverride: 80. The template is valid, and cdk synth has no objection.",
		},
		Question: "What happens?",
		Choices: []Choice{
			{"It works: the agent listens on 80", func(r *Record) bool { return r.find("deploy").Key != "" && r.find("deploy").Deploy == nil }},
			{"The deployment is refused", func(r *Record) bool { return r.find("deploy").Deploy != nil }},
		},
		Acts: []Act{{Title: "An override below 1025", Config: deployment("override-80", func(c *scenario.Config) {
			port := 80
			c.ContainerPort, c.Override = 3000, &port
			c.AppFromALB, c.AppFromClient = []int{3000}, []int{80}
		}), Steps: []Step{
			finding{key: "rule", say: "Before the deployment:", rule: "override-privileged-port"},
			refusal{key: "deploy", say: "Deployed nevertheless:", want: "Invalid request provided: IngressPortOverride cannot use ports <= 1024."},
		}}},
		Why: []string{
			"ECS takes only ports from 1025 on. Neither CloudFormation nor CDK looks at the number before the service is created, so the error comes late, in the stack's events, and the stack rolls back.",
		},
		Remember: []string{
			"An override is a port from 1025 to 65535, and one that nothing else in the task binds: the containers of a task share one network.",
			"A tool that writes 0 for \"not set\" gets the same error.",
		},
	}
}

func underWay() Lesson {
	without := func(name string, inline bool) scenario.Config {
		return deployment(name, func(c *scenario.Config) { c.InlineRules = inline })
	}
	with := func(name string, inline bool) scenario.Config {
		return deployment(name, func(c *scenario.Config) { overridden(c); c.InlineRules = inline })
	}
	return Lesson{
		ID: "under-way", Title: "While the new task starts",
		Story: []string{
			"The override is turned on, and nothing is forgotten: in one deployment the service gets ingressPortOverride 8080, and the rule that admits the clients moves from 80 to 8080. Before the deployment everything works, and after it everything works.",
			"A deployment takes its time. CloudFormation changes the security group first, because the service refers to it. Then Amazon ECS starts a new task, waits until it is healthy, and stops the old one.",
		},
		Question: "A client calls while the new task starts. What does it read?",
		Choices: []Choice{
			{"200 Hello World: the old task serves until the new one can", func(r *Record) bool { return r.status("during") == 200 }},
			{"504 upstream request timeout, after a while", func(r *Record) bool { return r.status("during") == 504 }},
			{"Could not resolve host: the name is between two deployments", func(r *Record) bool { return r.exit("during") == 6 }},
		},
		Acts: []Act{
			{Title: "The rule stands in the app's group", Scale: fast, Config: without("under-way-inline", true), Steps: []Step{
				request{key: "before", say: "Before, through the load balancer:", call: throughALB("/"),
					want: want{status: 200, body: hello, path: albAgentApp}},
				update{key: "begins", say: "The deployment begins: the group admits the clients on 8080, and the one task that runs is the old one.",
					to: with("under-way-inline", true)},
				request{key: "during", call: byName(80), want: want{status: 504, body: timeout}},
				complete{key: "ends", say: "The new task is healthy, the old one is gone:"},
				request{key: "after", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}},
			{Title: "The rule is a resource of its own", Scale: fast, Config: without("under-way-own", false), Steps: []Step{
				update{key: "own-begins",
					say: "The deployment begins: there is a new rule for 8080, and the old one for 80 until the clean-up at the end.",
					to:  with("under-way-own", false)},
				request{key: "own-during", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
				complete{key: "own-ends", say: "The new task is healthy, the old one and its rule are gone:"},
				request{key: "own-after", call: byName(80), want: want{status: 200, body: hello, path: agentAgentApp}},
			}},
		},
		Why: []string{
			"The old task listens on 80 to its last minute, and its group no longer lets anybody in there. Connections that are up live on, so that callers with a warm connection notice nothing; who needs a new one waits for its agent, which cannot connect.",
			"A rule that is a resource of its own is replaced, not changed: CloudFormation makes the new one before the service that depends on it, and deletes the old one in the clean-up, when the service's deployment is through.",
		},
		Remember: []string{
			"Two right templates do not make a right update.",
			"Write rules for an ingress port as AWS::EC2::SecurityGroupIngress, and let the service depend on them. Else open both ports in a deployment before.",
			"hoplab explain NEW --before OLD tells the phases; hoplab check --before finds the outage.",
		},
	}
}
