package stacks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecr"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecrassets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// DefaultClientImage has a shell, curl and getent, and comes from the public
// ECR, which has no limit of anonymous pulls that a first deploy would meet.
const DefaultClientImage = "public.ecr.aws/amazonlinux/amazonlinux:2023"

// imageSource makes the image in a stack: a grant to pull belongs to the
// repository construct, and that must stand in the stack that uses it.
type imageSource func(scope constructs.Construct) awsecs.ContainerImage

// appImage returns the app's image: -c appImage, or service/ built by Docker
// at deploy time. Synthesis only fingerprints the sources.
func appImage(c Config) imageSource {
	if c.AppImage != "" {
		return image(c.AppImage)
	}
	return asset(c, "service", "Dockerfile", "*", "!*.go", "!app/*.go", "**/*_test.go")
}

// clientImage returns the client's image: any with a shell and sleep.
func clientImage(c Config) imageSource {
	if c.ClientImage != "" {
		return image(c.ClientImage)
	}
	return image(DefaultClientImage)
}

// loadImage returns the image with k6 and the scripts: -c loadImage, or
// loadtest/ built by Docker at deploy time. It shares code with the hoplab
// command, so its context is the repository, as far as the ignore file beside
// its Dockerfile says. Docker reads that file by itself, CDK does not.
func loadImage(c Config) imageSource {
	if c.LoadImage != "" {
		return image(c.LoadImage)
	}
	ignore, err := os.ReadFile(filepath.Join(c.Source, "loadtest", "Dockerfile.dockerignore"))
	if err != nil {
		panic(err)
	}
	return asset(c, ".", "loadtest/Dockerfile", strings.Fields(string(ignore))...)
}

// asset builds a Dockerfile of a folder, with that folder as its context. The
// patterns of exclude, as in a .dockerignore file, keep out what is not built:
// tests and stray binaries must not rename the image.
func asset(c Config, folder, dockerfile string, exclude ...string) imageSource {
	platform := awsecrassets.Platform_LINUX_AMD64()
	if c.Architecture == "ARM64" {
		platform = awsecrassets.Platform_LINUX_ARM64()
	}
	return func(constructs.Construct) awsecs.ContainerImage {
		return awsecs.ContainerImage_FromAsset(jsii.String(filepath.Join(c.Source, folder)), &awsecs.AssetImageProps{
			File:       jsii.String(dockerfile),
			Exclude:    jsii.Strings(exclude...),
			IgnoreMode: awscdk.IgnoreMode_DOCKER,
			Platform:   platform,
		})
	}
}

// ecrImage matches a private ECR reference: account, region, repository, and
// a tag or a digest.
var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+?)(?::([\w.-]+)|@(sha256:[0-9a-f]{64}))?$`)

// image returns ref from its registry. For a private ECR repository the
// execution role gets the right to pull from that repository alone.
func image(ref string) imageSource {
	m := ecrImage.FindStringSubmatch(ref)
	if m == nil {
		return func(constructs.Construct) awsecs.ContainerImage {
			return awsecs.ContainerImage_FromRegistry(jsii.String(ref), nil)
		}
	}
	account, region, name, version := m[1], m[2], m[3], m[4]+m[5]
	if version == "" {
		version = "latest"
	}
	partition := "aws"
	switch {
	case strings.HasPrefix(region, "cn-"):
		partition = "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		partition = "aws-us-gov"
	}
	return func(scope constructs.Construct) awsecs.ContainerImage {
		repository := awsecr.Repository_FromRepositoryAttributes(scope, jsii.String("Repository"), &awsecr.RepositoryAttributes{
			RepositoryArn:  jsii.String(fmt.Sprintf("arn:%s:ecr:%s:%s:repository/%s", partition, region, account, name)),
			RepositoryName: jsii.String(name),
		})
		return awsecs.ContainerImage_FromEcrRepository(repository, jsii.String(version))
	}
}
