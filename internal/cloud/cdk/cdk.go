// Package cdk answers what the CDK CLI and the aws CLI call for a deploy: STS,
// SSM's GetParameter, ECR's questions whether an image is there, and
// CloudFormation.
package cdk

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/stack"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// The credentials of the local account. The CDK CLI remembers an account by its
// access key, so the key is hoplab's own and is never that of another account.
const (
	AccessKey = "HOPLABCLOUD000000000"
	SecretKey = "hoplab-cloud-is-on-this-machine-only"
)

// Environment is what a program of this machine needs in its environment to use
// the account: no profile, no file and no instance's role leads elsewhere, and
// no name of a service is put before the endpoint's, as Cloud Map's clients do.
func Environment(endpoint, region string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_DISABLE_HOST_PREFIX_INJECTION=true",
	}
}

// Backend is what the handlers answer from.
type Backend struct {
	Stacks *stack.Stacks
	// Object reads an object of a bucket, up to a number of bytes.
	Object    func(bucket, key string, most int64) ([]byte, error)
	Parameter func(name string) (value string, ok bool)
	Account   account.Reader
}

// Register registers the operations.
func Register(s *wire.Server, b *Backend) {
	b.sts(s)
	b.ssm(s)
	b.ecr(s)
	b.changeSets(s)
	b.stacks(s)
	b.unsupported(s)
}

