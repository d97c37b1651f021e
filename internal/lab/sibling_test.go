package lab_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/test/labtest"
	"github.com/hoplab/hoplab/internal/test/layer"
)

// The stacks' proxy answers the health check itself and passes everything
// else to the app beside it, which maps no port. When the app hangs, the load
// balancer sees nothing of it.
func TestProxyInFrontOfApp(t *testing.T) {
	layer.Full(t, "starts a lab")
	l := start(t, lab.Options{Topology: labtest.Deployment(t, "proxy"), KeepUnhealthy: true, Scale: 20})
	healthy(t, l)
	ask := func() call.Observation {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		o, err := l.Curl(ctx, lab.Caller{}, plainURL(t, l))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := ask(); o.Status != 200 || o.Body != "Hello World" {
		t.Fatalf("%+v; want the app's answer through the proxy", o)
	}
	for _, s := range l.Status().Services {
		for _, task := range s.Tasks {
			for _, a := range task.Apps {
				if a.Container == "App" {
					if err := syscall.Kill(a.PID, syscall.SIGSTOP); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	if o := ask(); o.Status == 200 {
		t.Errorf("%+v; want no answer of the app", o)
	}
	before := target(t, l).Probes
	for end := time.Now().Add(15 * time.Second); target(t, l).Probes < before+3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the load balancer does not go on checking")
		}
	}
	if got := target(t, l); got.State != alb.Healthy {
		t.Errorf("the target is %s (%s); the proxy answers its checks", got.State, got.Reason)
	}
}
