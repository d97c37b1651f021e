package awsrun

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// service is one deployed app service, as the stack's outputs and ECS tell.
// Its exported fields are what makes a deployment the same as before.
type service struct {
	Arm       string // agent or bypass: what its port mode makes of it
	Name      string // of the ECS service
	Discovery string
	URL       string // through the load balancer
	Endpoint  string // Service Connect
	Container int32  // port
	Override  int32  // ingressPortOverride; 0 when there is none
	Image     string
	Digest    string // of the image that the tasks run
	Task      string // task definition
	CPU, MiB  string

	group     string // target group, as metrics name it
	groupARN  string
	platform  string
	zones     []string
	tasks     int
	intervalS float64 // of the health check
}

// site is everything that a run needs to know of the deployment.
type site struct {
	load     load
	services []*service
	balancer string // as metrics name it
	albZones int
	size     struct{ cpu, mib string } // of a load task
	account  string
	arn      string
	local    *local // nil in AWS

	loan       *Loan // nil for hoplab's own stacks
	definition *ecs.RegisterTaskDefinitionInput
}

// survey reads the deployment and refuses one on which the plan cannot run.
func (c *Clients) survey(ctx context.Context, p *plan.Plan) (*site, error) {
	s := &site{}
	var err error
	if s.account, s.arn, s.local, err = c.identity(ctx); err != nil {
		return nil, err
	}
	app, err := c.readStack(ctx, appStack, "deploy it with npx cdk deploy --all -c arms=both -c load=true")
	if err != nil {
		return nil, err
	}
	if s.load, err = c.readLoad(ctx); err != nil {
		return nil, err
	}
	if s.balancer, err = app.get("AlbFullName"); err != nil {
		return nil, err
	}
	for _, prefix := range []string{"Agent", "Bypass", ""} {
		if _, ok := app.values[prefix+"AlbUrl"]; ok {
			svc, err := readService(app, prefix)
			if err != nil {
				return nil, err
			}
			s.services = append(s.services, svc)
		}
	}
	if len(s.services) == 0 {
		return nil, fail.Newf(fail.Usage, "deploy the stacks of this checkout", "stack %s names no load balancer URL in its outputs", appStack)
	}
	for _, step := range []func(context.Context, *site) error{c.describeServices, c.describeTasks, c.describeTargets, c.describeLoad} {
		if err := step(ctx, s); err != nil {
			return nil, err
		}
	}
	return s, s.fits(p)
}

