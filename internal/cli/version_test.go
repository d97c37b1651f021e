package cli

import (
	"runtime/debug"
	"slices"
	"testing"
)

// TestVersionOf: a release has a tag, a build between releases has a commit
// and none.
func TestVersionOf(t *testing.T) {
	const rev = "0123456789abcdef0123456789abcdef01234567"
	for _, c := range []struct{ version, revision, hoplab, tag, commit string }{
		{"", "", "devel", "", "unknown"},
		{"(devel)", rev, "devel", "", rev},
		{"v1.2.3", "", "v1.2.3", "v1.2.3", "unknown"},
		{"v1.2.3-rc.1", rev, "v1.2.3-rc.1", "v1.2.3-rc.1", rev},
		{"v1.2.3+dirty", rev, "v1.2.3+dirty", "", rev},
		{"v0.0.0-20261129090000-0123456789ab", "", "v0.0.0-20261129090000-0123456789ab", "", "0123456789ab"},
		{"v0.0.0-20261129090000-0123456789ab+dirty", "", "v0.0.0-20261129090000-0123456789ab+dirty", "", "0123456789ab"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: c.version}}
		if c.revision != "" {
			info.Settings = []debug.BuildSetting{{Key: "vcs.revision", Value: c.revision}}
		}
		got := versionOf(info)
		if got.Hoplab != c.hoplab || got.Tag != c.tag || got.Commit != c.commit {
			t.Errorf("version %q, revision %q: got %q, tag %q, commit %q", c.version, c.revision, got.Hoplab, got.Tag, got.Commit)
		}
		if !slices.Contains(got.Formats, "hoplab/plan/v1") {
			t.Errorf("the plan's format is missing: %v", got.Formats)
		}
	}
}
