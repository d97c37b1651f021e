package cdk_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cf "github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/cdk"
	"github.com/hoplab/hoplab/internal/cloud/resource"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
	"github.com/hoplab/hoplab/internal/lab"
)

// fixture is an account without a lab.
type fixture struct {
	stacks *stack.Stacks
	cfg    aws.Config
	url    string
}

func (w *fixture) Show(context.Context) error                     { return nil }
func (w *fixture) Deployed(context.Context, string, string) error { return nil }
func (w *fixture) Gone(context.Context, string, string) error     { return nil }
func (w *fixture) Region() string                                 { return "eu-central-1" }
func (w *fixture) Lab() *lab.Lab                                  { return nil }
func (w *fixture) Resources(kinds ...string) (out []account.Resource) {
	for _, r := range w.stacks.All() {
		if len(kinds) == 0 || kinds[0] == r.Type {
			out = append(out, account.Resource{Type: r.Type, PhysicalID: r.PhysicalID, ARN: r.ARN, Attributes: r.Attributes})
		}
	}
	return out
}

// objects are those of a bucket.
var objects = map[string]string{"assets/t.json": template}

const template = `{"Resources": {"Repo": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "images"}},
	"V": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/v", "Value": {"Fn::GetAtt": ["Repo", "RepositoryUri"]}}}},
	"Outputs": {"Uri": {"Description": "where", "Value": {"Fn::GetAtt": ["Repo", "RepositoryUri"]}, "Export": {"Name": "uri"}}}}`

func start(t *testing.T) *fixture {
	w := &fixture{}
	p := &resource.Provider{Region: w.Region(), Lab: w}
	w.stacks = stack.New(account.ID, w.Region(), p, nil)
	var server wire.Server
	cdk.Register(&server, &cdk.Backend{Stacks: w.stacks, Account: w, Parameter: p.Parameter,
		Object: func(bucket, key string, most int64) ([]byte, error) {
			text, ok := objects[bucket+"/"+key]
			if !ok {
				return nil, errors.New("the key does not exist")
			}
			return []byte(text), nil
		}})
	srv := httptest.NewServer(&server)
	t.Cleanup(func() { srv.Close(); w.stacks.Close() })
	w.url = srv.URL
	w.cfg = aws.Config{Region: w.Region(), BaseEndpoint: &srv.URL, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: cdk.AccessKey, SecretAccessKey: cdk.SecretKey}, nil
		})}
	return w
}

