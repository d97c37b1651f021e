package awsrun

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/hoplab/hoplab/internal/fail"
)

// callTimeout bounds one call to AWS with all its retries; the SDK's standard
// retryer makes three attempts. fetchTimeout does the same for one sample file.
const (
	callTimeout  = 30 * time.Second
	fetchTimeout = 5 * time.Minute
)

// Clients are the SDK clients of a run, all of one account and region.
type Clients struct {
	Region string

	sts     *sts.Client
	stacks  *cloudformation.Client
	ecs     *ecs.Client
	elb     *elb.Client
	metrics *cloudwatch.Client
	logs    *cloudwatchlogs.Client
	s3      *s3.Client
	steps   *sfn.Client
}

// onCall, if not nil, is called with every operation as "service:operation"; tests
// hold them against the policy.
var onCall func(operation string)

// Connect reads the SDK's configuration from the environment and the shared
// files. It makes no call to AWS; a missing region is the only error of its own.
func Connect(ctx context.Context) (*Clients, error) {
	c := &Clients{}
	cfg, err := config.LoadDefaultConfig(ctx, config.WithAPIOptions([]func(*middleware.Stack) error{observe}))
	if err != nil {
		return nil, fail.Newf(fail.Environment, "check AWS_PROFILE and the files below ~/.aws", "AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, fail.Newf(fail.Environment, "set AWS_REGION to the region of the stacks", "no AWS region is set")
	}
	c.Region = cfg.Region
	c.sts, c.stacks, c.ecs = sts.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg), ecs.NewFromConfig(cfg)
	c.elb, c.metrics, c.logs = elb.NewFromConfig(cfg), cloudwatch.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	c.steps = sfn.NewFromConfig(cfg)
	// Endpoints that stand in for S3 seldom resolve a name for each bucket.
	elsewhere := os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != ""
	c.s3 = s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = elsewhere
		o.DisableLogOutputChecksumValidationSkipped = true // sample files carry checksums of their own
	})
	return c, nil
}

// observe gives every call its timeout and tells its name.
func observe(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("hoplab", func(ctx context.Context,
		in middleware.InitializeInput, next middleware.InitializeHandler) (
		middleware.InitializeOutput, middleware.Metadata, error,
	) {
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		if onCall != nil {
			onCall(service + ":" + operation)
		}
		if operation == "GetObject" { // its body is read after the call; fetch bounds both
			return next.HandleInitialize(ctx, in)
		}
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// Account is who the credentials belong to.
func (c *Clients) Account(ctx context.Context) (id, arn string, err error) {
	id, arn, _, err = c.identity(ctx)
	return id, arn, err
}

// identity is Account, and what answers if that is hoplab cloud.
func (c *Clients) identity(ctx context.Context) (id, arn string, l *local, err error) {
	out, err := c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", nil, c.explain("asking AWS for the account", err)
	}
	id = aws.ToString(out.Account)
	return id, aws.ToString(out.Arn), localOf(id, out.ResultMetadata), nil
}
