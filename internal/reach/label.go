package reach

import (
	"strings"

	"github.com/hoplab/hoplab/internal/topology"
)

// label returns the name people know a resource by: its own name, else the
// last telling part of its construct path, else its logical ID.
func label(o topology.Origin, name topology.Opt[string]) string {
	if n, ok := name.Get(); ok && n != "" {
		return n
	}
	return originLabel(o)
}

// Label returns the name under which findings and paths speak of a resource.
func Label(o topology.Origin, name topology.Opt[string]) string { return label(o, name) }

// vague are construct names that say nothing without their parent's.
var vague = map[string]bool{
	"Sg": true, "SecurityGroup": true, "Service": true, "TargetGroup": true, "Listener": true, "LB": true, "Role": true,
	"TaskRole": true, "TaskDef": true, "TaskDefinition": true, "Group": true,
}

// originLabel is label for a resource without a name of its own.
func originLabel(o topology.Origin) string {
	var parts []string
	for _, p := range strings.Split(o.Path, "/") {
		if p != "" && p != "Resource" && p != "Default" && (len(parts) == 0 || parts[len(parts)-1] != p) {
			parts = append(parts, p)
		}
	}
	switch n := len(parts); {
	case n > 1 && vague[parts[n-1]]:
		return parts[n-2] + "/" + parts[n-1]
	case n > 0:
		return parts[n-1]
	}
	id := string(o.ID)
	if i := strings.LastIndexByte(id, '/'); i >= 0 {
		id = id[i+1:]
	}
	return orElse(id, "unnamed")
}

func (x *index) groupLabel(id topology.ID) string {
	if g := x.groups[id]; g != nil {
		return label(g.Origin, g.Name)
	}
	return originLabel(topology.Origin{ID: id})
}
