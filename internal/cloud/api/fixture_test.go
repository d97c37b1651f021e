package api_test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/cloud/cdk"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/repo"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for hoplab's hidden commands: a node,
// which the lab starts, and a load task, which the endpoint does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "node" || os.Args[1] == "loadtask") {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const region = "eu-central-1"

// deployed is an account whose stacks are golden templates of hoplab's own.
type deployed struct {
	cloud  *cloud.Cloud
	config aws.Config
	calls  map[int]int // that call has sent, by the load balancer's port
}

// deploy starts an account with a lab on loopback and deploys the stacks of a
// golden assembly to it, one after the other.
func deploy(t *testing.T, assembly string, load *container.Program, stacks ...string) *deployed {
	t.Helper()
	layer.Full(t, "starts a lab and the measured app")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	must(err)
	r, err := repo.Find()
	must(err)
	app, err := r.BuildService(t.Context(), io.Discard)
	must(err)
	c, err := cloud.Start(t.Context(), cloud.Options{Region: region, Listen: "127.0.0.1:0", Load: load, Lab: lab.Options{
		App: lab.App{Command: []string{app}}, Dir: t.TempDir(), Scale: 20, Node: []string{self, "node"}}})
	must(err)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &deployed{cloud: c, calls: map[int]int{}, config: aws.Config{Region: region, BaseEndpoint: aws.String(c.Endpoint()),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "HOPLABTEST", SecretAccessKey: "secret"}, nil
		}),
		// As any user's: an answer whose connection breaks is asked for again.
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = 100 * time.Millisecond })
		},
	}}
	client := cloudformation.NewFromConfig(d.config)
	for _, name := range stacks {
		text, err := os.ReadFile(r.Path("stacks", "testdata", "golden", assembly, name+".template.json"))
		must(err)
		stack := aws.String("hoplab-" + strings.ToLower(name))
		_, err = client.CreateStack(t.Context(), &cloudformation.CreateStackInput{StackName: stack, TemplateBody: aws.String(string(text))})
		must(err)
		waiter := cloudformation.NewStackCreateCompleteWaiter(client, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
			o.MinDelay, o.MaxDelay = 50*time.Millisecond, 200*time.Millisecond
		})
		must(waiter.Wait(t.Context(), &cloudformation.DescribeStacksInput{StackName: stack}, 2*time.Minute))
	}
	healthy, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(c.Lab().WaitHealthy(healthy))
	return d
}

// environment points the SDK and the aws CLI at the account and at nothing else,
// for the rest of the test.
func (d *deployed) environment(t *testing.T) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "") // so that it is back when the test ends
			os.Unsetenv(name)
		}
	}
	for _, kv := range append(cdk.Environment(d.cloud.Endpoint(), region), "AWS_DEFAULT_REGION="+region, "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1") {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}