func readService(app outputs, prefix string) (*service, error) {
	s := &service{Arm: strings.ToLower(prefix)}
	for name, to := range map[string]*string{"AlbUrl": &s.URL, "ServiceName": &s.Name, "DiscoveryName": &s.Discovery,
		"Endpoint": &s.Endpoint, "TargetGroupFullName": &s.group, "ImageUri": &s.Image} {
		var err error
		if *to, err = app.get(prefix + name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// describeServices asks ECS for the port mode, and refuses services that are not steady.
func (c *Clients) describeServices(ctx context.Context, s *site) error {
	for _, svc := range s.services {
		d, err := c.describeService(ctx, s.load.cluster, svc.Name)
		if err != nil {
			return err
		}
		if !steady(d) {
			return fail.Newf(fail.Usage, "wait until the deployment is complete", "service %s is not steady: %d of %d tasks run, %d deployments",
				svc.Name, d.RunningCount, d.DesiredCount, len(d.Deployments))
		}
		svc.Task, svc.platform = aws.ToString(d.TaskDefinition), aws.ToString(d.PlatformVersion)
		if len(d.LoadBalancers) > 0 {
			svc.groupARN, svc.Container = aws.ToString(d.LoadBalancers[0].TargetGroupArn), aws.ToInt32(d.LoadBalancers[0].ContainerPort)
		}
		if err := svc.portMode(d.Deployments[0].ServiceConnectConfiguration); err != nil {
			return err
		}
	}
	return nil
}

// portMode reads the override, and holds it against the arm that the stack's
// outputs name.
func (svc *service) portMode(sc *types.ServiceConnectConfiguration) error {
	if sc == nil || !sc.Enabled || len(sc.Services) == 0 {
		return fail.Newf(fail.Usage, "deploy the stacks of this checkout", "service %s publishes nothing by Service Connect", svc.Name)
	}
	svc.Override = aws.ToInt32(sc.Services[0].IngressPortOverride)
	arm := plan.ArmAgent
	if svc.Override != 0 {
		arm = plan.ArmBypass
	}
	if svc.Arm != "" && svc.Arm != arm {
		return fail.Newf(fail.Usage, "deploy the stacks again with -c arms=both", "service %s is arm %s by the outputs of %s, but its ingressPortOverride (%s) makes it %s",
			svc.Name, svc.Arm, appStack, portWord(svc.Override), arm)
	}
	svc.Arm = arm
	return nil
}

func portWord(p int32) string {
	if p == 0 {
		return "none"
	}
	return fmt.Sprint(p)
}

func (c *Clients) describeService(ctx context.Context, cluster, name string) (types.Service, error) {
	out, err := c.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{name}})
	if err != nil {
		return types.Service{}, c.explain("describing service "+name, err)
	}
	if len(out.Services) == 0 || aws.ToString(out.Services[0].Status) != "ACTIVE" {
		return types.Service{}, fail.Newf(fail.Usage, "deploy the stacks again", "service %s is not there in cluster %s", name, cluster)
	}
	return out.Services[0], nil
}

// steady reports whether one deployment is left and all its tasks run.
func steady(d types.Service) bool {
	return len(d.Deployments) == 1 && d.RunningCount == d.DesiredCount && d.PendingCount == 0 &&
		d.Deployments[0].RolloutState != types.DeploymentRolloutStateInProgress
}

// describeTasks compares the image that runs with the one that the stack names.
func (c *Clients) describeTasks(ctx context.Context, s *site) error {
	for _, svc := range s.services {
		tasks, err := c.tasksOf(ctx, &ecs.ListTasksInput{Cluster: aws.String(s.load.cluster), ServiceName: aws.String(svc.Name)})
		if err != nil {
			return err
		}
		svc.tasks = len(tasks)
		if len(tasks) == 0 {
			return fail.Newf(fail.Usage, "raise its desired count", "service %s has no tasks", svc.Name)
		}
		for _, t := range tasks {
			svc.platform = aws.ToString(t.PlatformVersion)
			svc.zones = append(svc.zones, aws.ToString(t.AvailabilityZone))
			svc.CPU, svc.MiB = aws.ToString(t.Cpu), aws.ToString(t.Memory)
			for _, box := range t.Containers {
				if strings.HasPrefix(aws.ToString(box.Name), "ecs-service-connect") || box.ImageDigest == nil {
					continue // the agent's container, or one that has not started
				}
				if image := aws.ToString(box.Image); image != svc.Image {
					return fail.Newf(fail.Usage, "wait for the deployment, or deploy again", "service %s runs image %s; stack %s names %s", svc.Name, image, appStack, svc.Image)
				}
				digest := aws.ToString(box.ImageDigest)
				if svc.Digest != "" && svc.Digest != digest {
					return fail.Newf(fail.Usage, "force a new deployment of the service", "tasks of service %s run different images: %s and %s", svc.Name, svc.Digest, digest)
				}
				svc.Digest = digest
			}
		}
		slices.Sort(svc.zones)
		svc.zones = slices.Compact(svc.zones)
	}
	return nil
}

// tasksOf lists and describes tasks; the list is empty when there are none.
func (c *Clients) tasksOf(ctx context.Context, in *ecs.ListTasksInput) ([]types.Task, error) {
	var out []types.Task
	pages := ecs.NewListTasksPaginator(c.ecs, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.explain("listing tasks in "+aws.ToString(in.Cluster), err)
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		d, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: in.Cluster, Tasks: page.TaskArns})
		if err != nil {
			return nil, c.explain("describing tasks in "+aws.ToString(in.Cluster), err)
		}
		out = append(out, d.Tasks...)
	}
	return out, nil
}

// describeTargets learns how many health checks to expect, and refuses target
// groups that have nobody healthy.
func (c *Clients) describeTargets(ctx context.Context, s *site) error {
	for _, svc := range s.services {
		groups, err := c.elb.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{svc.groupARN}})
		if err != nil || len(groups.TargetGroups) == 0 {
			return c.explain("describing the target group of "+svc.Name, orNone(err))
		}
		g := groups.TargetGroups[0]
		svc.intervalS = float64(aws.ToInt32(g.HealthCheckIntervalSeconds))
		health, err := c.elb.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: aws.String(svc.groupARN)})
		if err != nil {
			return c.explain("asking for the health of "+svc.Name, err)
		}
		healthy := 0
		for _, h := range health.TargetHealthDescriptions {
			if h.TargetHealth != nil && h.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				healthy++
			}
		}
		if healthy == 0 {
			return fail.Newf(fail.Usage, "see what hoplab diagnose says", "service %s has no healthy target", svc.Name)
		}
		lbs, err := c.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: g.LoadBalancerArns})
		if err != nil || len(lbs.LoadBalancers) == 0 {
			return c.explain("describing the load balancer of "+svc.Name, orNone(err))
		}
		s.albZones = max(s.albZones, len(lbs.LoadBalancers[0].AvailabilityZones))
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return fmt.Errorf("AWS lists none")
	}
	return err
}

