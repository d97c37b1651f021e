package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/lab"
)

func (a *API) registerECS(s *wire.Server) {
	wire.Handle(s, "ecs", "ListClusters", a.listClusters)
	wire.Handle(s, "ecs", "DescribeClusters", a.describeClusters)
	wire.Handle(s, "ecs", "ListServices", a.listServices)
	wire.Handle(s, "ecs", "DescribeServices", a.describeServices)
	wire.Handle(s, "ecs", "UpdateService", a.updateService)
	wire.Handle(s, "ecs", "ListTasks", a.listTasks)
	wire.Handle(s, "ecs", "DescribeTasks", a.describeTasks)
	wire.Handle(s, "ecs", "RunTask", a.runTask)
	wire.Handle(s, "ecs", "StopTask", a.stopTask)
	wire.Handle(s, "ecs", "ListTaskDefinitions", a.listTaskDefinitions)
	wire.Handle(s, "ecs", "DescribeTaskDefinition", a.describeTaskDefinition)
	wire.Handle(s, "ecs", "RegisterTaskDefinition", a.registerTaskDefinition)
	wire.Handle(s, "ecs", "DeregisterTaskDefinition", a.deregisterTaskDefinition)
	wire.Handle(s, "ecs", "ExecuteCommand", func(context.Context, *ecs.ExecuteCommandInput) (*ecs.ExecuteCommandOutput, error) {
		return nil, refusal("InvalidParameterException", "hoplab cloud has no ECS Exec; hoplab lab exec runs a command in a task")
	})
}

// fargatePlatform is the platform version that LATEST stands for.
const fargatePlatform = "1.4.0"

// cluster returns the cluster that a request means: a name, an ARN, or nothing
// for the one called default.
func (v *view) cluster(ref *string) (account.Resource, error) {
	name := lastPart(aws.ToString(ref))
	if name == "" {
		name = "default"
	}
	for _, r := range v.of(typeCluster) {
		if r.PhysicalID == name {
			return r, nil
		}
	}
	return account.Resource{}, &types.ClusterNotFoundException{Message: aws.String("Cluster not found.")}
}

// clusterOf is the name of a service's cluster.
func clusterOf(r account.Resource) string {
	if name := lastPart(account.Text(r.Properties, "Cluster")); name != "" {
		return name
	}
	return "default"
}

// servicesIn lists a cluster's services. One that an update has replaced is
// there until it is deleted.
func (v *view) servicesIn(cluster string) (out []account.Resource) {
	for _, r := range v.of(typeService) {
		if clusterOf(r) == cluster {
			out = append(out, r)
		}
	}
	return out
}

// nameOf is the name of a service, which is the end of its ARN.
func nameOf(r account.Resource) string { return lastPart(r.PhysicalID) }

func (v *view) serviceIn(cluster, ref string) (account.Resource, bool) {
	list := v.servicesIn(cluster)
	i := slices.IndexFunc(list, func(r account.Resource) bool { return nameOf(r) == lastPart(ref) && !r.Replaced })
	if i < 0 {
		return account.Resource{}, false
	}
	return list[i], true
}

func (a *API) listClusters(_ context.Context, in *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	v := a.resources()
	var arns []string
	for _, r := range v.of(typeCluster) {
		arns = append(arns, v.clusterARN(r.PhysicalID))
	}
	arns, next := page(arns, in.NextToken, aws.ToInt32(in.MaxResults), self)
	return &ecs.ListClustersOutput{ClusterArns: there(arns), NextToken: next}, nil
}

// self and there are for lists of texts: a list that is empty is not left out.
func self(s string) string { return s }

