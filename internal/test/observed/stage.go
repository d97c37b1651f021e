package observed

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/check"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/reach"
	"github.com/hoplab/hoplab/internal/scenario"
	"github.com/hoplab/hoplab/internal/situation"
	"github.com/hoplab/hoplab/internal/topology"
)

// Options say where an observation is shown.
type Options struct {
	App, Node []string // commands of the measured app and of a lab node
	Fabric    string
	Dir       string // logs
	// Slower divides the observation's scale, for a machine that is too busy
	// for its clock; 0 means 1.
	Slower float64
}

// stage is where an observation's steps play.
type stage struct {
	o      *Observation
	opts   Options
	config scenario.Config
	top    *topology.Topology // as it is now: scaled, deployed again
	lab    *lab.Lab           // nil until a step needs it
	scale  float64
}

// Show plays the steps on a fabric and returns where prediction or lab leave
// what was observed; nothing when they agree. The error is for a lab that
// cannot run.
func Show(ctx context.Context, o *Observation, opts Options) (differs []string, err error) {
	s := &stage{o: o, opts: opts, scale: 20}
	if o.Scale > 0 {
		s.scale = o.Scale
	}
	if opts.Slower > 1 {
		s.scale = max(s.scale/opts.Slower, 1)
	}
	if s.config, err = o.Config(); err != nil {
		return nil, err
	}
	if s.top, err = s.config.Topology(); err != nil {
		return nil, err
	}
	defer func() {
		if s.lab != nil {
			err = errors.Join(err, s.lab.Close())
		}
	}()
	for i := range o.Steps {
		step := &o.Steps[i]
		if step.lab() && s.lab == nil {
			if err := s.start(ctx); err != nil {
				return differs, err
			}
		}
		if step.Exec != nil && opts.Fabric != "netns" {
			continue // a program has the host's network only there
		}
		diff, err := s.play(ctx, step)
		if err != nil {
			return differs, fmt.Errorf("step %d: %w", i+1, err)
		}
		for _, d := range diff {
			differs = append(differs, fmt.Sprintf("step %d: %s", i+1, d))
		}
	}
	return differs, nil
}

// settleWithin bounds the wait for the first results of health checks, real time.
const settleWithin = 30 * time.Second

func (s *stage) start(ctx context.Context) (err error) {
	o := lab.Options{
		Topology: s.top, Fabric: s.opts.Fabric, App: lab.App{Command: s.opts.App}, Node: s.opts.Node, Seed: 1,
		Scale: s.scale, Dir: s.opts.Dir, KeepUnhealthy: !s.o.Replace,
	}
	if s.o.Profile != "" {
		if o.Timing, err = lab.Profile(s.o.Profile); err != nil {
			return err
		}
	}
	if s.lab, err = lab.Start(ctx, o); err != nil {
		return err
	}
	if s.o.Replace {
		return nil // a target that is replaced is initial again and again
	}
	settle, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	return s.lab.WaitSettled(settle)
}

func (s *stage) play(ctx context.Context, step *Step) ([]string, error) {
	switch {
	case step.Call != nil:
		return s.calls(ctx, step.Call)
	case step.Raw != nil:
		return s.raw(ctx, step.Raw)
	case step.Loop != nil:
		return s.loop(ctx, step.Loop)
	case step.Operate != "":
		return nil, s.operate(ctx, step.Operate)
	case step.Hosts != nil:
		return s.hosts(step.Hosts)
	case step.Exec != nil:
		return s.exec(ctx, step.Exec)
	case step.TLS != nil:
		return s.tls(ctx, step.TLS)
	case step.Target != nil:
		return s.target(ctx, step.Target)
	case step.Events != nil:
		return s.events(ctx, step.Events)
	case step.Log != nil:
		return s.log(step.Log)
	case step.Finding != nil:
		return s.finding(step.Finding)
	case step.Deploy != "":
		return s.deploy(step.Deploy)
	}
	return nil, errors.New("the step says nothing to do")
}

