package cli

import (
	"encoding/json"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/printable"
)

// k6Version is the k6 that hoplab builds.
const k6Version = "v1.8.1"

type versionInfo struct {
	Hoplab string `json:"hoplab"`
	Commit string `json:"commit"`
	Go     string `json:"go"`
	K6     string `json:"k6"`
}

func readVersion() versionInfo {
	v := versionInfo{Hoplab: "devel", Commit: "unknown", Go: runtime.Version(), K6: k6Version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if m := info.Main.Version; m != "" && m != "(devel)" {
		v.Hoplab = m
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}

func newVersion(s streams) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of hoplab, Go and k6",
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
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
