package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/lab"
)

// code is the code of AWS's error, "" without one.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// get answers what the SDK's call gives, or ends the test.
func get[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// eventually waits for what a busy machine takes its time for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: %s", what)
		}
	}
}

// call sends a request to the load balancer's port of an arm.
func (d *deployed) call(t *testing.T, port int) string {
	t.Helper()
	l := d.cloud.Lab()
	raw, err := l.LoadBalancerURL(l.Status().LoadBalancers[0].ID, port)
	if err != nil {
		t.Fatal(err)
	}
	at, err := l.DialInfo(lab.Caller{}, raw)
	if err != nil {
		t.Fatal(err)
	}
	d.calls[port]++
	u, _ := url.Parse(at.URL)
	u.Host = at.Dial
	resp, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

const (
	agentService  = "sample-ecs-app-agent"
	bypassService = "sample-ecs-app-bypass"
)

// TestDeployment reads a deployment of both arms with the SDK's own clients, and
// changes it as far as ECS lets one without CloudFormation.
func TestDeployment(t *testing.T) {
	d := deploy(t, "both", nil, "Network", "App", "Client")
	for name, test := range map[string]func(*testing.T, *deployed){
		"services": services, "tasks": tasks, "definitions": definitions, "load balancer": loadBalancer,
		"logs": logs, "metrics": metricsOf, "refused": refused, "command line": commandLine,
	} {
		t.Run(name, func(t *testing.T) { test(t, d) })
	}
	t.Run("changed", func(t *testing.T) { changed(t, d) })
}

func services(t *testing.T, d *deployed) {
	c := ecs.NewFromConfig(d.config)
	clusters := get[*ecs.ListClustersOutput](t)(c.ListClusters(t.Context(), nil))
	if len(clusters.ClusterArns) != 1 || clusters.ClusterArns[0] != "arn:aws:ecs:eu-central-1:000000000000:cluster/hoplab" {
		t.Fatalf("clusters %v", clusters.ClusterArns)
	}
	cluster := get[*ecs.DescribeClustersOutput](t)(c.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{"hoplab", "other"}}))
	if len(cluster.Clusters) != 1 || cluster.Clusters[0].ActiveServicesCount != 3 || cluster.Clusters[0].RunningTasksCount != 3 ||
		len(cluster.Failures) != 1 || *cluster.Failures[0].Reason != "MISSING" {
		t.Errorf("clusters %+v, failures %+v; want hoplab with 3 services and 3 tasks, and other missing", cluster.Clusters, cluster.Failures)
	}
	var arns []string
	pages := ecs.NewListServicesPaginator(c, &ecs.ListServicesInput{Cluster: aws.String(clusters.ClusterArns[0]), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		arns = append(arns, get[*ecs.ListServicesOutput](t)(pages.NextPage(t.Context())).ServiceArns...)
	}
	if len(arns) != 3 {
		t.Fatalf("services %v; want 3 over two pages", arns)
	}
	waiter := ecs.NewServicesStableWaiter(c)
	in := &ecs.DescribeServicesInput{Cluster: aws.String("hoplab"), Services: arns}
	if err := waiter.Wait(t.Context(), in, time.Minute); err != nil {
		t.Errorf("the SDK's waiter: %v", err)
	}
	out := get[*ecs.DescribeServicesOutput](t)(c.DescribeServices(t.Context(), in))
	ports := map[string]int32{}
	for _, s := range out.Services {
		if len(s.Deployments) != 1 || s.RunningCount != 1 || aws.ToString(s.Status) != "ACTIVE" || len(s.Events) == 0 {
			t.Errorf("%s: %d deployments, %d running, %d events", *s.ServiceName, len(s.Deployments), s.RunningCount, len(s.Events))
			continue
		}
		p := s.Deployments[0]
		if p.ServiceConnectConfiguration == nil || aws.ToString(p.Status) != "PRIMARY" || p.RolloutState != types.DeploymentRolloutStateCompleted {
			t.Errorf("%s: deployment %+v; want a completed one with its Service Connect configuration", *s.ServiceName, p)
			continue
		}
		for _, e := range p.ServiceConnectConfiguration.Services {
			ports[*s.ServiceName] = aws.ToInt32(e.IngressPortOverride)
		}
	}
	if ports[bypassService] != 8080 || ports[agentService] != 0 || len(ports) != 2 {
		t.Errorf("ingress port overrides %v; want 8080 for the bypass arm alone, and no endpoint of the client's", ports)
	}
}

