package endpoint

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
)

// dialled is the host that an arm's connections go to.
func dialled(a plan.Arm) string {
	if a.Endpoint.Connect != "" {
		host, _, _ := net.SplitHostPort(a.Endpoint.Connect)
		return host
	}
	u, err := url.Parse(a.Endpoint.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Addresses resolves the arms: all addresses that each name has now, in order,
// joined by spaces. Errors carry fail.Environment.
func Addresses(ctx context.Context, p *plan.Plan) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range p.Arms {
		found, err := net.DefaultResolver.LookupHost(ctx, dialled(a))
		if err != nil {
			return nil, fail.Newf(fail.Environment, "check the name, and the name server of this machine", "arm %s: %w", a.Name, err)
		}
		slices.Sort(found)
		out[a.Name] = strings.Join(found, " ")
	}
	return out, nil
}

// Elsewhere lists the addresses among addresses, as Addresses writes them,
// that are not this machine's own, each once and in order.
func Elsewhere(addresses map[string]string) ([]string, error) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fail.Newf(fail.Environment, "", "this machine's own addresses: %w", err)
	}
	var out []string
	for _, all := range addresses {
		for _, text := range strings.Fields(all) {
			if !mine(text, own) && !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

func mine(text string, own []net.Addr) bool {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return false
	}
	if ip = ip.Unmap().WithZone(""); ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		have, ok := netip.AddrFromSlice(n.IP)
		return ok && have.Unmap() == ip
	})
}
