package lab

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"sync"
)

// requestCounter counts the requests in an app's log, reading on from where
// it stopped the last time.
type requestCounter struct {
	mu     sync.Mutex
	offset int64
	n      int64
	probes int64
}

var (
	requestMark = []byte(`"msg":"access"`)
	probeMark   = []byte(`ELB-HealthChecker/2.0`)
)

// count returns the number of access log lines, and how many of them are of
// load balancer health checks.
func (r *requestCounter) count(path string) (requests, probes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.Open(path)
	if err != nil {
		return r.n, r.probes
	}
	defer f.Close()
	if _, err := f.Seek(r.offset, io.SeekStart); err != nil {
		return r.n, r.probes
	}
	b := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := b.ReadSlice('\n')
		if err != nil {
			return r.n, r.probes // a line in the making is read the next time
		}
		r.offset += int64(len(line))
		if bytes.Contains(line, requestMark) {
			r.n++
			if bytes.Contains(line, probeMark) {
				r.probes++
			}
		}
	}
}
