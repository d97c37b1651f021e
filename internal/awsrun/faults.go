package awsrun

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/fail"
)

// Error codes that AWS services give to the same failure.
var (
	expiredCodes = []string{"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
	refusedCodes = []string{"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
		"SignatureDoesNotMatch", "AuthFailure", "InvalidSignatureException"}
	deniedCodes = []string{"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
)

// explain turns an error of the SDK into one line: what was tried, what AWS
// said, and the next step. It returns context errors as they are.
func (c *Clients) explain(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case noCredentials(err):
		return fail.Newf(fail.Environment, "log in (aws sso login, aws configure) or set AWS_PROFILE", "%s: there are no AWS credentials that can be used", doing)
	case errors.Is(err, context.DeadlineExceeded):
		return fail.Newf(fail.Environment, "check the network and AWS_ENDPOINT_URL, then try again", "%s: no answer within %s", doing, callTimeout)
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fail.Newf(fail.Environment, "check the network, AWS_REGION ("+c.Region+") and AWS_ENDPOINT_URL", "%s: %s%w", doing, from(err), shortest(err))
	}
	code := api.ErrorCode()
	is := func(codes []string) bool {
		for _, k := range codes {
			if k == code {
				return true
			}
		}
		return false
	}
	said := code
	if m := api.ErrorMessage(); m != "" {
		said += ": " + m
	}
	switch {
	case is(expiredCodes):
		return fail.Newf(fail.Environment, "log in again (aws sso login) and repeat the command", "%s: the AWS credentials have expired (%s)", doing, code)
	case is(refusedCodes):
		return fail.Newf(fail.Environment, "check AWS_PROFILE and the keys; aws sts get-caller-identity shows whether they work", "%s: AWS does not accept the credentials (%s)", doing, said)
	case is(deniedCodes):
		return fail.Newf(fail.Environment, "give yourself the rights of docs/aws-policy.json", "%s: AWS denies it (%s)", doing, said)
	case throttled(err):
		return fail.Newf(fail.Environment, "wait a minute, then try again", "%s: AWS throttles the calls (%s), after the SDK's retries", doing, code)
	}
	return fail.Newf(fail.Environment, "see what AWS says, and try again", "%s: %s", doing, said)
}

func noCredentials(err error) bool {
	text := err.Error()
	return strings.Contains(text, "failed to refresh cached credentials") || strings.Contains(text, "get identity: get credentials")
}

// throttled asks the SDK's own table of codes.
func throttled(err error) bool {
	for _, check := range retry.DefaultThrottles {
		if check.IsErrorThrottle(err).Bool() {
			return true
		}
	}
	return false
}

// passing reports whether a poll may be tried again: the next one can answer.
func passing(err error) bool {
	if throttled(err) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var api smithy.APIError
	return !errors.As(err, &api) && !noCredentials(err) // the network
}

// from says who did not answer, for the front of a line; "" when that is not known.
func from(err error) string {
	var to *url.Error
	if !errors.As(err, &to) {
		return ""
	}
	u, err := url.Parse(to.URL)
	if err != nil {
		return ""
	}
	return "no answer from " + u.Host + ": "
}

// shortest is the innermost error: the outer ones repeat service and operation.
func shortest(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// answered reports whether an error is AWS's answer. Without an answer it is
// unknown whether the call was carried out.
func answered(err error) bool { return codeOf(err) != "" }

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
