// Package golden holds the templates that the stacks synthesize, one folder a
// variant. They are what the stacks' tests compare with, and what an installed
// hoplab deploys in its lab: one set, so that they cannot differ.
package golden

import "embed"

// Files has a folder golden with one for each variant: a cloud assembly.
//
//go:embed golden/*/manifest.json golden/*/*.template.json
var Files embed.FS
