package lab

import (
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hoplab/hoplab/internal/lab/clock"
	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/inject"
	"github.com/hoplab/hoplab/internal/topology"
)

// bindOf says where a container's program listens, as its environment
// variable LISTEN_ADDRESS tells: everywhere, on its loopback only, or (any
// other value) on its network interface only.
func bindOf(c *topology.Container) fabric.Bind {
	switch v, _ := c.Environment["LISTEN_ADDRESS"].Get(); v {
	case "", "0.0.0.0", "::":
		return fabric.BindAll
	case "127.0.0.1", "localhost", "::1":
		return fabric.BindLoopback
	}
	return fabric.BindInterface
}

// inherited are the variables of this process that a program may need to run at all.
var inherited = []string{"PATH", "HOME", "TMPDIR", "TMP", "TEMP", "SYSTEMROOT", "GOCOVERDIR"}

func inheritedEnv() []string {
	var env []string
	for _, k := range inherited {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// appEnv returns the container's environment as the app gets it: what the
// template sets, without what the source does not settle; delays on the lab's clock.
func (l *Lab) appEnv(t *task, c *topology.Container) []string {
	env := inheritedEnv()
	for k, o := range c.Environment {
		v, ok := o.Get()
		switch {
		case !ok, k == "PORT", k == "LISTEN_ADDRESS", k == "INSTANCE":
			continue
		case k == "DELAY":
			v = scaleDelays(v, l.clock)
		}
		env = append(env, k+"="+v)
	}
	if s := l.injectionFor("app", t.service); s != nil {
		env = append(env, "SPIN="+s.Spin.String()+shareSuffix(s.Share))
	}
	return append(env, l.opts.App.Env...)
}

// scaleDelays puts the durations of the app's DELAY ("20s", "/slow=20s") on the clock.
func scaleDelays(v string, c clock.Clock) string {
	items := strings.Split(v, ",")
	for i, item := range items {
		path, text, found := strings.Cut(strings.TrimSpace(item), "=")
		if !found {
			path, text = "", path
		} else {
			path += "="
		}
		if d, err := time.ParseDuration(text); err == nil {
			items[i] = path + c.Real(d).String()
		}
	}
	return strings.Join(items, ",")
}

// injectionFor returns the delay of a hop for requests to the service, or nil.
func (l *Lab) injectionFor(hop string, s *service) *inject.Spec {
	for _, in := range l.opts.Inject {
		if in.Hop != hop || in.Twin != s.copy.name || in.Service != "" && in.Service != s.def.ID {
			continue
		}
		if in.Service == "" && hop == "agent" && len(s.def.Connect.Endpoints) == 0 {
			continue // a client's agent is delayed only when it is named
		}
		spec := &inject.Spec{Spin: in.Spin, Share: in.Share, Seed: l.opts.Seed}
		if spec.Share == 0 {
			spec.Share = 1
		}
		return spec
	}
	return nil
}

func shareSuffix(share float64) string {
	if share >= 1 {
		return ""
	}
	return "@" + strconv.FormatFloat(share, 'f', -1, 64)
}