// service finds a service by its name in the scenario; nil for "".
func (s *stage) service(name string) (*topology.Service, error) {
	for _, v := range s.top.Services {
		if v.Name.Or("") == name || strings.HasSuffix(string(v.ID), "/"+name) {
			return v, nil
		}
	}
	return nil, fmt.Errorf("the deployment has no service %q", name)
}

func (s *stage) app() *topology.Service {
	v, _ := s.service(scenario.AppService) // every scenario has it
	return v
}

func (s *stage) reachOptions() reach.Options {
	return reach.Options{App: situation.Situation{Config: s.config}.App}
}

// address returns who calls what: in the lab's words and in reach's.
func (s *stage) address(from, to string, port int, path string, lookup call.Lookup) (c lab.Caller, url string, rc reach.Caller, label string, err error) {
	rc = reach.Caller{Kind: reach.CallerStandalone, Name: "a task without Service Connect", Lookup: lookup}
	c.Lookup = lookup
	if from != "" {
		v, err := s.service(from)
		if err != nil {
			return c, "", rc, "", err
		}
		c.Service, rc.Kind, rc.Name, rc.Service = v.ID, reach.CallerService, from, v.ID
	}
	if path == "" {
		path = "/"
	}
	switch to {
	case "alb":
		rc.Kind, rc.Name, rc.Service = reach.CallerAdmitted, "an admitted caller", ""
		if port == 0 {
			port = s.config.Listener
		}
		if url, err = s.lab.LoadBalancerURL(s.top.LoadBalancers[0].ID, port); err != nil {
			return c, "", rc, "", err
		}
		return c, strings.TrimSuffix(url, "/") + path, rc, "http://Alb:" + strconv.Itoa(port) + path, nil
	case "task":
		if port == 0 {
			port = s.config.ContainerPort
		}
		if url, err = s.lab.TaskURL(s.app().ID, "", port); err != nil {
			return c, "", rc, "", err
		}
		return c, strings.TrimSuffix(url, "/") + path, rc, "http://" + scenario.AppService + ":" + strconv.Itoa(port) + path, nil
	case "name":
		to = s.config.Endpoint()
	}
	if port == 0 {
		port = s.config.AliasPort
	}
	url = "http://" + net.JoinHostPort(to, strconv.Itoa(port)) + path
	return c, url, rc, url, nil
}

// patience bounds one request, modelled: longer than any timeout that a caller runs into.
const patience = 90 * time.Second

func (s *stage) real(d time.Duration) time.Duration { return time.Duration(float64(d) / s.scale) }

func (s *stage) modelled(d time.Duration) time.Duration { return time.Duration(float64(d) * s.scale) }

// calls makes the call as often as it says, and compares each with what is
// wanted and with the prediction.
func (s *stage) calls(ctx context.Context, k *Call) (differs []string, err error) {
	c, url, rc, label, err := s.address(k.From, k.To, k.Port, k.Path, call.Lookup(k.Lookup))
	if err != nil {
		return nil, err
	}
	var predicted []reach.Prediction
	if !k.Unpredicted {
		p, err := reach.New(s.top, s.reachOptions())
		if err != nil {
			return nil, err
		}
		if predicted, err = p.Ask(rc, label); err != nil {
			return nil, err
		}
	}
	once := func() (call.Observation, error) {
		limit, cancel := context.WithTimeout(ctx, s.real(patience))
		defer cancel()
		return s.lab.Curl(limit, c, url)
	}
	if k.Keep {
		one := s.connection(c, url)
		defer one.close()
		once = func() (call.Observation, error) { return one.get(ctx, url) }
	}
	tasks := map[string]bool{}
	for range max(k.Times, 1) {
		o, err := once()
		if err != nil {
			return differs, err
		}
		tasks[o.Header.Get("X-Hoplab-App")] = true
		differs = append(differs, k.Want.differs(o)...)
		for i := range predicted {
			if d := disagrees(predicted[i].Outcome, o, k.To); d != "" {
				differs = append(differs, "predicted is "+d)
			}
		}
	}
	if k.Want.Tasks > 0 && len(tasks) != k.Want.Tasks {
		differs = append(differs, fmt.Sprintf("%d tasks answered, want %d", len(tasks), k.Want.Tasks))
	}
	return differs, nil
}

