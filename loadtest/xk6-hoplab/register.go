// Package hoplab is hoplab's extension of k6: the output `hoplab`, which owns
// the sample file of one load generator, and the JavaScript module
// k6/x/hoplab, which sends requests or takes down those that k6/http sent.
//
//	HOPLAB_LOAD=load.json k6 run --out hoplab=samples.hop main.js
//
// The script's part is small on purpose. Which arm a request belongs to, when
// it should start, how late it was and what came back is decided here, with
// the monotonic clock at nanosecond resolution. No metric of k6 is made for a
// request, so k6's memory does not grow with their number.
package hoplab

import (
	"go.k6.io/k6/js/modules"
	"go.k6.io/k6/output"
)

func init() {
	// One k6 process runs one load, so both halves share one recorder.
	shared := newRecorder()
	output.RegisterExtension("hoplab", func(p output.Params) (output.Output, error) { return newOutput(shared, p) })
	modules.Register("k6/x/hoplab", &rootModule{rec: shared})
}
