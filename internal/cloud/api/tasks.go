package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/lab"
)

// taskRef is a task of any kind, as lists need it.
type taskRef struct {
	arn, id         string
	service, family string
	startedBy       string
	stopped         bool
}

// tasksIn lists a cluster's tasks: those of services, and standalone ones.
func (a *API) tasksIn(v *view, cluster string) (out []taskRef) {
	for _, r := range v.servicesIn(cluster) {
		s := v.service(r.ID)
		if s == nil || r.Replaced {
			continue
		}
		add := func(id, deployment string, stopped bool) {
			family, _ := familyOf(a.revisions.of(r, deployment).definition)
			out = append(out, taskRef{arn: v.taskARN(cluster, longTaskID(id)), id: longTaskID(id), service: nameOf(r),
				family: family, startedBy: deployment, stopped: stopped})
		}
		for _, t := range s.Tasks {
			add(t.ID, t.Deployment, t.State != lab.Running)
		}
		for _, t := range s.Stopped {
			add(t.ID, t.Deployment, true)
		}
	}
	for _, t := range a.tasks.list() {
		if t.cluster == cluster && t.caller.Service == "" {
			family, _ := familyOf(aws.ToString(t.definition.TaskDefinitionArn))
			stopped := aws.ToString(t.describe(v).DesiredStatus) == "STOPPED"
			out = append(out, taskRef{arn: v.taskARN(cluster, t.id), id: t.id, family: family, startedBy: t.startedBy, stopped: stopped})
		}
	}
	return out
}

func (a *API) listTasks(_ context.Context, in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
	v := a.look()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if name := aws.ToString(in.ServiceName); name != "" {
		if _, ok := v.serviceIn(c.PhysicalID, name); !ok {
			return nil, &types.ServiceNotFoundException{Message: aws.String("Service not found.")}
		}
	}
	if in.ContainerInstance != nil || in.DaemonName != nil {
		return nil, refusal("InvalidParameterException", "hoplab cloud has no container instances and no daemons")
	}
	stopped := in.DesiredStatus == types.DesiredStatusStopped
	var arns []string
	for _, t := range a.tasksIn(v, c.PhysicalID) {
		if t.stopped == stopped && matches(in.ServiceName, t.service) && matches(in.Family, t.family) && matches(in.StartedBy, t.startedBy) &&
			(in.LaunchType == "" || in.LaunchType == types.LaunchTypeFargate) {
			arns = append(arns, t.arn)
		}
	}
	arns, next := page(arns, in.NextToken, or32(in.MaxResults, 100), self)
	return &ecs.ListTasksOutput{TaskArns: there(arns), NextToken: next}, nil
}

// matches reports whether a filter that may be nil lets a name through; a filter
// may be an ARN.
func matches(filter *string, name string) bool {
	return filter == nil || *filter == name || lastPart(*filter) == name
}

