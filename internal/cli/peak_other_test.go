//go:build !linux

package cli

import "os"

// peakMB is known on Linux only.
func peakMB(*os.ProcessState) float64 { return 0 }
