package api_test

import (
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hoplab/hoplab/internal/cli"
	"github.com/hoplab/hoplab/internal/cloud"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/test/cloudtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// TestMain lets the test binary stand in for hoplab's hidden commands: a node,
// which the lab starts, and a load task, which the endpoint does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "node" || os.Args[1] == "loadtask") {
		os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

const region = cloudtest.Region

// deployed is an account whose stacks are golden templates of hoplab's own.
type deployed struct {
	cloud  *cloud.Cloud
	config aws.Config
	calls  map[int]int // that call has sent, by the load balancer's port
}

// deploy starts an account and deploys the stacks of a golden assembly to it.
func deploy(t *testing.T, assembly string, load *container.Program, stacks ...string) *deployed {
	t.Helper()
	layer.Full(t, "starts a lab and the measured app")
	a, err := cloudtest.Start(t.Context(), cloudtest.Options{Assembly: assembly, Stacks: stacks, Load: load, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return &deployed{cloud: a.Cloud, calls: map[int]int{}, config: a.Config}
}

// environment points the SDK and the aws CLI at the account and at nothing else,
// for the rest of the test.
func (d *deployed) environment(t *testing.T) {
	t.Helper()
	cloudtest.Environment(t, d.cloud.Endpoint())
}
