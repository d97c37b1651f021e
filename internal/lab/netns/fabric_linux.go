package netns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
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
	coming          map[netip.Addr]bool // that are being made
	fresh           []*Host             // whose peers' rules do not know them yet
	batches         int                 // that are under way: rules change when the last has ended
	egress, ingress fabric.Policy
	made            int
	closed          bool
}

// New returns a fabric without hosts. It fails with fail.Environment where
// this process may not make network namespaces.
func New() (fabric.Fabric, error) {
	r, err := newRouter()
	if err != nil {
		return nil, refused(err)
	}
	f := &Fabric{router: r, hosts: map[netip.Addr]*Host{}, coming: map[netip.Addr]bool{}, egress: closed, ingress: closed}
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
	if f.hosts[spec.IP] != nil || f.coming[spec.IP] {
		f.mu.Unlock()
		return nil, fmt.Errorf("two hosts have the address %s", spec.IP)
	}
	f.coming[spec.IP] = true
	f.made++
	port := fmt.Sprintf("port%d", f.made)
	f.mu.Unlock()

	h, err := newHost(f, spec, port)

	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.coming, spec.IP)
	switch {
	case err != nil:
		return nil, refused(fmt.Errorf("host %s: %w", spec.Name, err))
	case f.closed:
		h.gone()
		return nil, fmt.Errorf("host %s: %w", spec.Name, errGone)
	}
	f.hosts[spec.IP] = h
	f.fresh = append(f.fresh, h)
	return h, f.admit()
}

// Batch holds back the rules for new hosts until do has ended.
func (f *Fabric) Batch(do func() error) error {
	f.mu.Lock()
	f.batches++
	f.mu.Unlock()
	err := do()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.batches--
	return errors.Join(err, f.admit())
}

// admit puts the rules for new hosts in force, at both ends; f.mu is held.
func (f *Fabric) admit() error {
	if f.batches > 0 || len(f.fresh) == 0 {
		return nil
	}
	fresh := f.fresh
	f.fresh = nil
	all := f.all()
	return f.each(func(h *Host) error {
		if slices.Contains(fresh, h) {
			return h.filter(all)
		}
		return h.filter(fresh)
	})
}

// each calls do for every host, several at a time, since a transaction mostly
// waits for the kernel; f.mu is held.
func (f *Fabric) each(do func(*Host) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var all error
	slots := make(chan struct{}, atOnce)
	for _, h := range f.hosts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := do(h); err != nil {
				mu.Lock()
				defer mu.Unlock()
				all = errors.Join(all, fmt.Errorf("security groups of %s: %w", h.spec.Name, err))
			}
		})
	}
	wg.Wait()
	return all
}

// atOnce is how many hosts' rules change at the same time.
const atOnce = 16

var _ fabric.Isolated = (*Fabric)(nil)

// SetPolicy puts one policy in force at both ends of every connection.
func (f *Fabric) SetPolicy(p fabric.Policy) error { return f.SetPolicies(p, p) }

// SetPolicies puts the rules of each interface in force where they belong: what
// a host may send is decided at its own interface, what may reach it at its
// own too. Connections that exist go on.
func (f *Fabric) SetPolicies(egress, ingress fabric.Policy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.egress, f.ingress, f.fresh = egress, ingress, nil
	all := f.all()
	return f.each(func(h *Host) error { return h.filter(all) })
}

// SetNames sets what the VPC's resolver answers.
func (f *Fabric) SetNames(names map[string]netip.Addr) { f.names.set(names) }

// Close removes all hosts and the router. What still runs in a host is killed.
func (f *Fabric) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	var wg sync.WaitGroup
	for _, h := range f.hosts {
		wg.Go(h.gone)
	}
	wg.Wait()
	clear(f.hosts)
	f.names.close()
	f.router.close()
	return nil
}