func tasks(t *testing.T, d *deployed) {
	c := ecs.NewFromConfig(d.config)
	arns := get[*ecs.ListTasksOutput](t)(c.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: aws.String("hoplab"),
		ServiceName: aws.String(agentService)})).TaskArns
	if len(arns) != 1 {
		t.Fatalf("tasks %v", arns)
	}
	out := get[*ecs.DescribeTasksOutput](t)(c.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("hoplab"),
		Tasks: append(arns, "0123")}))
	if len(out.Tasks) != 1 || len(out.Failures) != 1 {
		t.Fatalf("%d tasks and %d failures; want one each", len(out.Tasks), len(out.Failures))
	}
	task := out.Tasks[0]
	if aws.ToString(task.LastStatus) != "RUNNING" || aws.ToString(task.Group) != "service:"+agentService || aws.ToString(task.Cpu) != "512" ||
		!strings.HasPrefix(aws.ToString(task.AvailabilityZone), region) || task.StartedAt == nil {
		t.Errorf("task %+v", task)
	}
	var app, agent int
	for _, box := range task.Containers {
		switch {
		case strings.HasPrefix(*box.Name, "ecs-service-connect-"):
			agent++
		case box.ImageDigest != nil && strings.HasPrefix(aws.ToString(box.Image), "000000000000.dkr.ecr."):
			app++
			if !strings.Contains(aws.ToString(box.Reason), "does not run images") {
				t.Errorf("the container does not say what stands for its image: %q", aws.ToString(box.Reason))
			}
		}
	}
	if app != 1 || agent != 1 {
		t.Errorf("%d containers of the app and %d of the agent", app, agent)
	}
	details := map[string]string{}
	for _, x := range task.Attachments {
		for _, kv := range x.Details {
			details[*kv.Name] = *kv.Value
		}
	}
	if details["privateIPv4Address"] == "" || details["subnetId"] == "" || details["ContainerName"] == "" {
		t.Errorf("attachments say %v", details)
	}
}

func definitions(t *testing.T, d *deployed) {
	c := ecs.NewFromConfig(d.config)
	const family = "AppAgentAppTaskDefinition2B3AC435"
	one := get[*ecs.DescribeTaskDefinitionOutput](t)(c.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})).TaskDefinition
	if one.Revision != 1 || len(one.ContainerDefinitions) != 1 || one.ContainerDefinitions[0].Cpu != 256 {
		t.Errorf("definition %+v", one)
	}
	made := get[*ecs.RegisterTaskDefinitionOutput](t)(c.RegisterTaskDefinition(t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String(family),
		ContainerDefinitions: one.ContainerDefinitions, Cpu: one.Cpu, Memory: one.Memory, NetworkMode: one.NetworkMode})).TaskDefinition
	newest := get[*ecs.DescribeTaskDefinitionOutput](t)(c.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})).TaskDefinition
	if *newest.TaskDefinitionArn != *made.TaskDefinitionArn || aws.ToString(newest.Cpu) != "512" || newest.Status != types.TaskDefinitionStatusActive {
		t.Errorf("the family's newest is %+v; want what was registered, %s", newest, *made.TaskDefinitionArn)
	}
	_, err := c.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("hoplab"), Service: aws.String(agentService),
		TaskDefinition: made.TaskDefinitionArn})
	if code(err) != "InvalidParameterException" || !strings.Contains(err.Error(), "by CloudFormation only") {
		t.Errorf("another definition for a service that is not of the load image: %v", err)
	}
	get[*ecs.DeregisterTaskDefinitionOutput](t)(c.DeregisterTaskDefinition(t.Context(), &ecs.DeregisterTaskDefinitionInput{TaskDefinition: made.TaskDefinitionArn}))
	gone := get[*ecs.DescribeTaskDefinitionOutput](t)(c.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: made.TaskDefinitionArn})).TaskDefinition
	if gone.Status != types.TaskDefinitionStatusInactive {
		t.Errorf("a deregistered definition is %s", gone.Status)
	}
}