// disagrees is where an observation contradicts a prediction; one that is
// unknown does not predict what was observed.
func disagrees(o reach.Outcome, seen call.Observation, to string) string {
	if o.Class == reach.Unknown {
		return "unknown: " + o.Why
	}
	if to == "alb" || to == "task" { // a prediction calls them by their labels
		o.Curl = ""
	}
	if o.Match == reach.Assumed { // the text of an app that nobody described
		o.Match = reach.Open
	}
	return o.Disagrees(seen)
}

func (w *Want) differs(o call.Observation) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if w.Status != 0 && o.Status != w.Status {
		add("status %d %s, want %d", o.Status, o.Error, w.Status)
	}
	if !strings.HasPrefix(o.Body, w.Body) {
		add("body %q, want %q", o.Body, w.Body)
	}
	if w.Bytes != 0 && len(o.Body) != w.Bytes {
		add("body of %d bytes, want %d", len(o.Body), w.Bytes)
	}
	for k, v := range w.Header {
		got, have := o.Header[http.CanonicalHeaderKey(k)]
		switch {
		case v == "" && have:
			add("header %s: %v, want none", k, got)
		case v != "" && !regexp.MustCompile("^(?:"+v+")$").MatchString(strings.Join(got, ", ")):
			add("header %s: %v, want %s", k, got, v)
		}
	}
	if !strings.HasPrefix(o.Error, w.Curl) {
		add("curl said %q (status %d), want %q", o.Error, o.Status, w.Curl)
	}
	if lo, hi := time.Duration(w.Within[0]), time.Duration(w.Within[1]); hi > 0 && (o.Elapsed < lo || o.Elapsed > hi) {
		add("it took %s, want %s to %s", o.Elapsed, lo, hi)
	}
	return out
}

// connection is a client with one connection that it keeps.
type connection struct {
	s  *stage
	tr *http.Transport
}

func (s *stage) connection(c lab.Caller, url string) *connection {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return s.lab.Dial(ctx, c, url) }
	return &connection{s, &http.Transport{MaxConnsPerHost: 1, DisableCompression: true, DialContext: dial}}
}

func (k *connection) close() { k.tr.CloseIdleConnections() }

func (k *connection) get(ctx context.Context, url string) (o call.Observation, err error) {
	limit, cancel := context.WithTimeout(ctx, k.s.real(patience))
	defer cancel()
	req, err := http.NewRequestWithContext(limit, http.MethodGet, url, nil)
	if err != nil {
		return o, err
	}
	resp, err := k.tr.RoundTrip(req)
	if err != nil {
		return o, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return call.Observation{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}

// raw sends a request's head as it is and reads lines.
func (s *stage) raw(ctx context.Context, r *Raw) ([]string, error) {
	c, url, _, _, err := s.address(r.From, r.To, 0, "", "")
	if err != nil {
		return nil, err
	}
	start := time.Now()
	nc, err := s.lab.Dial(ctx, c, url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(start.Add(s.real(patience)))
	if _, err := io.WriteString(nc, strings.ReplaceAll(strings.TrimRight(r.Send, "\n"), "\n", "\r\n")+"\r\n\r\n"); err != nil {
		return nil, err
	}
	want := r.Want
	lines := bufio.NewScanner(nc)
	var seen []string
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		seen = append(seen, line)
		if len(want) > 0 && regexp.MustCompile(want[0]).MatchString(line) {
			want = want[1:]
		}
		elapsed := s.modelled(time.Since(start))
		if len(want) == 0 && r.Cut[1] == 0 && elapsed >= time.Duration(r.Open) {
			return nil, nil
		}
	}
	elapsed := s.modelled(time.Since(start))
	switch {
	case len(want) > 0:
		return []string{fmt.Sprintf("no line matches %q in\n%s", want[0], strings.Join(seen, "\n"))}, nil
	case r.Cut[1] > 0 && elapsed >= time.Duration(r.Cut[0]) && elapsed <= time.Duration(r.Cut[1]):
		return nil, nil
	}
	return []string{fmt.Sprintf("it ended after %s, want it cut after %s to %s or open for %s", elapsed, time.Duration(r.Cut[0]), time.Duration(r.Cut[1]), time.Duration(r.Open))}, nil
}

func (s *stage) tls(ctx context.Context, k *TLS) ([]string, error) {
	c, url, _, _, err := s.address(k.From, k.To, 0, "", "")
	if err != nil {
		return nil, err
	}
	nc, err := s.lab.Dial(ctx, c, url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(settleWithin))
	tc := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}) // the agent's authority is its own
	if err := tc.HandshakeContext(ctx); err != nil {
		return []string{"no TLS there: " + err.Error()}, nil
	}
	if names := tc.ConnectionState().PeerCertificates[0].DNSNames; !slices.Equal(names, k.Names) {
		return []string{fmt.Sprintf("the certificate has the names %v, want %v", names, k.Names)}, nil
	}
	return nil, nil
}

