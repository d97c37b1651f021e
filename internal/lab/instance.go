package lab

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hoplab/hoplab/internal/lab/fabric"
	"github.com/hoplab/hoplab/internal/lab/vpc"
	"github.com/hoplab/hoplab/internal/topology"
)

// instance is an EC2 instance that a target group lists: a host with the
// instance's security groups, and the measured app in the place of what its
// user data would install. Nothing restarts a process that ends there, as no
// service stands behind it.
type instance struct {
	copy  *deploymentCopy
	def   *topology.Instance
	id    string // "i-" and 17 hexadecimal digits
	iface *vpc.Interface
	host  fabric.Host
	apps  []*appProcess
}

// newInstances lists the instances that a target group of the copy registers.
// Others have no part in any request.
func (dc *deploymentCopy) newInstances() {
	topo := dc.lab.opts.Topology
	for _, def := range topo.Instances {
		used := slices.ContainsFunc(topo.TargetGroups, func(g *topology.TargetGroup) bool {
			return dc.balances(g.ID) && slices.ContainsFunc(g.Targets, func(t topology.Target) bool { return targets(t, def.ID) })
		})
		if used {
			dc.instances = append(dc.instances, &instance{copy: dc, def: def, id: instanceID(dc.name, def.ID)})
		}
	}
}

// InstanceID is the id that an EC2 instance of the deployment has, "i-" and 17
// hexadecimal digits.
func InstanceID(id topology.ID) string { return instanceID("", id) }

// instanceID returns an id that stays the same from run to run.
func instanceID(copyName string, id topology.ID) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\x00%s", copyName, id)
	return fmt.Sprintf("i-0%016x", h.Sum64())
}

func (i *instance) name() string { return i.def.Name.Or(string(i.def.ID)) }

// start gives the instance its interface and starts its app on every port.
func (i *instance) start(ctx context.Context) (err error) {
	l := i.copy.lab
	defer func() {
		if err != nil {
			err = fmt.Errorf("instance %s: %w", i.def.ID, err)
		}
	}()
	name := "instance " + i.id
	if i.iface, err = l.network.Attach(name, []topology.Opt[topology.ID]{i.def.Subnet}, i.def.Groups); err != nil {
		return err
	}
	if i.host, err = l.fabric.AddHost(ctx, fabric.HostSpec{Name: name, IP: i.iface.IP, Subnet: i.iface.Subnet,
		Delay: l.opts.LinkDelay}); err != nil {
		return err
	}
	l.wg.Go(func() { // whatever has started ends with the lab
		<-l.ctx.Done()
		l.mu.Lock()
		apps := slices.Clone(i.apps)
		l.mu.Unlock()
		for _, a := range apps {
			a.proc.Stop(closeGrace)
		}
	})
	dir := filepath.Join(l.dir, fileName(i.copy.name+" "+string(i.def.ID)))
	if err = os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, port := range i.ports() {
		if err = i.startApp(port, filepath.Join(dir, fmt.Sprintf("%d.log", port))); err != nil {
			return err
		}
	}
	return nil
}

// remove ends the instance at once.
func (i *instance) remove() {
	for _, a := range i.apps {
		a.proc.Kill()
	}
	if i.host != nil {
		i.host.Remove()
		i.host = nil
	}
	if i.iface != nil {
		i.copy.lab.network.Detach(i.iface)
	}
}

