package compare

import "github.com/hoplab/hoplab/internal/fail"

// fingerprint tells the requests of two files apart: how many there are, and the
// sum of a hash of each. It depends neither on their order nor on how a file is
// written, compressed or named.
type fingerprint struct {
	requests int64
	sum      uint64
}

// add takes in a request: when it ended, and how long it took.
func (p *fingerprint) add(e *event) {
	p.requests++
	p.sum += scatter(scatter(uint64(e.at.UnixNano())) + uint64(e.latency))
}

// scatter is SplitMix64's finalizer: every bit of x moves half the bits of the result.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// contents is a file and what it holds.
type contents struct {
	in    *input
	print fingerprint
}

// copies refuses files that hold the same requests: a copy is no replicate, and
// counts requests of a log twice. One file a side may be compared with itself;
// c.same says so.
func (c *comparison) copies() error {
	seen := map[fingerprint]*input{}
	files := 0
	for _, r := range c.recordings {
		files += len(r.files)
	}
	for _, r := range c.recordings {
		for _, f := range r.files {
			other := seen[f.print]
			switch {
			case f.print.requests == 0:
			case other == nil:
				seen[f.print] = f.in
			case c.o.By == "" && files == 2:
				c.same = true
			default:
				return sameRequests(other, f.in, f.print)
			}
		}
	}
	return nil
}

func sameRequests(a, b *input, p fingerprint) error {
	return fail.Newf(fail.Usage, "give each file once", "%s and %s hold the same %s", a.path, b.path, countOf(p.requests, "request"))
}
