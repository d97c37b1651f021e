package healthpatterns

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/test/cfntest"
	"github.com/hoplab/hoplab/internal/topology"
)

// system is the stacks' deployment in the lab, with one app behind the load
// balancer.
type system struct {
	t   *testing.T
	lab *lab.Lab
}

// behind starts the deployment with a health check on path and the app's
// environment. Unhealthy tasks are left for the test to look at.
func behind(t *testing.T, path string, env map[string]string) *system {
	t.Helper()
	return deployed(t, path, env, true)
}

func deployed(t *testing.T, path string, env map[string]string, keepUnhealthy bool) *system {
	t.Helper()
	t.Parallel()
	topo := cfntest.Read(t, "../../../stacks/testdata/golden/bypass")
	g := topo.TargetGroups[0]
	g.Health = topology.HealthCheck{Path: topology.Known(path), IntervalSeconds: topology.Known(5), TimeoutSeconds: topology.Known(4),
		UnhealthyThreshold: topology.Known(2)}
	for _, s := range topo.Services {
		s.GraceSeconds = topology.Known(0)
		for i := range s.Task.Containers {
			c := &s.Task.Containers[i]
			c.Environment, c.Health = map[string]topology.Opt[string]{}, nil
			if len(s.LoadBalancers) > 0 {
				for k, v := range env {
					c.Environment[k] = topology.Known(v)
				}
			}
		}
	}
	topo.LoadBalancers[0].Attributes["idle_timeout.timeout_seconds"] = topology.Known("10") // a hanging app is waited for so long
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{Topology: topo, App: lab.App{Command: []string{service}}, Scale: 10, KeepUnhealthy: keepUnhealthy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &system{t: t, lab: l}
}

func (s *system) target() alb.TargetStatus {
	return s.lab.Status().LoadBalancers[0].Groups[0].Targets[0]
}

// settle waits until the load balancer has checked as often as it takes to
// change its mind, and returns what it then says. A state that comes earlier
// and is the wanted one is enough if it can come of the checks since.
func (s *system) settle(want alb.State) alb.TargetStatus {
	s.t.Helper()
	before := s.target()
	enough := before.Probes + 4 // one under way, two for the threshold, one more
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if t := s.target(); t.Probes >= enough || t.State == want && before.State != want {
			return t
		}
	}
	s.t.Fatal("the load balancer did not go on checking")
	return alb.TargetStatus{}
}

// user is what a caller of the load balancer gets.
func (s *system) user(path string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	o, err := s.lab.Curl(ctx, lab.Caller{}, "http://"+s.lab.Status().LoadBalancers[0].DNSName+path)
	if err != nil {
		s.t.Fatal(err)
	}
	return o.Status
}

// well waits until the target is healthy and a user gets what he asks for.
func (s *system) well(path string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.lab.WaitHealthy(ctx); err != nil {
		s.t.Fatal(err)
	}
	if n := s.user(path); n != 200 {
		s.t.Fatalf("at first: a user who asks for %s gets %d; want 200", path, n)
	}
}

// says compares the load balancer's view and the user's with what they must be.
func (s *system) says(when string, state alb.State, reason, path string, user int) {
	s.t.Helper()
	got := s.settle(state)
	if got.State != state || got.Reason != reason {
		s.t.Errorf("%s: the target is %s %s; want %s %s", when, got.State, got.Reason, state, reason)
	}
	if n := s.user(path); n != user {
		s.t.Errorf("%s: a user who asks for %s gets %d; want %d", when, path, n, user)
	}
}

// replaces reports whether a service has begun to replace a task because of
// the load balancer's health checks.
func (s *system) replaces() bool {
	for _, sv := range s.lab.Status().Services {
		for _, e := range sv.Events {
			if strings.Contains(e.Text, "replaced 1 tasks due to an unhealthy status") {
				return true
			}
		}
	}
	return false
}

// hang stops the app's process without ending it.
func (s *system) hang() {
	s.t.Helper()
	for _, sv := range s.lab.Status().Services {
		for _, task := range sv.Tasks {
			for _, a := range task.Apps {
				if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
					s.t.Fatal(err)
				}
				s.t.Cleanup(func() { syscall.Kill(a.PID, syscall.SIGCONT) })
			}
		}
	}
}

// database is a dependency that accepts connections until it is gone.
func database(t *testing.T) (address string, gone func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return "tcp://" + l.Addr().String(), func() { l.Close() }
}

func frontPageFails(t *testing.T) {
	s := behind(t, "/", map[string]string{"STATUS": "503"})
	s.says("front page broken", alb.Unhealthy, alb.ReasonMismatch, "/", 503)
}

// dependencyGoneAsking returns the situation in which the check asks a path
// that needs no dependency. /readyz stands for any page that needs it.
func dependencyGoneAsking(path string) func(*testing.T) {
	return func(t *testing.T) {
		db, gone := database(t)
		s := behind(t, path, map[string]string{"DEPENDENCIES": db})
		s.well("/readyz")
		gone()
		s.says("dependency gone", alb.Healthy, "", "/readyz", 503)
	}
}

func processHangs(t *testing.T) {
	s := behind(t, "/healthz", nil)
	s.well("/")
	s.hang()
	s.says("hanging", alb.Unhealthy, alb.ReasonTimeout, "/", 504)
}

func dependencyGoneNoticed(t *testing.T) {
	db, gone := database(t)
	s := behind(t, "/readyz", map[string]string{"DEPENDENCIES": db})
	s.well("/readyz")
	gone()
	s.says("dependency gone", alb.Unhealthy, alb.ReasonMismatch, "/readyz", 503)
}

func dependencyGoneForAll(t *testing.T) {
	db, gone := database(t)
	s := deployed(t, "/readyz", map[string]string{"DEPENDENCIES": db}, false)
	s.well("/")
	gone()
	for end := time.Now().Add(20 * time.Second); !s.replaces(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the service replaced no task")
		}
	}
	if n := s.user("/"); n != 200 {
		t.Errorf("a user who asks for / gets %d; want 200 all the same", n)
	}
}

func proxyHangs(t *testing.T) {
	a := startApp(t)
	s := behind(t, "/healthz", map[string]string{"PROXY_TO": a.url(""), "PROXY_ANSWERS": "/healthz"})
	s.well("/")
	s.hang()
	s.says("proxy hanging", alb.Unhealthy, alb.ReasonTimeout, "/", 504)
}

func appBehindProxyDead(t *testing.T) {
	a := startApp(t)
	s := behind(t, "/healthz", map[string]string{"PROXY_TO": a.url(""), "PROXY_ANSWERS": "/healthz"})
	s.well("/")
	a.kill()
	s.says("app dead", alb.Healthy, "", "/", 502)
}