func (i *instance) startApp(port uint16, log string) error {
	l := i.copy.lab
	listen, real := i.host.AppEnv(fabric.BindAll, port)
	env := append(append(inheritedEnv(), userDataEnv(i.def.UserData.Or(""))...), l.opts.App.Env...)
	env = append(env, "LISTEN_ADDRESS="+listen, "PORT="+strconv.Itoa(int(real)), "INSTANCE="+i.id)
	a, err := l.startApp("app of instance "+i.id, i.host, env, log)
	if err != nil {
		return err
	}
	a.port = port
	i.apps = append(i.apps, a)
	at, err := netip.ParseAddrPort(a.address)
	if err != nil {
		return fmt.Errorf("the app says it listens on %q: %w", a.address, err)
	}
	l.onEnd(a.proc, func() {
		l.note(fmt.Sprintf("instance %s: the app on port %d ended (%s); nothing starts it again", i.def.ID, port, a.proc.Why()))
		if i.host != nil {
			i.host.Unbound(port)
		}
	})
	return i.host.Bound(port, fabric.BindAll, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
}

// listenDirective finds the ports of nginx servers in user data.
var listenDirective = regexp.MustCompile(`(?m)^\s*listen\s+(?:[^\s;]*:)?([0-9]{1,5})\b[^;\n]*;`)

// ports lists where the instance listens: where its user data lets nginx
// listen, and otherwise, for want of anything that says so, where its target
// groups send requests.
func (i *instance) ports() []uint16 {
	var out []uint16
	add := func(n int) {
		if p := uint16(n); n > 0 && n <= 65535 && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	for _, m := range listenDirective.FindAllStringSubmatch(i.def.UserData.Or(""), -1) {
		n, _ := strconv.Atoi(m[1])
		add(n)
	}
	if len(out) > 0 {
		return out
	}
	for _, g := range i.copy.lab.opts.Topology.TargetGroups {
		for _, t := range g.Targets {
			if targets(t, i.def.ID) {
				add(targetPort(g, t))
			}
		}
	}
	i.copy.lab.note(fmt.Sprintf("instance %s: its user data does not say where it listens; the lab takes the ports of its target groups", i.def.ID))
	return out
}

// fixedAnswer finds what nginx answers everything with.
var fixedAnswer = regexp.MustCompile(`location\s+/\s*\{\s*return\s+([0-9]{3})\s+(?:'([^']*)'|"([^"]*)")\s*;`)

// userDataEnv makes the app answer / as the server in the user data would.
func userDataEnv(script string) []string {
	m := fixedAnswer.FindStringSubmatch(script)
	if m == nil {
		return nil
	}
	return []string{"STATUS=" + m[1], "HELLO=" + strings.ReplaceAll(m[2]+m[3], `\n`, "\n")}
}

// targets reports whether a target is the instance.
func targets(t topology.Target, id topology.ID) bool {
	got, ok := t.Instance.Get()
	return ok && got == id
}

// targetPort is where a group sends requests for one of its targets.
func targetPort(g *topology.TargetGroup, t topology.Target) int {
	return t.Port.Or(g.Port.Or(80))
}

// registered lists the addresses of the targets that the source itself
// registers with a group: those it writes down, and those of its instances
// once they run.
func (dc *deploymentCopy) registered(g *topology.TargetGroup) []netip.AddrPort {
	out := []netip.AddrPort{}
	for _, t := range g.Targets {
		ip, err := netip.ParseAddr(t.IP.Or(""))
		for _, i := range dc.instances {
			if targets(t, i.def.ID) && i.host != nil {
				ip, err = i.iface.IP, nil
			}
		}
		if err == nil {
			out = append(out, netip.AddrPortFrom(ip, uint16(targetPort(g, t))))
		}
	}
	return out
}

// InstanceStatus is an EC2 instance behind a load balancer.
type InstanceStatus struct {
	ID       topology.ID `json:"id"`
	Name     string      `json:"name"`
	Instance string      `json:"instance"` // the id that AWS would give, "i-..."
	IP       string      `json:"ip"`
	Apps     []AppStatus `json:"apps"`
}

func (i *instance) status() InstanceStatus {
	st := InstanceStatus{ID: i.def.ID, Name: i.name(), Instance: i.id, IP: i.iface.IP.String(), Apps: []AppStatus{}}
	for _, a := range i.apps {
		st.Apps = append(st.Apps, a.status())
	}
	return st
}