// TestDeployWithTheSDK goes the CLI's way with the SDK's client and its waiter.
func TestDeployWithTheSDK(t *testing.T) {
	w := start(t)
	c := cf.NewFromConfig(w.cfg)
	ctx := t.Context()
	name, set := aws.String("app"), aws.String("set")
	if _, err := c.DescribeStacks(ctx, &cf.DescribeStacksInput{StackName: name}); code(err) != "ValidationError" ||
		!strings.Contains(err.Error(), "Stack with id app does not exist") {
		t.Errorf("a stack that is not there: %v", err)
	}
	_, err := c.CreateChangeSet(ctx, &cf.CreateChangeSetInput{StackName: name, ChangeSetName: set, ChangeSetType: types.ChangeSetTypeCreate,
		TemplateURL: aws.String(w.url + "/assets/t.json"), Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.DescribeChangeSet(ctx, &cf.DescribeChangeSetInput{StackName: name, ChangeSetName: set, IncludePropertyValues: aws.Bool(true)})
	if err != nil || len(d.Changes) != 2 || d.Status != types.ChangeSetStatusCreateComplete ||
		!strings.Contains(aws.ToString(d.Changes[0].ResourceChange.AfterContext), "images") {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := c.ExecuteChangeSet(ctx, &cf.ExecuteChangeSetInput{StackName: name, ChangeSetName: set}); err != nil {
		t.Fatal(err)
	}
	if err := cf.NewStackCreateCompleteWaiter(c).Wait(ctx, &cf.DescribeStacksInput{StackName: name}, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	got, err := c.DescribeStacks(ctx, &cf.DescribeStacksInput{})
	if err != nil || len(got.Stacks) != 1 || len(got.Stacks[0].Outputs) != 1 || aws.ToString(got.Stacks[0].Outputs[0].ExportName) != "uri" ||
		aws.ToString(got.Stacks[0].Tags[0].Value) != "v" {
		t.Fatalf("%+v, %v", got, err)
	}
	if text, err := c.GetTemplate(ctx, &cf.GetTemplateInput{StackName: name}); err != nil || aws.ToString(text.TemplateBody) != template {
		t.Errorf("the template is not the one that came: %v", err)
	}
	if r, err := c.DescribeStackResource(ctx, &cf.DescribeStackResourceInput{StackName: name,
		LogicalResourceId: aws.String("Repo")}); err != nil ||
		aws.ToString(r.StackResourceDetail.PhysicalResourceId) != "images" {
		t.Errorf("%+v, %v", r, err)
	}
	events := cf.NewDescribeStackEventsPaginator(c, &cf.DescribeStackEventsInput{StackName: name})
	seen := 0
	for events.HasMorePages() {
		page, err := events.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.StackEvents)
	}
	if seen < 8 {
		t.Errorf("%d events", seen)
	}
	if _, err := c.UpdateStack(ctx, &cf.UpdateStackInput{StackName: name, TemplateBody: aws.String(template),
		Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}}); err == nil ||
		!strings.Contains(err.Error(), "No updates are to be performed.") {
		t.Errorf("an update without a change: %v", err)
	}
	if _, err := c.DeleteStack(ctx, &cf.DeleteStackInput{StackName: name}); err != nil {
		t.Fatal(err)
	}
	if err := cf.NewStackDeleteCompleteWaiter(c).Wait(ctx,
		&cf.DescribeStacksInput{StackName: got.Stacks[0].StackId}, 20*time.Second); err != nil {
		t.Error(err)
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestTemplatesThatAreNotThere(t *testing.T) {
	w := start(t)
	c := cf.NewFromConfig(w.cfg)
	for address, says := range map[string]string{
		w.url + "/assets/none": "does not exist", w.url + "/assets": "names no bucket and key",
		"https://assets.s3.eu-central-1.amazonaws.com/x": "does not exist",
	} {
		_, err := c.CreateStack(t.Context(), &cf.CreateStackInput{StackName: aws.String("s"), TemplateURL: &address})
		if code(err) != "ValidationError" || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", address, err, says)
		}
	}
	if _, err := c.CreateStack(t.Context(), &cf.CreateStackInput{StackName: aws.String("s"),
		TemplateURL: aws.String("https://assets.s3.eu-central-1.amazonaws.com/t.json")}); err != nil {
		t.Errorf("by the bucket's own name: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	w := start(t)
	c := sts.NewFromConfig(w.cfg)
	who, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(who.Account) != account.ID {
		t.Errorf("%+v, %v", who, err)
	}
	role, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::000000000000:role/deploy"),
		RoleSessionName: aws.String("me")})
	if err != nil || aws.ToString(role.Credentials.AccessKeyId) != cdk.AccessKey ||
		aws.ToString(role.AssumedRoleUser.Arn) != "arn:aws:sts::000000000000:assumed-role/deploy/me" {
		t.Errorf("%+v, %v", role, err)
	}
	_, err = c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/deploy"),
		RoleSessionName: aws.String("me")})
	if code(err) != "AccessDenied" {
		t.Errorf("another account's role: %v", err)
	}
}

// TestJSONServices: SSM and ECR, whose types are our own, in the form of the wire.
func TestJSONServices(t *testing.T) {
	w := start(t)
	if _, err := w.stacks.Put(stack.Input{Stack: "s", Kind: "CREATE", Template: template}, false); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if s, err := w.stacks.Describe("s"); err != nil || s.Status == "CREATE_COMPLETE" || time.Now().After(end) {
			break
		}
	}
	for _, c := range []struct {
		service, target, body string
		status                int
		says                  string
	}{
		{"ssm", "AmazonSSM.GetParameter", `{"Name": "/v"}`, 200, `"Value":"000000000000.dkr.ecr.eu-central-1.amazonaws.com/images"`},
		{"ssm", "AmazonSSM.GetParameter", `{"Name": "/w"}`, 400, `ParameterNotFound`},
		{"ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", `{"repositoryNames": ["images"]}`, 200,
			`"repositoryUri":"000000000000.dkr.ecr.eu-central-1.amazonaws.com/images"`},
		{"ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", `{"repositoryNames": ["none"]}`, 400,
			`RepositoryNotFoundException`},
		{"ecr", "AmazonEC2ContainerRegistry_V20150921.DescribeImages", `{"repositoryName": "images", "imageIds": [{"imageTag": "t"}]}`, 200,
			`"imageTags":["t"]`},
		{"ecr", "AmazonEC2ContainerRegistry_V20150921.PutImage", `{}`, 400, `does not know ecr:PutImage`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", c.target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20260304/eu-central-1/"+c.service+
			"/aws4_request, SignedHeaders=host, Signature=0")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s: %d %s; want %d and %s", c.target, c.body, resp.StatusCode, body, c.status, c.says)
		}
	}
}
