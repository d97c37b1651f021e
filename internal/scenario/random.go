package scenario

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// Random draws a deployment: mostly sound, with each thing that can be wrong
// wrong sometimes. The same generator state gives the same deployment.
func Random(rng *rand.Rand) Config {
	c := Default()
	g := gen{rng}
	c.ContainerPort = pick(g, 80, 80, 3000, 8080)
	c.AppProtocol = pick(g, "http", "http", "http", "")
	c.AliasPort = pick(g, c.ContainerPort, c.ContainerPort, 80, 9090)
	if g.chance(0.2) {
		c.AliasName = pick(g, "backend", "api.internal")
	}
	if g.chance(0.5) {
		c.Override = g.override(c.ContainerPort)
	}
	c.Connect = !g.chance(0.1)
	c.Tasks = pick(g, 1, 1, 1, 2, 3, 0)
	c.Listener = pick(g, 80, 80, 8081)
	if g.chance(0.15) && c.AppProtocol != "" && c.Connect {
		s := pick(g, 2, 5, 30)
		c.PerRequestS = &s
	}
	g.rules(&c)
	g.health(&c)
	g.app(&c)
	g.actions(&c)
	g.client(&c)
	g.tls(&c)
	c.Name = fmt.Sprintf("port %d, override %s, alias %d", c.ContainerPort, mode(c.Override), c.AliasPort)
	if c.TLS {
		c.Name += ", TLS"
	}
	return c
}

func mode(o *int) string {
	if o == nil {
		return "none"
	}
	return strconv.Itoa(*o)
}

type gen struct{ *rand.Rand }

func (g gen) chance(p float64) bool { return g.Float64() < p }

func pick[T any](g gen, of ...T) T { return of[g.IntN(len(of))] }

// override draws a port that ECS accepts and the task has free.
func (g gen) override(container int) *int {
	for {
		p := pick(g, 8080, 9090, 1025, 15000)
		if p != container {
			return &p
		}
	}
}

// rules opens what is needed, and sometimes nothing or something else.
func (g gen) rules(c *Config) {
	need := func(port int) []int {
		switch {
		case g.chance(0.8):
			return []int{port}
		case g.chance(0.5):
			return []int{port + 1}
		}
		return []int{}
	}
	c.AppFromALB = need(c.ContainerPort)
	c.AppFromClient = need(c.Ingress())
	if g.chance(0.3) {
		c.AppFromClient = append(c.AppFromClient, c.AliasPort)
	}
	switch {
	case g.chance(0.5):
		c.ALBEgress = need(c.ContainerPort)
	case g.chance(0.1):
		c.NoALBEgress = true
	}
	if g.chance(0.1) {
		c.ClientEgress = need(c.Ingress())
	}
	if g.chance(0.1) {
		c.ALBIngress = []int{c.Listener + 1}
	}
}

func (g gen) health(c *Config) {
	c.Health.Path = pick(g, "/", "/", "/healthz", "/missing")
	c.Health.Matcher = pick(g, "200", "200", "200-299", "200-404", "204")
	if g.chance(0.15) {
		c.Health.Port = pick(g, strconv.Itoa(c.ContainerPort), "9999")
		if p, _ := strconv.Atoi(c.Health.Port); g.chance(0.7) && len(c.AppFromALB) > 0 && p != c.AppFromALB[0] {
			c.AppFromALB = append(c.AppFromALB, p)
		}
	}
	c.Health.Healthy, c.Health.Unhealthy = pick(g, 2, 3), 2
}

func (g gen) app(c *Config) {
	c.App = map[string]string{"EVENTS": "1s"}
	switch {
	case g.chance(0.08):
		c.App["LISTEN_ADDRESS"] = "127.0.0.1"
	case g.chance(0.08):
		c.App["LISTEN_ADDRESS"] = "eth0"
	}
	if g.chance(0.15) {
		c.App["STATUS"] = pick(g, "404", "500", "503", "204")
	}
	if g.chance(0.1) {
		// On every path that anybody calls: reach knows one delay for all.
		d := pick(g, "7s", "20s")
		c.App["DELAY"] = fmt.Sprintf("%[1]s,/healthz=%[1]s,/missing=%[1]s", d)
	}
}

func (g gen) actions(c *Config) {
	if g.chance(0.06) {
		c.DefaultAction = pick(g, Action{Redirect: "HTTP_301"}, Action{Fixed: 503, Body: "closed"})
	}
	if g.chance(0.1) {
		c.Rules = []Rule{{Path: "/fixed", Action: Action{Fixed: 418, Body: "teapot"}}}
	}
	if g.chance(0.06) {
		c.RegisterNobody = true
	}
}

func (g gen) client(c *Config) {
	c.ClientConnect = !g.chance(0.08)
	c.OtherNamespace = g.chance(0.08)
	c.ClientFirst = g.chance(0.08)
}

// tls puts TLS between the agents, mostly with a target group that knows of it.
func (g gen) tls(c *Config) {
	c.TLS = c.Connect && g.chance(0.25)
	switch {
	case c.TLS && c.Override == nil:
		c.TargetTLS = g.chance(0.7)
	default:
		c.TargetTLS = g.chance(0.03)
	}
}