func (a *API) describeTasks(_ context.Context, in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
	v := a.look()
	c, err := v.cluster(in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 {
		return nil, &types.InvalidParameterException{Message: aws.String("Tasks cannot be empty.")}
	}
	out := &ecs.DescribeTasksOutput{Tasks: []types.Task{}, Failures: []types.Failure{}}
	for _, ref := range in.Tasks {
		t, ok, err := a.task(v, c.PhysicalID, ref)
		if err != nil {
			return nil, err
		}
		if !ok {
			out.Failures = append(out.Failures, types.Failure{Arn: aws.String(v.taskARN(c.PhysicalID, lastPart(ref))),
				Reason: aws.String("MISSING")})
			continue
		}
		out.Tasks = append(out.Tasks, t)
	}
	return out, nil
}

// task is a task of either kind, by its ARN or its id.
func (a *API) task(v *view, cluster, ref string) (types.Task, bool, error) {
	if t := a.tasks.find(ref); t != nil && t.cluster == cluster && t.caller.Service == "" {
		return t.describe(v), true, nil
	}
	id := shortTaskID(ref)
	for _, r := range v.servicesIn(cluster) {
		s := v.service(r.ID)
		if s == nil || r.Replaced {
			continue
		}
		for _, t := range s.Tasks {
			if t.ID == id {
				out, err := a.running(v, r, t)
				return out, true, err
			}
		}
		for _, t := range s.Stopped {
			if t.ID == id {
				out, err := a.ended(v, r, t)
				return out, true, err
			}
		}
	}
	return types.Task{}, false, nil
}

// ofService is what a running and an ended task of a service have in common.
func (a *API) ofService(v *view, r account.Resource, id, deployment, status string) (types.Task, *types.TaskDefinition, error) {
	rev := a.revisions.of(r, deployment)
	cluster := clusterOf(r)
	t := types.Task{TaskArn: aws.String(v.taskARN(cluster, longTaskID(id))), ClusterArn: aws.String(v.clusterARN(cluster)),
		TaskDefinitionArn: aws.String(rev.definition), Group: aws.String("service:" + nameOf(r)), StartedBy: aws.String(deployment),
		LastStatus: aws.String(status), DesiredStatus: aws.String("RUNNING"),
		LaunchType:  types.LaunchType(account.Text(rev.properties, "LaunchType")),
		Attachments: []types.Attachment{}, Overrides: &types.TaskOverride{ContainerOverrides: []types.ContainerOverride{}}, Version: 1,
		Connectivity: types.ConnectivityConnected}
	if t.LaunchType == types.LaunchTypeFargate {
		t.PlatformVersion, t.PlatformFamily = aws.String(fargatePlatform), aws.String("Linux")
	}
	d, err := a.definition(v, rev.definition)
	if err != nil {
		return t, nil, fmt.Errorf("task %s: %s: %w", id, rev.definition, err)
	}
	t.Cpu, t.Memory = d.Cpu, d.Memory
	for i := range d.ContainerDefinitions {
		o := types.ContainerOverride{Name: d.ContainerDefinitions[i].Name}
		t.Overrides.ContainerOverrides = append(t.Overrides.ContainerOverrides, o)
		t.Containers = append(t.Containers, v.containerOf(cluster, longTaskID(id), &d.ContainerDefinitions[i], status))
	}
	return t, d, nil
}

// running is a task that a service runs.
func (a *API) running(v *view, r account.Resource, s lab.TaskStatus) (types.Task, error) {
	t, _, err := a.ofService(v, r, s.ID, s.Deployment, string(s.State))
	if err != nil {
		return t, err
	}
	at := v.lab.Time(s.Started)
	t.CreatedAt, t.StartedAt, t.PullStartedAt, t.PullStoppedAt, t.ConnectivityAt = aws.Time(at), aws.Time(at), aws.Time(at), aws.Time(at), aws.Time(at)
	t.HealthStatus = types.HealthStatus(s.Health)
	if s.State != lab.Running {
		t.DesiredStatus = aws.String("STOPPED")
		t.StopCode, t.StoppedReason = a.stopWords(v, s.ID, s.Why, s.Deployment)
	}
	eni := v.interfaceOf(&t, s)
	t.Attachments = append(t.Attachments, eni)
	inside := []types.NetworkInterface{{AttachmentId: eni.Id, PrivateIpv4Address: aws.String(s.IP)}}
	stands := "the lab's app"
	if p := v.lab.Program(r.ID); p != nil {
		stands = strings.Join(p.Command, " ")
	}
	for i := range t.Containers {
		c := &t.Containers[i]
		c.NetworkInterfaces, c.HealthStatus = inside, types.HealthStatusUnknown
		c.Reason = aws.String("hoplab cloud does not run images: " + stands + " stands for this one")
	}
	if s.Agent != nil {
		t.Containers = append(t.Containers, v.agentContainer(&t, inside))
		t.Attachments = append(t.Attachments, types.Attachment{Id: aws.String(uuid("connect", s.ID)), Type: aws.String("Service Connect"),
			Status: aws.String("ATTACHED"), Details: []types.KeyValuePair{{Name: aws.String("ContainerName"), Value: aws.String(agentName(s.ID))}}})
	}
	return t, nil
}

// ended is a task that a service has run.
func (a *API) ended(v *view, r account.Resource, s lab.StoppedTask) (types.Task, error) {
	t, d, err := a.ofService(v, r, s.ID, s.Deployment, "STOPPED")
	if err != nil {
		return t, err
	}
	at := v.lab.Time(s.At)
	t.DesiredStatus, t.StoppedAt, t.StoppingAt, t.ExecutionStoppedAt = aws.String("STOPPED"), aws.Time(at), aws.Time(at), aws.Time(at)
	t.StopCode, t.StoppedReason = a.stopWords(v, s.ID, s.Why, s.Deployment)
	name, code, ok := exitOf(s.Why)
	for i := range d.ContainerDefinitions {
		if t.StopCode == types.TaskStopCodeTaskFailedToStart {
			break // no container has run to its end
		}
		if c := &t.Containers[i]; ok && aws.ToString(c.Name) == name {
			c.ExitCode = aws.Int32(code)
		} else if !ok {
			c.ExitCode = aws.Int32(0) // it was asked to end, and did
		}
	}
	return t, nil
}

// exitOf reads the container and its exit code from why the lab says that a task
// ended: "… container app ended: exit status 3".
func exitOf(why string) (name string, code int32, ok bool) {
	_, rest, ok := strings.Cut(why, "container ")
	if !ok {
		return "", 0, false
	}
	_, rest, _ = strings.Cut(rest, "exited: container ")
	name, rest, ok = strings.Cut(rest, " ended: ")
	if !ok {
		return "", 0, false
	}
	if digits, ok := strings.CutPrefix(rest, "exit status "); ok {
		digits, _, _ = strings.Cut(digits, " ")
		n, _ := strconv.ParseInt(strings.TrimRight(digits, ":;,"), 10, 32)
		return name, int32(n), true
	}
	return name, 137, true // a signal ended it; the lab's are SIGKILL
}

// stopWords are stop code and reason as ECS words them, for why the lab says
// that a task stops.
func (a *API) stopWords(v *view, task, why, deployment string) (types.TaskStopCode, *string) {
	scaling := aws.String("Scaling activity initiated by (deployment " + deployment + ")")
	switch {
	case why == lab.StoppedByUser:
		return types.TaskStopCodeUserInitiated, aws.String(a.revisions.reasonOf(task))
	case strings.HasPrefix(why, lab.FailedTarget):
		group := strings.TrimSuffix(strings.TrimPrefix(why, lab.FailedTarget), ")")
		return types.TaskStopCodeServiceSchedulerInitiated, aws.String("Task failed ELB health checks in (target-group " + v.groupARN(group) + ")")
	case strings.HasPrefix(why, lab.NotStarted):
		return types.TaskStopCodeTaskFailedToStart, aws.String(why)
	case strings.HasPrefix(why, "Essential container in task exited"):
		return types.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited")
	case why == lab.FailedCheck:
		return types.TaskStopCodeServiceSchedulerInitiated, aws.String("Task failed container health checks")
	case why == lab.Scaled || why == lab.Superseded || why == lab.DeploymentFailed:
		return types.TaskStopCodeServiceSchedulerInitiated, scaling
	}
	return types.TaskStopCodeEssentialContainerExited, aws.String("Essential container in task exited: " + why)
}

// groupARN is the ARN of a target group by the lab's id of it.
func (v *view) groupARN(id string) string {
	for _, r := range v.of(typeTargetGroup) {
		if string(r.ID) == id {
			return r.PhysicalID
		}
	}
	return id
}

// containerOf is a container of a task.
func (v *view) containerOf(cluster, task string, c *types.ContainerDefinition, status string) types.Container {
	name := aws.ToString(c.Name)
	out := types.Container{Name: c.Name, Image: c.Image, LastStatus: aws.String(status), TaskArn: aws.String(v.taskARN(cluster, task)),
		ContainerArn: aws.String(v.arn("ecs", fmt.Sprintf("container/%s/%s/%s", cluster, task, uuid(task, name)))),
		RuntimeId:    aws.String(task + "-" + name), Cpu: aws.String(strconv.Itoa(int(c.Cpu))), NetworkInterfaces: []types.NetworkInterface{},
		NetworkBindings: []types.NetworkBinding{}, HealthStatus: types.HealthStatusUnknown}
	if c.Memory != nil {
		out.Memory = aws.String(strconv.Itoa(int(*c.Memory)))
	}
	if c.MemoryReservation != nil {
		out.MemoryReservation = aws.String(strconv.Itoa(int(*c.MemoryReservation)))
	}
	if c.Image != nil {
		out.ImageDigest = aws.String(imageDigest(*c.Image))
	}
	return out
}

// imageDigest stands for the digest of an image that is not there: the same for
// the same name.
func imageDigest(image string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(image))) }

