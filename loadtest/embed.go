// Package loadtest holds the k6 scripts, embedded, so that hoplab finds them
// wherever it is started. The extension they need is the module xk6-hoplab
// below; the file they write is described by the module samplefile.
package loadtest

import _ "embed"

// Main is the script for the designs random and blocks.
//
//go:embed main.js
var Main []byte

// Article is the script for the design article.
//
//go:embed article.js
var Article []byte
