package cli

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/bounded"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/github"
	"github.com/hoplab/hoplab/internal/printable"
)

// maxCommentFile bounds what comment reads, in bytes; what GitHub does not
// take is cut.
const maxCommentFile = 4 << 20

func newComment(s streams) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "comment [FILE]",
		Short: "Keep one comment on a pull request of GitHub, from a workflow",
		Long: `Write FILE, or what is piped in, as the comment of this name on the pull
request that the workflow runs for; the next call replaces it. The environment
is the workflow's own (GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH) and
GITHUB_TOKEN, with the permission pull-requests: write.`,
		Example: "  hoplab check cdk.out --format markdown | hoplab comment\n  hoplab comment runs/pr/report.md --name run",
		Args:    atMost(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := commentBody(s, args)
			if err != nil {
				return err
			}
			p, err := github.FromEnv(os.Getenv)
			if err != nil {
				return err
			}
			c, replaced, err := p.Keep(cmd.Context(), name, body)
			if err != nil {
				return err
			}
			done := "wrote"
			if replaced {
				done = "replaced"
			}
			printable.Fprintf(s.out, "%s the comment %s\n", done, c.URL)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "check", "which of hoplab's comments: each name has one")
	return cmd
}

func commentBody(s streams, args []string) (string, error) {
	if len(args) == 0 {
		data, err := io.ReadAll(io.LimitReader(s.in, maxCommentFile))
		return string(data), err
	}
	data, err := bounded.Read(args[0], maxCommentFile)
	if err != nil {
		return "", fail.Newf(fail.Usage, "check the path", "cannot read the comment: %w", err)
	}
	return string(data), nil
}
