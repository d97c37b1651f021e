package cli

import (
	"cmp"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/module"

	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/diagnose"
	"github.com/hoplab/hoplab/internal/k6"
	"github.com/hoplab/hoplab/internal/learn"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
	"github.com/hoplab/hoplab/internal/sim"
	"github.com/hoplab/hoplab/internal/summary"
	"github.com/hoplab/hoplab/loadtest/samplefile"
)

type versionInfo struct {
	Hoplab string `json:"hoplab"`
	// Tag is the release that this is; "" for a build between releases.
	Tag    string `json:"tag,omitempty"`
	Commit string `json:"commit"`
	Go     string `json:"go"`
	K6     string `json:"k6"`
	// Formats are the published formats that this build writes and reads. The
	// sample file's own is in its eighth byte and not among them.
	Formats []string `json:"formats"`
}

func readVersion() versionInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return versionOf(info)
}

// versionOf reads what the go command noted of a build. A build from a module
// proxy has no commit of its own, but the version of one between releases
// ends in its first twelve digits.
func versionOf(info *debug.BuildInfo) versionInfo {
	v := versionInfo{Hoplab: "devel", Commit: "unknown", Go: runtime.Version(), K6: k6.Version, Formats: schemas()}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Hoplab = m
		switch plain, _, dirty := strings.Cut(m, "+"); {
		case module.IsPseudoVersion(plain):
			if rev, err := module.PseudoVersionRev(plain); err == nil {
				v.Commit = rev
			}
		case !dirty:
			v.Tag = m
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}

// schemas lists the formats by the name that each file or output carries.
func schemas() []string {
	return []string{
		plan.Schema, samplefile.LoadSchema, summary.Schema,
		check.Schema, render.ExplainSchema, render.RolloutSchema, diagnose.Schema, learn.Schema, sim.Schema,
	}
}

func newVersion(s streams) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of hoplab, Go, k6 and the formats",
		Example: "  hoplab version --format json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			v := readVersion()
			if format == "json" {
				return json.NewEncoder(s.out).Encode(v)
			}
			printable.Fprintf(s.out, "hoplab %s (commit %s), %s, k6 %s\n", v.Hoplab, v.Commit, v.Go, v.K6)
			printable.Fprintf(s.out, "tag %s; formats %s\n", cmp.Or(v.Tag, "none"), strings.Join(v.Formats, ", "))
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
