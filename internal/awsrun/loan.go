package awsrun

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/run"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// Loan is a load task in a deployment that is not hoplab's: beside which service
// it runs, and what it is made of.
type Loan struct {
	// Service is the ARN of an ECS service. The task runs in its cluster and
	// subnets, and has its execution role and its log group.
	Service string
	Bucket  string   // receives the samples
	Role    string   // ARN of a role that lets a task put objects there
	Groups  []string // security groups; the service's own when empty
	Image   string   // with hoplab and its k6 at the root, as a release's
}

// Names of a loan in a run's environment.
const (
	loanService = "load task beside"
	loanBucket  = "samples through bucket"
	loanRole    = "role of the load task"
	loanGroups  = "security groups of the load task"
	loanImage   = "image of the load task"
)

// facts are what the report says of a loan, and a resumed run reads.
func (l *Loan) facts() map[string]string {
	f := map[string]string{loanService: l.Service, loanBucket: l.Bucket, loanRole: l.Role, loanImage: l.Image}
	if len(l.Groups) > 0 {
		f[loanGroups] = strings.Join(l.Groups, " ")
	}
	return f
}

// LoanOf reads the loan from the facts of a run that had one.
func LoanOf(facts map[string]string) Loan {
	return Loan{Service: facts[loanService], Bucket: facts[loanBucket], Role: facts[loanRole], Image: facts[loanImage],
		Groups: strings.Fields(facts[loanGroups])}
}

// What a load task gets, as the Load stack's has it, and where the program puts
// its samples.
const (
	loanFamily    = "hoplab-load-task"
	loanCPU       = "1024"
	loanMiB       = "2048"
	loanPrefix    = "hoplab/"
	loanContainer = "load"
	// loanStop is ECS's longest stop timeout, s: time to send what was measured.
	loanStop = 120
)

// OnLoan reads where a loan's task would run. It changes nothing. Errors carry
// fail.Usage where the service cannot be one's neighbour.
func OnLoan(ctx context.Context, c *Clients, l Loan) (*Site, error) {
	s := &site{loan: &l}
	var err error
	if s.account, s.arn, s.local, err = c.identity(ctx); err != nil {
		return nil, err
	}
	parts := strings.Split(l.Service, "/")
	if len(parts) != 3 {
		return nil, fail.Newf(fail.Usage, "opt in to long ARNs and deploy the service again",
			"service %s: its ARN does not name its cluster", l.Service)
	}
	d, err := c.describeService(ctx, parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	net := d.NetworkConfiguration
	if net == nil || net.AwsvpcConfiguration == nil || len(net.AwsvpcConfiguration.Subnets) == 0 {
		return nil, fail.Newf(fail.Usage, "name a service with subnets of its own first, or leave --load-bucket out",
			"service %s has no subnets (network mode awsvpc), so that nothing says where a load task may run", parts[2])
	}
	out, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: d.TaskDefinition})
	if err != nil {
		return nil, c.explain("describing the task definition of "+parts[2], err)
	}
	groups := l.Groups
	if len(groups) == 0 {
		groups = net.AwsvpcConfiguration.SecurityGroups
	}
	s.size.cpu, s.size.mib = loanCPU, loanMiB
	s.load = load{cluster: parts[1], container: loanContainer, subnets: net.AwsvpcConfiguration.Subnets, groups: groups,
		public: net.AwsvpcConfiguration.AssignPublicIp == types.AssignPublicIpEnabled,
		bucket: l.Bucket, prefix: loanPrefix, generators: 1}
	s.definition = l.definition(out.TaskDefinition)
	if c := s.definition.ContainerDefinitions[0].LogConfiguration; c != nil {
		s.load.logGroup = c.Options[logGroupOption]
	}
	return &Site{c, s}, nil
}

// Options of the log driver awslogs.
const (
	logGroupOption  = "awslogs-group"
	logRegionOption = "awslogs-region"
	logPrefixOption = "awslogs-stream-prefix"
)

// definition is the load task's, with the execution role and the log of a
// neighbour.
func (l *Loan) definition(of *types.TaskDefinition) *ecs.RegisterTaskDefinitionInput {
	box := types.ContainerDefinition{
		Name: aws.String(loanContainer), Image: aws.String(l.Image), Essential: aws.Bool(true),
		EntryPoint: []string{"/hoplab", "loadtask"}, StopTimeout: aws.Int32(loanStop),
		Environment: []types.KeyValuePair{
			{Name: aws.String("HOPLAB_BUCKET"), Value: aws.String(l.Bucket)},
			{Name: aws.String("HOPLAB_PREFIX"), Value: aws.String(loanPrefix)},
			{Name: aws.String("HOPLAB_K6"), Value: aws.String("/hoplab-k6")},
		},
	}
	for _, c := range of.ContainerDefinitions {
		if log := c.LogConfiguration; log != nil && log.LogDriver == types.LogDriverAwslogs && box.LogConfiguration == nil {
			box.LogConfiguration = &types.LogConfiguration{LogDriver: types.LogDriverAwslogs, Options: map[string]string{
				logGroupOption: log.Options[logGroupOption], logRegionOption: log.Options[logRegionOption], logPrefixOption: "load"}}
		}
	}
	in := &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(loanFamily), ContainerDefinitions: []types.ContainerDefinition{box}, Cpu: aws.String(loanCPU),
		Memory: aws.String(loanMiB), ExecutionRoleArn: of.ExecutionRoleArn, NetworkMode: types.NetworkModeAwsvpc,
		RequiresCompatibilities: []types.Compatibility{types.CompatibilityFargate},
	}
	if l.Role != "" {
		in.TaskRoleArn = aws.String(l.Role)
	}
	return in
}

// Sender sends loads from load tasks on loan. It is for one caller at a time.
type Sender struct{ r *runner }

// Borrow registers the definition of the load task that OnLoan has described.
// Return takes it back.
func (s *Site) Borrow(ctx context.Context, dir *run.Dir, o Options) (*Sender, error) {
	r := &runner{Clients: s.c, site: s.s, dir: dir, plan: &dir.Plan, o: o}
	made, err := r.ecs.RegisterTaskDefinition(ctx, s.s.definition)
	if err != nil {
		return nil, r.explain("registering the load task", err)
	}
	r.load.task = aws.ToString(made.TaskDefinition.TaskDefinitionArn)
	sender := &Sender{r}
	if err := r.stopLeft(ctx); err != nil { // by a run that was killed
		return nil, sender.Return(ctx, err)
	}
	return sender, nil
}

// Send sends a replicate's load from a task of its own and leaves the samples in
// the replicate's directory. The task has ended when Send returns, or the command
// that stops it is part of the error.
func (s *Sender) Send(ctx context.Context, rep run.Replicate, l samplefile.Load) error {
	s.r.at = rep.Index
	before, err := s.r.listed(ctx, rep.Index)
	if err != nil {
		return err
	}
	if err := s.r.sendFromTask(ctx, l); err != nil {
		return err
	}
	s.r.say("fetching samples")
	_, err = s.r.fetch(ctx, rep, []samplefile.Load{l}, before)
	return err
}

// Return deregisters the load task's definition, also when ctx has ended, and
// returns cause. One that stays is told of, and no error: it costs nothing.
func (s *Sender) Return(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	s.r.deregister(ctx, s.r.load.task)
	return cause
}

// loanPace is how a loan waits: nothing is read from CloudWatch, so that its
// replicates need no periods of their own.
func loanPace(p Pace) Pace {
	p.Period, p.Settle = 0, 0
	return p
}
