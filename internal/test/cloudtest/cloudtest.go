// Package cloudtest starts the local AWS account for tests and deploys stacks of
// hoplab's own to it, as the SDK would.
package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/cloud/cdk"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
)

// Region is the account's.
const Region = "eu-central-1"

// Options are what an account is made of.
type Options struct {
	// Assembly is a directory of stacks/testdata/golden, and Stacks the templates
	// of it that are deployed, in that order: Network, App.
	Assembly string
	Stacks   []string
	// Load and Period are cloud.Options'.
	Load   *container.Program
	Period time.Duration
	// Programs are the lab's.
	Programs []lab.Program
	// Dir receives the lab's logs.
	Dir string
}

// Account is a running account. Its owner closes it.
type Account struct {
	*cloud.Cloud
	Config aws.Config // of clients
}

// Start starts an account whose lab is on loopback with timers that run 20 times
// as fast as real ones, deploys the stacks, and returns when their targets are
// healthy. The test binary stands in for hoplab node; see labtest.Node. ctx bounds
// the start only.
func Start(ctx context.Context, o Options) (*Account, error) {
	r, err := repo.Find()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	app, err := r.BuildService(ctx, io.Discard)
	if err != nil {
		return nil, err
	}
	c, err := cloud.Start(ctx, cloud.Options{Region: Region, Listen: "127.0.0.1:0", Load: o.Load, Period: o.Period, Lab: lab.Options{
		App: lab.App{Command: []string{app}}, Programs: o.Programs, Dir: o.Dir, Scale: 20, Node: []string{self, "node"}}})
	if err != nil {
		return nil, err
	}
	a := &Account{Cloud: c, Config: Config(c.Endpoint())}
	for _, name := range o.Stacks {
		text, err := os.ReadFile(r.Path("stacks", "testdata", "golden", o.Assembly, name+".template.json"))
		if err == nil {
			err = a.create(ctx, "hoplab-"+strings.ToLower(name), string(text))
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("stack %s: %w", name, err), c.Close())
		}
	}
	healthy, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.Lab().WaitHealthy(healthy); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return a, nil
}

// Config is that of a client of an endpoint.
func Config(endpoint string) aws.Config {
	return aws.Config{Region: Region, BaseEndpoint: aws.String(endpoint),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "HOPLABTEST", SecretAccessKey: "secret"}, nil
		}),
		// As any user's: an answer whose connection breaks is asked for again.
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 100 * time.Millisecond })
		},
	}
}

// create creates a stack and waits for it.
func (a *Account) create(ctx context.Context, name, template string) error {
	client := cloudformation.NewFromConfig(a.Config)
	input := &cloudformation.CreateStackInput{StackName: aws.String(name), TemplateBody: aws.String(template)}
	if _, err := client.CreateStack(ctx, input); err != nil {
		return err
	}
	waiter := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = 50*time.Millisecond, 200*time.Millisecond
	})
	return waiter.Wait(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(name)}, 2*time.Minute)
}

// Environment points the SDK and the aws CLI at an endpoint and at nothing else,
// for the rest of the test.
func Environment(t testing.TB, endpoint string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is back when the test ends
			os.Unsetenv(name)
		}
	}
	for _, kv := range append(cdk.Environment(endpoint, Region), "AWS_PAGER=") {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}
