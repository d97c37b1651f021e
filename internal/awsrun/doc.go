// Package awsrun carries out a plan on stacks that are deployed in AWS: it
// reads the stacks' outputs, refuses a deployment that is not what the plan
// compares, starts one fresh load task for each replicate, downloads the sample
// files, and reads CloudWatch as the second source of the evidence. It
// writes the same run directory as the lab does, so that statistics and
// report are the same.
//
// The path of a request is proved twice. Every response carries headers and
// the address that the app was called from; package analysis judges those.
// CloudWatch counts requests by the minute where they arrive: at the Service
// Connect agent of each service and at the load balancer. Both counts must
// agree with the samples, up to the load balancer's own health checks, or the
// run is refused.
//
// OnLoan sends loads from a task in a deployment that is not hoplab's, whose
// definition Borrow registers and Return removes; who measures there is package
// endpoint.
//
// AWS is reached through its SDK alone: AWS_PROFILE, AWS_REGION,
// AWS_ENDPOINT_URL and the rest mean what they mean there. Nothing that a run
// starts outlives it: on every way out its tasks are stopped, or the command
// that stops them is part of the error.
package awsrun
