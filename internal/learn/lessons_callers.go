package learn

import (
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
)

const noName = "curl: (6) Could not resolve host: app.sample-namespace"

func callerLessons() []Lesson {
	return []Lesson{namesFrozen(), whoHasNames()}
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