func there[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (v *view) clusterARN(name string) string { return v.arn("ecs", "cluster/"+name) }

func (a *API) describeClusters(_ context.Context, in *ecs.DescribeClustersInput) (*ecs.DescribeClustersOutput, error) {
	v := a.look()
	out := &ecs.DescribeClustersOutput{Clusters: []types.Cluster{}, Failures: []types.Failure{}}
	refs := in.Clusters
	if len(refs) == 0 {
		refs = []string{"default"}
	}
	for _, ref := range refs {
		r, err := v.cluster(&ref)
		if err != nil {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(v.clusterARN(lastPart(ref))), Reason: aws.String("MISSING")})
			continue
		}
		c := types.Cluster{ClusterArn: aws.String(v.clusterARN(r.PhysicalID)), ClusterName: aws.String(r.PhysicalID),
			Status: aws.String("ACTIVE")}
		for _, s := range v.servicesIn(r.PhysicalID) {
			c.ActiveServicesCount++
			running, pending := counts(v.service(s.ID))
			c.RunningTasksCount += running
			c.PendingTasksCount += pending
		}
		for _, t := range a.tasks.list() {
			if t.cluster == r.PhysicalID && t.status() != "STOPPED" {
				c.RunningTasksCount++
			}
		}
		if slices.Contains(in.Include, types.ClusterFieldSettings) {
			if err := wire.Into(&c, map[string]any{"Settings": settingsOf(r)}); err != nil {
				return nil, fmt.Errorf("%s: %w", r.PhysicalID, err)
			}
		}
		out.Clusters = append(out.Clusters, c)
	}
	return out, nil
}

func settingsOf(r account.Resource) any {
	if l := account.List(r.Properties, "ClusterSettings"); l != nil {
		return l
	}
	return []any{}
}

// counts are a service's running and pending tasks.
func counts(s *lab.ServiceStatus) (running, pending int32) {
	if s == nil {
		return 0, 0
	}
	for _, d := range s.Deployments {
		running += int32(d.Running)
		pending += int32(d.Pending)
	}
	return running, pending
}

func (a *API) listServices(_ context.Context, in *ecs.ListServicesInput) (*ecs.ListServicesOutput, error) {
	v := a.resources()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, r := range v.servicesIn(c.PhysicalID) {
		if in.LaunchType == "" || string(in.LaunchType) == account.Text(r.Properties, "LaunchType") {
			arns = append(arns, r.PhysicalID)
		}
	}
	arns, next := page(arns, in.NextToken, or32(in.MaxResults, 10), self)
	return &ecs.ListServicesOutput{ServiceArns: there(arns), NextToken: next}, nil
}

func or32(n *int32, fallback int32) int32 {
	if n == nil {
		return fallback
	}
	return *n
}

func (a *API) describeServices(_ context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	v := a.look()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Services) == 0 {
		return nil, &types.InvalidParameterException{Message: aws.String("Services cannot be empty.")}
	}
	out := &ecs.DescribeServicesOutput{Services: []types.Service{}, Failures: []types.Failure{}}
	for _, ref := range in.Services {
		r, ok := v.serviceIn(c.PhysicalID, ref)
		if !ok {
			out.Failures = append(out.Failures, types.Failure{Reason: aws.String("MISSING"),
				Arn: aws.String(v.arn("ecs", "service/"+c.PhysicalID+"/"+lastPart(ref)))})
			continue
		}
		s, err := a.serviceOf(v, r)
		if err != nil {
			return nil, err
		}
		out.Services = append(out.Services, s)
	}
	return out, nil
}

