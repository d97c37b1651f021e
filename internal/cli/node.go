package cli

import (
	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
)

// newNode is the hidden command behind the lab's load balancers and agents.
func newNode(s streams) *cobra.Command {
	return &cobra.Command{
		Annotations: map[string]string{cleansUp: "yes"},
		Use:         "node",
		Short:       "Be one node of a lab; started by hoplab itself",
		Hidden:      true,
		Args:        noArgs,
		RunE:        func(*cobra.Command, []string) error { return answer(fail.Code(lab.NodeMain(s.in, s.out, s.err))) },
	}
}
