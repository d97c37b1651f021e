package resource

import (
	"fmt"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/stack"
)

// noRequest stands for a request's id where nothing was requested.
const noRequest = "00000000-0000-0000-0000-000000000000"

// wording is an error in the words of AWS.
type wording string

func (w wording) Error() string { return string(w) }

// ErrBreaker is how CloudFormation words a deployment that the circuit breaker
// ended (https://github.com/aws/copilot-cli/issues/5586).
const ErrBreaker = wording("Resource handler returned message: \"Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'.\" " +
	"(RequestToken: " + noRequest + ", HandlerErrorCode: GeneralServiceException)")

// refused is what the resource's own service refuses, in its words.
func refused(r stack.Resource) error {
	if r.Type != typeService {
		return nil
	}
	operation := "CreateService"
	if r.PhysicalID != "" {
		operation = "UpdateService"
	}
	for _, s := range account.List(r.Properties, "ServiceConnectConfiguration", "Services") {
		// https://github.com/hashicorp/terraform-provider-aws/issues/28293
		if port, ok := account.Int(s, "IngressPortOverride"); ok && port <= 1024 {
			return wording(fmt.Sprintf("Resource handler returned message: \"Invalid request provided: %s error: IngressPortOverride cannot use ports <= 1024. "+
				"(Service: AmazonECS; Status Code: 400; Error Code: InvalidParameterException; Request ID: %s; Proxy: null)\" "+
				"(RequestToken: %s, HandlerErrorCode: InvalidRequest)", operation, noRequest, noRequest))
		}
	}
	return nil
}
