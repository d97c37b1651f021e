// Package k6 builds the load generator and drives it: k6 with hoplab's
// extension, one process for one replicate or for one generator's share of it.
package k6

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/repo"
)

// Version is the version of k6 that Build and Install build.
const Version = "v1.8.1"

// XK6 is the version of xk6 that Install runs; Build has the one in tools/go.mod.
const XK6 = "v1.3.3"

const (
	extension  = repo.Module + "/loadtest/xk6-hoplab"
	samplefile = repo.Module + "/loadtest/samplefile"
)

// Binary is a k6 that has hoplab's extension.
type Binary struct {
	Path    string // absolute
	Version string // of k6, e.g. "v1.8.1"
	// Build names the load generator in the header of every sample file:
	// files of different builds do not merge.
	Build string
}

// Build returns k6 with the extension of this checkout. The first call, and
// the first after a change of the extension, builds it with xk6 into the
// user's cache, which takes a minute or two; progress gets a line for each
// step and may be nil. Errors carry fail.Environment and say what to do.
func Build(ctx context.Context, r *repo.Repo, progress io.Writer) (Binary, error) {
	goTool, err := r.Go(ctx)
	if err != nil {
		return Binary{}, err
	}
	digest, err := r.Digest([]string{Version, goTool.Version}, "loadtest/samplefile", "loadtest/xk6-hoplab")
	if err != nil {
		return Binary{}, err
	}
	path, err := repo.Cached(ctx, repo.Artifact{
		Name:   "k6",
		Digest: digest,
		What:   "k6 " + Version + " with hoplab's extension",
		Build: func(ctx context.Context, out string) error {
			flags, err := asHoplab(ctx, goTool.Path)
			if err != nil {
				return err
			}
			err = r.Run(ctx, goTool.Path, append([]string{"tool", "-modfile=" + r.Path("tools", "go.mod"), "xk6", "build", Version,
				"--with", extension + "=" + r.Path("loadtest", "xk6-hoplab"),
				"--replace", samplefile + "=" + r.Path("loadtest", "samplefile"),
				"-o", out}, flags...)...)
			if err != nil {
				return err
			}
			_, err = inspect(ctx, out) // a binary without the extension must not get into the cache
			return err
		},
	}, progress)
	if err != nil {
		return Binary{}, err
	}
	return Binary{Path: path, Version: Version, Build: "k6 " + Version + ", xk6-hoplab " + digest}, nil
}

// asHoplab are the flags with which xk6 has k6 compiled as hoplab itself was: with
// cgo or without, and no path rewritten. So a first run takes the standard library,
// gRPC and what else both need from the build of hoplab.
func asHoplab(ctx context.Context, goTool string) ([]string, error) {
	cgo, err := exec.CommandContext(ctx, goTool, "env", "CGO_ENABLED").Output()
	if err != nil {
		return nil, fail.Newf(fail.Environment, "check the Go installation with `go version`", "%s env CGO_ENABLED: %w", goTool, err)
	}
	return []string{"--cgo=" + strings.TrimSpace(string(cgo)), "--build-flags=-buildvcs=false", "--build-flags=-ldflags=-s -w"}, nil
}

// Check returns the user's own k6, if it can run and lists both halves of the
// extension. Build is then a digest of the file.
func Check(ctx context.Context, path string) (Binary, error) {
	found, err := exec.LookPath(path)
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment, "leave out --k6, and hoplab builds its own", "k6 at %s: %w", path, err)
	}
	abs, err := filepath.Abs(found)
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment, "", "k6 at %s: %w", path, err)
	}
	version, err := inspect(ctx, abs)
	if err != nil {
		return Binary{}, err
	}
	f, err := os.Open(abs)
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment, "make the file readable", "k6: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return Binary{}, fail.Newf(fail.Environment, "", "k6 at %s: %w", abs, err)
	}
	return Binary{Path: abs, Version: version, Build: "k6 " + version + ", binary " + hex.EncodeToString(h.Sum(nil))[:12]}, nil
}

// inspect runs `k6 version` and returns the version, or an error naming what
// the binary lacks.
func inspect(ctx context.Context, path string) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "version")
	cmd.Env = environment(os.Environ(), "")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fail.Newf(fail.Environment, "leave out --k6, and hoplab builds its own",
			"%s version: %w\n%s", path, err, repo.Tail(out, 3))
	}
	version, module, output := parseVersion(out)
	switch {
	case version == "":
		return "", fail.Newf(fail.Environment, "leave out --k6, and hoplab builds its own",
			"%s is not k6: its version command says %q", path, firstLine(out))
	case !module || !output:
		return "", fail.Newf(fail.Environment,
			"leave out --k6, and hoplab builds its own; or build yours with `xk6 build "+Version+" --with "+extension+"`",
			"k6 %s at %s does not have hoplab's extension: `k6 version` must list `k6/x/hoplab [js]` and `hoplab [output]`", version, path)
	}
	return version, nil
}

// parseVersion reads the output of `k6 version`.
func parseVersion(out []byte) (version string, module, output bool) {
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() {
		fields := strings.Fields(sc.Text())
		switch {
		case version == "" && len(fields) >= 3 && strings.HasPrefix(fields[1], "v") && strings.HasPrefix(fields[2], "(go"):
			version = fields[1] // the first word is the name of the file
		case len(fields) >= 2 && fields[len(fields)-2] == "k6/x/hoplab" && fields[len(fields)-1] == "[js]":
			module = true
		case len(fields) >= 2 && fields[len(fields)-2] == "hoplab" && fields[len(fields)-1] == "[output]":
			output = true
		}
	}
	return version, module, output
}

func firstLine(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return fmt.Sprintf("%.80s", line)
}
