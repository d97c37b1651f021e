package stacks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsecs"
	"github.com/aws/jsii-runtime-go"

	"github.com/hoplab/hoplab/internal/ports"
)

// Health says what is asked to find out whether a task works.
type Health struct {
	// Path is what the load balancer asks for on the container port.
	Path string
	// Proxy puts a proxy in front of the app that answers Path itself: it
	// says 200 as long as the proxy lives, whatever the app does.
	Proxy bool
	// Container is the container health check: "" or one of the container values below.
	Container string
}

// Values of -c healthCheck, at most one of each kind, separated by a comma.
// What each of them notices and misses is the subject of the first article.
const (
	albRoot           = "alb-root"           // GET /: a real page, with its cost and its noise in the log
	albReady          = "alb-ready"          // GET /readyz: also tests the app's dependencies
	albAPI            = "alb-api"            // GET /api/v1/health_check: a path of its own that tests nothing else
	albProxy          = "alb-proxy"          // GET /proxyz: answered by a proxy in front of the app
	containerProcess  = "container-process"  // a process of that name runs; it may be stuck
	containerSocket   = "container-socket"   // the Unix socket's file exists; nobody need listen
	containerHTTP     = "container-http"     // the app answers inside the task; the way to it is not tested
	containerCombined = "container-combined" // the process runs and answers
)

var albPaths = map[string]string{
	albRoot:  "/",
	albReady: "/readyz",
	albAPI:   "/api/v1/health_check",
	albProxy: "/proxyz",
}

var containerValues = []string{containerProcess, containerSocket, containerHTTP, containerCombined}

// health reads -c healthCheck. The defaults are those of the articles: the
// load balancer asks for / inside, for the API's path on a public edge, and
// the container is not asked.
func (r *reader) health(public bool) Health {
	alb, container := "", ""
	for _, v := range strings.Split(r.text("healthCheck"), ",") {
		kind := &alb
		switch {
		case v == "":
			continue
		case albPaths[v] != "":
		case slices.Contains(containerValues, v):
			kind = &container
		default:
			r.fail("healthCheck=%s: expected %s, %s, %s, %s or %s", v, albRoot, albReady, albAPI, albProxy, strings.Join(containerValues, ", "))
			continue
		}
		if *kind != "" {
			r.fail("healthCheck=%s,%s: both ask the same side; choose one alb-... and one container-... value", *kind, v)
		}
		*kind = v
	}
	if alb == "" {
		alb = albRoot
		if public {
			alb = albAPI
		}
	}
	return Health{Path: albPaths[alb], Proxy: alb == albProxy, Container: container}
}

const (
	appBinary  = "/service" // in the app's image; its base name is the process name
	appProcess = "service"
	// behindProxy is the port of the app when the proxy has the container port.
	behindProxy = 8081
	socketDir   = "/run/hoplab"
	socketPath  = socketDir + "/app.sock"
)

// appPort returns the port that the app itself binds.
func (h Health) appPort() int {
	if h.Proxy {
		return behindProxy
	}
	return ports.Container
}

// check returns the container health check, nil for none. It runs the app's
// own binary: the image has no shell.
func (h Health) check() *awsecs.HealthCheck {
	url := "http://127.0.0.1:" + strconv.Itoa(h.appPort()) + "/healthz"
	command := map[string][]string{
		containerProcess:  {"-check-process", appProcess},
		containerSocket:   {"-check-socket", socketPath},
		containerHTTP:     {"-healthcheck", url},
		containerCombined: {"-check-process", appProcess, "-healthcheck", url},
	}[h.Container]
	if command == nil {
		return nil
	}
	command = append([]string{"CMD", appBinary}, command...)
	return &awsecs.HealthCheck{
		Command:     jsii.Strings(command...),
		Interval:    awscdk.Duration_Seconds(jsii.Number(10)),
		Timeout:     awscdk.Duration_Seconds(jsii.Number(5)),
		Retries:     jsii.Number(3),
		StartPeriod: awscdk.Duration_Seconds(jsii.Number(10)),
	}
}

// environment returns what the app must know to be asked in this way.
func (h Health) environment() map[string]*string {
	env := map[string]*string{}
	if h.Proxy {
		env["PORT"] = port(behindProxy)
		env["LISTEN_ADDRESS"] = jsii.String("127.0.0.1")
	}
	if h.Container == containerSocket {
		env["SOCKET"] = jsii.String(socketPath)
	}
	return env
}