// loop sends a request again and again, does something, and compares how the
// statuses change.
func (s *stage) loop(ctx context.Context, k *Loop) ([]string, error) {
	c, url, _, _, err := s.address(k.Call.From, k.Call.To, k.Call.Port, k.Call.Path, "")
	if err != nil {
		return nil, err
	}
	var statuses []int
	var changes []time.Duration
	var differs []string
	done := make(chan error, 1)
	begun := time.Now()
	go func() { done <- s.operate(ctx, k.Operate) }()
	finished := false
	for s.modelled(time.Since(begun)) < time.Duration(k.For) || !finished {
		limit, cancel := context.WithTimeout(ctx, s.real(patience))
		o, err := s.lab.Curl(limit, c, url)
		cancel()
		if err != nil {
			return nil, err
		}
		if o.Status != 200 && k.Slowest > 0 && o.Elapsed > time.Duration(k.Slowest) {
			differs = append(differs, fmt.Sprintf("a failed answer (%d %s) took %s, want at most %s", o.Status, o.Error, o.Elapsed, time.Duration(k.Slowest)))
		}
		if n := len(statuses); n == 0 || statuses[n-1] != o.Status {
			statuses = append(statuses, o.Status)
			if n > 0 {
				changes = append(changes, s.modelled(time.Since(begun)))
			}
		}
		select {
		case err := <-done:
			if err != nil {
				return nil, err
			}
			finished = true
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(s.real(time.Duration(k.Every))):
		}
	}
	if !slices.Equal(statuses, k.Statuses) {
		return append(differs, fmt.Sprintf("statuses %v at %v, want %v", statuses, changes, k.Statuses)), nil
	}
	for i, at := range k.Changes {
		if changes[i] < time.Duration(at[0]) || changes[i] > time.Duration(at[1]) {
			differs = append(differs, fmt.Sprintf("change %d came after %s, want %s to %s", i+1, changes[i], time.Duration(at[0]), time.Duration(at[1])))
		}
	}
	return differs, nil
}

// operate does what the words say, and follows in the topology what the
// prediction has to know of it.
func (s *stage) operate(ctx context.Context, words string) error {
	f := strings.Fields(words)
	if len(f) < 2 {
		return fmt.Errorf("%q does not say what to do with which service", words)
	}
	v, err := s.service(f[1])
	if err != nil {
		return err
	}
	ref := lab.TaskRef{Service: v.ID}
	switch f[0] {
	case "kill", "kill-app":
		part := lab.WholeTask
		if f[0] == "kill-app" {
			part = lab.AppPart
		}
		if err := s.lab.Kill(ref, part); err != nil {
			return err
		}
		return s.replaced(ctx, v)
	case "stop":
		return s.lab.Drain(ref)
	case "replace": // stop, and wait for the one that takes its place
		if err := s.lab.Drain(ref); err != nil {
			return err
		}
		return s.replaced(ctx, v)
	case "scale":
		n, err := strconv.Atoi(f[2])
		if err != nil {
			return err
		}
		v.DesiredCount = topology.Known(n)
		return s.lab.Scale(ref, n)
	case "redeploy":
		limit, cancel := context.WithTimeout(ctx, settleWithin)
		defer cancel()
		if err := s.lab.Redeploy(limit, ref); err != nil {
			return err
		}
		for _, o := range s.top.Services { // it was deployed after everything else now
			o.After = slices.DeleteFunc(o.After, func(id topology.ID) bool { return id == v.ID })
			if o != v && !slices.Contains(v.After, o.ID) {
				v.After = append(v.After, o.ID)
			}
		}
		return nil
	}
	return fmt.Errorf("nothing is called %q", f[0])
}

