// Command hoplab synthesizes the CDK app: it reads the context, builds the
// stacks and writes the cloud assembly. `npx cdk synth` runs it by cdk.json.
//
// Exit codes: 0 done, 1 a construct failed, 2 the context is not usable.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/stacks"
)

func main() {
	code := run()
	closeQuietly()
	os.Exit(code)
}

// closeQuietly ends the Node process of CDK. The jsii runtime waits for that
// process in two places and complains on stderr when the second finds it
// gone, with nothing wrong; by now everything of ours has been said.
func closeQuietly() {
	if null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0); err == nil {
		os.Stderr = null
	}
	jsii.Close()
}

func run() (code int) {
	// Everything that CDK refuses arrives here as a panic with a stack trace
	// from Node. The first line says what is wrong; the rest does not help.
	defer func() {
		if r := recover(); r != nil {
			first, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			fmt.Fprintln(os.Stderr, "hoplab: cdk:", first)
			code = 1
		}
	}()
	app := awscdk.NewApp(nil)
	config, err := stacks.ParseConfig(func(key string) any {
		return app.Node().TryGetContext(jsii.String(key))
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "hoplab:", err)
		return 2
	}
	stacks.Build(app, config)
	app.Synth(nil)
	return 0
}
