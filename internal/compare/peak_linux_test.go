package compare

import (
	"os"
	"syscall"
)

// peakMB is the largest resident set of an ended process, or that of its parent
// at its start should it be larger; ru_maxrss is in KiB on Linux (getrusage(2)).
func peakMB(p *os.ProcessState) float64 {
	return float64(p.SysUsage().(*syscall.Rusage).Maxrss) * 1024 / 1e6
}
