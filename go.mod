module github.com/hoplab/hoplab

go 1.26.0

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // exact distributions of the rank tests, which gonum lacks
	github.com/apparentlymart/go-cidr v1.1.1 // the arithmetic of Terraform's cidr functions
	github.com/aws/aws-cdk-go/awscdk/v2 v2.260.0 // the CDK app; nothing but app.go and stacks imports it
	github.com/aws/aws-sdk-go-v2 v1.48.0 // hoplab run --target aws, and the load task's uploads
	github.com/aws/aws-sdk-go-v2/config v1.33.14 // credentials and region as the aws CLI finds them
	github.com/aws/aws-sdk-go-v2/service/cloudformation v1.84.0 // stack outputs of a deployed run
	github.com/aws/aws-sdk-go-v2/service/cloudwatch v1.75.4 // the load balancer's own counts, a second leg of evidence
	github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs v1.91.1 // why a load task stopped
	github.com/aws/aws-sdk-go-v2/service/ecs v1.104.0 // starts load tasks and renews services
	github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2 v1.64.0 // target health before a deployed run
	github.com/aws/aws-sdk-go-v2/service/s3 v1.114.7 // samples from the load tasks
	github.com/aws/aws-sdk-go-v2/service/sfn v1.41.2 // the state machine that starts many load tasks at once
	github.com/aws/aws-sdk-go-v2/service/sts v1.52.0 // names the account before anything costs money
	github.com/aws/constructs-go/constructs/v10 v10.6.0 // the CDK app's construct tree
	github.com/aws/jsii-runtime-go v1.133.0 // runs the CDK's TypeScript from Go
	github.com/aws/smithy-go v1.28.9 // AWS's error codes, and its protocols' forms for the local endpoint's answers
	github.com/cdklabs/cdk-nag-go/cdknag/v2 v2.35.0 // AWS's rule packs over the CDK app in tests
	github.com/envoyproxy/go-control-plane v0.14.0 // the control plane of the Envoy in the agent's place
	github.com/envoyproxy/go-control-plane/envoy v1.40.0 // Envoy's configuration as types, for the Envoy in the agent's place
	github.com/go-air/gini v1.0.4 // which conditions of a template hold at once: a solver for satisfiability
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3 // tokens with byte offsets, so that a finding names its line
	github.com/google/nftables v0.3.0 // security groups and redirects in the kernel (netns fabric)
	github.com/hashicorp/hcl/v2 v2.25.0 // parses Terraform files
	github.com/hoplab/hoplab/loadtest/samplefile v0.1.0 // the sample format, shared with the k6 extension
	github.com/johannesboyne/gofakes3 v1.2.0 // the buckets of hoplab cloud, and an S3 for tests
	github.com/owenrumney/go-sarif/v3 v3.3.1 // findings for code scanning
	github.com/rogpeppe/go-internal v1.16.0 // locks the build cache; runs the command's stories in tests
	github.com/santhosh-tekuri/jsonschema/v6 v6.0.2 // tests hold summary.json against its published schema
	github.com/spf13/cobra v1.10.2 // the command line
	github.com/spf13/pflag v1.0.10 // flag types of the command line
	github.com/vishvananda/netlink v1.3.1 // links, addresses and routes (netns fabric)
	github.com/zclconf/go-cty v1.19.0 // Terraform's values, unknown ones included
	github.com/zclconf/go-cty-yaml v1.2.0 // Terraform's YAML functions
	go.yaml.in/yaml/v3 v3.0.4 // YAML with line numbers: templates, suppressions, manifests
	golang.org/x/mod v0.41.0 // orders versions of Envoy; tests hold the form of go.mod
	golang.org/x/net v0.62.0 // DNS messages of the lab's resolver; header blocks of its HTTP/2
	golang.org/x/sync v0.24.0 // what a run needs is found, built and fetched side by side, and one failure ends the rest
	golang.org/x/sys v0.49.0 // system calls: namespaces, CPU affinity
	golang.org/x/term v0.47.0 // whether there is a terminal, and how wide
	golang.org/x/text v0.43.0 // width of characters in text reports
	gonum.org/v1/gonum v0.17.0 // distributions and quantiles of the intervals
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260817212433-ac3dfec99bb1 // why Envoy refuses what the control plane sends
	google.golang.org/grpc v1.85.0 // carries the control plane's stream; tests send gRPC through agent and load balancer
	google.golang.org/protobuf v1.36.12 // writes Envoy's configuration
)

require (
	cel.dev/expr v0.25.3 // indirect
	github.com/Masterminds/semver/v3 v3.5.0 // indirect
	github.com/agext/levenshtein v1.2.1 // indirect
	github.com/apparentlymart/go-textseg/v15 v15.0.0 // indirect
	github.com/apparentlymart/go-textseg/v17 v17.0.1 // indirect
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.26 // indirect
	github.com/aws/aws-sdk-go-v2/credentials v1.20.14 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.20.6 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.12 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.12 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.25 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/checksum v1.11.10 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.12 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/s3shared v1.20.9 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.12.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.39.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.44.2 // indirect
	github.com/cdklabs/awscdk-asset-awscli-go/awscliv1/v2 v2.2.282 // indirect
	github.com/cdklabs/awscdk-asset-node-proxy-agent-go/nodeproxyagentv6/v2 v2.1.2 // indirect
	github.com/cdklabs/cloud-assembly-schema-go/awscdkcloudassemblyschema/v54 v54.1.0 // indirect
	github.com/cncf/xds/go v0.0.0-20260202195803-dba9d589def2 // indirect
	github.com/envoyproxy/protoc-gen-validate v1.3.3 // indirect
	github.com/fatih/color v1.19.0 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/mattn/go-colorable v0.1.14 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // indirect
	github.com/mdlayher/socket v0.5.0 // indirect
	github.com/mitchellh/go-wordwrap v1.0.1 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20240319094008-0393e58bdf10 // indirect
	github.com/ryszard/goskiplist v0.0.0-20150312221310-2dfbae5fcf46 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
	github.com/xeipuuv/gojsonpointer v0.0.0-20180127040702-4e3ac2762d5f // indirect
	github.com/xeipuuv/gojsonreference v0.0.0-20180127040603-bd5ef7bd5415 // indirect
	github.com/xeipuuv/gojsonschema v1.2.0 // indirect
	github.com/yuin/goldmark v1.7.16 // indirect
	go.shabbyrobe.org/gocovmerge v0.0.0-20230507111327-fa4f82cfbf4d // indirect
	golang.org/x/lint v0.0.0-20241112194109-818c5a804067 // indirect
	golang.org/x/telemetry v0.0.0-20260924152758-ed294f943157 // indirect
	golang.org/x/tools v0.51.0 // indirect
	golang.org/x/tools/cmd/godoc v0.1.0-deprecated // indirect
	golang.org/x/tools/godoc v0.1.0-deprecated // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260817212433-ac3dfec99bb1 // indirect
)

ignore (
	./cdk.out
	./node_modules
	./runs
)