// replaced waits until all tasks of the service run and are others than now.
func (s *stage) replaced(ctx context.Context, v *topology.Service) error {
	st := s.lab.Status()
	started := strings.Count(fmt.Sprint(st.Service(v.ID, "").Events), "has started")
	for end := time.Now().Add(settleWithin); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		st := s.lab.Status()
		sv := st.Service(v.ID, "")
		running := 0
		for _, t := range sv.Tasks {
			if t.State == lab.Running {
				running++
			}
		}
		if running == sv.Desired && (strings.Count(fmt.Sprint(sv.Events), "has started") > started || running > 0 && started > sv.Desired) {
			return nil
		}
	}
	return fmt.Errorf("no task took the place of the one that ended")
}

func (s *stage) hosts(h *Hosts) (differs []string, err error) {
	v, err := s.service(h.Of)
	if err != nil {
		return nil, err
	}
	text, err := s.lab.Hosts(lab.Caller{Service: v.ID})
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, w := range h.Want {
		if i >= len(lines) || !regexp.MustCompile("^(?:"+w+")$").MatchString(lines[i]) {
			differs = append(differs, fmt.Sprintf("line %d of the hosts file does not match %q:\n%s", i+1, w, text))
		}
	}
	if len(h.Want) > 0 && len(lines) != len(h.Want) {
		differs = append(differs, fmt.Sprintf("the hosts file has %d lines, want %d:\n%s", len(lines), len(h.Want), text))
	}
	for _, w := range h.Has {
		if !slices.Contains(lines, w) {
			differs = append(differs, fmt.Sprintf("the hosts file has no line %q:\n%s", w, text))
		}
	}
	for _, w := range h.Not {
		if strings.Contains(text, w) {
			differs = append(differs, fmt.Sprintf("the hosts file has %q:\n%s", w, text))
		}
	}
	return differs, nil
}

func (s *stage) exec(ctx context.Context, e *Exec) (differs []string, err error) {
	v, err := s.service(e.In)
	if err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(s.opts.Dir, "exec-*")
	if err != nil {
		return nil, err
	}
	defer out.Close()
	in, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	limit, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	code, err := s.lab.Exec(limit, lab.Caller{Service: v.ID}, e.Run, []string{"PATH=" + os.Getenv("PATH")}, "/", []*os.File{in, out, out})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return nil, err
	}
	if code != e.Exit {
		differs = append(differs, fmt.Sprintf("%v ended with %d, want %d:\n%s", e.Run, code, e.Exit, text))
	}
	for _, w := range e.Want {
		if !regexp.MustCompile("(?m)" + w).Match(text) {
			differs = append(differs, fmt.Sprintf("the output of %v does not match %q:\n%s", e.Run, w, text))
		}
	}
	return differs, nil
}

func (s *stage) target(ctx context.Context, w *Target) ([]string, error) {
	var seen alb.TargetStatus
	for end := time.Now().Add(settleWithin); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		st := s.lab.Status()
		for _, b := range st.LoadBalancers {
			for _, g := range b.Groups {
				if len(g.Targets) > 0 {
					seen = g.Targets[0]
				}
			}
		}
		if string(seen.State) == w.State && seen.Reason == w.Reason {
			break
		}
	}
	var differs []string
	if string(seen.State) != w.State || seen.Reason != w.Reason || w.Description != "" && seen.Description != w.Description {
		differs = append(differs, fmt.Sprintf("target %s %s (%s), want %s %s (%s)", seen.State, seen.Reason, seen.Description, w.State, w.Reason, w.Description))
	}
	if w.Unpredicted {
		return differs, nil
	}
	r, err := reach.Predict(s.top, s.reachOptions())
	if err != nil {
		return nil, err
	}
	for _, p := range r.Predictions {
		if p.Kind == reach.KindHealth && p.Target != nil && (p.Target.State != w.State || p.Target.Reason != w.Reason) {
			differs = append(differs, fmt.Sprintf("predicted is target %s %s, want %s %s", p.Target.State, p.Target.Reason, w.State, w.Reason))
		}
	}
	return differs, nil
}

