// Package stacks builds the CloudFormation stacks of the experiment with the
// AWS CDK: Network, App and Client, with Load for deployed runs, or Host alone.
//
// It is the only package that imports awscdk. Configuration is checked in
// plain Go by ParseConfig; Build then only receives values that CDK accepts.
// CDK runs in one Node process per Go process and is not safe for concurrent
// use, and every construct that CDK refuses is a panic.
package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

// Build adds all stacks that config asks for to app. It panics where CDK
// does, and when a file that names an image's sources cannot be read.
func Build(app awscdk.App, config Config) {
	if config.Host == HostNginx {
		NewHost(app, "Host", &HostProps{AlbEgress: config.AlbEgress})
		return
	}
	network := NewNetwork(app, "Network", &NetworkProps{
		DualStack: config.Public != nil && config.Public.DualStack,
	})
	service := NewApp(app, "App", &AppProps{
		Network:      network,
		Arms:         config.Arms,
		Image:        appImage(config),
		Architecture: config.Architecture,
		AlbEgress:    config.AlbEgress,
		Health:       config.Health,
		Public:       config.Public,
	})
	NewClient(app, "Client", &ClientProps{
		Network:      network,
		App:          service,
		Image:        clientImage(config),
		Architecture: config.Architecture,
	})
	if config.Load {
		NewLoad(app, "Load", &LoadProps{
			Network:      network,
			App:          service,
			Image:        loadImage(config),
			Architecture: config.Architecture,
			Generators:   config.Generators,
		})
	}
}

// stackProps names a stack; the name is what CloudFormation shows.
func stackProps(name, description string) *awscdk.StackProps {
	return &awscdk.StackProps{
		StackName:   jsii.String("hoplab-" + name),
		Description: jsii.String(description),
	}
}

// output adds a stack output. Nothing exports it: cross-stack references are
// CDK's own.
func output(stack awscdk.Stack, id string, value *string, description string) {
	awscdk.NewCfnOutput(stack, jsii.String(id), &awscdk.CfnOutputProps{
		Value:       value,
		Description: jsii.String(description),
	})
}
