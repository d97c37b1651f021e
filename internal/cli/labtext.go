package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/hoplab/hoplab/internal/call"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/lab"
	"github.com/hoplab/hoplab/internal/lab/alb"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach/render"
)

// initial reports whether a target still waits for its first health checks.
func initial(st *lab.Status) bool {
	for _, b := range st.LoadBalancers {
		for _, g := range b.Groups {
			for _, t := range g.Targets {
				if t.State == alb.Initial {
					return true
				}
			}
		}
	}
	return false
}

// printLab prints a lab's tasks, listeners and targets.
func printLab(s streams, st *lab.Status) {
	if len(st.Services) > 0 {
		printServices(s, st)
	}
	if len(st.Instances) > 0 {
		printInstances(s, st)
	}
	for _, b := range st.LoadBalancers {
		printable.Fprintf(s.out, "\nload balancer %s  %s  %s\n", b.Name, b.IP, b.DNSName)
		tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
		for _, l := range b.Listeners {
			printable.Fprintf(tw, "  listener %d\t%s://%s:%d/\t%d requests\n", l.Port, strings.ToLower(l.Protocol), b.DNSName, l.Port, l.Requests)
		}
		printTargets(tw, b.Groups)
		tw.Flush()
	}
	if st.CA != "" {
		printable.Fprintf(s.out, "\nHTTPS certificates are signed by the lab's own authority, %s (see hoplab lab dial)\n", st.CA)
	}
	for _, n := range st.Notes {
		printable.Fprintf(s.out, "\nnote: %s\n", n)
	}
}

// manyTargets is from how many targets of a load balancer on those in the same
// state are one line.
const manyTargets = 20

// printTargets prints the targets of a load balancer.
func printTargets(tw io.Writer, groups []alb.GroupStatus) {
	all := 0
	for _, g := range groups {
		all += len(g.Targets)
	}
	in := map[string][]string{} // by state, the targets
	for _, g := range groups {
		for _, t := range g.Targets {
			st := state(string(t.State), t.Reason)
			if all < manyTargets {
				printable.Fprintf(tw, "  target %s\tof %s\t%s\n", t.Address, g.Name, st)
				continue
			}
			in[st] = append(in[st], t.Address)
		}
	}
	for _, st := range slices.Sorted(maps.Keys(in)) {
		printable.Fprintf(tw, "  %s\t%s\t%s\n", render.Plural(len(in[st]), "target"), render.Names(in[st], len(in[st])), st)
	}
}

// printInstances prints the EC2 instances and where they listen.
func printInstances(s streams, st *lab.Status) {
	tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	printable.Fprintf(tw, "instance\tid\taddress\tlistens on\n")
	for _, in := range st.Instances {
		var ports []string
		for _, a := range in.Apps {
			ports = append(ports, fmt.Sprint(a.Port))
		}
		printable.Fprintf(tw, "%s\t%s\t%s\t%s\n", in.Name, in.Instance, in.IP, strings.Join(ports, " "))
	}
	tw.Flush()
}

// printServices prints the tasks of every service.
func printServices(s streams, st *lab.Status) {
	tw := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	printable.Fprintf(tw, "service\ttask\taddress\tstate\tcan call\n")
	all := everyName(st)
	for _, sv := range st.Services {
		for _, t := range sv.Tasks {
			printable.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", sv.Name, t.ID, t.IP, state(string(t.State), t.Why), foldNames(sortedKeys(t.Names), all))
		}
		if len(sv.Tasks) == 0 {
			printable.Fprintf(tw, "%s\t-\t-\tno task\t\n", sv.Name)
		}
	}
	tw.Flush()
}

// fewNames is how many names a task's line spells out.
const fewNames = 5

// foldNames writes the names that a task resolves: few as they are, many as how
// many of which namespace. all has by namespace every name that a task of the
// lab resolves.
func foldNames(names []string, all map[string]map[string]bool) string {
	if len(names) <= fewNames {
		return strings.Join(names, " ")
	}
	by := map[string]int{}
	for _, name := range names {
		by[namespaceOf(name)]++
	}
	var parts []string
	for _, ns := range slices.Sorted(maps.Keys(by)) {
		of := "without a namespace"
		if ns != "" {
			of = "of " + ns
		}
		if by[ns] == len(all[ns]) {
			parts = append(parts, fmt.Sprintf("%s, all %s", render.Plural(by[ns], "name"), of))
		} else {
			parts = append(parts, fmt.Sprintf("%d of the %s %s", by[ns], render.Plural(len(all[ns]), "name"), of))
		}
	}
	return strings.Join(parts, "; ")
}

// everyName returns by namespace the names that tasks of the lab resolve.
func everyName(st *lab.Status) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, sv := range st.Services {
		for _, t := range sv.Tasks {
			for name := range t.Names {
				ns := namespaceOf(name)
				if all[ns] == nil {
					all[ns] = map[string]bool{}
				}
				all[ns][name] = true
			}
		}
	}
	return all
}

// namespaceOf is what follows the first full stop of a name, without its port.
func namespaceOf(name string) string {
	_, ns, _ := strings.Cut(name, ".")
	ns, _, _ = strings.Cut(ns, ":")
	return ns
}

func state(s, why string) string {
	if why == "" {
		return s
	}
	return s + " (" + why + ")"
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// printObservation prints what curl would, and answers with curl's exit code.
func printObservation(s streams, o call.Observation, include bool) error {
	if include && o.Status != 0 {
		printable.Fprintf(s.out, "HTTP/1.1 %d %s\n", o.Status, http.StatusText(o.Status))
		names := make([]string, 0, len(o.Header))
		for k := range o.Header {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			for _, v := range o.Header[k] {
				printable.Fprintf(s.out, "%s: %s\n", strings.ToLower(k), v)
			}
		}
		fmt.Fprintln(s.out)
	}
	if _, err := io.WriteString(s.out, o.Body); err != nil {
		return err
	}
	if o.Error != "" {
		printable.Fprintln(s.err, o.Error)
	}
	return answer(fail.Code(o.Exit))
}
