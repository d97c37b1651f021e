package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab/fabric"
)

// Fabric is the controller side: the router, and the hosts around it.
type Fabric struct {
	router *router
	names  *resolver

	mu              sync.Mutex
	hosts           map[netip.Addr]*Host
	egress, ingress fabric.Policy
	made            int
}

// New returns a fabric without hosts. It fails with fail.Environment where
// this process may not make network namespaces.
func New() (fabric.Fabric, error) {
	r, err := newRouter()
	if err != nil {
		return nil, refused(err)
	}
	f := &Fabric{router: r, hosts: map[netip.Addr]*Host{}, egress: closed, ingress: closed}
	if f.names, err = newResolver(r); err != nil {
		r.close()
		return nil, err
	}
	return f, nil
}

func closed(netip.Addr, netip.Addr) []fabric.Range { return nil }

// refused explains an error of making a namespace.
func refused(err error) error {
	hint := ""
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		hint = "run it as root, allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), or use --fabric loopback"
	}
	return fail.Newf(fail.Environment, hint, "fabric netns: this process cannot set up a network namespace: %w", err)
}

// Name returns "netns".
func (f *Fabric) Name() string { return Name }

// AddHost makes a namespace and connects it with its subnet's bridge.
func (f *Fabric) AddHost(_ context.Context, spec fabric.HostSpec) (fabric.Host, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.hosts[spec.IP]; ok {
		return nil, fmt.Errorf("two hosts have the address %s", spec.IP)
	}
	f.made++
	h, err := newHost(f, spec, fmt.Sprintf("port%d", f.made))
	if err != nil {
		return nil, refused(fmt.Errorf("host %s: %w", spec.Name, err))
	}
	f.hosts[spec.IP] = h
	return h, nil
}

var _ fabric.Isolated = (*Fabric)(nil)

// SetPolicy puts one policy in force at both ends of every connection.
func (f *Fabric) SetPolicy(p fabric.Policy) error { return f.SetPolicies(p, p) }

// SetPolicies puts the rules of each interface in force where they belong: what
// a host may send is decided at its own interface, what may reach it at its
// own too. Connections that exist go on.
func (f *Fabric) SetPolicies(egress, ingress fabric.Policy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.egress, f.ingress = egress, ingress
	var all error
	for _, h := range f.hosts {
		if err := h.filter(); err != nil {
			all = errors.Join(all, fmt.Errorf("security groups of %s: %w", h.spec.Name, err))
		}
	}
	return all
}

// SetNames sets what the VPC's resolver answers.
func (f *Fabric) SetNames(names map[string]netip.Addr) { f.names.set(names) }

// Close removes all hosts and the router. What still runs in a host is killed.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, h := range f.hosts {
		h.gone()
	}
	clear(f.hosts)
	f.names.close()
	f.router.close()
	return nil
}