func loadBalancer(t *testing.T, d *deployed) {
	c := elb.NewFromConfig(d.config)
	lbs := get[*elb.DescribeLoadBalancersOutput](t)(c.DescribeLoadBalancers(t.Context(), nil)).LoadBalancers
	if len(lbs) != 1 || len(lbs[0].AvailabilityZones) != 2 || lbs[0].State.Code != elbtypes.LoadBalancerStateEnumActive || aws.ToString(lbs[0].DNSName) == "" {
		t.Fatalf("load balancers %+v", lbs)
	}
	arn := lbs[0].LoadBalancerArn
	listeners := get[*elb.DescribeListenersOutput](t)(c.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: arn})).Listeners
	if len(listeners) != 2 || listeners[0].DefaultActions[0].ForwardConfig == nil {
		t.Errorf("listeners %+v", listeners)
	}
	rules := get[*elb.DescribeRulesOutput](t)(c.DescribeRules(t.Context(), &elb.DescribeRulesInput{ListenerArn: listeners[0].ListenerArn})).Rules
	if len(rules) != 1 || !aws.ToBool(rules[0].IsDefault) || aws.ToString(rules[0].Priority) != "default" {
		t.Errorf("rules %+v", rules)
	}
	attributes := map[string]string{}
	for _, a := range get[*elb.DescribeLoadBalancerAttributesOutput](t)(c.DescribeLoadBalancerAttributes(t.Context(),
		&elb.DescribeLoadBalancerAttributesInput{LoadBalancerArn: arn})).Attributes {
		attributes[*a.Key] = *a.Value
	}
	if attributes["idle_timeout.timeout_seconds"] != "60" || attributes["routing.http.drop_invalid_header_fields.enabled"] != "true" {
		t.Errorf("attributes %v; want the default of one and the template's of the other", attributes)
	}
	groups := get[*elb.DescribeTargetGroupsOutput](t)(c.DescribeTargetGroups(t.Context(), &elb.DescribeTargetGroupsInput{LoadBalancerArn: arn})).TargetGroups
	if len(groups) != 2 || aws.ToInt32(groups[0].HealthCheckIntervalSeconds) != 30 || groups[0].LoadBalancerArns[0] != *arn {
		t.Fatalf("target groups %+v", groups)
	}
	waiter := elb.NewTargetInServiceWaiter(c)
	if err := waiter.Wait(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: groups[0].TargetGroupArn}, time.Minute); err != nil {
		t.Errorf("the SDK's waiter: %v", err)
	}
	health := get[*elb.DescribeTargetHealthOutput](t)(c.DescribeTargetHealth(t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: groups[0].TargetGroupArn,
		Targets: []elbtypes.TargetDescription{{Id: aws.String("192.0.2.1"), Port: aws.Int32(80)}}})).TargetHealthDescriptions
	if len(health) != 1 || health[0].TargetHealth.Reason != elbtypes.TargetHealthReasonEnumNotRegistered {
		t.Errorf("the health of an address that is no target: %+v", health)
	}
}

