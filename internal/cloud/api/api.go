// Package api answers what AWS's clients read of a deployment that runs in the
// lab, and the few calls that change it beside CloudFormation: ECS, Elastic Load
// Balancing, CloudWatch and its Logs, and what little is asked of CloudTrail,
// Cloud Map and EC2. What is deployed comes from the account, what runs from the
// lab; the handlers keep of their own only what neither has: revisions of task
// definitions, standalone tasks, and the counters' past.
//
// The handlers are on the SDK's own types and are registered with a
// [wire.Server]. What they do not know is an error that names it.
package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"github.com/hoplab/hoplab/internal/cloud/account"
	"github.com/hoplab/hoplab/internal/cloud/container"
	"github.com/hoplab/hoplab/internal/cloud/metrics"
	"github.com/hoplab/hoplab/internal/cloud/states"
	"github.com/hoplab/hoplab/internal/cloud/wire"
)

// Options are what the handlers need beside the account.
type Options struct {
	// Load is how the load program is started, which RunTask runs. Without it
	// RunTask is refused.
	Load *container.Program
	// Put writes an object to a bucket: what state machines leave.
	Put func(bucket, key string, data []byte) error
	// Period is the shortest period of metrics, in whole seconds; 0 for
	// metrics.Resolution.
	Period time.Duration
	// Scale is how many times faster than real the lab's timers run, which the
	// waits of state machines do as well; 0 is 1.
	Scale float64
}

// API is the handlers of one account. It is safe for concurrent use.
type API struct {
	account   account.Reader
	scale     float64
	revisions *revisions
	tasks     *standalone
	series    *metrics.Store
	sampling  sync.Mutex // one reading at a time, so that an older one never follows a newer
	machines  *states.Engine
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
}

// New returns the handlers of an account. Close ends what they have started.
func New(a account.Reader, o Options) *API {
	x := &API{account: a, scale: max(1, o.Scale), revisions: newRevisions(), tasks: newStandalone(o.Load),
		series: metrics.NewStore(cmp.Or(o.Period, metrics.Resolution))}
	x.machines = &states.Engine{Definition: x.machineText, Run: x.runState, Put: o.Put, Scale: x.scale}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// Register registers every operation.
func (a *API) Register(s *wire.Server) {
	a.registerECS(s)
	a.registerELB(s)
	a.registerLogs(s)
	a.registerMetrics(s)
	a.registerTrail(s)
	a.registerDiscovery(s)
	a.registerEC2(s)
	a.machines.Register(s)
}

// Sample is how often Follow reads the counters, in real time.
const Sample = 250 * time.Millisecond

// Follow reads the lab's counters and deployments until Close: what happened
// between two requests is known only so.
func (a *API) Follow() {
	t := time.NewTicker(Sample)
	defer t.Stop()
	for {
		a.followServices(a.sample())
		select {
		case <-a.ctx.Done():
			return
		case <-t.C:
		}
	}
}

// sample reads the counters, and returns the look at the account in which it found
// them. Who ends a task samples first: its counters end with it.
func (a *API) sample() *view {
	a.sampling.Lock()
	defer a.sampling.Unlock()
	v := a.look()
	a.series.Add(v.counters(), time.Now())
	return v
}

// Close ends Follow, stops the standalone tasks and returns when they have ended.
func (a *API) Close() {
	a.cancel()
	a.machines.Close()
	a.tasks.close()
}

// Header is what every answer carries, so that hoplab run knows who answers and
// at which pace: the shortest period of metrics, and how many times faster than
// real the lab's timers run.
func (a *API) Header() http.Header {
	return http.Header{"Hoplab-Cloud": {fmt.Sprintf("period=%s scale=%g", a.series.Resolution(), a.scale)}}
}

// refusal is an error for which the client is to blame, in words of AWS's or,
// where hoplab cloud cannot do what AWS can, of its own.
func refusal(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
