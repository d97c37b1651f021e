package cli

import (
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// labCommand returns a command below lab with the given flags parsed.
func labCommand(t *testing.T, name string, argv ...string) *cobra.Command {
	t.Helper()
	lab := newLab(streams{nil, io.Discard, io.Discard})
	cmd, _, err := lab.Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(argv); err != nil {
		t.Fatalf("%s %q: %v", name, argv, err)
	}
	return cmd
}

// given returns the flags that were given, as text.
func given(cmd *cobra.Command) map[string]string {
	out := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) { out[f.Name] = f.Value.String() })
	return out
}

// TestServeGetsEveryFlag: what lab up was given reaches lab serve, whatever
// flags there are, in a form that it reads as the same values.
func TestServeGetsEveryFlag(t *testing.T) {
	samples := map[string][]string{
		"bool": {"false"}, "string": {"-a b"}, "duration": {"3ms"}, "float64": {"2.5"}, "uint64": {"7"}, "int": {"3"},
		"stringArray": {"a=1,2", "b=--c"},
	}
	var argv []string
	labCommand(t, "up").Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		values, ok := samples[f.Value.Type()]
		if !ok {
			t.Fatalf("--%s: add a value of type %s to this test", f.Name, f.Value.Type())
		}
		for _, v := range values {
			argv = append(argv, "--"+f.Name+"="+v)
		}
	})
	up := labCommand(t, "up", argv...)
	out := serveArgs(up, []string{"dir", "-x"})
	if !slices.Equal(out[:2], []string{"lab", "serve"}) || !slices.Equal(out[len(out)-3:], []string{"--", "dir", "-x"}) {
		t.Fatalf("serve is called as %q", out)
	}
	serve := labCommand(t, "serve", out[2:]...)
	want := given(up)
	delete(want, waitFlag)
	delete(want, anywayFlag)
	if got := given(serve); !maps.Equal(got, want) || len(want) < 10 {
		t.Errorf("serve reads %v; want %v", got, want)
	}
	if got := serve.Flags().Args(); !slices.Equal(got, []string{"dir", "-x"}) {
		t.Errorf("serve is to read %q", got)
	}
}

// TestCloudServeGetsEveryFlag: likewise what cloud up was given reaches cloud serve.
func TestCloudServeGetsEveryFlag(t *testing.T) {
	find := func(name string, argv ...string) *cobra.Command {
		t.Helper()
		cmd, _, err := newCloud(streams{nil, io.Discard, io.Discard}).Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.ParseFlags(argv); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	up := find("up", "--name=x", "--region=eu-west-1", "--listen=127.0.0.1:4000", "--scale=20", "--task-start=3s", "--fabric=netns")
	out := serveArgs(up, nil)
	if !slices.Equal(out[:2], []string{"cloud", "serve"}) {
		t.Fatalf("serve is called as %q", out)
	}
	if got, want := given(find("serve", out[2:]...)), given(up); !maps.Equal(got, want) || len(want) != 6 {
		t.Errorf("serve reads %v; want %v", got, want)
	}
}
