package cli

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/labctl"
)

// loadHost is the caller of lab exec that is no part of the deployment.
const loadHost = "load"

func newLabExec(s streams, f *labFlags) *cobra.Command {
	var env []string
	cmd := &cobra.Command{
		Use:   "exec CALLER -- PROGRAM [ARG...]",
		Short: "Run a program of this machine inside a task",
		Long: `Run any program where CALLER is: a service or instance, by name or id, or
"load", a host of the VPC without Service Connect. The program has that place's
addresses, names, ports and rules; files are this machine's. Of the environment
it gets what a program needs of a terminal (PATH, HOME, USER, SHELL, LANG, LC_*,
TERM, TZ, TMPDIR and the like), and what --env names. It needs a lab on --fabric
netns. The exit code is the program's own.`,
		Example: `  hoplab lab exec client -- curl -v http://app.sample-namespace:80
  hoplab lab exec client -- cat /etc/hosts
  hoplab lab exec --env SSL_CERT_FILE --env MODE=test client -- ./client`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return wrongCount(cmd, "a caller and a program", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			caller, err := f.place(args[0])
			if err != nil {
				return err
			}
			vars, err := execEnv(os.Environ(), env)
			if err != nil {
				return err
			}
			return f.exec(cmd.Context(), s, caller, args[1:], vars)
		},
	}
	cmd.Flags().StringArrayVar(&env, "env", nil, "one more variable of the program: NAME as it is here, or NAME=value (may repeat)")
	return cmd
}

// needed are the variables of this process that any program may need. What is
// secret in an environment, such as keys, stays here unless it is asked for.
var needed = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "LANG", "LANGUAGE", "TERM", "COLORTERM", "NO_COLOR", "COLUMNS",
	"LINES",
	"TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"}

// execEnv selects from an environment what a program needs and what was asked
// for, by name or with a value.
func execEnv(all, asked []string) ([]string, error) {
	var out []string
	here := map[string]string{}
	for _, kv := range all {
		name, v, _ := strings.Cut(kv, "=")
		here[name] = v
		if slices.Contains(needed, name) || strings.HasPrefix(name, "LC_") {
			out = append(out, kv)
		}
	}
	for _, a := range asked {
		name, _, given := strings.Cut(a, "=")
		v, ok := here[name]
		switch {
		case name == "", !given && !ok:
			return nil, fail.Newf(fail.Usage, "write --env NAME=value", "--env %q: there is no variable of that name here", a)
		case given:
			out = append(out, a)
		default:
			out = append(out, name+"="+v)
		}
	}
	return out, nil
}

// place is the caller of that name, a service's before the load host.
func (f *labFlags) place(name string) (lab.Caller, error) {
	c, err := f.caller(name)
	if err != nil && name == loadHost && fail.CodeOf(err) == fail.Usage {
		return lab.Caller{}, nil
	}
	return c, err
}

func (f *labFlags) exec(ctx context.Context, s streams, caller lab.Caller, argv, env []string) error {
	p, err := labctl.At(f.name)
	if err != nil {
		return err
	}
	c, err := labctl.Dial(p)
	if err != nil {
		return err
	}
	defer c.Close()
	// The lab stops the program when we go away.
	defer context.AfterFunc(ctx, func() { c.Close() })()
	dir, err := os.Getwd()
	if err != nil {
		return fail.Newf(fail.Environment, "", "the current directory: %w", err)
	}
	files, err := ownFiles(s)
	if err != nil {
		return err
	}
	var code int
	err = c.Call(labctl.Request{Op: labctl.OpExec, Caller: caller, Argv: argv, Dir: dir, Env: env}, &code, files...)
	if ctx.Err() != nil {
		return answer(fail.Code(128 + 2)) // as a shell says it of SIGINT
	}
	if err != nil {
		return err
	}
	return answer(fail.Code(code))
}

// ownFiles are the command's streams as files that can be handed over.
func ownFiles(s streams) ([]*os.File, error) {
	in, ok1 := s.in.(*os.File)
	out, ok2 := fileOf(s.out)
	errOut, ok3 := s.err.(*os.File)
	if !ok1 || !ok2 || !ok3 {
		return nil, fail.Newf(fail.Environment, "", "exec: standard input, output and error are not files")
	}
	return []*os.File{in, out, errOut}, nil
}
