package hoplab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/grafana/sobek"
	"go.k6.io/k6/js/common"
	"go.k6.io/k6/js/modules"
	k6http "go.k6.io/k6/js/modules/k6/http"
	"go.k6.io/k6/lib"

	"github.com/hoplab/hoplab/loadtest/samplefile"
)

// rootModule makes one module instance per virtual user.
type rootModule struct {
	rec *recorder
}

// NewModuleInstance is called by k6 once for each virtual user.
func (m *rootModule) NewModuleInstance(vu modules.VU) modules.Instance {
	return &module{vu: vu, rec: m.rec, last: -1}
}

// module is the JavaScript module in one virtual user, which k6 never runs
// concurrently with itself.
type module struct {
	vu  modules.VU
	rec *recorder

	client *client       // made by the first request
	last   int64         // iteration of the last request; -1 before the first
	open   *slot         // between next and record
	arms   []sobek.Value // what next returns, by arm
}

// slot is one request's place in the plan.
type slot struct {
	s         *started
	arm       int
	iteration int64
	late      time.Duration
	began     time.Time
}

// Exports names the module's functions.
//
//	load()        the load as an object, as in its JSON file; call it in the init context
//	schedule()    { timeUnit, duration, gracefulStop, vus } for a constant-arrival-rate of rate 1
//	hosts()       k6's option hosts for arms that are reached at another address over TLS
//	request(arm)  sends this iteration's request and records it; arm only in the closed loop
//	next(arm)     { arm, method, url, body, params } for this iteration's request through k6/http
//	record(res)   records what k6/http returned for it
func (m *module) Exports() modules.Exports {
	return modules.Exports{Default: map[string]any{
		"load": m.load, "schedule": m.schedule, "hosts": m.hosts,
		"request": m.request, "next": m.next, "record": m.record,
	}}
}

func (m *module) throw(err error) { common.Throw(m.vu.Runtime(), fmt.Errorf("hoplab: %w", err)) }

func (m *module) configured() *samplefile.Load {
	env := m.vu.InitEnv()
	if env == nil {
		m.throw(errors.New("load(), schedule() and hosts() belong into the init context"))
	}
	load, err := m.rec.configure(env.LookupEnv)
	if err != nil {
		m.throw(err)
	}
	return load
}