func refusal(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// fault is an error of the engine as a client reads it.
func fault(err error) error {
	var e *stack.Error
	if errors.As(err, &e) {
		return refusal(e.Code, "%s", e.Message)
	}
	return err
}

const user = "arn:aws:iam::" + account.ID + ":user/hoplab-cloud"

func (b *Backend) sts(s *wire.Server) {
	wire.Handle(s, "sts", "GetCallerIdentity", func(context.Context, *sts.GetCallerIdentityInput) (*sts.GetCallerIdentityOutput, error) {
		return &sts.GetCallerIdentityOutput{Account: aws.String(account.ID), Arn: aws.String(user),
			UserId: aws.String("AIDAHOPLABCLOUD000000")}, nil
	})
	// Roles are not enforced: whoever asks for one of the account's gets its name.
	wire.Handle(s, "sts", "AssumeRole", func(_ context.Context, in *sts.AssumeRoleInput) (*sts.AssumeRoleOutput, error) {
		prefix := "arn:aws:iam::" + account.ID + ":role/"
		name, ok := strings.CutPrefix(aws.ToString(in.RoleArn), prefix)
		if !ok {
			return nil, refusal("AccessDenied", "hoplab cloud has the account %s only, and no role %s", account.ID, aws.ToString(in.RoleArn))
		}
		session := aws.ToString(in.RoleSessionName)
		return &sts.AssumeRoleOutput{
			AssumedRoleUser: &ststypes.AssumedRoleUser{
				Arn:           aws.String("arn:aws:sts::" + account.ID + ":assumed-role/" + name + "/" + session),
				AssumedRoleId: aws.String("AROAHOPLABCLOUD000000:" + session)},
			Credentials: &ststypes.Credentials{AccessKeyId: aws.String(AccessKey), SecretAccessKey: aws.String(SecretKey),
				SessionToken: aws.String("hoplab-cloud"), Expiration: aws.Time(time.Now().Add(time.Hour))},
		}, nil
	})
}

// The types of SSM and ECR are our own: a module of the SDK each would be for one
// or two operations.
type (
	getParameterInput struct {
		Name           string
		WithDecryption bool
	}
	getParameterOutput struct {
		Parameter parameter `json:"Parameter"`
	}
	parameter struct {
		Name, Type, Value, ARN string
		Version                int
	}
)

func (b *Backend) ssm(s *wire.Server) {
	wire.Handle(s, "ssm", "GetParameter", func(_ context.Context, in *getParameterInput) (*getParameterOutput, error) {
		v, ok := b.Parameter(in.Name)
		if !ok {
			return nil, refusal("ParameterNotFound", "")
		}
		arn := fmt.Sprintf("arn:aws:ssm:%s:%s:parameter/%s", b.Account.Region(), account.ID, strings.TrimPrefix(in.Name, "/"))
		return &getParameterOutput{parameter{Name: in.Name, Type: "String", Value: v, ARN: arn, Version: 1}}, nil
	})
}

type (
	describeRepositoriesInput struct {
		RegistryID      string
		RepositoryNames []string
	}
	describeRepositoriesOutput struct {
		Repositories []repository `json:"repositories"`
	}
	repository struct {
		Name     string `json:"repositoryName"`
		URI      string `json:"repositoryUri"`
		ARN      string `json:"repositoryArn"`
		Registry string `json:"registryId"`
	}
	describeImagesInput struct {
		RegistryID, RepositoryName string
		ImageIDs                   []imageID
	}
	imageID struct {
		ImageTag, ImageDigest string
	}
	describeImagesOutput struct {
		Images []image `json:"imageDetails"`
	}
	image struct {
		Registry   string   `json:"registryId"`
		Repository string   `json:"repositoryName"`
		Tags       []string `json:"imageTags"`
	}
)

// ecr says of every image that it is there, so that the CLI builds none and needs
// no Docker: the lab's app stands for each, and no image is run.
func (b *Backend) ecr(s *wire.Server) {
	find := func(name string) (account.Resource, error) {
		r, ok := account.Find(b.Account, "AWS::ECR::Repository", name)
		if !ok {
			return r, refusal("RepositoryNotFoundException",
				"The repository with name '%s' does not exist in the registry with id '%s'", name, account.ID)
		}
		return r, nil
	}
	wire.Handle(s, "ecr", "DescribeRepositories", func(_ context.Context, in *describeRepositoriesInput) (*describeRepositoriesOutput, error) {
		names := in.RepositoryNames
		if len(names) == 0 {
			for _, r := range b.Account.Resources("AWS::ECR::Repository") {
				names = append(names, r.PhysicalID)
			}
		}
		out := &describeRepositoriesOutput{}
		for _, name := range names {
			r, err := find(name)
			if err != nil {
				return nil, err
			}
			uri, _ := r.Attributes["RepositoryUri"].(string)
			out.Repositories = append(out.Repositories, repository{Name: r.PhysicalID, URI: uri, ARN: r.ARN, Registry: account.ID})
		}
		return out, nil
	})
	wire.Handle(s, "ecr", "DescribeImages", func(_ context.Context, in *describeImagesInput) (*describeImagesOutput, error) {
		if _, err := find(in.RepositoryName); err != nil {
			return nil, err
		}
		out := &describeImagesOutput{}
		for _, i := range in.ImageIDs {
			out.Images = append(out.Images, image{Registry: account.ID, Repository: in.RepositoryName, Tags: []string{i.ImageTag}})
		}
		return out, nil
	})
}

// template returns the text of a template that is given in one of two ways.
func (b *Backend) template(body, address *string) (string, error) {
	switch {
	case body != nil && address != nil:
		return "", refusal(stack.CodeValidation, "Only one of TemplateBody or TemplateURL may be specified.")
	case body != nil:
		return *body, nil
	case address == nil:
		return "", refusal(stack.CodeValidation, "Either Template URL or Template Body must be specified.")
	}
	bucket, key, ok := objectOf(*address)
	if !ok {
		return "", refusal(stack.CodeValidation, "S3 error: the address %s names no bucket and key", *address)
	}
	text, err := b.Object(bucket, key, stack.MaxTemplate)
	if err != nil {
		return "", refusal(stack.CodeValidation, "S3 error: %v", err)
	}
	return string(text), nil
}

// objectOf takes an address of S3 apart: http://HOST/BUCKET/KEY here, and
// https://BUCKET.s3.REGION.amazonaws.com/KEY elsewhere.
func objectOf(address string) (bucket, key string, ok bool) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", false
	}
	path := strings.TrimPrefix(u.Path, "/")
	if name, rest, found := strings.Cut(u.Hostname(), ".s3."); found && strings.HasSuffix(rest, ".amazonaws.com") {
		return name, path, path != ""
	}
	bucket, key, ok = strings.Cut(path, "/")
	return bucket, key, ok && bucket != "" && key != ""
}