// serviceOf is a service as DescribeServices shows it. The Service Connect
// configuration stands in its deployments, as with AWS.
func (a *API) serviceOf(v *view, r account.Resource) (types.Service, error) {
	s := types.Service{DeploymentConfiguration: &types.DeploymentConfiguration{
		MaximumPercent: aws.Int32(200), MinimumHealthyPercent: aws.Int32(100)}}
	if err := wire.Into(&s, r.Properties); err != nil {
		return s, fmt.Errorf("%s: %w", r.PhysicalID, err)
	}
	cluster := clusterOf(r)
	s.ServiceArn, s.ServiceName, s.ClusterArn = aws.String(r.PhysicalID), aws.String(nameOf(r)), aws.String(v.clusterARN(cluster))
	s.Status, s.CreatedAt, s.CreatedBy = aws.String("ACTIVE"), aws.Time(r.Created), aws.String("arn:aws:iam::"+account.ID+":root")
	if s.SchedulingStrategy == "" {
		s.SchedulingStrategy = types.SchedulingStrategyReplica
	}
	if s.LaunchType == "" && len(s.CapacityProviderStrategy) == 0 {
		s.LaunchType = types.LaunchTypeEc2
	}
	if s.LaunchType == types.LaunchTypeFargate {
		s.PlatformVersion, s.PlatformFamily = or(aws.ToString(s.PlatformVersion), "LATEST"), aws.String("Linux")
	}
	s.TaskDefinition = aws.String(a.revisions.definitionOf(r))
	s.Deployments, s.Events = []types.Deployment{}, []types.ServiceEvent{}
	now := v.service(r.ID)
	if now == nil {
		return s, nil
	}
	s.DesiredCount = int32(now.Desired)
	s.RunningCount, s.PendingCount = counts(now)
	for _, d := range now.Deployments {
		of, err := a.deploymentOf(v, r, d)
		if err != nil {
			return s, err
		}
		s.Deployments = append(s.Deployments, of)
	}
	for _, e := range slices.Backward(now.Events) { // the newest first
		at := v.lab.Time(e.At)
		s.Events = append(s.Events, types.ServiceEvent{CreatedAt: aws.Time(at), Message: aws.String(longTasks(e.Text)),
			Id: aws.String(uuid(r.PhysicalID, fmt.Sprint(e.At), e.Text))})
	}
	return s, nil
}

// deploymentOf is a deployment with the revision that it was created with.
func (a *API) deploymentOf(v *view, r account.Resource, d lab.DeploymentStatus) (types.Deployment, error) {
	rev := a.revisions.of(r, d.ID)
	var out types.Deployment
	if err := wire.Into(&out, rev.properties); err != nil {
		return out, fmt.Errorf("%s: deployment %s: %w", r.PhysicalID, d.ID, err)
	}
	out.Id, out.Status, out.TaskDefinition = aws.String(d.ID), aws.String(d.Status), aws.String(rev.definition)
	out.DesiredCount, out.RunningCount = int32(d.Desired), int32(d.Running)
	out.PendingCount, out.FailedTasks = int32(d.Pending), int32(d.Failed)
	out.RolloutState = types.DeploymentRolloutState(d.RolloutState)
	out.CreatedAt, out.UpdatedAt = aws.Time(rev.seen), aws.Time(rev.seen)
	switch {
	case d.RolloutState == lab.Failed:
		out.RolloutStateReason = aws.String("ECS deployment circuit breaker: tasks failed to start.")
	case d.RolloutState == lab.Completed:
		out.RolloutStateReason = aws.String("ECS deployment " + d.ID + " completed.")
	default:
		out.RolloutStateReason = aws.String("ECS deployment " + d.ID + " in progress.")
	}
	if out.LaunchType == types.LaunchTypeFargate {
		out.PlatformVersion, out.PlatformFamily = aws.String(fargatePlatform), aws.String("Linux")
		if p := account.Text(rev.properties, "PlatformVersion"); p != "" && p != "LATEST" {
			out.PlatformVersion = aws.String(p)
		}
	}
	out.ServiceConnectResources = connectResources(v, rev.properties)
	return out, nil
}

// connectResources are the Cloud Map services of a Service Connect configuration.
func connectResources(v *view, properties map[string]any) (out []types.ServiceConnectServiceResource) {
	for _, s := range account.List(properties, "ServiceConnectConfiguration", "Services") {
		name := account.Text(s, "DiscoveryName")
		if name == "" {
			name = account.Text(s, "PortName")
		}
		out = append(out, types.ServiceConnectServiceResource{DiscoveryName: aws.String(name),
			DiscoveryArn: aws.String(v.arn("servicediscovery", "service/"+discoveryID(namespaceName(v, properties), name)))})
	}
	return out
}

// taskIDDigits is how many digits a task's id has in ECS; the lab's have 8, and
// stand at the end.
const taskIDDigits = 32

func longTaskID(id string) string { return strings.Repeat("0", max(0, taskIDDigits-len(id))) + id }

// shortTaskID is the lab's id of a task: from its ARN, its id, or the lab's own.
func shortTaskID(ref string) string {
	id := lastPart(ref)
	if len(id) == taskIDDigits {
		return id[taskIDDigits-8:]
	}
	return id
}
