// Package cli is the hoplab command: its subcommands, flags and exit codes.
// It is where the parts meet; each subcommand reads its flags, calls the
// packages that do the work and prints what they return.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
)

// streams are the three files of a command, passed instead of the globals so
// that tests can call Main like a function.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs hoplab with args (without the program's name) and returns its
// exit code, one of package fail's. It ends on SIGINT and SIGTERM after the
// subcommand has cleaned up; a second signal ends it at once.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the default action of a second signal applies
	}()
	s := streams{in: stdin, out: stdout, err: stderr}
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return int(fail.OK)
	}
	var verdict verdictError
	if errors.As(err, &verdict) {
		return int(verdict.code) // the result is printed already; the code is the answer
	}
	printError(stderr, cmd, err)
	return int(fail.CodeOf(err))
}

// verdictError carries an exit code that is an answer, not a failure: the
// command has printed its result.
type verdictError struct{ code fail.Code }

func (v verdictError) Error() string { return fmt.Sprintf("verdict with exit code %d", v.code) }

// answer turns a verdict's code into the command's result.
func answer(code fail.Code) error {
	if code == fail.OK {
		return nil
	}
	return verdictError{code}
}

func printError(w io.Writer, cmd *cobra.Command, err error) {
	name := "hoplab"
	if cmd != nil {
		name = cmd.CommandPath()
	}
	fmt.Fprintf(w, "%s: %s\n", name, oneLine(err.Error()))
	if hint := fail.HintOf(err); hint != "" {
		fmt.Fprintf(w, "  → %s\n", hint)
	}
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "hoplab",
		Short: "Which way a request goes through ECS Service Connect, and what each hop costs",
		Long: `hoplab tells you which way a request goes through an Amazon ECS Service Connect
deployment, proves it, and says what each hop costs: on a laptop before you
deploy, and in AWS after.`,
		Example: `  hoplab run                          # the A/B experiment on this machine
  hoplab check cdk.out                # what is wrong with a template, before it is deployed
  hoplab explain cdk.out              # the three ports, and each caller's path
  hoplab learn                        # lessons on Service Connect's ports`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return fail.Newf(fail.Usage, "see hoplab --help", "unknown command %q%s", args[0], didYouMean(cmd, args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fail.Newf(fail.Usage, "see "+cmd.CommandPath()+" --help", "%w", err)
	})
	root.AddCommand(commands(s)...)
	return root
}

func didYouMean(cmd *cobra.Command, arg string) string {
	if near := cmd.SuggestionsFor(arg); len(near) > 0 {
		return fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return ""
}

// noArgs and atMost wrap cobra's argument checks into usage errors.
func noArgs(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.NoArgs(cmd, args)) }

func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.MaximumNArgs(n)(cmd, args)) }
}

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return usage(cmd, cobra.ExactArgs(n)(cmd, args)) }
}

func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return fail.Newf(fail.Usage, "see "+cmd.CommandPath()+" --help", "%w", err)
}

// oneOf checks a flag that takes one of several words.
func oneOf(flag, value string, words ...string) error {
	for _, w := range words {
		if value == w {
			return nil
		}
	}
	return fail.Newf(fail.Usage, "", "--%s %q: expected %s", flag, value, strings.Join(words, ", "))
}
