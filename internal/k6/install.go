package k6

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/module"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/repo"
)

// releasedName is the k6 of a release, in the folder of the hoplab that goes with it.
const releasedName = "hoplab-k6"

// Released returns the path of the k6 that a release has beside the running
// program; empty where there is none. Links to the program are followed.
func Released() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		self = real
	}
	path := filepath.Join(filepath.Dir(self), releasedName)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// Install returns k6 with the release of the extension that belongs to a
// release of hoplab, e.g. "v0.3.0". The go command builds it from modules, in
// no checkout, once into the user's cache, which takes some minutes. Errors
// carry fail.Environment and say what to do.
func Install(ctx context.Context, hoplab string, progress io.Writer) (Binary, error) {
	const otherwise = "pass one with --k6 PATH (`xk6 build " + Version + " --with " + extension + "`), or set HOPLAB_REPO to a hoplab checkout"
	version, _, _ := strings.Cut(hoplab, "+")
	if module.CanonicalVersion(version) != version || version == "" {
		return Binary{}, fail.Newf(fail.Environment, otherwise,
			"hoplab %s is no release, so that no release of its k6 extension is known to go with it", hoplab)
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment,
			"take k6 from the archive of the release: it stands beside hoplab there as "+releasedName+"; or "+otherwise+"; or install Go from https://go.dev/dl",
			"there is no k6 with hoplab's extension beside hoplab, and no go command in PATH to build it")
	}
	if _, err := exec.LookPath("git"); err != nil {
		return Binary{}, fail.Newf(fail.Environment, "install git, or "+otherwise, "there is no git in PATH, which xk6 wants for building k6")
	}
	path, err := repo.Cached(ctx, repo.Artifact{
		Name:   "k6",
		Digest: Version + "-" + version,
		What:   "k6 " + Version + " with hoplab's extension " + version,
		Build: func(ctx context.Context, out string) error {
			dir := filepath.Dir(out)
			// A module of its own rather than go run xk6@version, which asks for the
			// list of all versions: not every proxy gives that.
			mod := "module hoplab.invalid/k6\n\nrequire go.k6.io/xk6 " + XK6 + "\n"
			if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o600); err != nil {
				return err
			}
			flags, err := asHoplab(ctx, goTool)
			if err != nil {
				return err
			}
			err = repo.RunIn(ctx, dir, goTool, append([]string{"run", "-mod=mod", "go.k6.io/xk6", "build", Version,
				"--with", extension + "@" + version, "-o", out}, flags...)...)
			if err != nil {
				return err
			}
			_, err = inspect(ctx, out)
			return err
		},
	}, progress)
	if err != nil {
		return Binary{}, err
	}
	return Binary{Path: path, Version: Version, Build: "k6 " + Version + ", xk6-hoplab " + version}, nil
}
