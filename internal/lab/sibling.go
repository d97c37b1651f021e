package lab

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/topology"
)

// listens lists the ports on which a container's program listens: those that
// the container maps, and without any the one that its environment calls PORT,
// as of an app behind a proxy of the same task.
func listens(c *topology.Container) []uint16 {
	var out []uint16
	add := func(port int) {
		if p := uint16(port); port > 0 && port <= 65535 && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, m := range c.Ports {
		if port, ok := m.Port.Get(); ok && strings.EqualFold(m.Protocol.Or("tcp"), "tcp") {
			add(port)
		}
	}
	if len(c.Ports) == 0 {
		v, _ := c.Environment["PORT"].Get()
		port, _ := strconv.Atoi(v)
		add(port)
	}
	return out
}

// siblingAddress finds an address of the task's own loopback in a variable.
var siblingAddress = regexp.MustCompile(`\b(?:localhost|127\.0\.0\.1):([0-9]{1,5})\b`)

// callsSibling reports whether the container is told of an address in its own task.
func callsSibling(c *topology.Container) bool {
	for _, o := range c.Environment {
		if v, ok := o.Get(); ok && siblingAddress.MatchString(v) {
			return true
		}
	}
	return false
}

// startOrder lists the task's containers, those that call others after those
// that they may call.
func startOrder(def *topology.TaskDefinition) []*topology.Container {
	var out []*topology.Container
	for _, calls := range []bool{false, true} {
		for i := range def.Containers {
			if c := &def.Containers[i]; callsSibling(c) == calls {
				out = append(out, c)
			}
		}
	}
	return out
}

// siblingEnv puts into the environment where the fabric really has the
// addresses of the task's own loopback. Others, on which nothing of the task
// listens, stay.
func (t *task) siblingEnv(env []string) []string {
	for i, v := range env {
		env[i] = siblingAddress.ReplaceAllStringFunc(v, func(addr string) string {
			_, port, _ := cutPort(addr)
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil {
				return addr
			}
			real, verdict := t.host.Lookup(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n)))
			if verdict != fabric.Passed {
				return addr
			}
			return real.String()
		})
	}
	return env
}
