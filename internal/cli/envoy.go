package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/hoplab/hoplab/internal/envoybin"
	"github.com/hoplab/hoplab/internal/printable"
)

func newEnvoy(s streams) *cobra.Command {
	var (
		w       envoybin.Wanted
		install bool
		format  string
	)
	cmd := &cobra.Command{
		Use:   "envoy",
		Short: "Say which Envoy the experiment measures; --install fetches it",
		Long: `Say which Envoy is measured, where it is from, its version and its digest.
The order: --envoy or HOPLAB_ENVOY, envoy on PATH, func-e's versions, hoplab's
cache. With --install, where there is none, it is fetched into the cache by uv,
by pip or by func-e, whichever is there, and its digest is checked.`,
		Example: "  hoplab envoy\n  hoplab envoy --install\n  hoplab envoy --install --version 1.36.x",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := oneOf("format", format, "text", "json"); err != nil {
				return err
			}
			get := envoybin.Find
			if install {
				get = envoybin.Get
			}
			w.Progress = s.err
			b, err := get(cmd.Context(), w)
			if err != nil {
				return err
			}
			if format == "json" {
				return json.NewEncoder(s.out).Encode(b)
			}
			printEnvoy(s.out, b)
			return nil
		},
	}
	fl := cmd.Flags()
	registerEnvoy(cmd, &w.Path)
	fl.StringVar(&w.Version, "version", "", "the version, or 1.36.x for the newest of a minor one (default any; "+envoybin.DefaultVersion()+" is fetched)")
	fl.BoolVar(&install, "install", false, "fetch it where there is none")
	fl.StringVar(&format, "format", "text", "text or json")
	return cmd
}

// registerEnvoy adds the flag that names the Envoy.
func registerEnvoy(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVar(path, "envoy", "", "the Envoy binary (default "+envoybin.PathVariable+", else the first found; see hoplab envoy)")
}

func printEnvoy(w io.Writer, b envoybin.Binary) {
	pinned := "not pinned"
	if b.Pinned {
		pinned = "as pinned"
	}
	printable.Fprintf(w, "Envoy %s from %s\n  path    %s\n  sha256  %s (%s)\n", b.Version, b.From, b.Path, b.Digest, pinned)
}