func (s *stage) events(ctx context.Context, e *Events) ([]string, error) {
	v, err := s.service(e.Of)
	if err != nil {
		return nil, err
	}
	var missing string
	var all []string
	for end := time.Now().Add(settleWithin); ; time.Sleep(10 * time.Millisecond) {
		all, missing = nil, ""
		st := s.lab.Status()
		for _, x := range st.Service(v.ID, "").Events {
			all = append(all, x.Text)
		}
		at := 0
		for _, w := range e.Want {
			i := slices.IndexFunc(all[at:], func(line string) bool { return regexp.MustCompile("^(?:" + w + ")$").MatchString(line) })
			if i < 0 {
				missing = w
				break
			}
			at += i + 1
		}
		if missing == "" || time.Now().After(end) || ctx.Err() != nil {
			break
		}
	}
	text := strings.Join(all, "\n")
	var differs []string
	if missing != "" {
		differs = append(differs, fmt.Sprintf("no event in its turn matches %q:\n%s", missing, text))
	}
	for _, w := range e.Not {
		if regexp.MustCompile(w).MatchString(text) {
			differs = append(differs, fmt.Sprintf("an event matches %q:\n%s", w, text))
		}
	}
	for w, n := range e.Count {
		if got := len(regexp.MustCompile("(?m)"+w).FindAllString(text, -1)); got != n {
			differs = append(differs, fmt.Sprintf("%d events match %q, want %d:\n%s", got, w, n, text))
		}
	}
	return differs, nil
}

// log waits for the first line of the access log of an agent.
func (s *stage) log(k *Log) (differs []string, err error) {
	v, err := s.service(k.Of)
	if err != nil {
		return nil, err
	}
	var line map[string]any
	for end := time.Now().Add(settleWithin); line == nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(s.opts.Dir, "*"+v.Name.Or(k.Of)+"*", "*", "agent.log"))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			for l := range strings.Lines(string(text)) {
				var m map[string]any
				if json.Unmarshal([]byte(l), &m) == nil && m["user_agent"] != "ELB-HealthChecker/2.0" && line == nil {
					line = m
				}
			}
		}
	}
	if line == nil {
		return []string{"the agent's access log has no line"}, nil
	}
	for _, key := range k.Keys {
		if _, ok := line[key]; !ok {
			differs = append(differs, fmt.Sprintf("the access log has no key %s: %v", key, line))
		}
	}
	for key, want := range k.Want {
		if got := line[key]; got != want {
			differs = append(differs, fmt.Sprintf("%s is %v in the access log, want %v", key, got, want))
		}
	}
	return differs, nil
}

func (s *stage) finding(f *Finding) ([]string, error) {
	found, err := check.Run(s.top, check.Options{Options: s.reachOptions()})
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, x := range found {
		if x.Rule == f.Rule {
			texts = append(texts, x.Message)
		}
	}
	has := slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, f.Text) })
	if has == f.Absent {
		return []string{fmt.Sprintf("rule %s says %q, want %q (absent: %v)", f.Rule, texts, f.Text, f.Absent)}, nil
	}
	return nil, nil
}

func (s *stage) deploy(want string) ([]string, error) {
	r, err := reach.Predict(s.top, s.reachOptions())
	if err != nil {
		return nil, err
	}
	for _, p := range r.Predictions {
		if p.Outcome.Class == reach.DeployFails && strings.Contains(p.Outcome.Error, want) {
			return nil, nil
		}
	}
	return []string{fmt.Sprintf("no refusal %q of the deployment is predicted", want)}, nil
}