func (m *module) load() sobek.Value {
	text, err := json.Marshal(m.configured())
	if err != nil {
		m.throw(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		m.throw(err)
	}
	return m.vu.Runtime().ToValue(plain)
}

// slack is how long the scenario outlives its last planned start, so that a
// last start which comes late is still made. Iterations beyond the plan do nothing.
const slack = 500 * time.Millisecond

func (m *module) schedule() map[string]any {
	load := m.configured()
	n := load.Generators
	return map[string]any{
		// k6 deals iterations by the share of users; equal shares need a multiple.
		"vus":          (load.VUs + n - 1) / n * n,
		"timeUnit":     fmt.Sprintf("%dns", load.Period().Nanoseconds()),
		"duration":     fmt.Sprintf("%dns", (load.Total() + slack).Nanoseconds()),
		"gracefulStop": fmt.Sprintf("%dns", (samplefile.Seconds(load.TimeoutS) + time.Second).Nanoseconds()),
	}
}

// hosts maps names to addresses for k6's own dialer. Plain HTTP does not need
// it, see next; with TLS the name must stay in the URL.
func (m *module) hosts() map[string]string {
	hosts := map[string]string{}
	for _, arm := range m.configured().Arms {
		u, err := url.Parse(arm.URL)
		if err != nil || arm.Dial == "" || u.Scheme != "https" {
			continue
		}
		name := u.Host
		if u.Port() == "" {
			name = net.JoinHostPort(u.Hostname(), "443")
		}
		if other, ok := hosts[name]; ok && other != arm.Dial {
			m.throw(fmt.Errorf("arms share the name %s and differ in the address; the http client cannot tell them apart, use the native one", name))
		}
		hosts[name] = arm.Dial
	}
	return hosts
}

// take returns the place in the plan of the current iteration's request, and
// false for an iteration beyond the plan.
func (m *module) take(call sobek.FunctionCall) (slot, bool) {
	began := time.Now()
	state := m.vu.State()
	scenario := lib.GetScenarioState(m.vu.Context())
	if state == nil || scenario == nil {
		m.throw(errors.New("requests are sent from the default function only"))
	}
	s, err := m.rec.begin(scenario.StartTime)
	if err != nil {
		m.throw(err)
	}
	if s.load.Design == samplefile.DesignArticle {
		arm := call.Argument(0).ToInteger()
		if arm < 0 || arm >= int64(len(s.load.Arms)) {
			m.throw(fmt.Errorf("arm %v: there are %d", call.Argument(0), len(s.load.Arms)))
		}
		return slot{s, int(arm), m.rec.closedLoop.Add(1) - 1, max(0, began.Sub(s.at)), began}, true
	}
	i := int64(state.GetScenarioGlobalVUIter())
	// Dropped iterations take no number, so with drops the numbers run on past the end.
	if i+m.rec.dropped.Load()*int64(s.load.Generators) >= s.iterations {
		return slot{}, false
	}
	if i == m.last {
		m.throw(fmt.Errorf("iteration %d sends a second request; the plan has one for each iteration", i))
	}
	m.last = i
	return slot{s, m.rec.arm(s.load, i), i, max(0, began.Sub(s.at)-s.load.Planned(i)), began}, true
}

// request sends the current iteration's request and returns its status, 0 for
// none. Every outcome is recorded, except of a request that the end of the run
// cut off.
func (m *module) request(call sobek.FunctionCall) sobek.Value {
	at, ok := m.take(call)
	if !ok {
		return sobek.Undefined()
	}
	ctx := m.vu.Context()
	first := m.client == nil
	if first {
		var err error
		state := m.vu.State()
		if m.client, err = newClient(at.s.load, state.Dialer.DialContext, state.TLSConfig, &m.rec.connections); err != nil {
			m.throw(err)
		}
	}
	ex := m.client.do(ctx, at.arm, at.began)
	if ctx.Err() != nil && ex.outcome.Error != "" {
		m.rec.aborted.Add(1)
		return sobek.Undefined()
	}
	m.write(at, ex)
	if load := at.s.load; first && load.KeepAlive && load.Start(&samplefile.Record{Iteration: at.iteration, Late: at.late}) < samplefile.Seconds(load.WarmupS) {
		m.client.warm(ctx)
	}
	return m.vu.Runtime().ToValue(ex.outcome.Status)
}

func (m *module) write(at slot, ex exchange) {
	err := m.rec.write(at.s, samplefile.Record{
		Arm: at.arm, Iteration: at.iteration, Late: at.late,
		Latency: ex.latency, Blocked: ex.blocked, Outcome: ex.outcome,
	})
	if err != nil {
		m.throw(err)
	}
}

// next draws the current iteration's arm and returns what k6/http needs.
func (m *module) next(call sobek.FunctionCall) sobek.Value {
	at, ok := m.take(call)
	if !ok {
		return sobek.Null()
	}
	if m.arms == nil {
		for i, arm := range at.s.load.Arms {
			v, err := m.viaK6(i, arm, at.s.load)
			if err != nil {
				m.throw(err)
			}
			m.arms = append(m.arms, v)
		}
	}
	m.open = &at
	return m.arms[at.arm]
}

// viaK6 builds the arguments of http.request for an arm. Over plain HTTP the
// address goes into the URL and the name into the Host header.
func (m *module) viaK6(i int, arm samplefile.LoadArm, load *samplefile.Load) (sobek.Value, error) {
	u, err := url.Parse(arm.URL)
	if err != nil {
		return nil, err
	}
	headers := map[string]string{}
	var body any // null for none
	if load.RequestBytes > 0 {
		body, headers["Content-Type"] = load.SendBody(), "text/plain"
	}
	if arm.Dial != "" && u.Scheme == "http" {
		headers["Host"], u.Host = u.Host, arm.Dial
	}
	return m.vu.Runtime().ToValue(map[string]any{
		"arm": i, "method": load.SendMethod(), "url": u.String(), "body": body,
		"params": map[string]any{
			"headers": headers, "redirects": 0, "responseType": "none",
			"timeout": samplefile.Seconds(load.TimeoutS).Milliseconds(),
		},
	}), nil
}

// record takes down the response of k6/http to the request that next named.
func (m *module) record(call sobek.FunctionCall) sobek.Value {
	if m.open == nil {
		m.throw(errors.New("record() without a next() before it"))
	}
	at := *m.open
	m.open = nil
	res, ok := call.Argument(0).Export().(*k6http.Response)
	if !ok {
		m.throw(fmt.Errorf("record() wants the response of k6/http, not %v", call.Argument(0)))
	}
	if m.vu.Context().Err() != nil && res.Error != "" {
		m.rec.aborted.Add(1)
		return sobek.Undefined()
	}
	o := k6Outcome(res, at.s.load)
	if res.Timings.Connecting > 0 {
		m.rec.connections.Add(1)
	}
	m.write(at, exchange{latency: milliseconds(res.Timings.Duration), blocked: milliseconds(res.Timings.Blocked), outcome: o})
	return sobek.Undefined()
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