// describeLoad reads the size of a load task.
func (c *Clients) describeLoad(ctx context.Context, s *site) error {
	out, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(s.load.task)})
	if err != nil {
		return c.explain("describing the load task", err)
	}
	s.size.cpu, s.size.mib = aws.ToString(out.TaskDefinition.Cpu), aws.ToString(out.TaskDefinition.Memory)
	return nil
}

// fits refuses a deployment that lacks what the plan compares, or on which
// the arms differ in more than their ports.
func (s *site) fits(p *plan.Plan) error {
	for _, a := range p.Arms {
		if _, err := s.address(a); err != nil {
			return err
		}
	}
	first := s.services[0]
	for _, svc := range s.services {
		for _, c := range []struct{ what, a, b string }{
			{"image", first.Digest, svc.Digest}, {"container port", fmt.Sprint(first.Container), fmt.Sprint(svc.Container)},
			{"CPU units", first.CPU, svc.CPU}, {"MiB", first.MiB, svc.MiB},
		} {
			if c.a != c.b {
				return fail.Newf(fail.Usage, "deploy both arms from one checkout", "services %s and %s differ in more than the port mode: %s %s and %s",
					first.Name, svc.Name, c.what, c.a, c.b)
			}
		}
	}
	switch {
	case p.Generators > 1 && s.load.machine == "":
		return fail.Newf(fail.Usage, fmt.Sprintf("deploy with -c load=true -c generators=%d", p.Generators), "the plan has %d load generators; stack %s is deployed for one", p.Generators, loadStack)
	case p.Generators > s.load.generators:
		return fail.Newf(fail.Usage, fmt.Sprintf("deploy with -c load=true -c generators=%d", p.Generators), "the plan has %d load generators; stack %s is deployed for %d", p.Generators, loadStack, s.load.generators)
	case p.Generators > 1 && needsMesh(p):
		return fail.Newf(fail.Usage, "leave out the arm mesh, or --generators", "the arm mesh has one load generator: the task of a Service Connect client service")
	}
	return nil
}

func needsMesh(p *plan.Plan) bool { return p.ArmIndex(plan.ArmMesh) >= 0 }

// base is the arm that a twin repeats, or the arm itself.
func base(a plan.Arm) string {
	if a.TwinOf != "" {
		return a.TwinOf
	}
	return a.Name
}

// serves returns the service at the end of an arm's path, or nil. The mesh
// arm ends at the agent arm's service where there is one.
func (s *site) serves(a plan.Arm) *service {
	name := base(a)
	for _, svc := range s.services {
		if svc.Arm == name || name == plan.ArmMesh {
			return svc
		}
	}
	return nil
}

// address is the URL under which an arm is called. On AWS an arm and its A/A twin
// share one: they are the same tasks.
func (s *site) address(a plan.Arm) (string, error) {
	svc := s.serves(a)
	switch {
	case svc == nil || base(a) == plan.ArmDirect:
		var have []string
		for _, svc := range s.services {
			have = append(have, svc.Arm)
		}
		return "", fail.Newf(fail.Usage, "deploy with -c arms=both, or name the arms that are there with --arms",
			"the plan wants arm %q, but stack %s offers %s and mesh", a.Name, appStack, strings.Join(have, ", "))
	case base(a) == plan.ArmMesh:
		return svc.Endpoint, nil
	}
	return svc.URL, nil
}

// digest identifies what is measured: services, ports, images, sizes.
func (s *site) digest() string {
	text, err := json.Marshal(s.services)
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// facts are what the report says of the deployment.
func (s *site) facts(region string) map[string]string {
	f := map[string]string{"AWS region": region, "AWS account": s.account, "ECS cluster": s.load.cluster,
		"load task size": s.size.cpu + " CPU units, " + s.size.mib + " MiB"}
	if s.local != nil { // nothing of it is AWS's
		f["region"], f["account"] = f["AWS region"], f["AWS account"]
		delete(f, "AWS region")
		delete(f, "AWS account")
		f["the lab's timers run"] = fmt.Sprintf("%g times as fast as real ones", s.local.scale)
	}
	if s.loan != nil {
		maps.Copy(f, s.loan.facts())
		return f
	}
	var zones []string
	for _, svc := range s.services {
		f["task size"] = svc.CPU + " CPU units, " + svc.MiB + " MiB"
		f["Fargate platform version"] = svc.platform
		f["image of the app"] = svc.Digest
		f["tasks of "+svc.Name] = fmt.Sprintf("%d, ingress port override %s", svc.tasks, portWord(svc.Override))
		zones = append(zones, svc.zones...)
	}
	slices.Sort(zones)
	f["availability zones"] = strings.Join(slices.Compact(zones), ", ")
	return f
}
