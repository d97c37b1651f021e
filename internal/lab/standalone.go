package lab

import (
	"context"
	"errors"
	"fmt"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/topology"
)

// AddStandalone gives a task that no service runs a network interface in one of
// the subnets, with the security groups; without groups it is in the default one
// of its VPC. From then on Caller.Standalone names it, and what it reaches is
// decided by its groups as by a service's; on a fabric that is not isolated only
// DialInfo asks them, and its connections are this machine's. The id is the caller's
// choice. A subnet or a group that the deployment does not have is an error.
func (l *Lab) AddStandalone(ctx context.Context, id string, subnets, groups []topology.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("the lab was closed")
	}
	if l.standalone[id] != nil {
		return fmt.Errorf("there is a standalone task %s already", id)
	}
	for _, s := range subnets {
		if l.index.Subnet(s) == nil {
			return fmt.Errorf("the deployment has no subnet %s", s)
		}
	}
	for _, g := range groups {
		if l.index.SecurityGroup(g) == nil {
			return fmt.Errorf("the deployment has no security group %s", g)
		}
	}
	if _, ok := l.fabric.(fabric.Isolated); !ok {
		if _, err := l.external(ctx); err != nil { // who this machine is to the deployment
			return err
		}
	}
	i, err := l.network.Attach("standalone task "+id, settled(subnets), settled(groups))
	if err != nil {
		return err
	}
	h, err := l.fabric.AddHost(ctx, fabric.HostSpec{Name: i.Name, IP: i.IP, Subnet: i.Subnet, Delay: l.opts.LinkDelay})
	if err != nil {
		l.network.Detach(i)
		return err
	}
	if l.standalone == nil {
		l.standalone = map[string]*externalHost{}
	}
	l.standalone[id] = &externalHost{iface: i, host: h}
	return nil
}

// RemoveStandalone takes the interface of a standalone task away, and ends what
// still runs behind it where the fabric can tell. Without such a task it does
// nothing.
func (l *Lab) RemoveStandalone(id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.standalone[id]
	if s == nil || l.closed {
		return nil
	}
	delete(l.standalone, id)
	l.network.Detach(s.iface)
	return s.host.Remove()
}

func settled(ids []topology.ID) (out []topology.Opt[topology.ID]) {
	for _, id := range ids {
		out = append(out, topology.Known(id))
	}
	return out
}
