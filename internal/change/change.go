// Package change edits a deployment: a closed list of changes, each checked,
// each made as a new topology while the old one stays as it was, and each told
// in the words of the source: as a diff, and as CDK, CloudFormation and
// Terraform to copy.
//
// What a deployment is changed to is a list of changes, made in their order;
// to undo one is to leave it out.
package change

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/topology"
)

// Kind is what a change changes.
type Kind string

// The kinds of changes.
const (
	Override      Kind = "override"       // an endpoint's ingressPortOverride
	AliasPort     Kind = "alias-port"     // the port under which clients call an endpoint
	ContainerPort Kind = "container-port" // the port of a mapping, and of what registers it
	RulePorts     Kind = "rule-ports"     // the ports of a security-group rule
	Admit         Kind = "admit"          // a security-group rule more
	Egress        Kind = "egress"         // everything or nothing that a group lets out
	HealthPath    Kind = "health-path"    // of a target group
	HealthPort    Kind = "health-port"    // of a target group
	Binding       Kind = "binding"        // LISTEN_ADDRESS of the app
	Count         Kind = "count"          // a service's desired count
)

// Change is one change. The zero value is none.
type Change struct {
	Kind Kind `json:"kind"`
	// On is the service, the security group or the target group.
	On topology.ID `json:"on"`
	// At is where in it: the endpoint and the alias, the container and the
	// mapping, or the rule of its direction, from 0 and in the topology's order.
	At [2]int `json:"at"`
	// Out is set for a rule of a group's egress.
	Out bool `json:"out,omitempty"`
	// Peer is the other side of a new rule: a group's ID or an address range.
	Peer string `json:"peer,omitempty"`
	// To is the new value: a port, ports such as 80-90, a path, a count, an
	// address, "everything" or "nothing"; "" takes away what is there.
	To string `json:"to"`
}

// MaxCount is the largest desired count that a change sets: what a lab on one
// machine starts without being asked twice.
const MaxCount = 20

// Make makes the changes in their order. The topology that comes back shares
// what did not change with t, which stays as it was. The edits are those of all
// changes. It fails when a change does not fit.
func Make(t *topology.Topology, changes ...Change) (*topology.Topology, []Edit, error) {
	e := newEditor(t)
	for i, c := range changes {
		if err := e.make(c); err != nil {
			return nil, nil, fail.Newf(fail.Usage, "take back the changes and look at the source again", "change %d, %s of %s: %w", i+1, c.Kind, c.On, err)
		}
	}
	return e.t, e.edits, nil
}

func (e *editor) make(c Change) error {
	if len(c.To) > maxText || len(c.Peer) > maxText {
		return fmt.Errorf("expected a value of at most %d bytes", maxText)
	}
	switch c.Kind {
	case Override, AliasPort:
		return e.endpoint(c)
	case ContainerPort, Binding:
		return e.container(c)
	case Count:
		return e.count(c)
	case HealthPath, HealthPort:
		return e.health(c)
	case RulePorts:
		return e.rulePorts(c)
	case Admit:
		return e.admit(c)
	case Egress:
		return e.egress(c)
	}
	return fmt.Errorf("there is no such kind of change")
}

// maxText bounds the texts of a change, in bytes.
const maxText = 256

// port reads a port from 1 to 65535.
func port(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != text {
		return 0, fmt.Errorf("%q: expected a port from 1 to 65535", text)
	}
	return n, nil
}

// span reads one port, or two with a hyphen between them.
func span(text string) (from, to int, err error) {
	first, last, two := strings.Cut(text, "-")
	if from, err = port(first); err != nil || !two {
		return from, from, err
	}
	if to, err = port(last); err == nil && to < from {
		err = fmt.Errorf("%q: expected the lower port first", text)
	}
	return from, to, err
}
