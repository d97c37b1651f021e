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
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
)

// streams are the three files of a command, passed instead of the globals so
// that tests can call Main like a function.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// Main runs hoplab with args (without the program's name) and returns its
// exit code, one of package fail's. It ends on SIGINT and SIGTERM after the
// subcommand has cleaned up; a second signal ends it at once. A subcommand
// that has nothing to clean up ends with the first, whatever it waits for.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the default action of a second signal applies
	}()
	out := &output{Writer: stdout}
	s := streams{in: stdin, out: out, err: stderr}
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	type result struct {
		cmd *cobra.Command
		err error
	}
	done := make(chan result, 1)
	go func() {
		cmd, err := root.ExecuteContextC(ctx)
		done <- result{cmd, out.lost(err)}
	}()
	select {
	case r := <-done:
		return exitCode(stderr, r.cmd, r.err)
	case <-ctx.Done():
	}
	var late <-chan time.Time
	cmd, _, err := root.Find(args)
	if err != nil || cmd.Annotations[cleansUp] == "" {
		late = time.After(interruptGrace)
	}
	select {
	case r := <-done:
		return exitCode(stderr, r.cmd, r.err)
	case <-late:
		// A read of a FIFO, say, knows no context. It ends with the process.
		return exitCode(stderr, cmd, fail.Newf(fail.Environment, "", "interrupted"))
	}
}

// cleansUp is the annotation of a subcommand that takes the time that it needs
// after a signal, because it has something to stop or to keep.
const cleansUp = "cleans up"

// interruptGrace is how long any other subcommand may take to end by itself.
const interruptGrace = time.Second

// exitCode prints a subcommand's error, unless it is an answer, and returns its code.
func exitCode(stderr io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return int(fail.OK)
	}
	var verdict verdictError
	if errors.As(err, &verdict) {
		return int(verdict.code) // the result is printed already; the code is the answer
	}
	if errors.Is(err, context.Canceled) { // by a signal: nothing else cancels a command
		err = fail.Newf(fail.Environment, "", "interrupted")
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
	printable.Fprintf(w, "%s: %s\n", name, oneLine(err.Error()))
	if hint := fail.HintOf(err); hint != "" {
		printable.Fprintf(w, "  → %s\n", hint)
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
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(commands(s)...)
	return root
}

func didYouMean(cmd *cobra.Command, arg string) string {
	if near := cmd.SuggestionsFor(arg); len(near) > 0 {
		return fmt.Sprintf(" (did you mean %q?)", near[0])
	}
	return ""
}

// expected says what a flag of each type takes, where its own error speaks of Go.
var expected = map[string]string{
	"int": "a whole number", "uint64": "a whole number from 0", "float64": "a number",
	"duration": "a duration such as 10s or 500ms", "bool": "true or false",
}

// flagError says which flag is wrong and what it takes.
func flagError(cmd *cobra.Command, err error) error {
	hint := "see " + cmd.CommandPath() + " --help"
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if want, ok := expected[invalid.GetFlag().Value.Type()]; ok {
			return fail.Newf(fail.Usage, hint, "--%s %q: expected %s", invalid.GetFlag().Name, invalid.GetValue(), want)
		}
	}
	return fail.Newf(fail.Usage, hint, "%w", err)
}

// noArgs, exactly and atMost check the number of arguments. A command with
// subcommands takes an argument for a misspelt one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return fail.Newf(fail.Usage, "see "+cmd.CommandPath()+" --help", "unknown command %q%s", args[0], didYouMean(cmd, args[0]))
	}
	return wrongCount(cmd, "no argument", args)
}

func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return wrongCount(cmd, arguments(n), args)
	}
}

func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return wrongCount(cmd, "at most "+arguments(n), args)
	}
}

func arguments(n int) string {
	if n == 1 {
		return "one argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

func wrongCount(cmd *cobra.Command, want string, got []string) error {
	have := "none"
	if len(got) > 0 {
		have = fmt.Sprintf("%d: %s", len(got), strings.Join(got, " "))
	}
	return fail.Newf(fail.Usage, "write "+cmd.UseLine(), "expected %s, got %s", want, have)
}

// checkPort checks the flag of a page's port.
func checkPort(port int) error {
	if port < 0 || port > 65535 {
		return fail.Newf(fail.Usage, "0 is any that is free", "--port %d: expected 0 to 65535", port)
	}
	return nil
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
