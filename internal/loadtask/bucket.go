package loadtask

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/fail"
)

// bucket is the place for results.
type bucket struct {
	s3           *s3.Client
	name, prefix string
}

// putTimeout bounds one upload with its retries.
const putTimeout = time.Minute

func openBucket(ctx context.Context, getenv func(string) string) (*bucket, error) {
	name := getenv("HOPLAB_BUCKET")
	if name == "" {
		return nil, fail.Newf(fail.Usage, "set HOPLAB_BUCKET", "no bucket for the results")
	}
	prefix := or(getenv("HOPLAB_PREFIX"), "runs/")
	if !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fail.Newf(fail.Environment, "check AWS_REGION and the credentials", "AWS configuration: %w", err)
	}
	// Endpoints that stand in for S3 seldom resolve a name for each bucket.
	elsewhere := getenv("AWS_ENDPOINT_URL") != "" || getenv("AWS_ENDPOINT_URL_S3") != ""
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = elsewhere })
	return &bucket{s3: client, name: name, prefix: prefix}, nil
}

func (b *bucket) put(ctx context.Context, key string, data []byte) error {
	return b.upload(ctx, key, bytes.NewReader(data))
}

func (b *bucket) putFile(ctx context.Context, key, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return b.upload(ctx, key, f)
}

func (b *bucket) upload(ctx context.Context, key string, body io.ReadSeeker) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	_, err := b.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(b.name), Key: aws.String(b.prefix + key), Body: body})
	if err == nil {
		return nil
	}
	hint := "check that the task can reach S3, and that the bucket is in AWS_REGION"
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "AccessDenied" {
		hint = "the task role needs s3:PutObject on arn:aws:s3:::" + b.name + "/" + b.prefix + "*"
	}
	return fail.Newf(fail.Environment, hint, "s3://%s/%s%s: %w", b.name, b.prefix, key, err)
}
