package envoybin

import (
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/hoplab/hoplab/internal/fail"
)

// wish is the version that is looked for. The zero value is content with any.
type wish struct {
	exact string // "1.40.0"
	minor string // "1.36"
}

var (
	exactVersion = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)$`)
	minorVersion = regexp.MustCompile(`^v?(\d+\.\d+)(\.x)?$`)
)

func parseWish(s string) (wish, error) {
	if s == "" {
		return wish{}, nil
	}
	if m := exactVersion.FindStringSubmatch(s); m != nil {
		return wish{exact: m[1]}, nil
	}
	if m := minorVersion.FindStringSubmatch(s); m != nil {
		return wish{minor: m[1]}, nil
	}
	return wish{}, fail.Newf(fail.Usage, "write --version 1.40.0, or 1.36.x for the newest of that minor version", "%q is no version of Envoy", s)
}

func (w wish) String() string {
	if w.minor != "" {
		return w.minor + ".x"
	}
	return w.exact
}

// fits reports whether an Envoy of the version is what is looked for.
func (w wish) fits(version string) bool {
	switch {
	case w.exact != "":
		return version == w.exact
	case w.minor != "":
		return strings.HasPrefix(version, w.minor+".")
	}
	return true
}

// newer orders versions, the newest first.
func newer(a, b string) int { return semver.Compare("v"+b, "v"+a) }
