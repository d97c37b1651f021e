package lab

import (
	"fmt"
	"os"
	"slices"
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

// passed are the variables of a container that its app on this machine gets:
// those that say how the app answers. A source must not set any other, for the
// app is a process of the user's: LD_PRELOAD would run code in it, PATH and
// GODEBUG change it, and the app's own SOCKET replaces a file.
var passed = []string{"HELLO", "STATUS", "DELAY", "EVENTS", "SPIN", "DEPENDENCIES", "PROXY_TO", "PROXY_ANSWERS", "IDLE_TIMEOUT",
	"SERVICE_STOP", "ACCESS_LOG"}

// replaced are the variables of a container in whose place the lab sets its own.
var replaced = []string{"PORT", "LISTEN_ADDRESS", "INSTANCE"}

// appEnv returns the container's environment as the app gets it: what the
// source settles of the variables that are passed on, or the deployment sets in
// their place, delays on the lab's clock. It notes the names of the others.
func (l *Lab) appEnv(t *task, c *topology.Container) []string {
	env := inheritedEnv()
	var left []string
	for k, o := range c.Environment {
		v, ok := o.Get()
		switch {
		case !ok, slices.Contains(replaced, k):
			continue
		case !slices.Contains(passed, k), strings.ContainsRune(v, 0):
			left = append(left, strconv.Quote(k))
			continue
		}
		env = append(env, l.appVariable(k, v))
	}
	for _, v := range t.env { // the later of two counts
		name, value, _ := strings.Cut(v, "=")
		env = append(env, l.appVariable(name, value))
	}
	if len(left) > 0 {
		slices.Sort(left)
		l.note(fmt.Sprintf("container %q of %s: not every variable of its environment goes to the app that stands in for it; left out: %s",
			c.Name, t.service.def.ID, some(left, 8)))
	}
	if s := l.injectionFor("app", t.service); s != nil {
		env = append(env, "SPIN="+s.Spin.String()+shareSuffix(s.Share))
	}
	return append(env, l.opts.App.Env...)
}

// appVariable is a variable of the app with its durations on the lab's clock.
func (l *Lab) appVariable(name, value string) string {
	if name == "DELAY" || name == "EVENTS" {
		value = scaleDelays(value, l.clock)
	}
	return name + "=" + value
}

// some lists up to n of the words and says how many more there are.
func some(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}

// scaleDelays puts the durations of the app's DELAY ("20s", "/slow=20s") and
// EVENTS on the clock.
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
		spec := &inject.Spec{Delay: in.Delay, Seed: l.opts.Seed}
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
