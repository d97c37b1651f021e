package topology

import "strings"

// Names returns every name by which a sentence may speak of a part of the
// deployment: labels, IDs, and the names of endpoints.
func (x *Index) Names() map[string]bool {
	names := map[string]bool{}
	add := func(o Origin, name Opt[string]) {
		for _, n := range []string{Label(o, name), string(o.ID), OriginLabel(o), o.Path} {
			if n != "" {
				names[n] = true
			}
		}
	}
	none := Opt[string]{}
	t := x.Topology
	for _, g := range t.SecurityGroups {
		add(g.Origin, g.Name)
	}
	for _, g := range t.TargetGroups {
		add(g.Origin, g.Name)
	}
	for _, lb := range t.LoadBalancers {
		add(lb.Origin, lb.Name)
		for _, l := range lb.Listeners {
			add(l.Origin, none)
			for _, r := range l.Rules {
				add(r.Origin, none)
			}
		}
	}
	for _, s := range t.Services {
		add(s.Origin, s.Name)
		if s.Task != nil {
			add(s.Task.Origin, s.Task.Family)
		}
	}
	for _, d := range t.Standalone {
		add(d.Origin, d.Family)
	}
	for _, n := range t.Namespaces {
		add(n.Origin, n.Name)
	}
	for _, r := range t.Roles {
		add(r.Origin, none)
	}
	for _, i := range t.Instances {
		add(i.Origin, none)
	}
	for _, ns := range x.connect {
		for name := range ns.byName {
			names[name] = true
		}
	}
	return names
}

// Nameless returns text with … for every word that is one of the names, so that
// what is said alike of many parts is the same sentence.
func Nameless(text string, names map[string]bool) string {
	words := strings.Split(text, " ")
	for i, w := range words {
		core := strings.Trim(w, `.,;:()"'`)
		host, _, _ := strings.Cut(core, ":")
		switch {
		case core == "":
		case names[core]:
			words[i] = strings.Replace(w, core, "…", 1)
		case host != core && names[host]:
			words[i] = strings.Replace(w, host, "…", 1)
		}
	}
	return strings.Join(words, " ")
}
