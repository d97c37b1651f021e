// Package healthpatterns holds the ways to check an app's health that people
// choose from, each with a situation in which its answer is right and one in
// which it misleads. Its tests make every one of these situations with real
// processes, so the page that is generated from the table,
// docs/health-checks.md, says nothing that was not seen.
package healthpatterns

import (
	"fmt"
	"strings"
)

// Pattern is one way to check.
type Pattern struct {
	Name string // short and stable: the name of its tests
	By   string // who checks: LoadBalancer or Container
	Asks string // what is asked, as one would configure it
	// Right and Lies each describe a situation: what is the matter, what the
	// check answers, what a user gets.
	Right, Lies string
	Use         string // what it is good for
}

// Who checks.
const (
	LoadBalancer = "load balancer"
	Container    = "container"
)

// Patterns are the patterns, from the simplest to the most telling.
var Patterns = []Pattern{
	{
		Name: "alb-root", By: LoadBalancer, Asks: "`GET /`",
		Right: "The app answers 503 on its front page: unhealthy, and users get 503.",
		Lies:  "The database is gone: `/` needs none and answers 200, healthy. Whatever needs the database fails.",
		Use:   "Static sites, development. It costs a page for each check, and the log cannot tell it from users by the path.",
	},
	{
		Name: "alb-api", By: LoadBalancer, Asks: "`GET /api/v1/health_check` or `GET /healthz`, which say that the process answers",
		Right: "The process hangs: no answer in time, unhealthy, and users wait in vain.",
		Lies:  "The database is gone: the process answers as ever, healthy. Whatever needs the database fails.",
		Use:   "Apps that can do useful work without their dependencies. A restart would mend none of those.",
	},
	{
		Name: "alb-ready", By: LoadBalancer, Asks: "`GET /readyz`, which tests the dependencies",
		Right: "The database is gone: 503, unhealthy, and whatever needs the database fails.",
		Lies:  "The database is gone, for all tasks at once: every target is unhealthy and Amazon ECS replaces tasks that nothing is wrong with. The pages that need no database would work, and do, because the load balancer sends requests to all targets when none is healthy.",
		Use:   "Apps that are of no use without their dependencies, when the tasks do not all share one.",
	},
	{
		Name: "alb-proxy", By: LoadBalancer, Asks: "a path that the proxy in front of the app answers itself",
		Right: "The proxy hangs: unhealthy, and users wait in vain.",
		Lies:  "The app behind the proxy is dead: the proxy answers 200, healthy. Users get 502.",
		Use:   "Nothing but the proxy. Let the proxy send the path on, and the answer is the app's.",
	},
	{
		Name: "container-process", By: Container, Asks: "`service -check-process app` (`pgrep`)",
		Right: "The process has ended: the check fails, and nobody is served.",
		Lies:  "The process hangs: it is there, the check passes. Users wait in vain.",
		Use:   "Workers that speak no HTTP. Match the whole name: `pgrep -f` also finds the editor that has the file open.",
	},
	{
		Name: "container-socket", By: Container, Asks: "`service -check-socket /run/app.sock` (`test -S`)",
		Right: "The app has stopped in good order and taken its socket with it: the check fails.",
		Lies:  "The app was killed: its socket file stays behind, the check passes. Connections are refused.",
		Use:   "Apps behind a proxy on a Unix socket, beside another check.",
	},
	{
		Name: "container-http", By: Container, Asks: "`service -healthcheck http://127.0.0.1/healthz` (`curl -f`)",
		Right: "The process hangs: no answer in time, the check fails. Users wait in vain.",
		Lies:  "The app listens on 127.0.0.1 only: the check asks from inside the task and passes. From outside the connection is refused.",
		Use:   "Most containers. It proves nothing about the way from the load balancer: no security group stands between it and the app.",
	},
	{
		Name: "container-combined", By: Container, Asks: "`service -check-process app -healthcheck http://127.0.0.1/healthz`",
		Right: "The process is there and hangs: the request fails, so the check does. Users wait in vain.",
		Lies:  "The process of the app hangs and the proxy in front answers the path: both hold, each of another process. Users wait in vain.",
		Use:   "Where one answer is not enough. Each condition must be about the process that does the work, and each takes time.",
	},
}

// Page writes docs/health-checks.md.
func Page() string {
	var b strings.Builder
	b.WriteString(`# Health checks: when each is right, and when it misleads

A health check answers the question that it asks, and no other. Each row below
is a check with a situation in which its answer is what users see, and one in
which it is not. The tests of ` + "`internal/test/healthpatterns`" + ` make all of them with
real processes: ` + "`go test ./internal/test/healthpatterns -v`" + `. This page is generated from
their table.

Two endpoints of the measured app differ on purpose. ` + "`/healthz`" + ` says that the
process answers; when it fails, a restart may help. ` + "`/readyz`" + ` also tests what
` + "`DEPENDENCIES`" + ` lists; when it fails, a restart mends nothing, but requests are
better sent elsewhere. The names are the values of ` + "`-c healthCheck=…`" + ` on the
stacks; one of each table may be chosen, as in ` + "`-c healthCheck=alb-ready,container-http`" + `.
`)
	for _, by := range []string{LoadBalancer, Container} {
		fmt.Fprintf(&b, "\n## Asked by the %s\n\n", by)
		b.WriteString("| Check | Right | Misleading | Use |\n| --- | --- | --- | --- |\n")
		for _, p := range Patterns {
			if p.By == by {
				fmt.Fprintf(&b, "| **%s**: %s | %s | %s | %s |\n", p.Name, p.Asks, p.Right, p.Lies, p.Use)
			}
		}
	}
	b.WriteString(`
The container's check and the load balancer's see different things: the first
runs inside the task, so it can pass while a security group keeps every user
out. When it passes and the load balancer's does not, look at what lies between
the two, and at the addresses that the app listens on; ` + "`hoplab diagnose`" + ` goes
through the list.
`)
	return b.String()
}
