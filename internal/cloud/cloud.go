// Package cloud is the local AWS account: an endpoint on loopback, CloudFormation's
// stacks behind it, and a lab in which what they describe runs.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/api"
	"github.com/hoplab/hoplab/internal/cloud/cdk"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/cloud/objects"
	"github.com/hoplab/hoplab/internal/cloud/resource"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options are what an account is made of.
type Options struct {
	// Lab is what the lab is made of; its topology is the account's stacks'.
	Lab    lab.Options
	Region string
	// Listen is the endpoint's address on loopback, HOST:PORT, with port 0 for any
	// that is free.
	Listen string
	// Journal is the file that says what the account holds, renewed with each
	// change; empty for none.
	Journal string
	// Load is how the load program is started; its Env is set here. RunTask is
	// refused without it.
	Load *container.Program
	// Period is the shortest period of CloudWatch's metrics, in whole seconds; 0
	// for 5 s.
	Period time.Duration
}

// Cloud is a running account. Its methods are safe for concurrent use.
type Cloud struct {
	opts     Options
	lab      *lab.Lab
	stacks   *stack.Stacks
	endpoint string
	http     *http.Server
	journal  *journal
	api      *api.API
	begun    time.Time
	wg       sync.WaitGroup
	close    sync.Once
	closed   error
}

// Start starts an account that has what `cdk bootstrap` makes and nothing else.
// ctx bounds the start only.
func Start(ctx context.Context, opts Options) (*Cloud, error) {
	if opts.Region == "" {
		opts.Region = "us-east-1"
	}
	c := &Cloud{opts: opts, begun: time.Now()}
	ln, err := wire.Listen(opts.Listen)
	if err != nil {
		return nil, fail.Newf(fail.Usage, "give an address of this machine, such as 127.0.0.1:0, which nobody listens on", "the endpoint: %w", err)
	}
	c.endpoint = "http://" + ln.Addr().String()
	opts.Lab.Topology = &topology.Topology{Name: "hoplab cloud"}
	if c.lab, err = lab.Start(ctx, opts.Lab); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	store := objects.New()
	behind := &behind{lab: c.lab, seen: map[topology.ID]int{}}
	provider := &resource.Provider{Region: opts.Region, Lab: behind, Objects: store}
	c.journal = newJournal(opts.Journal, c.Summary)
	c.stacks = stack.New(account.ID, opts.Region, provider, c.journal.changed)
	behind.stacks = c.stacks
	var server wire.Server
	server.Objects = store
	cdk.Register(&server, &cdk.Backend{Stacks: c.stacks, Object: store.Get, Parameter: provider.Parameter, Account: c})
	if opts.Load != nil {
		opts.Load.Env = cdk.Environment(c.endpoint, opts.Region)
	}
	c.api = api.New(c, api.Options{Load: opts.Load, Put: store.Put, Period: opts.Period, Scale: opts.Lab.Scale})
	c.api.Register(&server)
	server.Header = c.api.Header()
	c.http = &http.Server{Handler: &server, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	c.wg.Go(func() { _ = c.http.Serve(ln) }) // ends with Close
	c.wg.Go(c.journal.run)
	c.wg.Go(c.api.Follow)
	if err := c.bootstrap(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the endpoint, what is under way and the lab.
func (c *Cloud) Close() error {
	c.close.Do(func() {
		c.closed = c.http.Close()
		c.stacks.Close()
		c.api.Close()
		c.journal.close()
		c.wg.Wait()
		c.closed = errors.Join(c.closed, c.lab.Close())
	})
	return c.closed
}

// Endpoint is the address of the endpoint, for AWS_ENDPOINT_URL.
func (c *Cloud) Endpoint() string { return c.endpoint }

// Lab is the running lab.
func (c *Cloud) Lab() *lab.Lab { return c.lab }

// Region is the account's region.
func (c *Cloud) Region() string { return c.opts.Region }

// Resources lists what there is of the given types, of every type without any.
func (c *Cloud) Resources(types ...string) (out []account.Resource) {
	for _, r := range c.stacks.All() {
		if len(types) > 0 && !slices.Contains(types, r.Type) || r.PhysicalID == "" {
			continue
		}
		out = append(out, account.Resource{Stack: r.Stack, StackID: r.StackID, LogicalID: r.LogicalID, Type: r.Type, PhysicalID: r.PhysicalID,
			ARN: r.ARN, Status: r.Status, Reason: r.Reason, Properties: r.Properties, Attributes: r.Attributes,
			ID: idOf(r.Stack, r.Key), Replaced: r.Replaced, Created: r.Created, Updated: r.Updated})
	}
	return out
}

// idOf is a resource's id in the lab's topology.
func idOf(stack, key string) topology.ID { return topology.ID(stack + "/" + key) }

// bootstrap makes what `cdk bootstrap` leaves in an account, as far as a deploy
// needs it. The CLI's own bootstrap updates it.
func (c *Cloud) bootstrap(ctx context.Context) error {
	if _, err := c.stacks.Put(stack.Input{Stack: "CDKToolkit", Kind: "CREATE", Template: toolkit}, false); err != nil {
		return fmt.Errorf("the account's own stack CDKToolkit: %w", err)
	}
	for {
		s, err := c.stacks.Describe("CDKToolkit")
		switch {
		case err != nil:
			return err
		case s.Status == "CREATE_COMPLETE":
			return nil
		case s.Status != "CREATE_IN_PROGRESS":
			return fmt.Errorf("the account's own stack CDKToolkit: %s: %s", s.Status, s.Reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// toolkit has the names of the CLI's own template. Version 21 can look up,
// publish and deploy; the CLI's is newer, so that `cdk bootstrap` updates it.
const toolkit = `{
  "Description": "What cdk bootstrap makes, as far as hoplab cloud needs it",
  "Resources": {
    "StagingBucket": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain",
      "Properties": {"BucketName": {"Fn::Sub": "cdk-hnb659fds-assets-${AWS::AccountId}-${AWS::Region}"}}},
    "ContainerAssetsRepository": {"Type": "AWS::ECR::Repository",
      "Properties": {"RepositoryName": {"Fn::Sub": "cdk-hnb659fds-container-assets-${AWS::AccountId}-${AWS::Region}"}}},
    "CdkBootstrapVersion": {"Type": "AWS::SSM::Parameter",
      "Properties": {"Type": "String", "Name": "/cdk-bootstrap/hnb659fds/version", "Value": "21"}}
  },
  "Outputs": {
    "BucketName": {"Value": {"Ref": "StagingBucket"}},
    "BucketDomainName": {"Value": {"Fn::GetAtt": ["StagingBucket", "RegionalDomainName"]}},
    "ImageRepositoryName": {"Value": {"Ref": "ContainerAssetsRepository"}},
    "BootstrapVersion": {"Value": "21"}
  }
}`
