// Package ports holds the port numbers and port rules on which the CDK
// stacks, the measured app, the lab, the checker and the load scripts must
// agree. It is a leaf: it imports nothing of hoplab.
package ports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

const (
	// Container is the port the app binds, as in the article the project grew from.
	Container = 80
	// ClientAlias is the port callers put into the Service Connect URL.
	ClientAlias = 80
	// Listener is the internal ALB's listener port of the first arm.
	Listener = 80
	// SecondListener is the listener port of the second arm when both are deployed.
	SecondListener = 81
	// ExampleOverride is the override of the article and of every example in the docs.
	ExampleOverride = 8080

	// MinOverride and MaxOverride bound ingressPortOverride. Amazon ECS answers
	// "IngressPortOverride cannot use ports <= 1024." below the minimum; CDK
	// itself lets 0, 80 and 1024 pass.
	MinOverride = 1025
	MaxOverride = 65535
)

// PortName is the name of the app's port mapping, and with it the default
// Service Connect discovery name.
const PortName = "app"

// Namespace is the Cloud Map HTTP namespace of the experiment.
const Namespace = "sample-namespace"

// Override is an ingressPortOverride that was checked, or its absence.
// The zero value is the default mode: no override.
type Override struct {
	port int
}

// Port returns the override and whether there is one.
func (o Override) Port() (int, bool) { return o.port, o.port != 0 }

// Ingress returns the port on which the agent is reached from outside the
// task: the override, or the container port.
func (o Override) Ingress(container int) int {
	if o.port != 0 {
		return o.port
	}
	return container
}

// Mode returns "default" or "override".
func (o Override) Mode() string {
	if o.port != 0 {
		return "override"
	}
	return "default"
}

// CheckOverride returns an Override for port, or an error naming the rule
// that the port breaks: ECS wants 1025 to 65535, and the agent and the app
// share one network namespace, so the port must differ from the container's.
func CheckOverride(port, container int) (Override, error) {
	switch {
	case port < MinOverride:
		return Override{}, fmt.Errorf("ingressPortOverride %d: Amazon ECS refuses ports <= 1024; choose %d to %d, or leave it out for the default mode", port, MinOverride, MaxOverride)
	case port > MaxOverride:
		return Override{}, fmt.Errorf("ingressPortOverride %d: a TCP port is at most %d; choose %d to %d", port, MaxOverride, MinOverride, MaxOverride)
	case port == container:
		return Override{}, fmt.Errorf("ingressPortOverride %d: the app already binds container port %d in the same network namespace; choose another port", port, container)
	}
	return Override{port: port}, nil
}

// ParseOverride reads the value of the CDK context key ingressPortOverride:
// nil for absent, a float64 from JSON, or a string from the command line.
// Anything that is not a whole number is refused with the value in the error.
func ParseOverride(v any, container int) (Override, error) {
	switch x := v.(type) {
	case nil:
		return Override{}, nil
	case int:
		return CheckOverride(x, container)
	case float64:
		if x != math.Trunc(x) || math.IsInf(x, 0) || math.IsNaN(x) {
			return Override{}, fmt.Errorf("ingressPortOverride %v: not an integer; give a port from %d to %d", x, MinOverride, MaxOverride)
		}
		if math.Abs(x) > 1e9 {
			return Override{}, fmt.Errorf("ingressPortOverride %.0f: a TCP port is at most %d; choose %d to %d", x, MaxOverride, MinOverride, MaxOverride)
		}
		return CheckOverride(int(x), container)
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(x))
		if err != nil {
			return Override{}, fmt.Errorf("ingressPortOverride %q: not an integer; give a port from %d to %d", x, MinOverride, MaxOverride)
		}
		return CheckOverride(n, container)
	}
	return Override{}, fmt.Errorf("ingressPortOverride %v: a %T is not a port; give an integer from %d to %d", v, v, MinOverride, MaxOverride)
}
