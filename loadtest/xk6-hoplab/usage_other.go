//go:build !unix

package hoplab

// The trailer says 0 where the system has no getrusage.

func cpuSeconds() float64 { return 0 }

func maxRSS() int64 { return 0 }