func agentName(task string) string { return "ecs-service-connect-" + hexID("", 5, "agent", task) }

// agentContainer is the container of a task's Service Connect agent.
func (v *view) agentContainer(t *types.Task, inside []types.NetworkInterface) types.Container {
	id := lastPart(*t.TaskArn)
	name := agentName(shortTaskID(id))
	return types.Container{Name: aws.String(name), TaskArn: t.TaskArn, LastStatus: t.LastStatus, RuntimeId: aws.String(id + "-" + name),
		ContainerArn: aws.String(v.arn("ecs", fmt.Sprintf("container/%s/%s/%s", lastPart(*t.ClusterArn), id, uuid(id, name)))),
		Cpu:          aws.String("0"), NetworkInterfaces: inside, NetworkBindings: []types.NetworkBinding{},
		HealthStatus: types.HealthStatusHealthy}
}

// interfaceOf is the attachment of a task's network interface. It sets the
// task's zone, too.
func (v *view) interfaceOf(t *types.Task, s lab.TaskStatus) types.Attachment {
	details := []types.KeyValuePair{}
	add := func(name, value string) {
		details = append(details, types.KeyValuePair{Name: aws.String(name), Value: aws.String(value)})
	}
	if r, ok := v.subnetOf(s.IP); ok {
		add("subnetId", r.PhysicalID)
		t.AvailabilityZone = some(zoneOf(r))
	}
	add("networkInterfaceId", hexID("eni-0", 16, s.ID))
	add("privateDnsName", fmt.Sprintf("ip-%s.%s.compute.internal", strings.ReplaceAll(s.IP, ".", "-"), v.region))
	add("privateIPv4Address", s.IP)
	return types.Attachment{Id: aws.String(uuid("eni", s.ID)), Type: aws.String("ElasticNetworkInterface"),
		Status: aws.String("ATTACHED"), Details: details}
}

// subnetOf returns the subnet in which an address lies, the smallest if several
// networks have it.
func (v *view) subnetOf(ip string) (out account.Resource, ok bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return out, false
	}
	bits := -1
	for _, r := range v.of(typeSubnet) {
		p, err := netip.ParsePrefix(account.Text(r.Properties, "CidrBlock"))
		if err == nil && p.Contains(addr) && p.Bits() > bits {
			out, ok, bits = r, true, p.Bits()
		}
	}
	return out, ok
}

// zoneOf is a subnet's availability zone.
func zoneOf(r account.Resource) string {
	return cmp.Or(account.Text(r.Properties, "AvailabilityZone"), account.Text(r.Attributes, "AvailabilityZone"))
}

// subnetsAmong lists those of the ids that are subnets of the account.
func (v *view) subnetsAmong(ids []string) (out []account.Resource) {
	for _, r := range v.of(typeSubnet) {
		if slices.Contains(ids, r.PhysicalID) {
			out = append(out, r)
		}
	}
	return out
}