func refused(t *testing.T, d *deployed) {
	c, lb := ecs.NewFromConfig(d.config), elb.NewFromConfig(d.config)
	ctx, cluster := context.Background(), aws.String("hoplab")
	for _, x := range []struct {
		what, code, text string
		call             func() error
	}{
		{"no cluster", "ClusterNotFoundException", "Cluster not found.", func() error {
			_, err := c.ListServices(ctx, &ecs.ListServicesInput{Cluster: aws.String("none")})
			return err
		}},
		{"no service", "ServiceNotFoundException", "Service not found.", func() error {
			_, err := c.ListTasks(ctx, &ecs.ListTasksInput{Cluster: cluster, ServiceName: aws.String("none")})
			return err
		}},
		{"no task", "InvalidParameterException", "The referenced task was not found.", func() error {
			_, err := c.StopTask(ctx, &ecs.StopTaskInput{Cluster: cluster, Task: aws.String("none")})
			return err
		}},
		{"no definition", "ClientException", "Unable to describe task definition.", func() error {
			_, err := c.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String("none:1")})
			return err
		}},
		{"a member of UpdateService", "InvalidParameterException",
			"hoplab cloud changes LoadBalancers of a service by CloudFormation only", func() error {
				_, err := c.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: cluster, Service: aws.String(agentService),
					LoadBalancers: []types.LoadBalancer{{ContainerPort: aws.Int32(1)}}})
				return err
			}},
		{"too many tasks", "InvalidParameterException", "a service of a lab cannot have 100000 tasks", func() error {
			_, err := c.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: cluster, Service: aws.String(agentService),
				DesiredCount: aws.Int32(100000)})
			return err
		}},
		{"a task of an image that is not there", "InvalidParameterException", "hoplab's load image only", func() error {
			_, err := c.RunTask(ctx, &ecs.RunTaskInput{Cluster: cluster, TaskDefinition: aws.String("AppAgentAppTaskDefinition2B3AC435:1")})
			return err
		}},
		{"exec", "InvalidParameterException", "hoplab lab exec", func() error {
			_, err := c.ExecuteCommand(ctx, &ecs.ExecuteCommandInput{Cluster: cluster, Task: aws.String("x"), Command: aws.String("sh"),
				Interactive: true})
			return err
		}},
		{"an operation that is not there", "InvalidAction", "hoplab cloud does not know ecs:CreateService", func() error {
			_, err := c.CreateService(ctx, &ecs.CreateServiceInput{Cluster: cluster, ServiceName: aws.String("x")})
			return err
		}},
		{"no load balancer", "LoadBalancerNotFound", "not found", func() error {
			_, err := lb.DescribeListeners(ctx, &elb.DescribeListenersInput{LoadBalancerArn: aws.String("arn:none")})
			return err
		}},
		{"no target group", "TargetGroupNotFound", "One or more target groups not found", func() error {
			_, err := lb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String("arn:none")})
			return err
		}},
	} {
		if err := x.call(); code(err) != x.code || !strings.Contains(err.Error(), x.text) {
			t.Errorf("%s: %v; want %s with %q", x.what, err, x.code, x.text)
		}
	}
}

// changed scales, redeploys and stops.
func changed(t *testing.T, d *deployed) {
	c := ecs.NewFromConfig(d.config)
	cluster, name := aws.String("hoplab"), aws.String(agentService)
	of := func() types.Service {
		return get[*ecs.DescribeServicesOutput](t)(c.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: cluster,
			Services: []string{agentService}})).Services[0]
	}
	get[*ecs.UpdateServiceOutput](t)(c.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: cluster, Service: name,
		DesiredCount: aws.Int32(2)}))
	eventually(t, "two tasks run", func() bool { s := of(); return s.RunningCount == 2 && s.DesiredCount == 2 && s.PendingCount == 0 })
	first := *of().Deployments[0].Id

	again := get[*ecs.UpdateServiceOutput](t)(c.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: cluster, Service: name,
		ForceNewDeployment: true})).Service
	if len(again.Deployments) == 0 || *again.Deployments[0].Id == first || again.Deployments[0].RolloutState != types.DeploymentRolloutStateInProgress {
		t.Errorf("the answer to a forced deployment has %+v; want a new one in progress first", again.Deployments)
	}
	eventually(t, "the new deployment is complete", func() bool {
		s := of()
		return len(s.Deployments) == 1 && s.Deployments[0].RolloutState == types.DeploymentRolloutStateCompleted && s.RunningCount == 2
	})
	running := get[*ecs.ListTasksOutput](t)(c.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: cluster, ServiceName: name})).TaskArns
	get[*ecs.StopTaskOutput](t)(c.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: cluster, Task: aws.String(running[0]),
		Reason: aws.String("to see it go")}))
	var gone types.Task
	eventually(t, "the task is stopped", func() bool {
		gone = get[*ecs.DescribeTasksOutput](t)(c.DescribeTasks(t.Context(), &ecs.DescribeTasksInput{Cluster: cluster, Tasks: running[:1]})).Tasks[0]
		return aws.ToString(gone.LastStatus) == "STOPPED"
	})
	if gone.StopCode != types.TaskStopCodeUserInitiated || aws.ToString(gone.StoppedReason) != "to see it go" || gone.StoppedAt == nil {
		t.Errorf("stopped: %s, %q, at %v", gone.StopCode, aws.ToString(gone.StoppedReason), gone.StoppedAt)
	}
	stopped := get[*ecs.ListTasksOutput](t)(c.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: cluster, ServiceName: name,
		DesiredStatus: types.DesiredStatusStopped})).TaskArns
	if len(stopped) != 3 { // two of the first deployment and this one
		t.Errorf("stopped tasks %v; want 3", stopped)
	}
	eventually(t, "another takes its place", func() bool { return of().RunningCount == 2 })
}
