package awsrun

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"github.com/hoplab/hoplab/internal/fail"
)

// Names of the stacks in CloudFormation, as app.go gives them.
const (
	appStack  = "hoplab-app"
	loadStack = "hoplab-load"
)

// outputs are a stack's outputs by name.
type outputs struct {
	stack  string
	values map[string]string
}

// get returns an output that must be there.
func (o outputs) get(name string) (string, error) {
	v, ok := o.values[name]
	if !ok || v == "" {
		return "", fail.Newf(fail.Usage, "deploy the stacks of this checkout", "stack %s has no output %s", o.stack, name)
	}
	return v, nil
}

// readStack returns the outputs of a stack that is deployed and at rest.
func (c *Clients) readStack(ctx context.Context, name, deploy string) (outputs, error) {
	o := outputs{stack: name, values: map[string]string{}}
	out, err := c.stacks.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)})
	if codeOf(err) == "ValidationError" || err == nil && len(out.Stacks) == 0 {
		return o, fail.Newf(fail.Usage, deploy+", or set AWS_REGION to where it is", "there is no stack %s in %s", name, c.Region)
	}
	if err != nil {
		return o, c.explain("reading stack "+name, err)
	}
	s := out.Stacks[0]
	switch s.StackStatus {
	case types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusUpdateRollbackComplete,
		types.StackStatusUpdateCompleteCleanupInProgress, types.StackStatusImportComplete:
	default:
		return o, fail.Newf(fail.Usage, "wait until it is deployed, or repair it", "stack %s is %s", name, s.StackStatus)
	}
	for _, v := range s.Outputs {
		o.values[aws.ToString(v.OutputKey)] = aws.ToString(v.OutputValue)
	}
	return o, nil
}

// load is where load tasks run, from the outputs of the Load stack.
type load struct {
	cluster, task, container string
	subnets, groups          []string
	public                   bool // tasks get a public address
	bucket, prefix           string
	logGroup                 string
	generators               int
	machine                  string // state machine; "" when generators is 1
	meshService, meshTask    string
	meshLogs                 string
}

func (c *Clients) readLoad(ctx context.Context) (load, error) {
	var l load
	o, err := c.readStack(ctx, loadStack, "deploy it with npx cdk deploy --all -c arms=both -c load=true")
	if err != nil {
		return l, err
	}
	var subnets, group, generators string
	for _, f := range []struct {
		name string
		to   *string
	}{
		{"ClusterName", &l.cluster}, {"TaskDefinitionArn", &l.task}, {"ContainerName", &l.container}, {"Subnets", &subnets},
		{"SecurityGroup", &group}, {"ResultsBucket", &l.bucket}, {"ResultsPrefix", &l.prefix}, {"LogGroup", &l.logGroup},
		{"Generators", &generators}, {"MeshServiceName", &l.meshService}, {"MeshTaskDefinitionArn", &l.meshTask}, {"MeshLogGroup", &l.meshLogs},
	} {
		if *f.to, err = o.get(f.name); err != nil {
			return l, err
		}
	}
	l.subnets, l.groups = strings.Split(subnets, ","), []string{group}
	if l.generators, err = strconv.Atoi(generators); err != nil || l.generators < 1 {
		return l, fmt.Errorf("stack %s: output Generators is %q: expected a number from 1", loadStack, generators)
	}
	l.machine = o.values["StateMachineArn"]
	return l, nil
}

// seeLog is the hint at what a load task said.
func (l *load) seeLog() string {
	if l.logGroup == "" {
		return "see in the ECS console why it stopped: it has no log group"
	}
	return "see the load task's log in " + l.logGroup
}

// family is the task definition's name without its revision.
func family(arn string) string {
	name := arn[strings.LastIndexByte(arn, '/')+1:]
	name, _, _ = strings.Cut(name, ":")
	return name
}
